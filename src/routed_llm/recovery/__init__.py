"""Recovery: when a provider fails, the next right step, once.

``classify_error`` turns an error into ErrorFacts, ``recover`` says what follows from them (pure), ``mend``
puts a refused parameter right, ``Cooldowns`` is what all callers of a process know of failing models
(``FleetCooldowns``: those of a fleet), and ``Attempts`` keeps one call's failures; the router hands one out
for each call.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from routed_llm.recovery.addresses import Addresses, Credential, origin_of
from routed_llm.recovery.cooldowns import Cooldowns, CooldownStore, UnavailableModels, fingerprint
from routed_llm.recovery.ratelimits import RateLimits

if TYPE_CHECKING:
    from routed_llm.recovery.attempts import Attempts
    from routed_llm.recovery.classify import classify_error
    from routed_llm.recovery.facts import ErrorFacts, ErrorKind
    from routed_llm.recovery.fleet import FleetCooldowns
    from routed_llm.recovery.step import Action, Attempt, RetryLimits, Step

__all__ = [
    "Action",
    "Addresses",
    "Attempt",
    "Attempts",
    "CooldownStore",
    "Cooldowns",
    "Credential",
    "ErrorFacts",
    "ErrorKind",
    "FleetCooldowns",
    "RateLimits",
    "RetryLimits",
    "Step",
    "UnavailableModels",
    "classify_error",
    "fingerprint",
    "origin_of",
]

_PLACES: Final = {
    "Action": "step",
    "Attempt": "step",
    "Attempts": "attempts",
    "ErrorFacts": "facts",
    "ErrorKind": "facts",
    "FleetCooldowns": "fleet",
    "RetryLimits": "step",
    "Step": "step",
    "classify_error": "classify",
}


def __getattr__(name: str) -> Any:
    # Only a failure needs the rest: importing routed_llm must stay quick.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found
