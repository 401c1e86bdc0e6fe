"""Usage: what the provider reported after a call, in one form for both endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from routed_llm.decide.speed import Pace
    from routed_llm.facts import RequestFacts

__all__ = [
    "MOST_TOKENS",
    "QUANTILES",
    "Observed",
    "Returns",
    "Seen",
    "Spread",
    "Timing",
    "Usage",
    "hosted_calls",
    "hosted_name",
    "setup_of",
]

QUANTILES: Final = (0.5, 0.9, 0.95)
"""The parts of calls whose bills a range gives."""


class Timing(NamedTuple):
    """How long a request took, in seconds from its sending.

    Attributes:
        first: to the first token of a streamed answer; None where it came whole.
        whole: to the end of an answer that came whole; None for a stream, whose reader sets the pace.
        is_censored: whether the caller gave up at that time, so that the answer would have taken longer.
    """

    first: float | None = None
    whole: float | None = None
    is_censored: bool = False

    def to_dict(self) -> dict[str, float]:
        """Return what was measured as JSON-able data, in milliseconds' steps."""
        found = {"first": self.first, "whole": self.whole}
        return {name: round(value, 3) for name, value in found.items() if value is not None}


@dataclass(frozen=True, kw_only=True)  # without slots, as every answer makes one
class Usage:
    """Token counts of one finished call, as the provider reported them.

    Attributes:
        input_tokens: all input tokens, cached and audio ones included.
        cached_tokens: the part of ``input_tokens`` read from the prompt cache.
        cache_write_tokens: the part of ``input_tokens`` written to the cache and billed as a write.
        output_tokens: all output tokens, reasoning and audio ones included.
        reasoning_tokens: the part of ``output_tokens`` spent on reasoning.
        audio_input_tokens: the part of ``input_tokens`` that is audio.
        audio_cached_tokens: the part of ``audio_input_tokens`` read from the cache.
        audio_output_tokens: the part of ``output_tokens`` that is audio.
        image_input_tokens: the part of ``input_tokens`` that is images, where a model prices it apart.
        hosted: hosted tools that were called, with how they were set up, and how often; of containers, how
            many sessions began.
        service_tier: the tier that the response names (``default``, ``flex``, ``priority``, ``batch``).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_cached_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    hosted: tuple[tuple[str, str, int], ...] = ()
    service_tier: str | None = None

    @classmethod
    def from_openai(
        cls,
        usage: Mapping[str, Any],
        *,
        service_tier: str | None = None,
        hosted: tuple[tuple[str, str, int], ...] = (),
    ) -> Usage:
        """Read the ``usage`` object of Chat Completions or of Responses.

        Args:
            usage: the decoded JSON object; either endpoint's names are understood.
            service_tier: the response's own ``service_tier``, which decides the price row.
            hosted: what :func:`hosted_calls` finds in a response of Responses.
        """
        into = _part(usage, "prompt_tokens_details", "input_tokens_details")
        out = _part(usage, "completion_tokens_details", "output_tokens_details")
        found: dict[str, Any] = {
            "input_tokens": usage.get("prompt_tokens") or usage.get("input_tokens"),
            "output_tokens": usage.get("completion_tokens") or usage.get("output_tokens"),
        }
        if into:
            found["cached_tokens"] = into.get("cached_tokens")
            found["cache_write_tokens"] = into.get("cache_write_tokens")
            found["audio_input_tokens"] = into.get("audio_tokens")
            found["audio_cached_tokens"] = _part(into, "cached_tokens_details").get("audio_tokens")
            found["image_input_tokens"] = into.get("image_tokens")
        if out:
            found["reasoning_tokens"] = out.get("reasoning_tokens")
            found["audio_output_tokens"] = out.get("audio_tokens")
        made = object.__new__(cls)
        # What is nothing stands in the class already.
        made.__dict__.update({name: _count(value) for name, value in found.items() if value})
        if hosted:
            made.__dict__["hosted"] = hosted
        if service_tier is not None:
            made.__dict__["service_tier"] = service_tier
        return made

    def counts(self) -> dict[str, object]:
        """Return as JSON-able data what is not nothing, in the order of the fields."""
        found: dict[str, object] = {
            name: value for name, value in zip(_NAMES, _VALUES(self), strict=True) if value
        }
        return found if not self.hosted else {**found, "hosted": [list(row) for row in self.hosted]}


_NAMES: Final = tuple([item.name for item in fields(Usage)])
_VALUES: Final = attrgetter(*_NAMES)


HOSTED: Final = (
    "web_search_preview", "web_search", "file_search", "code_interpreter", "computer", "image_generation",
    "mcp",
)  # fmt: skip
"""Hosted tools whose type may have a version behind it (``web_search_preview_2025_03_11``), longest first."""


def hosted_name(kind: str) -> str:
    """Return the name of a hosted tool without the version that its type may have."""
    return next((stem for stem in HOSTED if kind.startswith(stem)), kind)


def setup_of(tool: Mapping[str, Any], made: Mapping[str, Any] | None = None) -> str:
    """Say how a hosted tool is set up, as far as its price depends on it; an empty string for the usual.

    Args:
        tool: the tool as it is offered.
        made: what it has made, which says what ``auto`` came to.
    """
    place = _place(tool)
    if place:
        return "local" if place.get("type") == "local" else str(place.get("memory_limit") or "")
    if tool.get("type") != "image_generation":
        return ""
    made = made or {}
    known = [made.get(name) or tool.get(name) or "auto" for name in ("quality", "size")]
    return " ".join([str(tool.get("model") or "gpt-image-1"), *map(str, known)])


def hosted_calls(response: Mapping[str, Any]) -> tuple[tuple[str, str, int], ...]:
    """Count what a response of Responses shows to have been called of hosted tools: (tool, set-up, calls).

    Searches count, pages that a search opens do not; of a container each session counts once, and not at all
    where the request names it.
    """
    offered: dict[str, Mapping[str, Any]] = {}
    for tool in response.get("tools") or ():
        if isinstance(tool, Mapping) and tool.get("type") not in _OWN:
            offered.setdefault(_FAMILY.get(name := hosted_name(str(tool.get("type"))), name), tool)
    if not offered:
        return ()
    found: dict[tuple[str, str], set[Any]] = {}
    for at, item in enumerate(response.get("output") or ()):
        tool = offered.get(str(item.get("type")).removesuffix("_call")) if isinstance(item, Mapping) else None
        if tool is None or _is_free(item, tool):
            continue
        # All calls of a container are one session.
        place = item.get("container_id") or _place(tool).get("type") or at
        found.setdefault((hosted_name(str(tool.get("type"))), setup_of(tool, item)), set()).add(place)
    searched = _count(_part(_part(response, "tool_usage"), "web_search").get("num_requests"))
    return tuple(
        [
            (tool, setup, searched if searched and tool.startswith("web_search") else len(places))
            for (tool, setup), places in found.items()
        ]
    )


def _place(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container of a tool that runs in one."""
    place = tool.get("container") or tool.get("environment")
    return place if isinstance(place, Mapping) else _NONE


