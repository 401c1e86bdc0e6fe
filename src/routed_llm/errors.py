"""Every error that routed-llm raises, in one tree.

::

    RoutedError
    ├── RequestError        the request itself is wrong (also a ValueError)
    ├── PolicyError         a policy is wrong: unknown keyword, impossible value (also a ValueError)
    ├── CatalogError        a catalog file or entry is wrong, or a model is unknown
    ├── NoModelFits         nothing in the pool can serve this request; carries the Decision
    ├── BudgetExceeded      a hard budget has no room for this call
    ├── LedgerError         the ledger's file or server cannot be used
    └── ProviderError       the provider failed in a way that no retry or reroute could mend
        ├── IncompleteStream    a stream ended cleanly, without saying that its answer was finished
        ├── UnreadableAnswer    what came back is no answer: an error page, half a JSON object, no choices
        ├── RedirectRefused     an address leads to another host, where the key must not go
        └── CredentialMissing   a model is served at an address of its own, for which there is no key

Each error carries its data as attributes; the last sentence of its message says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routed_llm.decision import Decision

__all__ = [
    "BudgetExceeded",
    "CatalogError",
    "CredentialMissing",
    "IncompleteStream",
    "LedgerError",
    "NoModelFits",
    "PolicyError",
    "ProviderError",
    "RedirectRefused",
    "RequestError",
    "RoutedError",
    "UnreadableAnswer",
]


class RoutedError(Exception):
    """Base of every error of this package."""


class RequestError(RoutedError, ValueError):
    """The request cannot be sent to any model, whatever the pool (broken image, empty messages).

    Attributes:
        where: the part of the request that is wrong, such as ``messages[2].content[0]``, or None.
    """

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message)
        self.where = where


class PolicyError(RoutedError, ValueError):
    """A policy has an unknown keyword, an impossible value or names no model.

    Attributes:
        key: the keyword at fault, or None.
        path: the policy file, or None when the policy came from keywords.
    """

    def __init__(self, message: str, *, key: str | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.key = key
        self.path = path


class CatalogError(RoutedError):
    """A catalog entry is malformed, or no entry has the name that was asked for.

    Attributes:
        path: the file at fault, or None for entries given in code.
        key: the dotted key at fault inside that file, or None.
    """

    def __init__(self, message: str, *, path: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.key = key


class NoModelFits(RoutedError):
    """No model in the pool can serve the request.

    Attributes:
        decision: the Decision, with every Candidate and the Reasons against it.
    """

    def __init__(self, message: str, *, decision: Decision) -> None:
        super().__init__(message)
        self.decision = decision


class BudgetExceeded(RoutedError):
    """A hard budget cannot pay for this call; nothing was sent.

    Attributes:
        scope: the budget's scope, such as ``team=search``.
        period: ``call``, ``conversation``, ``hour``, ``day``, ``month`` or ``total``.
        asked: US dollars that the call was expected to cost (Decimal).
        remaining: US dollars left in the tightest budget (Decimal).
        resets_at: when that budget is refilled (aware datetime), or None if never.
        fits: what would still fit, as ``(model, effort, dollars)`` triples; empty if nothing would.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: str = "",
        period: str = "call",
        asked: Any = None,
        remaining: Any = None,
        resets_at: Any = None,
        fits: Sequence[tuple[str, str | None, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.scope = scope
        self.period = period
        self.asked = asked
        self.remaining = remaining
        self.resets_at = resets_at
        self.fits = tuple(fits)


class LedgerError(RoutedError):
    """A ledger's file or server cannot be used; where a budget depends on it, nothing was sent.

    Attributes:
        where: the file or server.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class ProviderError(RoutedError):
    """The provider failed and nothing that the router may do would help.

    Attributes:
        attempts: what was tried, oldest first.
    """

    def __init__(self, message: str, *, attempts: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.attempts = tuple(attempts)


class IncompleteStream(ProviderError):
    """A stream ended cleanly, but without a finish reason: what arrived is not a whole answer.

    Attributes:
        received: the text that had arrived.
    """

    def __init__(self, message: str = "", *, received: str = "", attempts: Sequence[Any] = ()) -> None:
        said = message or (
            f"The stream ended after {len(received)} characters without a finish reason, so the answer is "
            "not whole. Ask again; what arrived is in .received."
        )
        super().__init__(said, attempts=attempts)
        self.received = received


class UnreadableAnswer(ProviderError):
    """What came back with HTTP 200 is no answer.

    Attributes:
        body: the error object that it held, or None.
    """

    def __init__(
        self, message: str, *, body: Mapping[str, Any] | None = None, attempts: Sequence[Any] = ()
    ) -> None:
        super().__init__(f"{message} Ask again, or see what stands at its address.", attempts=attempts)
        self.body = body


class RedirectRefused(ProviderError):
    """An address answered with a redirect that is not followed: the key is for that address only.

    Attributes:
        here: the host that was called.
        there: the host that it names.
    """

    def __init__(self, message: str, *, here: str, there: str) -> None:
        super().__init__(message)
        self.here = here
        self.there = there


class CredentialMissing(ProviderError):
    """A model is served at an address of its own, and there is no key for it; nothing was sent.

    Attributes:
        model: its catalog id.
        base_url: its address.
    """

    def __init__(self, message: str, *, model: str, base_url: str) -> None:
        super().__init__(message)
        self.model = model
        self.base_url = base_url
