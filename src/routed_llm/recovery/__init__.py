"""Recovery: when a provider fails, the next right step, once.

``classify_error`` turns an error into ErrorFacts, ``recover`` says what follows from them (pure), ``mend``
puts a refused parameter right, ``Cooldowns`` is what all callers of a process know of failing models, and
``Attempts`` keeps one call's failures; the router hands one out for each call.
"""

from routed_llm.recovery.attempts import Attempts
from routed_llm.recovery.classify import classify_error
from routed_llm.recovery.cooldowns import Cooldowns
from routed_llm.recovery.facts import ErrorFacts, ErrorKind
from routed_llm.recovery.mend import mend
from routed_llm.recovery.recover import others, recover
from routed_llm.recovery.step import Action, Attempt, Limits, Step

__all__ = [
    "Action",
    "Attempt",
    "Attempts",
    "Cooldowns",
    "ErrorFacts",
    "ErrorKind",
    "Limits",
    "Step",
    "classify_error",
    "mend",
    "others",
    "recover",
]
