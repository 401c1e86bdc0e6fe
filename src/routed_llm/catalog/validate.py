"""Turning pydantic's complaints about a catalog entry into one CatalogError in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from routed_llm.catalog.vocabulary import did_you_mean, problem

__all__ = ["validate"]

E_ = TypeVar("E_", bound=BaseModel)


def validate(kind: type[E_], data: Mapping[str, Any], path: str | None) -> E_:
    """Read one file's content.

    Args:
        kind: what it should be.
        data: the parsed TOML, or a mapping given in code.
        path: the file, for the error; None for entries given in code.

    Raises:
        CatalogError: for the first thing that is wrong.
    """
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = tuple(first["loc"])
        raise problem(path, _dotted(location), _in_words(kind, dict(first), location)) from None


def _dotted(location: tuple[Any, ...]) -> str:
    text = ""
    for part in location:
        if part == "[key]":
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _in_words(kind: type[BaseModel], error: dict[str, Any], location: tuple[Any, ...]) -> str:
    what, context = error["type"], error.get("ctx", {})
    if what == "extra_forbidden":
        return f"unknown key. {did_you_mean(str(location[-1]), _keys_at(kind, location[:-1]))}"
    if what == "missing":
        return "missing. Add it."
    if what == "literal_error" and location[-1] == "[key]":
        return f"unknown name. Use one of: {_options(context)}."
    if what == "literal_error":
        return f"{error['input']!r} is not allowed. Use one of: {_options(context)}."
    if what == "value_error":
        words = str(context["error"])
        return f"{words}." if not words.endswith(".") else words
    words = error["msg"][0].lower() + error["msg"][1:]
    return f"{words}, got {error['input']!r}. Correct it."


def _options(context: dict[str, Any]) -> str:
    return str(context["expected"]).replace("'", "").replace(" or ", ", ")


def _keys_at(kind: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Collect the keys that the model found at a location has."""
    found: Any = kind
    for part in location:
        if isinstance(part, int) or not (isinstance(found, type) and issubclass(found, BaseModel)):
            continue
        found = _model_in(found.model_fields[part].annotation) if part in found.model_fields else found
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """Find the pydantic model inside an annotation such as ``list[PriceRow] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in reversed(getattr(annotation, "__args__", ())):
        found = _model_in(inner)
        if found is not None:
            return found
    origin = getattr(annotation, "__origin__", None)
    return (
        _model_in(origin)
        if origin is not None and origin is not annotation and not isinstance(origin, type)
        else None
    )
