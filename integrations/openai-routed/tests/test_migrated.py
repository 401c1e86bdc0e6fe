"""A program on the SDK itself, rewritten by `routed migrate`, after its model is gone."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import openai
import pytest

from routed_llm.calls import router
from routed_llm.cli import main
from routed_llm.simulator import Simulator, serve

LATER = date(2027, 1, 15)
PROGRAM = '''
"""Everything that a small program asks of the SDK."""

import asyncio

from openai import AsyncOpenAI, NotFoundError, OpenAI
from pydantic import BaseModel

MODEL = "gpt-4o"
client = OpenAI(max_retries=0)


class Sea(BaseModel):
    name: str
    depth: int


TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}


async def later(question):
    async with AsyncOpenAI(max_retries=0) as other:
        return (await other.responses.create(model=MODEL, input=question)).output_text


def ask(question, **more):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    return client.chat.completions.create(model=MODEL, messages=messages, **more)


STEPS = {
    "whole": lambda: ask("What is a tide?", temperature=0.2, max_tokens=50).choices[0].message.content,
    "streamed": lambda: "".join(c.choices[0].delta.content or "" for c in ask("Tides?", stream=True)),
    "tools": lambda: ask("add 1 and 2", tools=[TOOL]).choices[0].message.tool_calls[0].function.name,
    "parsed": lambda: client.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": "Which sea?"}], response_format=Sea
    ).choices[0].message.parsed,
    "responses": lambda: client.responses.create(model=MODEL, input="What is a tide?").output_text,
    "async": lambda: asyncio.run(later("What is a tide?")),
}


def attempt(step):
    try:
        return bool(step())
    except NotFoundError:
        return "model is gone"


RESULT = {name: attempt(step) for name, step in STEPS.items()}
'''


@pytest.fixture
def afterwards() -> Iterator[Simulator]:
    """OpenAI on a day when gpt-4o is gone."""
    with serve(at=LATER) as running:
        yield running


def result(program: Path) -> dict[str, Any]:
    """Run a program and return what came of its steps."""
    found: dict[str, Any] = runpy.run_path(str(program))["RESULT"]
    return found


def test_a_raw_program_goes_on_after_its_model_is_gone(
    afterwards: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every call fails before; with its import rewritten every call is answered, and none is refused."""
    monkeypatch.setenv("OPENAI_BASE_URL", afterwards.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-simulated")
    monkeypatch.setattr(router, "_now", lambda: LATER)
    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    assert set(result(program).values()) == {"model is gone"}
    afterwards.reset()
    assert main(["migrate", str(tmp_path), "--write", "--at", "2026-11-22"]) in (0, 1)
    capsys.readouterr()
    rewritten = program.read_text()
    assert "from openai_routed import" in rewritten
    kept = set(rewritten.splitlines()) & set(PROGRAM.splitlines())
    assert len(set(PROGRAM.splitlines()) - kept) == 1
    assert set(result(program).values()) == {True}
    assert afterwards.refused == []
    assert "gpt-4o" not in {entry.model for entry in afterwards.journal}
    assert openai.OpenAI.__module__ == "openai"
