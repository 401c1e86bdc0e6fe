"""Entries of a decision log as they are read back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from routed_llm.errors import RequestError
from routed_llm.rollout.outputs import configuration

__all__ = ["LogEntry", "Side", "read_log"]

_VERSION = 1


class Side(BaseModel):
    """One of the two that a call was weighed between."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str | None = None
    effort: str | None = None
    estimated_cost: Decimal | None = None
    cost: Decimal | None = None
    refused: str | None = None
    output_cost: Decimal | None = None
    output_tokens: int | None = None
    published_tokens: int | None = None
    published_range: tuple[int, int] | None = None
    by: str | None = None
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The model and its effort."""
        return configuration(self.model, self.effort)

    @property
    def token_price(self) -> Decimal | None:
        """US dollars of an output token, or None where nothing was worked out."""
        if not self.output_tokens or self.output_cost is None:
            return None
        return self.output_cost / self.output_tokens


class Replacement(BaseModel):
    """What the provider names in the baseline's place, and what that was expected to cost."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    effort: str | None = None
    cost: Decimal | None = None
    why_not: str | None = None

    @property
    def name(self) -> str:
        """The model and its effort."""
        return configuration(self.model, self.effort)


class LogEntry(BaseModel):
    """One line of a decision log."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int
    time: str
    mode: str
    arm: str
    outcome: str
    why: str | None = None
    kind: str = ""
    model: str | None = None
    effort: str | None = None
    served: str | None = None
    cost: Decimal | None = None
    estimated_cost: Decimal | None = None
    usage: dict[str, Any] | None = None
    took: dict[str, float] = {}
    key: str | None = None
    tags: dict[str, str] = {}
    changes: tuple[tuple[str, str], ...] = ()
    at: str | None = None
    facts: dict[str, Any] | None = None
    policy: dict[str, Any] = {}
    baseline: Side | None = None
    routed: Side | None = None
    replacement: Replacement | None = None
    ladder: dict[str, Any] | None = None


def read_log(path: Path | str) -> Iterator[LogEntry | None]:
    """Give the entries of a decision log; None for a line that is none (such as one cut off by a crash).

    Raises:
        RequestError: when the file cannot be read, or comes from a newer version.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    yield _entry(line, path)
    except OSError as error:
        raise RequestError(
            f"{path}: {error.strerror or error}. Name a decision log.", where=str(path)
        ) from error


def _entry(line: str, path: Path | str) -> LogEntry | None:
    try:
        entry = LogEntry.model_validate_json(line)
    except ValidationError:
        return None
    if entry.version > _VERSION:
        raise RequestError(
            f"{path} was written by a newer version ({entry.version}). Update routed-llm.", where=str(path)
        )
    return entry
