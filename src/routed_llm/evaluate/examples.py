"""Examples: a user's own requests, with what is expected of an answer where that is known."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from routed_llm.errors import RequestError
from routed_llm.request.wire import chat_completion
from routed_llm.rollout.outputs import configuration

__all__ = ["Answer", "Example", "read_examples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, in the words of Chat Completions.

    Attributes:
        text: the text; empty where there is none.
        calls: the functions called: names and arguments, decoded where they are JSON.
        served: the configuration that gave it, where that is known.
        tokens: input tokens that were billed, where that is known.
        cost: US dollars, where that is known.
    """

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    served: str | None = None
    tokens: int = 0
    cost: Decimal | None = None

    @classmethod
    def of(cls, message: Any) -> Answer:
        """Read a message, a text, or what :meth:`to_dict` wrote."""
        if not isinstance(message, Mapping) or not {"content", "tool_calls"} & set(message):
            return cls(text=message if isinstance(message, str) else json.dumps(message))
        calls = tuple(_called(call) for call in message.get("tool_calls") or ())
        return cls(text=_text(message.get("content")), calls=calls)

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> Answer:
        """Read the body of an answer of either endpoint, with the routing record in it."""
        found = chat_completion(body) if "output" in body else body
        record, usage = body.get("routing") or {}, found.get("usage") or {}
        message = (found.get("choices") or [{}])[0].get("message") or {"content": ""}
        return replace(
            cls.of(message),
            served=configuration(record.get("model"), record.get("effort")),
            tokens=int(usage.get("prompt_tokens") or 0),
            cost=None if record.get("cost") is None else Decimal(record["cost"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as a message."""
        calls = [{"function": {"name": name, "arguments": given}} for name, given in self.calls]
        return {"content": self.text, **({"tool_calls": calls} if calls else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One request.

    Attributes:
        body: of Chat Completions or Responses, without a model.
        expected: what an answer is held against, or None.
        tags: of the calls that it stands for.
        answers: answers that are there already, by configuration.
    """

    body: Mapping[str, Any]
    expected: Answer | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A mark of its body."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def question(self) -> str:
        """The texts of the request, for a judge."""
        turns = self.body.get("messages", self.body.get("input"))
        if isinstance(turns, str):
            return turns
        return "\n".join(
            f"{turn.get('role', '')}: {_text(turn.get('content'))}"
            for turn in turns or ()
            if turn.get("content")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as a line of JSONL that :func:`read_examples` reads."""
        return {
            **self.body,
            **({} if self.expected is None else {"expected": self.expected.to_dict()}),
            **({"tags": dict(self.tags)} if self.tags else {}),
            **(
                {"answers": {name: one.to_dict() for name, one in self.answers.items()}}
                if self.answers
                else {}
            ),
        }


def read_examples(path: str | Path) -> list[Example]:
    """Read examples; what is there twice counts once.

    JSONL or JSON in OpenAI's formats (bodies of either endpoint with ``expected`` beside them, lines of a
    Batch, fine-tuning's ``messages`` with the answer last, evals' ``input`` and ``ideal``), what LangSmith
    exports (``inputs`` and ``outputs``, also as columns of CSV), any CSV with a column for the question, and
    the pairs in a decision log that a shadow wrote with ``keep="prompts"``.

    Raises:
        RequestError: when the file cannot be read, or has no examples.
    """
    where = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{where}: {error}. Name a file of examples.", where=where) from error
    rows = _csv(text) if where.endswith(".csv") else _json(text, where)
    found: dict[str, Example] = {}
    for number, row in enumerate(rows, 1):
        try:
            example = _example(row)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise RequestError(f"{where}: example {number}: {error}. Correct it.", where=where) from error
        if example is not None:
            found.setdefault(f"{example.id} {example.expected}", example)
    if not found:
        raise RequestError(f"{where} has no examples. See docs/proof.md for what is read.", where=where)
    return list(found.values())


_NOT_SENT: Final = frozenset({"model", "stream", "stream_options", "user", "metadata", "service_tier"})
_OURS: Final = frozenset({"expected", "ideal", "reference", "tags", "answers", "custom_id", "id", "name"})
_QUESTIONS: Final = ("messages", "input", "inputs", "question", "prompt", "query")
_EXPECTED: Final = ("expected", "ideal", "output", "outputs", "answer", "reference", "expected_output")


def _json(text: str, where: str) -> Iterator[Any]:
    try:
        if text.lstrip().startswith("["):
            yield from json.loads(text)
            return
        for line in text.splitlines():
            if line.strip():
                yield json.loads(line)
    except ValueError as error:
        raise RequestError(
            f"{where} is no JSON: {error}. Give one JSON object a line.", where=where
        ) from error


def _csv(text: str) -> Iterator[Mapping[str, Any]]:
    for row in csv.DictReader(text.splitlines()):
        known = {str(name).strip().lower(): value for name, value in row.items() if name}
        asked = _first(known, _QUESTIONS, "input")
        made: dict[str, Any] = {
            "inputs": _decoded(asked),
            "outputs": _decoded(_first(known, _EXPECTED, "output")),
        }
        tags = {name[4:]: value for name, value in known.items() if name.startswith("tag:") and value}
        yield {**made, "tags": tags}


def _first(row: Mapping[str, Any], names: Iterable[str], beginning: str) -> Any:
    found = [row[name] for name in names if row.get(name)]
    found += [value for name, value in row.items() if name.startswith(beginning) and value]
    return found[0] if found else None


def _decoded(cell: Any) -> Any:
    """Return what a cell holds: JSON where it is an object or a list, else its text."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell


def _example(row: Any) -> Example | None:
    if not isinstance(row, Mapping):
        raise TypeError("it is no JSON object")
    if "arm" in row and "mode" in row:
        return _pair(row)
    row = {**row, **row["body"]} if isinstance(row.get("body"), Mapping) else row
    body = {k: v for k, v in row.items() if k not in _NOT_SENT | _OURS | {"body", "url", "method"}}
    expected = next((row[name] for name in ("expected", "ideal", "reference") if name in row), None)
    if "inputs" in row:
        body, expected = _inputs(row["inputs"]), _output(row.get("outputs") or expected)
    if "messages" not in body and "input" not in body:
        raise ValueError("it has neither messages nor input")
    turns = body.get("messages")
    if expected is None and turns and turns[-1].get("role") == "assistant":
        body, expected = {**body, "messages": turns[:-1]}, turns[-1]
    if "ideal" in row and isinstance(body.get("input"), list):
        body = {"messages": body["input"]}  # evals' word for what Chat Completions calls messages
    if isinstance(expected, list) and expected and isinstance(expected[0], str):
        expected = expected[0]
    known = {name: Answer.of(answer) for name, answer in (row.get("answers") or {}).items()}
    return Example(
        body=body,
        expected=None if expected is None else Answer.of(expected),
        tags={str(name): str(value) for name, value in (row.get("tags") or {}).items()},
        answers=known,
    )


def _inputs(inputs: Any) -> dict[str, Any]:
    """Return the body for LangSmith's inputs: messages, or the text of whatever they name."""
    if isinstance(inputs, Mapping):
        if isinstance(inputs.get("messages"), list):
            return {"messages": [_turn(turn) for turn in _flat(inputs["messages"])]}
        inputs = next(
            (inputs[name] for name in _QUESTIONS if name in inputs), next(iter(inputs.values()), "")
        )
    if isinstance(inputs, list):
        return {"messages": [_turn(turn) for turn in _flat(inputs)]}
    if not isinstance(inputs, str) or not inputs:
        raise ValueError("it asks nothing")
    return {"messages": [{"role": "user", "content": inputs}]}


_ROLES: Final = {"human": "user", "ai": "assistant"}


def _flat(turns: list[Any]) -> list[Any]:
    return turns[0] if turns and isinstance(turns[0], list) else turns


def _turn(turn: Any) -> dict[str, Any]:
    """Return a message of LangChain's (``type`` and ``data``, or ``type`` and ``content``) as OpenAI's."""
    if not isinstance(turn, Mapping):
        return {"role": "user", "content": str(turn)}
    data = {**turn, **turn["data"]} if isinstance(turn.get("data"), Mapping) else turn
    role = str(data.get("role") or data.get("type") or "user")
    kept = {name: data[name] for name in ("content", "tool_calls", "tool_call_id", "name") if data.get(name)}
    return {"role": _ROLES.get(role, role), **kept}


def _output(expected: Any) -> Any:
    """Return the answer within LangSmith's outputs."""
    if not isinstance(expected, Mapping) or "content" in expected or "tool_calls" in expected:
        return expected
    for name in ("messages", "output", "generations"):
        if isinstance(expected.get(name), list) and expected[name]:
            return _turn(_flat(expected[name])[-1])
    values = list(expected.values())
    return _output(values[0]) if len(values) == 1 else expected


def _pair(row: Mapping[str, Any]) -> Example | None:
    """Return the pair that the shadow kept, or None for another entry of its log."""
    texts, given = row.get("answers"), row.get("prompt")
    if row.get("arm") != "second" or not texts or not given:
        return None
    sides = {name: configuration(row[name]["model"], row[name]["effort"]) for name in ("baseline", "routed")}
    return Example(
        body={"messages": [{"role": "user", "content": "\n\n".join(given)}]},
        tags=row.get("tags") or {},
        answers={sides[name]: Answer(text=texts[name], served=sides[name]) for name in sides},
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def _called(call: Mapping[str, Any]) -> tuple[str, Any]:
    function = call.get("function") or call.get("custom") or call
    given = function.get("arguments", function.get("args", function.get("input")))
    return str(function.get("name")), _decoded(given)
