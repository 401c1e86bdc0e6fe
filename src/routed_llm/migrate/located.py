"""JSON and YAML with positions: every string of a file, where its characters stand, and its path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

__all__ = ["Located", "escape", "offsets", "strings", "yaml_strings"]

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]|[^\s"\[\]{}:,]+', re.DOTALL)
_PIECE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]+"
)
_DEEPEST = 200
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Located:
    """A string of a JSON document, or a scalar of a YAML file.

    Attributes:
        path: the keys and places that lead to it.
        start: where its opening quote stands.
        end: one past its closing quote.
        is_key: whether it is the key of an object.
    """

    path: tuple[str | int, ...]
    start: int
    end: int
    is_key: bool = False


def strings(text: str) -> Iterator[Located]:
    """Give every string of a document with its path; the document must be valid JSON."""
    path: list[Any] = []
    expect_key: list[bool] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        mark = token[0]
        if mark == "{":
            path.append(None)
            expect_key.append(True)
        elif mark == "[":
            path.append(0)
            expect_key.append(False)
        elif mark in "}]":
            path.pop()
            expect_key.pop()
        elif mark == ",":
            if isinstance(path[-1], int):
                path[-1] += 1
            else:
                expect_key[-1] = True
        elif mark == '"':
            if expect_key and expect_key[-1]:
                path[-1] = json.loads(token, strict=False)
                expect_key[-1] = False
                yield Located(tuple(path), match.start(), match.end(), is_key=True)
            else:
                yield Located(tuple(path), match.start(), match.end())


def offsets(raw: str) -> list[int]:
    """Return where each decoded character of a string's inside begins, and at last where it ends."""
    if "\\" not in raw:
        return list(range(len(raw) + 1))
    places: list[int] = []
    for match in _PIECE.finditer(raw):
        piece = match[0]
        if piece[0] == "\\":
            places.append(match.start())
        else:
            places.extend(range(match.start(), match.end()))
    places.append(len(raw))
    return places


def escape(text: str, *, ascii_only: bool) -> str:
    """Write text as the inside of a JSON string."""
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def yaml_strings(text: str) -> Iterator[Located]:
    """Give every scalar of a file with its path. Only events are read, so that no alias is ever expanded.

    Raises:
        ValueError: when the text is not YAML.
    """
    path: list[Any] = []
    expect_key: list[bool] = []
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.CollectionEndEvent):
                path.pop()
                expect_key.pop()
                _next(path, expect_key)
            elif isinstance(event, yaml.CollectionStartEvent):
                is_map = isinstance(event, yaml.MappingStartEvent)
                path.append(None if is_map else 0)
                if len(path) > _DEEPEST:
                    raise ValueError("it is nested too deeply")
                expect_key.append(is_map)
            elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
                is_key = bool(expect_key) and expect_key[-1]
                if is_key:
                    path[-1] = getattr(event, "value", None)
                if isinstance(event, yaml.ScalarEvent):
                    yield Located(tuple(path), event.start_mark.index, event.end_mark.index, is_key=is_key)
                _next(path, expect_key)
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        raise ValueError("it is not YAML") from error


def _next(path: list[Any], expect_key: list[bool]) -> None:
    """Go on to what follows an item: the next place of a list, the value of a key, the next key."""
    if not path:
        return
    if isinstance(path[-1], int) and not expect_key[-1]:
        path[-1] += 1
    else:
        expect_key[-1] = not expect_key[-1]
