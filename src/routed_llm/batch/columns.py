"""Reading columns: which rows have everything in common but their tokens, and what it is as RequestFacts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from routed_llm.batch.needs import needed
from routed_llm.errors import RequestError
from routed_llm.facts import ImageFacts, RequestFacts, freeze_parameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "Columns", "Group", "facts_of", "read_columns"]

COLUMNS: Final = {
    "tokens": "text tokens of messages, tools and schemas; no row without",
    "cap": "most output tokens wanted",
    "tools": "number of tools offered",
    "structured": "json_object or json_schema",
    "stop": "number of stop sequences",
    "stream": "whether the answer is streamed",
    "tool_choice": "none, auto, required or named",
    "effort": "reasoning effort asked for",
    "model": "a model named for the call",
    "endpoint": "chat_completions or responses",
    "service_tier": "standard, flex, priority or batch",
    "task": "what the call is for",
    "images": "number of images, all of the size and detail in the next three",
    "image_width": "pixels; no value for an image given by reference",
    "image_height": "pixels, likewise",
    "image_detail": "auto, low, high or original",
    "audio_seconds": "seconds of audio given",
    "pdf_pages": "pages of documents given",
    "budget": "US dollars that the call may be expected to cost at most",
}
"""The columns that are read, and what is in them; all but the first may be left out or hold nulls."""

PARAMETER: Final = "parameters."
"""What the name of a column begins with that holds a parameter by its Chat Completions name."""

_DENSE: Final = 1 << 22
_PICO: Final = 12


class Columns(NamedTuple):
    """Columns as arrays.

    Attributes:
        tokens: text tokens of each row.
        budget: picodollars of each row, or None when there is no such column; a null is -1.
        others: name to (code of each row, the value of each code).
    """

    tokens: NDArray[np.int64]
    budget: NDArray[np.int64] | None
    others: Mapping[str, tuple[NDArray[np.int32], list[Any]]]


class Group(NamedTuple):
    """Rows that have everything in common but tokens and budget.

    Attributes:
        rows: their places.
        values: what they have in common, as (column, value) pairs.
    """

    rows: NDArray[np.intp]
    values: tuple[tuple[str, Any], ...]


def read_columns(table: Any) -> Columns:
    """Read an Arrow table or record batch, a pandas frame, or a mapping of names to arrays or lists.

    Raises:
        RequestError: when a column is unknown or has impossible values, or there are no tokens.
    """
    np, pa = needed("numpy"), needed("pyarrow")
    arrays = _arrays(table, pa)
    if "tokens" not in arrays:
        raise RequestError(
            "The table has no column tokens. Add one with the text tokens of each request.", where="tokens"
        )
    for name in arrays:
        if name not in COLUMNS and not name.startswith(PARAMETER):
            raise RequestError(
                f"The table has an unknown column {name!r}. Drop it, name it in keep, or use one of: "
                f"{', '.join(COLUMNS)}, {PARAMETER}<name>.",
                where=name,
            )
    tokens = _whole(arrays.pop("tokens"), np, pa)
    budget = arrays.pop("budget", None)
    others = {}
    images = arrays.get("images")
    for name, array in _alike(arrays, images, np, pa).items():
        encoded = array.dictionary_encode(null_encoding="encode")
        values = encoded.dictionary.to_pylist()
        if any(value is not None for value in values):
            others[name] = (encoded.indices.to_numpy(zero_copy_only=False), values)
    return Columns(tokens, None if budget is None else _pico(budget, np, pa), others)


def groups(columns: Columns) -> Iterator[Group]:
    """Split the rows into groups of those that differ in tokens and budget only."""
    np = needed("numpy")
    count = len(columns.tokens)
    if not count:
        return
    key, size = np.zeros(count, np.int64), 1
    for codes, values in columns.others.values():
        key = key * len(values) + codes
        size *= len(values)
        if size > _DENSE:
            found, key = np.unique(key, return_inverse=True)
            size = len(found)
    # Small keys are sorted in one pass over the rows.
    order = np.argsort(key.astype(np.uint16) if size <= 1 << 16 else key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        rows = order[start:end]
        first = rows[0]
        yield Group(
            rows, tuple((name, values[codes[first]]) for name, (codes, values) in columns.others.items())
        )


def facts_of(values: Mapping[str, Any]) -> RequestFacts:
    """Make the facts that a group's rows have in common; their token count is 0.

    Raises:
        RequestError: when a value is impossible.
    """
    given = {name: value for name, value in values.items() if value is not None}
    parameters = {
        name[len(PARAMETER) :]: given.pop(name) for name in list(given) if name.startswith(PARAMETER)
    }
    stops = _count("stop", given.pop("stop", 0))
    if stops:
        parameters["stop"] = [str(at) for at in range(stops)]
    size = [given.pop(f"image_{name}", None) for name in ("width", "height")]
    detail = given.pop("image_detail", "auto")
    images = _count("images", given.pop("images", 0))
    kinds = {"text"}
    if images:
        kinds.add("image")
        given["images"] = (ImageFacts(size[0], size[1], detail),) * images
    for name, kind in (("audio_seconds", "audio"), ("pdf_pages", "pdf")):
        if given.get(name):
            kinds.add(kind)
    if "cap" in given:
        asked = given["cap"]
        given["cap"] = _count("cap", asked)  # beside rows without one it comes as a float
        if given["cap"] < 1:
            raise RequestError(
                f"cap={asked!r} is not a token count. Give a whole number above 0.", where="cap"
            )
    return RequestFacts(**given, inputs=frozenset(kinds), parameters=freeze_parameters(parameters))


def _arrays(table: Any, pa: Any) -> dict[str, Any]:
    if hasattr(table, "column_names"):
        found = {name: table.column(name) for name in table.column_names}
    elif hasattr(table, "schema"):
        found = {name: table.column(name) for name in table.schema.names}
    elif isinstance(table, Mapping):
        found = dict(table)
    elif hasattr(table, "to_dict") and hasattr(table, "columns"):
        found = {str(name): table[name] for name in table.columns}
    else:
        raise RequestError(
            f"A value of type {type(table).__name__} has no columns. "
            "Give an Arrow table, a pandas frame or a dict of arrays."
        )
    arrays = {}
    for name, column in found.items():
        array = (
            column if isinstance(column, (pa.Array, pa.ChunkedArray)) else pa.array(column, from_pandas=True)
        )
        arrays[name] = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    sizes = {len(array) for array in arrays.values()}
    if len(sizes) > 1:
        raise RequestError("The columns are of different lengths. Give each one value for each request.")
    return arrays


def _alike(arrays: dict[str, Any], images: Any, np: Any, pa: Any) -> dict[str, Any]:
    """Take away what makes no difference: how many tools there are, and the size of no image."""
    found = dict(arrays)
    if "tools" in found:
        tools = found["tools"].cast(pa.float64()).to_numpy(zero_copy_only=False)
        if (tools < 0).any():
            raise RequestError("tools has a number below 0. Give a whole number.", where="tools")
        found["tools"] = pa.array((tools > 0).astype(np.int8))
    shown = [name for name in found if name.startswith("image_")]
    if images is None:
        for name in shown:
            del found[name]
    elif shown:
        some = images.cast(pa.float64()).to_numpy(zero_copy_only=False) > 0
        for name in shown:
            found[name] = needed("pyarrow.compute").if_else(pa.array(some), found[name], None)
    return found


def _whole(array: Any, np: Any, pa: Any) -> Any:
    try:
        tokens = array.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        tokens = None
    if tokens is None or array.null_count or (len(tokens) and tokens.min() < 0):
        raise RequestError(
            "The column tokens does not hold a whole number of at least 0 in each row. "
            "Count the texts first, or leave those rows out.",
            where="tokens",
        )
    return tokens.astype(np.int64, copy=False)


def _pico(array: Any, np: Any, pa: Any) -> Any:
    """Return US dollars as picodollars: decimals exactly, floats rounded; -1 where there is none."""
    if pa.types.is_decimal(array.type) or pa.types.is_integer(array.type):
        exact = array.cast(pa.decimal128(38, _PICO))
        halves = np.frombuffer(exact.buffers()[1], np.int64).reshape(-1, 2)
        pico = halves[exact.offset : exact.offset + len(exact), 0].copy()
    else:
        dollars = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
        pico = np.rint(np.nan_to_num(dollars, nan=0.0) * 10.0**_PICO).astype(np.int64)
    if array.null_count:
        pico[array.is_null().to_numpy(zero_copy_only=False)] = -1
    return pico


def _count(name: str, value: Any) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or value < 0
        or value != math.floor(value)
    ):
        raise RequestError(f"{name}={value!r} is not a number of things. Give a whole number.", where=name)
    return int(value)
