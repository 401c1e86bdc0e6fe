"""What the tests of comparing share: examples, and an API that answers by a rule, without a network."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from routed_llm.evaluate import Answer, Example

TODAY = date(2026, 11, 22)
Rule = Callable[[str, str], str]
"""Model and last user message to the text of the answer."""


def examples(number: int = 60, **given: Any) -> list[Example]:
    """Make questions with an answer each."""
    return [
        Example(
            body={"messages": [{"role": "user", "content": f"Question {i}?"}], "max_tokens": 50},
            expected=Answer(text=f"answer {i}"),
            **given,
        )
        for i in range(number)
    ]


class Api:
    """Answers as Chat Completions does, and counts."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[tuple[str, str]] = []

    def __call__(self, sent: Any) -> httpx.Response:
        """Answer one request."""
        assert sent.endpoint == "chat_completions", sent.body
        text = sent.body["messages"][-1]["content"]
        self.asked.append((sent.model, text))
        said = self.rule(sent.model, text)
        if said.startswith("status "):
            return httpx.Response(int(said[7:]), json={"error": {"message": "no", "type": "x", "code": None}})
        usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": sent.model}
        return httpx.Response(200, content=json.dumps({**body, "choices": [choice], "usage": usage}))


def run_command(command: list[str], url: str, found: str) -> None:
    """Run `routed` in a process of its own, and leave what a run that was completed printed."""
    from routed_llm.cli import main

    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "x"}
    partly = Path(f"{found}.{os.getpid()}")
    with partly.open("w") as out, contextlib.redirect_stdout(out):
        status = main(command)
    if status == 0:
        partly.rename(found)
