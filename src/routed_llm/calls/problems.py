"""What refuses a call, in the form in which OpenAI's API reports it, and as the SDK raises it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from routed_llm.errors import (
    BudgetExceeded,
    CatalogError,
    IncompleteStream,
    LedgerError,
    NoModelFits,
    PolicyError,
    ProviderError,
    RequestError,
    RoutedError,
    UnreadableAnswer,
)

__all__ = ["Problem", "SdkErrors", "both", "problem", "with_attempts"]

_BROKEN: Final = (IncompleteStream, UnreadableAnswer)
_ENDS: Final = (BudgetExceeded, CatalogError, NoModelFits, RequestError, *_BROKEN)
"""What a program gets as an error of the SDK, too."""

_SIZE: Final = frozenset({"max_input", "window"})
_GONE: Final = frozenset({"retired", "unreleased"})

_KINDS: Final[tuple[tuple[type[RoutedError], int, str, str | None], ...]] = (
    (NoModelFits, 400, "invalid_request_error", None),
    (RequestError, 400, "invalid_request_error", None),
    (PolicyError, 400, "invalid_request_error", "invalid_routing"),
    (CatalogError, 404, "invalid_request_error", "model_not_found"),
    (BudgetExceeded, 429, "insufficient_quota", "budget_exceeded"),
    (LedgerError, 503, "server_error", "ledger_unavailable"),
    (ProviderError, 502, "server_error", "incomplete_answer"),
    (RoutedError, 500, "server_error", None),
)


class Problem(NamedTuple):
    """An error as OpenAI's API sends it.

    Attributes:
        status: the HTTP status.
        error: the object under ``error`` in the body.
    """

    status: int
    error: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        """The body of the response."""
        return {"error": self.error}


def problem(error: RoutedError) -> Problem:
    """Return what the API would have said to a request that was refused before it was sent."""
    status, kind, code = next(
        (status, kind, code) for of, status, kind, code in _KINDS if isinstance(error, of)
    )
    param = getattr(error, "where", None) if isinstance(error, RequestError) else None
    if isinstance(error, NoModelFits):
        if _is_gone(error):
            status, param, code = 404, "model", "model_not_found"
        elif _is_too_long(error):
            param, code = "messages", "context_length_exceeded"
    return Problem(status, {"message": str(error), "type": kind, "param": param, "code": code})


def _is_too_long(error: NoModelFits) -> bool:
    """Say whether a model could serve the request if it were shorter."""
    found = ([reason.code for reason in one.reasons] for one in error.decision.candidates)
    return any(codes and _SIZE.issuperset(codes) for codes in found)


def _is_gone(error: NoModelFits) -> bool:
    """Say whether no model that may be used is alive."""
    candidates = error.decision.candidates
    return bool(candidates) and all(_GONE.intersection(r.code for r in one.reasons) for one in candidates)


class SdkErrors(NamedTuple):
    """The SDK's errors for what ends a call: programs that were written for it catch those.

    Attributes:
        kinds: the errors by the code or the status of what the server would have said; by None for a
            connection that broke.
        common: what they have in common.
        httpx: the library of the SDK's requests and responses.
    """

    kinds: Mapping[Any, Any]
    common: type[Exception]
    httpx: Any

    def made(self, error: RoutedError, base_url: str | None) -> Exception:
        """Return the error to raise: ours, and the SDK's for what the server would have said.

        Args:
            error: what refused a call before it was sent, or what its answer broke off with.
            base_url: where it would have been sent.
        """
        request = self.httpx.Request("POST", base_url or "https://api.openai.com/v1")
        if isinstance(error, _BROKEN):
            return both(error, self.kinds[None](message=str(error), request=request))
        said = problem(error)
        code = said.error["code"]
        kind = (code and self.kinds.get(code)) or self.kinds.get(said.status) or self.kinds[500]
        response = self.httpx.Response(said.status, json=said.body, request=request)
        return both(error, kind(str(error), response=response, body=said.error))

    def of(self, error: Exception, base_url: str | None) -> Exception:
        """Return the error to raise for any that ends a call: itself where the SDK has none for it."""
        if not isinstance(error, _ENDS):
            return error
        of_a_file = isinstance(error, CatalogError) and not (error.path is None and error.key is None)
        return error if of_a_file or isinstance(error, self.common) else self.made(error, base_url)

    def raised(self, base_url: str | None) -> Raised:
        """Return a block in which what ends a call is raised so."""
        return Raised(self, base_url)


class Raised:
    """A block in which what ends a call is raised as programs written for the SDK expect it.

    Python's strings may hold one half of a pair that makes a character; neither JSON nor a server takes it.
    """

    __slots__ = ("_base_url", "_errors")

    def __init__(self, errors: SdkErrors, base_url: str | None) -> None:
        self._errors = errors
        self._base_url = base_url

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what is wrong."""
        if error is None:
            return
        if isinstance(error, _ENDS) and (made := self._errors.of(error, self._base_url)) is not error:
            raise made from error.__cause__
        if not isinstance(error, UnicodeEncodeError) or not error.object.startswith("{"):
            return
        half, before = error.object[error.start], error.object[max(0, error.start - 40) : error.start]
        said = (
            f"The request holds {half!r}, half of a character, after {before!r}: it cannot be sent. "
            "Replace it, as text.encode('utf-8', 'replace').decode() does."
        )
        raise self._errors.made(RequestError(said), self._base_url) from error


def with_attempts(error: Any, failure: BaseException | None) -> Exception:
    """Return an error with what another one says of what was tried: ``attempts`` and notes."""
    for note in getattr(failure, "__notes__", ()):
        error.add_note(note)
    error.attempts = getattr(failure, "attempts", ())
    made: Exception = error
    return made


def both(ours: RoutedError, sdk: Exception) -> Exception:
    """Return an error that is ours and the SDK's at once: programs catch either.

    Args:
        ours: what refused a call; its message and its data are kept.
        sdk: the SDK's error for the same.
    """
    made: Any = _class((type(ours), type(sdk)))
    error: Exception = made.__new__(made)  # neither constructor knows what the other one wants
    Exception.__init__(error, str(ours))
    error.__dict__.update({**vars(sdk), **vars(ours), "message": str(ours)})
    return error.with_traceback(ours.__traceback__)


@cache
def _class(kinds: tuple[type[Exception], ...]) -> type[Exception]:
    ours = kinds[0]
    return type(ours.__name__, kinds, {"__module__": ours.__module__, "__doc__": ours.__doc__})
