"""Send every parameter to every model on both endpoints, and write down what was changed.

For each living model that answers on an endpoint, each endpoint and each parameter, one call is made through
RoutedChatModel against the simulator, which enforces the API's rules from its own data. A cell is the list
of Changes, ``refused`` with the reason when the decision says that the model cannot serve it (nothing is
sent then), or ``as given``. No request may be refused by the simulator.

Usage: python scripts/parameter_matrix.py [--write FILE]
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

from langchain_routed import RoutedChatModel
from openai import OpenAIError
from pydantic import BaseModel

from routed_llm import NoModelFits, Router
from routed_llm.simulator import Simulator, serve

DAY = date(2026, 11, 22)
ENDPOINTS = {"chat": "chat_completions", "responses": "responses"}
SPOKEN: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
"""What every call to an audio model asks for: without audio in or out it answers nobody."""


class Person(BaseModel):
    """A person."""

    name: str
    age: int


TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {**Person.model_json_schema(), "additionalProperties": False},
    },
}
CELLS: dict[str, dict[str, Any]] = {
    "temperature=0": {"temperature": 0},
    "temperature=1": {"temperature": 1},
    "top_p=0.5": {"top_p": 0.5},
    "stop": {"stop": ["END"]},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "n=2": {"n": 2},
    "seed": {"seed": 7},
    "max_tokens=50": {"max_tokens": 50},
    "max_tokens=40000": {"max_tokens": 40_000},
    "max_tokens=200000": {"max_tokens": 200_000},
    **{
        f"effort={e}": {"reasoning_effort": e}
        for e in ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    },
    "verbosity=low": {"verbosity": "low"},
    "parallel_tool_calls": {"tools": [TOOL], "parallel_tool_calls": False},
    "prediction": {"prediction": {"type": "content", "content": "Hello"}},
    "tools": {"tools": [TOOL]},
    "json_schema": {"response_format": SCHEMA},
    "encrypted reasoning": {"include": ["reasoning.encrypted_content"]},
    "logprobs included": {"include": ["message.output_text.logprobs"]},
    "reasoning summary": {"reasoning": {"summary": "auto"}},
    "text verbosity": {"text": {"verbosity": "low"}},
    "modalities=text": {"modalities": ["text"]},
    "tool_choice alone": {"tool_choice": "auto"},
    "stream_options": {"stream_options": {"include_usage": True}},
    "cache retention": {"prompt_cache_retention": "24h"},
}


def models(router: Router) -> list[str]:
    """List the living models that answer on either endpoint: those of the default pool and all others."""
    return [model.id for model in router.catalog.alive(DAY) if {*ENDPOINTS.values()} & model.endpoints]


def cell(llm: RoutedChatModel, model: str, parameters: dict[str, Any]) -> str:
    """Make one call and say in a few words what became of the parameters."""
    try:
        answer = llm.invoke("Say hello.", model=model, **parameters)
    except NoModelFits as error:
        return f"refused: {reason(error, model)}"
    except OpenAIError as error:
        return f"REFUSED BY THE SERVER: {error}"
    changes = answer.response_metadata["routing"]["changes"]
    told = [said(change) for change in changes if (change["parameter"], change["action"]) != EFFORT]
    return "; ".join(told) or "as given"


EFFORT = ("reasoning_effort", "added")


def said(change: dict[str, Any]) -> str:
    """Write one Change down."""
    name, action = change["parameter"], change["action"]
    if action in ("clamped", "raised"):
        return f"{name} {action} to {change['after']}"
    return f"{name} sent as {change['after']}" if action == "renamed" else f"{name} {action}"


def reason(error: NoModelFits, model: str) -> str:
    """Return the first reason against the model that was named."""
    reasons = [r for r in error.decision.reasons_against(model) if r.code != "endpoint_forced"]
    return reasons[0].text if reasons else "not offered on this endpoint"


def matrix(sim: Simulator) -> dict[tuple[str, str, str], str]:
    """Work out every cell: (parameter, endpoint, model) to what became of it."""
    router = Router(clock=lambda: DAY)
    cells = {}
    for endpoint, place in ENDPOINTS.items():
        llm = RoutedChatModel(
            base_url=sim.url,
            api_key="simulated",
            router=router,
            max_retries=0,
            use_responses_api=place == "responses",
            policy={"at_least": None},
        )
        for model in models(router):
            spoken = SPOKEN if "audio" in router.catalog.get(model).outputs else {}
            for name, parameters in CELLS.items():
                cells[name, endpoint, model] = cell(llm, model, {**spoken, **parameters})
    return cells


def table(cells: dict[tuple[str, str, str], str]) -> str:
    """Write the matrix as Markdown: one table per parameter, models with the same cell in one row."""
    lines = [
        "# What becomes of every parameter, on every model and endpoint",
        "",
        f"Made by `scripts/parameter_matrix.py` on the simulator, for {DAY}: {len(CELLS)} parameters, "
        f"the {len({model for _, _, model in cells})} living models that answer on either endpoint, "
        f"{len(cells):,} calls, none refused by the server. Audio models are asked to speak. "
        "`refused` means that the decision itself says no: a call naming "
        "the model fails before it is sent, and any other is served by another model.",
    ]
    for name in CELLS:
        lines += ["", f"## {name}", "", "| endpoint | becomes | models |", "| --- | --- | --- |"]
        rows: dict[tuple[str, str], list[str]] = {}
        for (parameter, endpoint, model), what in cells.items():
            if parameter == name:
                rows.setdefault((endpoint, what.replace(model, "the model")), []).append(model)
        lines += [f"| {endpoint} | {what} | {', '.join(names)} |" for (endpoint, what), names in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Work the matrix out, print its size, and write it down if asked; 1 when a request was refused."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    chosen = parser.parse_args()
    with serve(at=DAY) as sim:
        cells = matrix(sim)
        refused = len(sim.refused)
        sent = len(sim.journal)
    for (name, endpoint, model), what in cells.items():
        if what.startswith("REFUSED"):
            print(f"{model} on {endpoint}, {name}: {what}")
    print(f"{len(cells)} cells, {sent} requests sent, {refused} refused by the server")
    if chosen.write:
        chosen.write.parent.mkdir(parents=True, exist_ok=True)
        chosen.write.write_text(table(cells), encoding="utf-8")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
