"""Budget: what the user allows to be spent. Allowance: what that leaves for one call, as a value.

A Budget is stated once and says for whom it holds (its scope), over which period and how strictly.
The ledger keeps one Account for each scope and period; what is left in the accounts that a call
touches reaches ``select()`` as an Allowance, so that the choice stays a pure function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import quote

from routed_llm.errors import PolicyError

__all__ = ["PERIODS", "PICO", "Account", "Allowance", "Budget", "budgets_from"]

PICO = 10**12
"""Picodollars in a US dollar. All money inside the core is an integer number of picodollars:
the cheapest published price, $0.005 per million tokens, is 5,000 of them per token, so that
every price and every sum is exact."""

PERIODS: Final = ("per_conversation", "per_hour", "per_day", "per_month", "total")
"""The limits of a Budget that a ledger keeps an account for; ``per_call`` needs none."""

_AHEAD: Final = 0.1
"""Share of a paced limit that may be spent before its time: a morning is busier than a night."""

_A_LITTLE: Final = 0.01
"""Share of a window after which a paced budget that is used up by now is worth another try."""

_CONVERSATION_KEPT: Final = timedelta(days=30)
_WINDOWS: Final = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One counter of a ledger, as one Budget looks at it.

    Attributes:
        key: names the counter: scope, period and window, such as ``team=search/day/2026-11-22``.
        limit: picodollars that may be spent in it.
        scope: whose it is, for messages; empty for everybody's.
        period: ``conversation``, ``hour``, ``day``, ``month`` or ``total``.
        until: when the window ends (UTC), or None; nothing is kept longer than it can matter.
        resets_at: when there will be money again, or None if never.
        hard: whether the limit refuses calls.
        low: share of the limit below which the choice moves towards cost.
        low_floor: the quality floor while the budget is low, or None for the policy's own.
        low_tier: the service tier that calls are sent at while the budget is low, or None.
        notify_at: spent shares of the limit that raise an event when they are passed.
        begins_at: since when the window is paced; None where it is not.
    """

    key: str
    limit: int
    scope: str = ""
    period: str = "total"
    until: datetime | None = None
    resets_at: datetime | None = None
    hard: bool = True
    low: float = 0.0
    low_floor: str | None = None
    low_tier: str | None = None
    notify_at: tuple[float, ...] = ()
    begins_at: datetime | None = None

    def paced(self, rest: int, at: datetime) -> tuple[int, int, datetime | None]:
        """Return what is left to spend by now, what might have been spent by now, and when there is more.

        Args:
            rest: picodollars left of the limit.
            at: the moment; aware.
        """
        if self.begins_at is None or self.resets_at is None:
            return rest, self.limit, self.resets_at
        window = self.resets_at - self.begins_at
        until_now = int(self.limit * min(max((at - self.begins_at) / window, 0.0) + _AHEAD, 1.0))
        more = max(at, self.pays_from(rest, 0) or at) + window * _A_LITTLE
        return rest - (self.limit - until_now), until_now, min(more, self.resets_at)

    def pays_from(self, rest: int, amount: int) -> datetime | None:
        """Return from when on a paced budget pays for so many picodollars; None where it never does so.

        Args:
            rest: picodollars left of the limit.
            amount: picodollars asked for.
        """
        if self.begins_at is None or self.resets_at is None or amount > rest or not self.limit:
            return self.resets_at
        share = (self.limit - rest + amount) / self.limit - _AHEAD
        return self.begins_at + (self.resets_at - self.begins_at) * max(share, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What all budgets together leave for one call.

    Attributes:
        remaining: picodollars that the tightest hard budget leaves, or None for no limit.
        scope: whose budget that is, for messages (``team=search``).
        period: ``call``, ``conversation``, ``hour``, ``day``, ``month`` or ``total``.
        resets_at: when that budget is refilled, or None.
        pressure: 0.0 (plenty left) to 1.0 (nothing left): how far low budgets press on the choice.
        floor: the quality floor that a low budget sets in place of the policy's, or None.
        tier: the service tier that a low budget sends calls at where they may be, or None.
        whole: picodollars that are left of a paced limit, more than is free by now; None where none is paced.
        worst_case: whether the worst case must fit instead of the expected cost.
        p95: whether what nineteen of twenty such calls cost at most must.
        accounts: the accounts that the call draws on.
        tags: the scope tags of the call.
        conversation: the caller's key of the conversation, or None.
    """

    remaining: int | None = None
    scope: str = ""
    period: str = "call"
    resets_at: datetime | None = None
    pressure: float = 0.0
    floor: str | None = None
    tier: str | None = None
    whole: int | None = None
    worst_case: bool = False
    p95: bool = False
    accounts: tuple[Account, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    conversation: str | None = None

    @property
    def limits(self) -> bool:
        """Whether anything is forbidden or pressed for; otherwise it only says whom to charge."""
        return self.remaining is not None or self.pressure > 0.0

    @property
    def cache_key(self) -> str:
        """What to send as ``prompt_cache_key``: the same for every call of the conversation."""
        from hashlib import blake2b

        return "routed-" + blake2b((self.conversation or "").encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, init=False)
class Budget:
    """What may be spent, by whom, in which time.

    Amounts are US dollars; hours, days and months are UTC. Several budgets hold at once: a call must
    fit all those whose scope it falls under, and draws on all of them or on none.

    Attributes:
        per_call: most that one call may be expected to cost.
        per_conversation: most for one conversation (calls that name the same ``conversation``).
        per_hour: most in one hour.
        per_day: most in one day.
        per_month: most in one calendar month.
        total: most ever.
        scope: whom it holds for. ``""`` is everybody together, ``"team=search"`` those calls that are
            tagged so, ``"team"`` every team on its own. Several tags are joined by commas. A call
            without such a tag does not fall under the budget.
        hard: True refuses what does not fit; False refuses nothing: as it runs low it shortens answers, and
            does what ``downshift_to``, ``downshift_tier`` and ``refuse_at`` allow, and may be exceeded.
        downshift_below: share left (0.2 = a fifth) below which the choice moves towards cost, and calls
            without an output cap get one: the less is left, the nearer to what nine of ten answers need.
        downshift_to: the quality floor (a model id) while less than that is left, or None to keep the
            policy's floor. A floor is only ever lowered by what is written here.
        downshift_tier: the service tier (``flex``) at which calls are sent while less than that is left,
            where the model is sold at it and the call names none itself; None to keep theirs.
        refuse_at: share of its limits (1.5 = half as much again) from which a soft budget refuses, too; None
            for never.
        reserve: by what calls are admitted, and what is held while they run: ``expected`` (the mean), ``p95``
            (what nineteen of twenty such calls cost at most) or ``worst`` (the most that they can cost).
        worst_case: True is another way to say ``reserve="worst"``.
        notify_at: spent shares of a limit, what is held for calls under way included, at which the router's
            ``on_budget`` is called.
        pace: True spends the limits of hours, days and months evenly: by a tenth more than the part of the
            window that is over, and no more.
    """

    per_call: Decimal | None
    per_conversation: Decimal | None
    per_hour: Decimal | None
    per_day: Decimal | None
    per_month: Decimal | None
    total: Decimal | None
    scope: str
    hard: bool
    downshift_below: float
    downshift_to: str | None
    downshift_tier: str | None
    refuse_at: float | None
    reserve: str
    worst_case: bool
    notify_at: tuple[float, ...]
    pace: bool

    def __init__(
        self,
        *,
        per_call: Decimal | float | str | None = None,
        per_conversation: Decimal | float | str | None = None,
        per_hour: Decimal | float | str | None = None,
        per_day: Decimal | float | str | None = None,
        per_month: Decimal | float | str | None = None,
        total: Decimal | float | str | None = None,
        scope: str | Mapping[str, str] = "",
        hard: bool = True,
        downshift_below: float = 0.2,
        downshift_to: str | None = None,
        downshift_tier: str | None = None,
        refuse_at: float | None = None,
        reserve: str = "expected",
        worst_case: bool = False,
        notify_at: Iterable[float] = (0.8, 1.0),
        pace: bool = False,
        **unknown: object,
    ) -> None:
        """Check the keywords and make the budget.

        Raises:
            PolicyError: for an unknown keyword (naming the nearest valid one), an impossible value, or when
                no amount is given.
        """
        if unknown:
            raise _unknown_key(next(iter(unknown)))
        values: dict[str, object] = {
            "per_call": _dollars("per_call", per_call),
            "per_conversation": _dollars("per_conversation", per_conversation),
            "per_hour": _dollars("per_hour", per_hour),
            "per_day": _dollars("per_day", per_day),
            "per_month": _dollars("per_month", per_month),
            "total": _dollars("total", total),
            "scope": _scope(scope),
            "hard": _flag("hard", hard),
            "downshift_below": _share("downshift_below", downshift_below),
            "downshift_to": downshift_to,
            "downshift_tier": _tier(downshift_tier),
            "refuse_at": _refuse_at(refuse_at, hard=hard),
            "reserve": "worst" if _flag("worst_case", worst_case) else _reserve(reserve),
            "worst_case": worst_case or reserve == "worst",
            "notify_at": tuple(_share("notify_at", share) for share in notify_at),
            "pace": _flag("pace", pace),
        }
        if all(values[name] is None for name in ("per_call", *PERIODS)):
            raise PolicyError(
                "A Budget without an amount limits nothing. Give per_call, per_conversation, per_hour, "
                "per_day, per_month or total, in US dollars.",
                key="total",
            )
        if per_call is not None and not hard:
            raise PolicyError(
                "per_call of a soft budget limits nothing. Give it to a hard Budget of its own, or use "
                "Policy(max_cost_per_call=...).",
                key="per_call",
            )
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, object]:
        """Return the keywords that make an equal budget."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def scope_of(self, tags: Mapping[str, str]) -> str | None:
        """Name the scope that a call with these tags falls under, or None when it falls outside."""
        if not self.scope:
            return ""
        parts = []
        for part in self.scope.split(","):
            name, _, wanted = part.partition("=")
            value = tags.get(name)
            if value is None or (wanted and quote(value, safe=_SAFE) != wanted):
                return None
            parts.append(f"{name}={quote(value, safe=_SAFE)}")
        return ",".join(parts)

    def accounts(
        self, tags: Mapping[str, str], conversation: str | None, at: datetime
    ) -> tuple[Account, ...]:
        """List the accounts that a call draws on.

        Args:
            tags: the call's scope tags.
            conversation: the caller's key of the conversation, or None.
            at: the moment of the call; aware.
        """
        scope = self.scope_of(tags)
        if scope is None:
            return ()
        found = []
        for name in PERIODS:
            amount: Decimal | None = getattr(self, name)
            period = name.removeprefix("per_")
            if amount is None or (period == "conversation" and conversation is None):
                continue
            window, until, resets = _window(period, conversation, at)
            begins = _begin(period, at) if self.pace and resets is not None else None
            found.append(
                Account(
                    key=f"{scope or 'all'}/{period}{window}",
                    limit=int(amount * PICO),
                    scope=scope,
                    period=period,
                    until=until,
                    resets_at=resets,
                    hard=self.hard,
                    low=self.downshift_below,
                    low_floor=self.downshift_to,
                    low_tier=self.downshift_tier,
                    notify_at=self.notify_at,
                    begins_at=begins,
                )
            )
            if self.refuse_at is not None:
                most = replace(found[-1], limit=int(amount * PICO * Decimal(str(self.refuse_at))), hard=True)
                found.append(replace(most, key=f"{most.key}/most", low=0.0, notify_at=()))
        return tuple(found)


def budgets_from(value: object) -> tuple[Budget, ...]:
    """Read what a caller may give for budgets: one or several, each a Budget or a dict of its keywords.

    Raises:
        PolicyError: when it is none of these, or wrong in itself.
    """
    if value is None:
        return ()
    if isinstance(value, (Budget, Mapping)):
        value = (value,)
    if isinstance(value, tuple) and all(isinstance(item, Budget) for item in value):
        return value
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise _no_budget(value)
    return tuple(_budget(item) for item in value)


def _budget(value: object) -> Budget:
    if isinstance(value, Budget):
        return value
    if isinstance(value, Mapping):
        return Budget(**value)
    raise _no_budget(value)


def _no_budget(value: object) -> PolicyError:
    return PolicyError(
        f"budget holds {value!r}. Give a Budget, such as Budget(per_day=5), a dict of its keywords, or "
        "several of them.",
        key="budget",
    )


def _unknown_key(key: str) -> PolicyError:
    import difflib  # only an error needs it

    valid = [item.name for item in fields(Budget)]
    near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Valid ones are {', '.join(valid)}."
    return PolicyError(f"{key!r} is not a keyword of Budget. {hint}", key=key)


_SAFE = " :@+-._"


def _window(
    period: str, conversation: str | None, at: datetime
) -> tuple[str, datetime | None, datetime | None]:
    """Return the window's name, when it can be forgotten, and when there will be money again."""
    if period == "total":
        return "", None, None
    if period == "conversation":
        return f"/{quote(conversation or '', safe=_SAFE)}", at + _CONVERSATION_KEPT, None
    moment = at.astimezone(UTC)
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if period == "hour":
        end = hour + timedelta(hours=1)
    elif period == "day":
        end = hour.replace(hour=0) + timedelta(days=1)
    else:
        first = hour.replace(day=1, hour=0)
        end = (first + timedelta(days=32)).replace(day=1)
    return f"/{moment.strftime(_WINDOWS[period])}", end, end


def _begin(period: str, at: datetime) -> datetime:
    """Return when the window of an hour, a day or a month began."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return {"hour": hour, "day": hour.replace(hour=0)}.get(period, hour.replace(day=1, hour=0))


def _scope(value: object) -> str:
    items = value.items() if isinstance(value, Mapping) else _split(value)
    parts = {}
    for name, wanted in items:
        if not isinstance(name, str) or not name.strip() or not isinstance(wanted, str):
            raise PolicyError(
                f"scope={value!r} is not a scope. Give 'team=search', 'team' or several joined by commas.",
                key="scope",
            )
        parts[name.strip()] = "" if wanted in ("", "*") else quote(wanted.strip(), safe=_SAFE)
    return ",".join(f"{name}={wanted}" if wanted else name for name, wanted in sorted(parts.items()))


def _split(value: object) -> list[tuple[object, object]]:
    if value == "":
        return []
    if not isinstance(value, str):
        return [(None, value)]
    return [(name, wanted) for name, _, wanted in (part.partition("=") for part in value.split(","))]


def _dollars(key: str, value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount <= _MOST:
        raise PolicyError(f"{key}={value!r} is not an amount. Give US dollars from 0 to {_MOST:,}.", key=key)
    return amount


_MOST: Final = 9_000_000
"""A 64-bit integer holds some nine million dollars in picodollars."""


def _share(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise PolicyError(f"{key} holds {value!r}. Give a share from 0 to 1, such as 0.2.", key=key)
    return float(value)


def _tier(value: object) -> str | None:
    if value is None or value == "flex":
        return None if value is None else str(value)
    raise PolicyError(
        f"downshift_tier={value!r} is not a cheaper tier that a call can wait for. Give 'flex', or None.",
        key="downshift_tier",
    )


def _refuse_at(value: object, *, hard: bool) -> float | None:
    if value is None:
        return None
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hard or not known or not 1 <= float(str(value)) <= _MOST_TIMES:
        raise PolicyError(
            f"refuse_at={value!r} is not a share of a soft budget's limit. Give a number from 1 to "
            f"{_MOST_TIMES} together with hard=False.",
            key="refuse_at",
        )
    return float(str(value))


_MOST_TIMES: Final = 100


def _reserve(value: object) -> str:
    if value in _RESERVES:
        return str(value)
    raise PolicyError(
        f"reserve={value!r} is none of {', '.join(_RESERVES)}. Use one of these.", key="reserve"
    )


_RESERVES: Final = ("expected", "p95", "worst")


def _flag(key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise PolicyError(f"{key}={value!r} is neither true nor false. Give one of the two.", key=key)
