"""Random requests made from the openai SDK's types: any field may be set, every text is one of a kind."""

from __future__ import annotations

import random
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from routed_llm.fields import STAYS, Table

__all__ = ["Maker", "fields_in", "places", "texts_in"]


def fields_of(kind: Any) -> dict[str, Any]:
    """Return the fields of a TypedDict, Required and the like taken off."""
    return {name: _bare(hint) for name, hint in get_type_hints(kind).items()}


def _bare(hint: Any) -> Any:
    while get_origin(hint) in (typing.Required, typing.NotRequired, typing.Annotated):
        hint = get_args(hint)[0]
    return hint


def is_dict(kind: Any) -> bool:
    """Say whether a type is a TypedDict."""
    return isinstance(kind, type) and issubclass(kind, dict) and bool(kind.__annotations__)


def members(hint: Any) -> list[Any]:
    """Return the TypedDicts that a value of a type may be or hold."""
    hint = _bare(hint)
    if is_dict(hint):
        return [hint]
    if get_origin(hint) in (dict, Mapping):
        return []
    return [found for argument in get_args(hint) for found in members(argument)]


def kinds_of(kind: Any) -> list[str]:
    """Return the types or roles by which a TypedDict is told from others; none where it stands alone."""
    hints = fields_of(kind)
    for name in ("type", "role"):
        hint = hints.get(name)
        literal = [argument for argument in (hint, *get_args(hint)) if get_origin(argument) is Literal]
        if literal:
            return [str(value) for value in get_args(literal[0])]
    return []


def places(table: Table, place: str, kind: Any, seen: dict[str, set[str]]) -> None:
    """Collect the SDK's fields at every place of a table that is reached from one."""
    here = seen.setdefault(place, set())
    for name, hint in fields_of(kind).items():
        here.add(name)
        row = table.get(place, {}).get(name)
        if row is None or not row.of:
            continue
        for member in members(hint):
            kinds = kinds_of(member)
            inner = [f"{row.of}.{one}" for one in kinds if f"{row.of}.{one}" in table]
            unknown = [
                one for one in kinds if f"{row.of}.{one}" not in table and one not in STAYS.get(row.of, ())
            ]
            for found in inner or ([row.of] if row.of in table else []):
                if not fields_of(member).keys() <= seen.get(found, set()):
                    places(table, found, member, seen)
            if unknown and row.of not in table:
                seen.setdefault(f"{row.of}.{unknown[0]}", set()).update(fields_of(member))


def fields_in(table: Table, value: Mapping[str, Any], place: str = "body") -> set[str]:
    """Return the fields that a request sets, as ``place.field``."""
    found = set()
    for name, item in value.items():
        found.add(f"{place}.{name}")
        row = table.get(place, {}).get(name)
        for inner in item if isinstance(item, list) else [item]:
            if row is not None and row.of and isinstance(inner, Mapping):
                kind = f"{row.of}.{inner.get('type', inner.get('role'))}"
                found |= fields_in(table, inner, kind if kind in table else row.of)
    return found


def texts_in(value: Any) -> set[str]:
    """Return the texts of a value that are one of a kind."""
    if isinstance(value, str):
        return {value} if value.startswith("§") else set()
    if isinstance(value, Mapping):
        return {text for item in value.values() for text in texts_in(item)}
    if isinstance(value, (list, tuple)):
        return {text for item in value for text in texts_in(item)}
    return set()


def _plain(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return type(value)()
    return "anything" if isinstance(value, str) and value.startswith("§") else value


class Maker:
    """Makes random values of the SDK's types.

    Args:
        seed: of the random numbers.
        leave_out: fields as ``kind.field``, that are set only where they must be, and to nothing that tells;
            the kind is an object's type or role, or the field that it stands in.
        refused: kinds of objects that are not made.
    """

    def __init__(self, seed: int, leave_out: Iterable[str] = (), refused: Iterable[str] = ()) -> None:
        self._random = random.Random(seed)
        self._leave_out = frozenset(leave_out)
        self._refused = frozenset(refused)
        self._made = 0

    def body(self, kind: Any) -> dict[str, Any]:
        """Make a request, each optional field in half of them."""
        return self._object(kind, "body")

    def _object(self, kind: Any, under: str = "") -> dict[str, Any]:
        made: dict[str, Any] = {}
        own = (*kinds_of(kind), under)
        hints = get_type_hints(kind, include_extras=True)
        for name, hint in fields_of(kind).items():
            required = get_origin(hints[name]) is typing.Required
            gone = any(f"{one}.{name}" in self._leave_out for one in own)
            if required or (not gone and self._random.random() < 0.5):
                value = _plain(self._value(hint, name)) if gone else self._value(hint, name)
                if value is not None:
                    made[name] = value
        return made

    def _value(self, hint: Any, under: str) -> Any:
        hint = _bare(hint)
        origin = get_origin(hint)
        if is_dict(hint):
            return self._object(hint, under)
        if origin is Literal:
            return self._random.choice(get_args(hint))
        if origin in (typing.Union, types.UnionType):
            return self._value(self._random.choice(self._allowed(get_args(hint))), under)
        if origin in (dict, Mapping):
            return {self._text(): self._text()}
        if origin is not None:  # a list of something
            inner = get_args(hint)[0]
            return [self._value(inner, under) for _ in range(self._random.randint(1, 3))]
        if hint in (str, object):
            return self._text()
        if hint is bool:
            return self._random.random() < 0.5
        if hint in (int, float):
            return self._random.randint(2, 9)
        if hint is type(None):
            return None
        raise AssertionError(f"no value of {hint} can be made")

    def _allowed(self, options: tuple[Any, ...]) -> list[Any]:
        return [one for one in options if not (is_dict(one) and self._refused.intersection(kinds_of(one)))]

    def _text(self) -> str:
        self._made += 1
        return f"§{self._made}§"
