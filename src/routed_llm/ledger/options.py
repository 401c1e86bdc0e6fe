"""CallOptions: what one call says of its routing: a policy, whom it is for, what it may spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from routed_llm.budget import budgets_from
from routed_llm.errors import PolicyError
from routed_llm.ledger.scoped import tags_from
from routed_llm.policy import Policy

if TYPE_CHECKING:
    from routed_llm.budget import Budget

__all__ = ["CallOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What one call says of its routing; adapters take it as ``routing=``.

    Attributes:
        policy: a policy of its own, or None for the model's.
        changes: keywords of Policy that it changes, over the model's or its own.
        tags: whom it is for.
        conversation: the caller's key of the conversation, or None.
        budgets: budgets for it, besides those that hold anyhow.
    """

    policy: Policy | None = None
    changes: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    conversation: str | None = None
    budgets: tuple[Budget, ...] = ()

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
        scope = value.get("scope")
        return cls(
            policy=value.get("policy"),
            changes=rest or None,
            tags=tags_from(scope) if scope else None,
            conversation=value.get("conversation"),
            budgets=budgets_from(value.get("budget")),
        )

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
        )

    def applied_to(self, policy: Policy) -> Policy:
        """Return the policy for this call.

        Raises:
            PolicyError: for a wrong keyword or value.
        """
        base = policy if self.policy is None else self.policy
        return base.replace(**self.changes) if self.changes else base

    def circumstances(self, budgets: tuple[Budget, ...] = ()) -> dict[str, Any]:
        """Return what :meth:`routed_llm.Router.decide` takes besides a policy.

        Args:
            budgets: those of the model that makes the call.
        """
        found: dict[str, Any] = {}
        if self.tags:
            found["scope"] = self.tags
        if self.conversation is not None:
            found["conversation"] = self.conversation
        if budgets or self.budgets:
            found["budget"] = budgets + self.budgets
        return found


_NOTHING: Final = CallOptions()
_OURS: Final = frozenset({"policy", "scope", "conversation", "budget"})