def _is_free(item: Mapping[str, Any], tool: Mapping[str, Any]) -> bool:
    """Say whether an item is a step of a call and not one that is billed."""
    action = item.get("action")
    if isinstance(tool.get("container"), str):
        return True  # it was made before, and is paid for
    return isinstance(action, Mapping) and action.get("type") not in (None, "search", "exec")


_OWN: Final = frozenset({"function", "custom", "namespace", None})
_FAMILY: Final = {"web_search_preview": "web_search"}
"""A tool whose items have the name of another one."""


def _part(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = usage.get(name)
        if value:
            return value if isinstance(value, (dict, Mapping)) else _NONE
    return _NONE


def _count(value: Any) -> int:
    """Read a number of tokens; what can be none (not every server is OpenAI's) counts as none."""
    if type(value) is int and 0 < value < MOST_TOKENS:
        return value
    try:
        return min(max(int(value), 0), MOST_TOKENS)
    except (TypeError, ValueError, OverflowError):
        return 0


_NONE: Final[Mapping[str, Any]] = {}
MOST_TOKENS: Final = 10**9
"""More tokens than any request has; the price of so many still fits every ledger."""


class Seen(NamedTuple):
    """What calls of one kind have been seen to write.

    Attributes:
        base: output tokens that gpt-4o would write for such a request, by what others said.
        tokens: output tokens, reasoning included, by (model, effort); None while a single one has been
            seen, whose figure then is what ``base`` and ``thought`` make of what is published of it.
        shared: tokens by model that calls without a previous one read from its cache: instructions and
            tools that such requests have in common; None where there are none.
        density: input tokens reported for each one that was estimated where nothing was counted.
        thought: reasoning tokens reported for each one that is published of the configuration.
        by_effort: the same for each effort that was seen, once there is more than one; else None.
    """

    base: float
    tokens: Mapping[tuple[str, str | None], float] | None = None
    shared: Mapping[str, int] | None = None
    density: float = 1.0
    thought: float = 1.0
    by_effort: Mapping[str | None, float] | None = None


class Spread(NamedTuple):
    """What half of the calls, nine of ten and nineteen of twenty cost at most, for each dollar expected."""

    p50: float
    p90: float
    p95: float


class Returns(NamedTuple):
    """Share of calls (0 to 1) from which another one goes on while a cache may hold them; None while unknown.

    Attributes:
        first: of calls that begin a conversation.
        later: of calls that go on from another.
    """

    first: float | None = None
    later: float | None = None

    def further(self, share: float, most: float) -> float:
        """Say how many further turns follow a call from which another one goes on with such a chance."""
        again = share if self.later is None else self.later
        return most if share >= most * (1 - again) else share / (1 - again)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the calls before this one have used, as a value that ``select()`` can weigh.

    Attributes:
        outputs: kind of request (:attr:`RequestFacts.kind`, or its first part) to what was seen.
        reads: model to the share (0 to 1) of the expected cache reads that really happened.
        thought: reasoning tokens reported for each one that was expected by what is published, over all
            kinds of requests; None before the first.
        warm: tokens by model that this request begins with and that were sent to it before, in place
            of what is ``shared`` by requests of its kind; None where nobody looked.
        skipped: whether the call that this one goes on from was sent past its model's cache.
        paces: (model, service tier) to how quick it has been.
        spreads: (model, effort) and kind of request to how far bills lay from what was expected.
        returns: purpose of a request (:attr:`RequestFacts.purpose`) to how often conversations go on.
    """

    outputs: Mapping[Any, Seen] = field(default_factory=dict)
    reads: Mapping[str, float] = field(default_factory=dict)
    thought: float | None = None
    warm: Mapping[str, int] | None = None
    skipped: bool = False
    paces: Mapping[tuple[str, str], Pace] = field(default_factory=dict)
    returns: Mapping[Any, Returns] = field(default_factory=dict)
    spreads: Mapping[Any, Spread] = field(default_factory=dict)

    def spread(self, name: tuple[str, str | None], facts: RequestFacts) -> Spread | None:
        """Find how far bills of a configuration lay from what was expected of requests like this one."""
        spreads = self.spreads
        if not spreads:
            return None
        for key in spread_names(name, facts):
            if (found := spreads.get(key)) is not None:
                return found
        return None

    def of(self, facts: RequestFacts) -> Seen | None:
        """Find what was seen for requests like this one, or failing that for its wider kind."""
        outputs = self.outputs
        if not outputs:
            return None
        kind = facts.kind
        return outputs.get(kind) or outputs.get(kind[0])


def spread_names(name: tuple[str, str | None], facts: RequestFacts) -> tuple[Any, ...]:
    """Name what a bill speaks of: its kind, all sizes of it, whatever its model is asked, and all calls."""
    kind = facts.kind
    made_of, _, later = kind
    return ((name, kind), (name, made_of, later), (name[0], later), (None, later), (None, None))
