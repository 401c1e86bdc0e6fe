"""YAML with positions: every scalar of a file, where its characters stand, and its path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from routed_llm.migrate.jsontext import Located

__all__ = ["strings"]

_DEEPEST = 200
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def strings(text: str) -> Iterator[Located]:
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
