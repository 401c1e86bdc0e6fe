"""The refusals of the API: one exception, its bodies in `data/errors.toml`."""

from __future__ import annotations

from typing import Any

from routed_llm.simulator.frozen import load


class ApiFailure(Exception):
    """A request that the API answers with an error body.

    Attributes:
        status: HTTP status.
        error: the object under ``error`` in the body: message, type, param, code.
        by: who refused: ``rule``, ``rate_limit``, ``fault`` or ``key``.
        headers: response headers that come with it.
    """

    def __init__(self, status: int, error: dict[str, Any], *, by: str = "rule") -> None:
        super().__init__(error["message"])
        self.status = status
        self.error = error
        self.by = by
        self.headers: dict[str, str] = {}


def failure(which: str, /, *, by: str = "rule", **fill: Any) -> ApiFailure:
    """Return the failure called `which` in the data, with its placeholders filled."""
    row = load("errors")[which]

    def text(key: str, default: str | None) -> str | None:
        value = row.get(key, default)
        return value.format(**fill) if isinstance(value, str) else value

    error = {
        "message": text("message", ""),
        "type": text("type", "invalid_request_error"),
        "param": text("param", None),
        "code": text("code", None),
    }
    return ApiFailure(row.get("status", 400), error, by=by)


def listed(values: list[str] | tuple[str, ...]) -> str:
    """Return the values as the API lists them: ``'a', 'b', and 'c'``."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 2:
        return "".join(quoted)
    if len(quoted) == 2:
        return " and ".join(quoted)
    return ", ".join(quoted[:-1]) + ", and " + quoted[-1]
