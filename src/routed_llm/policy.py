"""Policy: what the user wants. One frozen object, from keywords or a TOML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from routed_llm.budget import PICO
from routed_llm.errors import PolicyError
from routed_llm.measures import Measured, read_measures

__all__ = [
    "ALLOWANCE",
    "BASELINE",
    "DIMENSIONS_BY_TASK",
    "EFFORTS",
    "GRACE",
    "OPTIMIZE",
    "PROFILES",
    "Policy",
]

BASELINE: Final = "baseline"
"""Value of ``at_least`` that means the baseline model itself."""

GRACE: Final = 14
"""Days that a model must have left for a new conversation to begin with it, unless the policy says so."""

ALLOWANCE: Final = 2.0
"""Seconds that an answer may take longer than the baseline's, however many times its own time that is: below
that hardly anybody notices."""

MOST_SECONDS: Final = 86_400

PROFILES: Final[Mapping[str, Mapping[str, Any]]] = {"zero-retention": {"store": False}}
"""Ready policies. ``zero-retention``: what a request can do of it; the account has to be approved besides."""

OPTIMIZE: Final = ("cost", "quality", "latency")
"""Names of the objectives by which what may serve a call is put in order."""

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Reasoning efforts from least to most."""

ENDPOINTS: Final = ("chat_completions", "responses")
"""The endpoints that answer a chat request."""

