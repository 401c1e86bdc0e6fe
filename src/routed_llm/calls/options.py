"""CallOptions: what one call says of its routing: a policy, whom it is for, what it may spend and take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from routed_llm.budget import budgets_from
from routed_llm.errors import PolicyError
from routed_llm.ledger.scoped import tags_from
from routed_llm.policy import Policy, read_deadline

if TYPE_CHECKING:
    from routed_llm.budget import Budget

__all__ = ["CallOptions", "Circumstances"]


TIERS: Final = ("flex", "priority", "ultrafast")
"""The service tiers, besides the standard one, at which a call is answered on the spot."""


class Circumstances(TypedDict, total=False):
    """The keywords of :meth:`CallOptions.of`, which :class:`routed_llm.Router` takes as well.

    Attributes:
        policy: a policy for this call only.
        at: the moment (or day) to decide for; the clock's when left out.
        scope: tags that say whom the call is for, such as ``{"team": "search"}``, over those of a
            :func:`routed_llm.scoped` block around it.
        conversation: the caller's key of the conversation: for budgets per conversation and so that its calls
            reach the same prompt cache.
        budget: budgets for this call, besides the router's own.
        deadline: seconds within which the whole answer is wanted, or the moment (an aware datetime) by which
            it is, over the policy's.
        credential: whose key and address it is sent with (see :func:`routed_llm.fingerprint`): models may
            fail for one and not for another.
        own: the address that the caller's client calls: models at another are out unless there is a key for
            it. When left out, the caller sees to that.
        tiers: the service tiers that a call with a deadline may be sent at besides its policy's;
            :data:`TIERS` when left out.
    """

    policy: Policy | None
    at: date | None
    scope: Mapping[str, str] | str | None
    conversation: str | None
    budget: Budget | Iterable[Budget] | None
    deadline: float | datetime | None
    credential: str
    own: str | None
    tiers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What one call says of its routing, as one value; adapters take it as ``routing=``.

    Attributes:
        policy: a policy of its own, or None for the model's.
        changes: keywords of Policy that it changes, over the model's or its own.
        tags: whom it is for.
        conversation: the caller's key of the conversation, or None.
        budgets: budgets for it, besides those that hold anyhow.
        at: the moment (or day) to decide for, or None for the clock's.
        deadline: seconds within which the whole answer is wanted, the moment by which it is, or None.
        credential: whose key and address it is sent with (see :func:`routed_llm.fingerprint`).
        own: the address that the caller's client calls, or None.
        tiers: the service tiers that it may be sent at, where it has a deadline, besides its policy's.
    """

    policy: Policy | None = None
    changes: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    conversation: str | None = None
    budgets: tuple[Budget, ...] = ()
    at: date | None = None
    deadline: float | datetime | None = None
    credential: str = ""
    own: str | None = None
    tiers: tuple[str, ...] = TIERS

    def __post_init__(self) -> None:
        if self.deadline is not None:
            read_deadline(self.deadline)
        for name, kind, said in _KINDS:
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise PolicyError(f"{name}={value!r} is not {said}", key=name)

    @classmethod
    def of(cls, **given: Unpack[Circumstances]) -> CallOptions:
        """Make options of keywords; see :class:`Circumstances`.

        Raises:
            PolicyError: when one of them is wrong.
        """
        scope = given.get("scope")
        return cls(
            policy=given.get("policy"),
            tags=tags_from(scope) if scope else None,
            conversation=given.get("conversation"),
            budgets=budgets_from(given.get("budget")),
            at=given.get("at"),
            deadline=given.get("deadline"),
            credential=given.get("credential", ""),
            own=given.get("own"),
            tiers=given.get("tiers", TIERS),
        )

    @classmethod
    def read(cls, value: Any) -> CallOptions:
        """Read what a caller gave: a Policy, or a dict of its keywords, a scope, a conversation and a budget.

        Raises:
            PolicyError: when it is neither, or wrong in itself.
        """
        if value is None:
            return _NOTHING
        if isinstance(value, cls):
            return value
        if isinstance(value, Policy):
            return cls(policy=value)
        if not isinstance(value, Mapping):
            raise PolicyError(
                f"routing is a {type(value).__name__}. Give a dict of Policy keywords or a Policy.",
                key="routing",
            )
        rest = {name: item for name, item in value.items() if name not in _OURS}
        ours: Any = {name: item for name, item in value.items() if name in _OURS}
        if isinstance(ours.get("policy"), Mapping):
            rest = {**ours.pop("policy"), **rest}
        return replace(cls.of(**ours), changes=rest or None)

    @classmethod
    def reads(cls, value: Any) -> bool:
        """Say whether :meth:`read` knows every word of a value, under a key that others use, too."""
        known = isinstance(value, Mapping) and _KEYWORDS.issuperset(value)
        return known or isinstance(value, (Policy, cls))

    def over(self, other: CallOptions) -> CallOptions:
        """Lay these options over others: what both say is as these say; tags and budgets add up."""
        if other is _NOTHING:
            return self
        # A whole policy is not changed by what lies below it.
        below = (other.changes or {}) if self.policy is None else {}
        return replace(
            other,
            policy=self.policy or other.policy,
            changes={**below, **(self.changes or {})},
            tags={**(other.tags or {}), **(self.tags or {})},
            conversation=other.conversation if self.conversation is None else self.conversation,
            budgets=other.budgets + self.budgets,
            at=self.at or other.at,
            deadline=other.deadline if self.deadline is None else self.deadline,
            credential=self.credential or other.credential,
            own=other.own if self.own is None else self.own,
            tiers=other.tiers if self.tiers is TIERS else self.tiers,
        )

    def applied_to(self, policy: Policy) -> Policy:
        """Return the policy for this call.

        Raises:
            PolicyError: for a wrong keyword or value.
        """
        base = policy if self.policy is None else self.policy
        return base.replace(**self.changes) if self.changes else base

    def on(self, model: CallOptions) -> CallOptions:
        """Return these options over those that hold for every call of a model.

        Raises:
            PolicyError: for a wrong keyword or value of the policy.
        """
        if self is _NOTHING:
            return model
        found = self.over(model)
        return replace(found, policy=found.applied_to(Policy()), changes=None) if found.changes else found


_KINDS: Final = (
    ("policy", Policy, "a Policy. Give one, or its keywords."),
    ("at", date, "a day. Give a date or an aware datetime."),
)
_NOTHING: Final = CallOptions()
_OURS: Final = frozenset({"policy", "scope", "conversation", "budget", "at", "deadline"})
_KEYWORDS: Final = _OURS.union(one.name for one in fields(Policy))
