"""What stands in a job's file, and what is wrong with it, before anything is decided or sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from routed_llm.errors import PolicyError, RequestError
from routed_llm.policy import read_deadline

__all__ = ["Line", "read_lines"]

_URLS: Final = ("/v1/chat/completions", "/v1/responses")
_SHOWN: Final = 5
_WRAPPED: Final = frozenset({"custom_id", "method", "url", "body", "deadline"})


@dataclass(frozen=True, slots=True)
class Line:
    """One request.

    Attributes:
        number: of the line, from 1.
        custom_id: the caller's name for it; the number where there is none.
        body: the request.
        deadline: seconds, a moment, or None for the job's own.
    """

    number: int
    custom_id: str
    body: Mapping[str, Any]
    deadline: float | datetime | None


def read_lines(path: str | Path) -> Iterator[Line]:
    """Yield the requests of a file, one JSON object a line: a body, or one inside the Batch API's own form.

    Raises:
        RequestError: once the whole file is read, for the lines that are no requests.
    """
    wrong: list[str] = []
    seen: dict[str, int] = {}
    found = 0
    try:
        with Path(path).open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.strip():
                    continue
                try:
                    line = _line(number, raw)
                    if line.custom_id in seen:
                        before = seen[line.custom_id]
                        raise RequestError(f"has the custom_id {line.custom_id!r} of line {before}")
                except (RequestError, PolicyError) as error:
                    wrong.append(f"line {number} {error}")
                    continue
                seen[line.custom_id] = number
                found += 1
                yield line
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror or error}. Name a file that can be read.") from error
    if wrong:
        more = f", and {len(wrong) - _SHOWN} lines more" if len(wrong) > _SHOWN else ""
        raise RequestError(
            f"{path}: {'; '.join(wrong[:_SHOWN])}{more}. Correct the file; nothing was sent.", where=str(path)
        )
    if not found:
        raise RequestError(f"{path} holds no request. Give one JSON object a line.", where=str(path))


def _line(number: int, raw: bytes) -> Line:
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        half = not raw.endswith(b"\n") and raw.lstrip()[:1] == b"{"
        raise RequestError("is cut off: the file was written half" if half else "is no JSON") from None
    if not isinstance(given, dict):
        raise RequestError(f"is a {type(given).__name__}, not an object")
    body, name, deadline = given, given.get("custom_id"), None
    if "body" in given:
        if unknown := sorted(given.keys() - _WRAPPED):
            raise RequestError(f"has {unknown[0]!r} beside its body")
        if given.get("url", _URLS[0]) not in _URLS:
            raise RequestError(f"goes to {given['url']!r}, and not to one of {', '.join(_URLS)}")
        body, deadline = given["body"], _deadline(given.get("deadline"))
    body = (
        {key: value for key, value in body.items() if key != "custom_id"} if isinstance(body, dict) else body
    )
    if not isinstance(body, dict) or not ("messages" in body or "input" in body):
        raise RequestError("has neither messages nor input")
    if "messages" in body and "input" in body:
        raise RequestError("has both messages and input")
    if name is not None and not isinstance(name, str):
        raise RequestError(f"has the custom_id {name!r}, which is no string")
    if name is not None and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise RequestError(f"has the custom_id {name!r}, which holds half a character")
    return Line(number, str(number) if name is None else name, body, deadline)


def _deadline(value: Any) -> float | datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise RequestError(
                f"has the deadline {value!r}, which is no number of seconds and no moment"
            ) from None
    return read_deadline(value)
