"""What every ledger does, and the values that go in and out of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from routed_llm.budget import PICO, Account
from routed_llm.usage import Usage

__all__ = [
    "HOLD_FOR",
    "KEPT_AFTER",
    "Change",
    "Entry",
    "Hold",
    "Ledger",
    "SharedStates",
    "Shortage",
    "new_id",
    "read_rows",
]

HOLD_FOR: Final = timedelta(minutes=15)
"""How long a reservation lives when nobody settles or cancels it, as after a killed process. A call
that takes longer is still booked in full when it is settled; only its money was not held meanwhile."""

KEPT_AFTER: Final = 4 * HOLD_FOR
"""How long what was spent in a period is kept after its end: for late answers and clocks set back."""

_ENTRY_VERSION: Final = 1

Change: TypeAlias = "Callable[[dict[str, Any] | None], dict[str, Any]]"
"""Makes a new state of the one that there is, or of None; it may be asked more than once."""


def new_id() -> str:
    """Make an id for one call: sixteen hexadecimal digits of the system's randomness."""
    return os.urandom(8).hex()


class Hold(NamedTuple):
    """Money that is reserved for one call.

    Attributes:
        id: the call's id; the Entry that settles it has the same.
        amount: picodollars held, in each account alike.
        accounts: where.
        expires: when the ledger lets go of it by itself.
    """

    id: str
    amount: int
    accounts: tuple[Account, ...]
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Why a reservation was refused.

    Attributes:
        account: the first account, in the order given, that had no room.
        remaining: picodollars left in it; may be negative after a settlement above its reservation.
    """

    account: Account
    remaining: int


class Entry(NamedTuple):
    """One line in the book: one request that was sent, answered or failed. It has no prompt text.

    Attributes:
        id: of the request; a call that failed over to another model has an entry for each request.
        at: when it was settled; aware.
        model: catalog id of the model that was chosen.
        effort: the reasoning effort that was sent, or None.
        endpoint: where it was sent.
        served: the model id that the response named, or None.
        tier: the service tier that the response named, or None.
        usage: what the provider reported, or None when it reported nothing.
        cost: picodollars by usage and price, or None when either is not known.
        booked: picodollars charged to the accounts: the cost or, where that is not known, what was
            reserved.
        estimated: picodollars that the call was expected to cost, or None without a price.
        tags: the call's scope.
        conversation: the caller's key of the conversation, or None.
        outcome: ``answered``, or what kind of failure it was (:class:`routed_llm.recovery.ErrorKind`).
        kind: what the request counts as when outputs are observed (:attr:`routed_llm.RequestFacts.kind`), or
            None where its answer shows nothing of such requests (several choices, an earlier version).
        took: seconds to the first token of a stream, and to the end of an answer that came whole; None where
            that was not measured.
    """

    id: str
    at: datetime
    model: str
    effort: str | None = None
    endpoint: str | None = None
    served: str | None = None
    tier: str | None = None
    usage: Usage | None = None
    cost: int | None = None
    booked: int = 0
    estimated: int | None = None
    tags: Mapping[str, str] = MappingProxyType({})
    conversation: str | None = None
    outcome: str = "answered"
    kind: tuple[object, ...] | None = None
    took: tuple[float | None, float | None] = (None, None)

    @property
    def dollars(self) -> Decimal | None:
        """The cost in US dollars, or None when it is not known."""
        return None if self.cost is None else Decimal(self.cost) / PICO

    def to_dict(self) -> dict[str, object]:
        """Return the entry as JSON-able data; money stays in integer picodollars."""
        row: dict[str, object] = {"v": _ENTRY_VERSION, **self._asdict()}
        row["at"] = self.at.isoformat()
        row["tags"] = dict(self.tags)
        row["took"] = list(self.took)
        row["kind"] = None if self.kind is None else _plain(self.kind)
        if self.usage is not None:
            row["usage"] = {
                item.name: value for item in fields(self.usage) if (value := getattr(self.usage, item.name))
            }
        return row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Entry:
        """Read what :meth:`to_dict` wrote."""
        values = {name: row[name] for name in cls._fields if name in row}
        values["at"] = datetime.fromisoformat(values["at"])
        if values.get("kind") is not None:
            values["kind"] = _kind(values["kind"])
        if "took" in values:
            first, whole = values["took"]
            values["took"] = (first, whole)
        if values.get("usage") is not None:
            # A newer version may have written counts that this one does not know.
            known = {item.name for item in fields(Usage)}
            used = {name: n for name, n in values["usage"].items() if name in known}
            values["usage"] = Usage(**{**used, "hosted": tuple(map(tuple, used.get("hosted", ())))})
        made = cls(**values)
        if not _sound(made):
            raise TypeError("a value of another kind")
        return made


def _sound(entry: Entry) -> bool:
    """Say whether the values are of the kinds that sums and tables work with."""
    texts = (entry.effort, entry.endpoint, entry.served, entry.tier, entry.conversation)
    counts = (entry.cost, entry.booked, entry.estimated)
    used = [] if entry.usage is None else [getattr(entry.usage, item.name) for item in fields(Usage)]
    tier = used.pop() if used else None  # the last two
    hosted = used.pop() if used else ()
    return (
        isinstance(entry.id, str)
        and isinstance(entry.model, str)
        and isinstance(entry.outcome, str)
        and all(one is None or isinstance(one, str) for one in texts)
        and all(one is None or isinstance(one, int) for one in counts)
        and all(isinstance(one, int) for one in used)
        and (tier is None or isinstance(tier, str))
        and all(len(row) == 3 and [type(part) for part in row] == [str, str, int] for row in hosted)
        and all(one is None or type(one) in (int, float) for one in entry.took)
        and isinstance(entry.tags, Mapping)
        and all(isinstance(one, str) for pair in entry.tags.items() for one in pair)
        and entry.at.tzinfo is not None
    )


def read_rows(lines: Iterable[str | bytes], where: str) -> Iterator[Entry]:
    """Read entries from their lines; a line that is none is left out, and how many were is logged.

    Args:
        lines: what :meth:`Entry.to_dict` wrote, as JSON.
        where: the ledger, for the log.
    """
    skipped = 0
    for line in lines:
        try:
            yield Entry.from_dict(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            skipped += 1
    if skipped:
        import logging  # rarely needed

        logging.getLogger("routed_llm").warning(
            "%d row%s of the ledger %s cannot be read and %s left out of sums; the budgets have them.",
            skipped,
            "" if skipped == 1 else "s",
            where,
            "is" if skipped == 1 else "are",
        )


def _plain(kind: Any) -> Any:
    """Turn a kind into JSON-able data: sets become objects, so that they are not taken for tuples."""
    if isinstance(kind, tuple):
        return [_plain(part) for part in kind]
    return {"set": sorted(kind)} if isinstance(kind, frozenset) else kind


def _kind(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple([_kind(part) for part in plain])
    return frozenset(plain["set"]) if isinstance(plain, dict) else plain


@runtime_checkable
class Ledger(Protocol):
    """The book: reserve before a call, settle after it, cancel when it failed.

    A store may also have ``recent(count)``, which gives its latest entries, oldest first: with it a process
    begins with the estimates that earlier calls have corrected. And it may have ``note(hold, entry)``, which
    takes, before a call is sent, the entry to book should the process die before it is settled or cancelled.

    Money is integer picodollars. Every method is safe to call from many threads; the durable stores
    also from many processes. No method reads a clock: the moment comes in as ``at``, aware. What cannot be
    done for the sake of a disk or a network raises :class:`routed_llm.LedgerError`; every method may then
    be called again, since doing a thing twice under one id does it once.

    Attributes:
        blocks: whether a method may wait for a disk or a network, so that async code should call it
            in a thread.
    """

    blocks: bool

    def reserve(
        self, id: str, amount: int, accounts: Sequence[Account], *, at: datetime, hold: timedelta = HOLD_FOR
    ) -> Hold | Shortage:
        """Hold an amount in all of the accounts, or in none.

        A hard account has room when what is spent and held in it and the amount are within its limit.
        A soft account always has room. Reserving again under the same id changes nothing.
        """
        ...

    def settle(self, hold: Hold, entry: Entry) -> tuple[int, ...]:
        """Charge ``entry.booked`` to the accounts of the hold, release it and write the entry.

        Booked in full even when that exceeds a limit or the hold has expired: the money is spent.
        Settling the same id again changes nothing.

        Returns:
            What is now spent in each account, in the hold's order.
        """
        ...

    def cancel(self, hold: Hold) -> None:
        """Release what was held; nothing is charged."""
        ...

    def remaining(self, accounts: Sequence[Account], *, at: datetime) -> tuple[int, ...]:
        """Return limit minus spent minus held for each account; may be negative."""
        ...

    def entries(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[Entry]:
        """Give the entries from ``since`` to before ``until``, oldest first."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@runtime_checkable
class SharedStates(Protocol):
    """What a ledger also has that keeps the progress of a rollout; the three of this package do."""

    def amend(self, key: str, change: Change, *, keep: int = 0) -> dict[str, Any]:
        """Change a small state that all who use the ledger share, as if nobody else did so meanwhile.

        Args:
            key: its name.
            change: makes the new state of the old one.
            keep: seconds for which it is kept at least; 0 keeps it for good.

        Returns:
            The new state.
        """
        ...
