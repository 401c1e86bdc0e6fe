"""EvaluationContext: what a choice depends on besides the request, the policy, the catalog and the day."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from routed_llm.budget import Allowance
    from routed_llm.usage import Observed

__all__ = ["NOTHING", "PLAIN", "EvaluationContext"]

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class EvaluationContext(NamedTuple):
    """What holds at the moment of one call.

    Attributes:
        allowance: what may still be spent, or None.
        observed: what calls before this one have used, or None.
        unavailable: models that turned out not to answer, with the reason.
        deadline: seconds within which the whole answer is wanted, or None.
    """

    allowance: Allowance | None = None
    observed: Observed | None = None
    unavailable: Mapping[str, str] = NOTHING
    deadline: float | None = None


PLAIN: Final = EvaluationContext()