DIMENSIONS_BY_TASK: Final[Mapping[str, tuple[str, ...]]] = {
    "general": (),
    "coding": ("coding",),
    "reasoning": ("science", "maths"),
    "vision": ("vision",),
    "long_context": ("long_context",),
    "tool_use": ("tools",),
    "knowledge": ("knowledge",),
    "multilingual": ("multilingual",),
    "summary": ("faithful_summary",),
    "restraint": ("restraint",),
}
"""The dimensions of quality that each ``task`` adds to those the request itself triggers."""

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "optimize": OPTIMIZE,
    "evidence": ("inferred", "measured"),
    "cost_cap": ("expected", "hard"),
    "on_unsupported": ("drop", "avoid", "raise"),
    "surface": ("chat", "realtime"),
    "prefer_tier": ("flex",),
    "service_tier": ("standard", "flex", "priority", "batch", "ultrafast", "background_2h", "background_8h"),
    "task": tuple(DIMENSIONS_BY_TASK),
    "effort": EFFORTS,
}


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """What the user wants of routing.

    Attributes:
        models: patterns of the models that may be used (``gpt-4.1*``), or None for the default
            pool: the GPT-4o, GPT-4.1 and GPT-5.x chat models; audio models when audio is asked for;
            pro models when quality is what is optimised.
        also: patterns of models that may be used besides those, so that the list need not be repeated
            to add one (``gpt-6-luna``).
        exclude: patterns of models that may not be used.
        optimize: ``cost`` (least expected money), ``quality`` (best by published order, within
            ``max_cost_per_call``; at efforts up to high unless one is asked for) or ``latency`` (least
            time expected: to the first token of a stream, else to the end).
        baseline: the model the program was written for.
        at_least: the quality floor: a model id, ``"baseline"``, or None for no floor.
        evidence: ``inferred`` also admits overall comparisons that are inferred; ``measured`` does not.
        incumbent: a model to stay with for as long as it can serve, or None.
        max_cost_per_call: US dollars that one call may be expected to cost, or None.
        cost_cap: ``expected``, or ``hard``: then no answer is billed above ``max_cost_per_call``. The output
            cap that is sent sees to it, and what would have no room under it for what it usually says and
            thinks is not chosen.
        min_recall: least published long-context recall in percent at the request's length, or None.
        task: what calls are for (``coding``, ``reasoning``, ``tool_use``, ...), or None.
        effort: the one reasoning effort to use, or None to let it be chosen.
        output_tokens: output tokens to expect of gpt-4o for one call, or None for the default.
        on_unsupported: what happens to a parameter of taste (temperature, top_p, penalties, seed,
            verbosity) that a model refuses: ``drop`` it, ``avoid`` such models, or ``raise``.
        grace: days before its shutdown from which a model is no longer chosen, or None: then no new
            conversation is begun with a model that has less than :data:`GRACE` days left while others
            can serve it.
        max_first_token: seconds within which nine of ten streamed answers are expected to begin, or None.
        max_seconds: seconds within which nine of ten answers are expected to be complete, or None.
        deadline: seconds within which a whole answer is wanted, or the moment (an aware datetime) by which
            it is; then each call is sent at whichever service tier costs the least and is expected to be in
            time. None for none.
        slower_than_baseline: times the baseline's expected time that an answer may take where cost is
            what is optimised, or None for any; up to :data:`ALLOWANCE` seconds more are allowed in any
            case. Not asked where nobody waits (batch, flex, background), nor where nothing else fits.
        second_worth: US dollars that a second of waiting counts for where cost is what is optimised.
        surface: ``chat``, or ``realtime`` to ask which realtime model to open a session with.
        service_tier: the tier that prices are taken from unless the request names one.
        store: False where nothing may be kept with the provider beyond the answer: every call says so, what
            cannot do without (background responses, conversations, batches) is refused. None leaves it to
            each call.
        prefer_tier: the tier that calls are sent at unless the request names one, where the model is sold at
            it: ``flex`` costs half, takes longer and may be refused while the provider is busy. Nothing is
            then ruled out for being slower than the baseline; where a time is set (``max_seconds``,
            ``max_first_token``, ``deadline``) it is not sent. None sends none.
        regional: True when calls go to a data-residency endpoint, which costs more on some models.
        switch_saving: share of the staying cost (0.1 = 10%) that a switch in mid-conversation must save.
        horizon: further turns that a conversation is expected to have at most, over which a switch must
            pay; fewer once calls are seen to be followed by fewer. 0 says that prompts are one-off: then
            nothing is written to a prompt cache where writing costs and nothing is expected to be read
            from it.
        exact_within: tokens from a boundary (a window, a price tier, a limit on cost) within which the
            provider's own counting endpoint is asked, where the caller can ask it; then files given by id
            or URL are asked about, too. 0 never asks.
        endpoints: the endpoints that there are (``chat_completions``, ``responses``), for gateways that do
            not have both: a list for every address, or address to list, where an empty address is the
            caller's own. None when nothing is known; what an address refuses is learned in any case.
        measures: what examples of the user's own say (:mod:`routed_llm.measures`): rows, or the paths of TOML
            files or folders. For calls with a row's tag or task it outranks what is published.
    """

    models: tuple[str, ...] | None
    also: tuple[str, ...]
    exclude: tuple[str, ...]
    optimize: str
    baseline: str
    at_least: str | None
    evidence: str
    incumbent: str | None
    max_cost_per_call: Decimal | None
    cost_cap: str
    min_recall: float | None
    task: str | None
    effort: str | None
    output_tokens: int | None
    on_unsupported: str
    grace: int | None
    max_first_token: float | None
    max_seconds: float | None
    deadline: float | datetime | None
    slower_than_baseline: float | None
    second_worth: Decimal
    surface: str
    service_tier: str
    store: bool | None
    prefer_tier: str | None
    regional: bool
    switch_saving: float
    horizon: int
    exact_within: int
    endpoints: tuple[tuple[str, tuple[str, ...]], ...] | None
    measures: tuple[Measured, ...]

    def __init__(
        self,
        /,
        *,
        models: str | Iterable[str] | None = None,
        also: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        optimize: str = "cost",
        baseline: str = "gpt-4o",
        at_least: str | None = BASELINE,
        evidence: str = "inferred",
        incumbent: str | None = None,
        max_cost_per_call: Decimal | float | str | None = None,
        cost_cap: str = "expected",
        min_recall: float | None = None,
        task: str | None = None,
        effort: str | None = None,
        output_tokens: int | None = None,
        on_unsupported: str = "drop",
        grace: int | None = None,
        max_first_token: float | None = None,
        max_seconds: float | None = None,
        deadline: float | datetime | None = None,
        slower_than_baseline: float | None = 3.0,
        second_worth: Decimal | float | str = 0,
        surface: str = "chat",
        service_tier: str = "standard",
        store: bool | None = None,
        prefer_tier: str | None = None,
        regional: bool = False,
        switch_saving: float = 0.1,
        horizon: int = 4,
        exact_within: int = 0,
        endpoints: str | Iterable[Any] | Mapping[str, str | Iterable[str]] | None = None,
        measures: str | Path | Measured | Iterable[str | Path | Measured | Mapping[str, Any]] = (),
        **unknown: Any,
    ) -> None:
        """Check the keywords and make the policy.

        Raises:
            PolicyError: for an unknown keyword (naming the nearest valid one) or an impossible value.
        """
        if unknown:
            raise _unknown_key(next(iter(unknown)))
        values: dict[str, Any] = {
            "models": None if models is None else _patterns("models", models),
            "also": _patterns("also", also),
            "exclude": _patterns("exclude", exclude),
            "optimize": _choice("optimize", optimize),
            "baseline": _name("baseline", baseline),
            "at_least": None if at_least is None else _name("at_least", at_least),
            "evidence": _choice("evidence", evidence),
            "incumbent": None if incumbent is None else _name("incumbent", incumbent),
            "max_cost_per_call": _dollars("max_cost_per_call", max_cost_per_call),
            "cost_cap": _choice("cost_cap", cost_cap),
            "min_recall": _number("min_recall", min_recall, 0, 100),
            "task": None if task is None else _choice("task", task),
            "effort": None if effort is None else _choice("effort", effort),
            "output_tokens": _whole("output_tokens", output_tokens, 1),
            "on_unsupported": _choice("on_unsupported", on_unsupported),
            "grace": _whole("grace", grace, 0),
            "max_first_token": _number("max_first_token", max_first_token, 0, MOST_SECONDS),
            "max_seconds": _number("max_seconds", max_seconds, 0, MOST_SECONDS),
            "deadline": read_deadline(deadline),
            "slower_than_baseline": _number("slower_than_baseline", slower_than_baseline, 1, 1_000_000),
            "second_worth": _dollars("second_worth", second_worth) or Decimal(0),
            "surface": _choice("surface", surface),
            "service_tier": _choice("service_tier", service_tier),
            "store": _store(store),
            "prefer_tier": None if prefer_tier is None else _choice("prefer_tier", prefer_tier),
            "regional": _flag("regional", regional),
            "switch_saving": _number("switch_saving", switch_saving, 0, 1),
            "horizon": _whole("horizon", horizon, 0),
            "exact_within": _whole("exact_within", exact_within, 0),
            "endpoints": _endpoints("endpoints", endpoints),
            "measures": measures if measures == () else read_measures(measures),
        }
        if values["models"] == ():
            raise PolicyError(
                "models is empty, so no model may be used. Leave it out or name some.", key="models"
            )
        if values["cost_cap"] == "hard" and values["max_cost_per_call"] is None:
            raise PolicyError(
                "cost_cap='hard' has no amount to hold to. Give max_cost_per_call, in US dollars.",
                key="cost_cap",
            )
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Policy:
        """Return a copy with some keywords changed.

        Raises:
            PolicyError: as the constructor does.
        """
        if not changes:
            return self
        return Policy(**{**{item.name: getattr(self, item.name) for item in fields(self)}, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the keywords that make an equal policy; rows of measures as plain data."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**found, "measures": tuple([row.to_dict() for row in self.measures])}

    @property
    def max_cost_pico(self) -> int | None:
        """The cost cap in picodollars, or None."""
        return None if self.max_cost_per_call is None else int(self.max_cost_per_call * PICO)

    @property
    def second_pico(self) -> int:
        """What a second of waiting counts for, in picodollars."""
        return int(self.second_worth * PICO)

    @classmethod
    def profile(cls, name: str, **changes: Any) -> Policy:
        """Make the policy of a ready profile, with keywords of one's own over it.

        Args:
            name: one of :data:`PROFILES`.
            changes: keywords of the constructor.

        Raises:
            PolicyError: for an unknown name, or as the constructor does.
        """
        if name not in PROFILES:
            raise PolicyError(f"{name!r} is not a profile. Use one of {', '.join(PROFILES)}.", key="profile")
        return cls(**{**PROFILES[name], **changes})

    @classmethod
    def from_toml(cls, path: str | Path) -> Policy:
        """Read a policy from a TOML file whose keys are the constructor's keywords.

        A table ``[switches]`` is left to :class:`routed_llm.Router`, which reads it of the file that
        ``ROUTED_POLICY`` names.

        Raises:
            PolicyError: when the file cannot be read or parsed, or holds an unknown key or an
                impossible value; the message names the file.
        """
        data = read_toml(path)
        data.pop("switches", None)
        try:
            if "measures" in data:  # beside the file, wherever the program was started
                data["measures"] = read_measures(data["measures"], folder=Path(path).parent)
            return cls(**data)
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}", key=error.key, path=str(path)) from error


def read_deadline(value: Any) -> float | datetime | None:
    """Check what a deadline was set to.

    Args:
        value: seconds, an aware datetime, or None.

    Raises:
        PolicyError: when it is not a time to answer in.
    """
    if value is None or (isinstance(value, datetime) and value.tzinfo is not None):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return value
    hint = "Give a number of seconds above 0, or an aware datetime."
    raise PolicyError(f"deadline={value!r} is not a time to answer in. {hint}", key="deadline")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a policy's file as plain data.

    Raises:
        PolicyError: when it cannot be read or is not TOML; the message names the file.
    """
    import tomllib

    where = str(path)
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))  # as some editors begin a file
    except OSError as error:
        reason = error.strerror or str(error)
        raise PolicyError(f"{where}: {reason}. Name a TOML file that can be read.", path=where) from error
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{where} is not TOML: {error}. Fix the file.", path=where) from error


_MOST_TOKENS: Final = 10**9
_MOST_DOLLARS: Final = 10**9
_MOST: Final[Mapping[str, int]] = {"grace": 36_500, "horizon": 100_000}
"""Beyond these a number means nothing, and sums of it would not be money or days any more."""


def _unknown_key(key: str) -> PolicyError:
    import difflib  # only an error needs it

    valid = [item.name for item in fields(Policy)]
    near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Valid ones are {', '.join(valid)}."
    return PolicyError(f"{key!r} is not a keyword of Policy. {hint}", key=key)


def _store(value: Any) -> bool | None:
    if value is None or value is False:
        return value
    raise PolicyError(
        f"store={value!r} is not allowed: False forbids storing, and a call that wants it says so itself. "
        "Leave it out.",
        key="store",
    )


def _choice(key: str, value: Any) -> str:
    valid = _CHOICES[key]
    if value in valid:
        return str(value)
    import difflib

    near = difflib.get_close_matches(str(value), valid, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise PolicyError(
        f"{key}={value!r} is none of {', '.join(valid)}.{hint or ' Use one of these.'}", key=key
    )


def _name(key: str, value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise PolicyError(f"{key}={value!r} is not a model id. Give a string such as 'gpt-4o'.", key=key)


def _patterns(key: str, value: Any) -> tuple[str, ...]:
    items = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    for item in items:
        if not isinstance(item, str) or not item.strip():
            raise PolicyError(
                f"{key} holds {item!r}. Give model ids or patterns such as 'gpt-4.1*'.", key=key
            )
    return items


def _endpoints(key: str, value: Any) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    """Read endpoints by address; ``*`` is every address."""
    if value is None:
        return None
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Iterable):
        value = {"": ()}
    pairs = list(value.items()) if isinstance(value, Mapping) else list(value)
    if all(isinstance(item, str) for item in pairs):
        pairs = [("*", pairs)]
    found = []
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            pair = ("", ("none",))
        there = pair[1] if isinstance(pair[1], (list, tuple)) else (pair[1],)
        names = tuple(there)
        if not names or not all(name in ENDPOINTS for name in names):
            raise PolicyError(
                f"{key}={value!r} does not say which endpoints there are. Give a list of "
                f"{' and '.join(ENDPOINTS)}, or such a list for each address.",
                key=key,
            )
        found.append((pair[0], names))
    return tuple(sorted(found))


def _number(key: str, value: Any, least: float, most: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise PolicyError(f"{key}={value!r} is out of range. Give a number from {least} to {most}.", key=key)
    return float(value)


def _whole(key: str, value: Any, least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PolicyError(
            f"{key}={_short(value)} is out of range. Give a whole number of at least {least}.", key=key
        )
    most = _MOST.get(key, _MOST_TOKENS)
    if value > most:
        raise PolicyError(
            f"{key}={_short(value)} is out of range. Give a whole number of at most {most:,}.", key=key
        )
    return value


def _short(value: Any) -> str:
    """Write a value for a message, however long it is."""
    try:
        said = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
    return said if len(said) <= 80 else f"{said[:77]}..."


def _flag(key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise PolicyError(f"{key}={value!r} is neither true nor false. Give one of the two.", key=key)


def _dollars(key: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except (InvalidOperation, ValueError):
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise PolicyError(f"{key}={_short(value)} is not an amount. Give US dollars of at least 0.", key=key)
    if amount > _MOST_DOLLARS:
        raise PolicyError(f"{key}={_short(value)} is out of range. Give at most {_MOST_DOLLARS:,}.", key=key)
    return amount
