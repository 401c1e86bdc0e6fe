"""Decide, for each single call, which OpenAI model serves it."""

from typing import TYPE_CHECKING, Any, Final

from routed_llm.budget import Allowance, Budget, budgets_from
from routed_llm.calls.options import CallOptions
from routed_llm.calls.router import Answered, Router, Run
from routed_llm.catalog import Catalog, Model
from routed_llm.cut import AnswerCutter, ContentCutter, StopCutter
from routed_llm.decide.table import select
from routed_llm.decision import (
    Call,
    Candidate,
    Change,
    Decision,
    Evidence,
    Reason,
    Switch,
    short_record,
)
from routed_llm.errors import (
    BudgetExceeded,
    CatalogError,
    CredentialMissing,
    IncompleteStream,
    LedgerError,
    NoModelFits,
    PolicyError,
    ProviderError,
    RedirectRefused,
    RequestError,
    RoutedError,
    UnreadableAnswer,
)
from routed_llm.exchange import Exchange, guard_client
from routed_llm.facts import ImageFacts, Previous, RequestFacts, TokenCount
from routed_llm.ledger import Entry, Ledger, MemoryLedger, open_ledger
from routed_llm.ledger.accounting import BudgetEvent
from routed_llm.ledger.scoped import scoped
from routed_llm.policy import Policy
from routed_llm.pricing import cost
from routed_llm.recovery import Cooldowns, CooldownStore, Credential, fingerprint, origin_of
from routed_llm.request import Request, RequestBuilder, read_openai
from routed_llm.usage import Observed, Usage

if TYPE_CHECKING:
    from routed_llm.calls.endpoint_call import Called, Outgoing, Served
    from routed_llm.calls.endpoints import Endpoints
    from routed_llm.recovery import Attempt, Attempts, ErrorFacts, RetryLimits, Step, classify_error

__version__ = "0.1.0"

__all__ = [
    "Allowance",
    "AnswerCutter",
    "Answered",
    "Attempt",
    "Attempts",
    "Budget",
    "BudgetEvent",
    "BudgetExceeded",
    "Call",
    "CallOptions",
    "Called",
    "Candidate",
    "Catalog",
    "CatalogError",
    "Change",
    "ContentCutter",
    "CooldownStore",
    "Cooldowns",
    "Credential",
    "CredentialMissing",
    "Decision",
    "Endpoints",
    "Entry",
    "ErrorFacts",
    "Evidence",
    "Exchange",
    "ImageFacts",
    "IncompleteStream",
    "Ledger",
    "LedgerError",
    "MemoryLedger",
    "Model",
    "NoModelFits",
    "Observed",
    "Outgoing",
    "Policy",
    "PolicyError",
    "Previous",
    "ProviderError",
    "Reason",
    "RedirectRefused",
    "Request",
    "RequestBuilder",
    "RequestError",
    "RequestFacts",
    "RetryLimits",
    "RoutedError",
    "Router",
    "Run",
    "Served",
    "Step",
    "StopCutter",
    "Switch",
    "TokenCount",
    "UnreadableAnswer",
    "Usage",
    "budgets_from",
    "classify_error",
    "cost",
    "fingerprint",
    "guard_client",
    "open_ledger",
    "origin_of",
    "read_openai",
    "scoped",
    "select",
    "short_record",
]

_LATER: Final = {
    **dict.fromkeys(
        ("Attempt", "Attempts", "ErrorFacts", "RetryLimits", "Step", "classify_error"), "routed_llm.recovery"
    ),
    **dict.fromkeys(("Called", "Outgoing", "Served"), "routed_llm.calls.endpoint_call"),
    "Endpoints": "routed_llm.calls.endpoints",
}


def __getattr__(name: str) -> Any:
    # What only some use is imported when it is used: importing routed_llm must stay quick.
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = found = getattr(import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
