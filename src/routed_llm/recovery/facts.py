"""ErrorFacts: what is known of a provider's error, whatever SDK or framework raised it. Plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = ["ErrorFacts", "ErrorKind"]

_SHOWN: Final = 200
_TOKENS: Final = (
    re.compile(r"messages resulted in (\d+) tokens"),
    re.compile(r"you requested (\d+) tokens"),
)


class ErrorKind(StrEnum):
    """What went wrong, as far as it matters to what comes next."""

    RATE_LIMIT = "rate_limit"
    """The model's limit for this minute is used up; it passes."""
    TOO_LARGE = "too_large"
    """This request alone is over the model's limit a minute: waiting never helps, another model may."""
    QUOTA = "quota"
    """The account has no money left: nothing helps."""
    SERVER = "server"
    """The provider failed or is overloaded."""
    CONNECTION = "connection"
    """The connection could not be made or broke."""
    TIMEOUT = "timeout"
    """No answer came in time."""
    INCOMPLETE = "incomplete"
    """A stream ended cleanly, without saying that the answer was finished."""
    UNREADABLE = "unreadable"
    """What came back is no answer: an error page, half a JSON object, no choices."""
    NO_ENDPOINT = "no_endpoint"
    """The address does not have the endpoint that was called, or not for this key."""
    REDIRECT = "redirect"
    """The address leads to another host, where the key must not go."""
    CONTEXT = "context"
    """The input, or the input with its answer, is longer than the model takes."""
    NOT_FOUND = "model_not_found"
    """The model was retired, does not exist, or this key may not use it."""
    ENDPOINT = "endpoint"
    """The model is not offered on the endpoint that was called."""
    MODALITY = "modality"
    """The model does not take an image, a sound or a file of the request."""
    PARAMETER = "parameter"
    """The model refuses a parameter or its value."""
    OUTPUT_CAP = "output_cap"
    """The output cap is more than the model writes."""
    CUT_SHORT = "cut_short"
    """Reasoning used up the output cap before anything was said."""
    STATE = "state"
    """What an earlier turn left with the provider is not there, or not this model's."""
    AUTHENTICATION = "authentication"
    """The key is wrong, or may not do this."""
    CONTENT = "content"
    """The content was refused by policy."""
    INVALID = "invalid"
    """The request is wrong for any model."""
    FOREIGN = "foreign"
    """Not the provider's error: a mistake in a program, a validation error, an interrupt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """What is known of one error.

    Attributes:
        kind: what it comes to.
        status: HTTP status, or None when the error had none (broken connection, inside a stream).
        type: the error object's ``type``.
        code: its ``code``; null for several errors of the API.
        param: its ``param``.
        message: the beginning of its message.
        retry_after: seconds that the provider asks to wait, by header or in words, or None.
        should_retry: what the header ``x-should-retry`` says, or None.
        endpoint: ``chat_completions`` or ``responses``, or None when that is not known.
        started: whether tokens of the answer had been passed on.
        tokens: tokens that the provider counted, when the message says so.
        name: the exception's class.
        unsure: whether the request may have been carried out, and billed, although no answer was seen. Only
            what was never sent, or was refused, is sure not to have been.
    """

    kind: ErrorKind
    status: int | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    message: str = ""
    retry_after: float | None = None
    should_retry: bool | None = None
    endpoint: str | None = None
    started: bool = False
    tokens: int | None = None
    name: str = ""
    unsure: bool = False

    @property
    def text(self) -> str:
        """A phrase for messages: status and code, or what there is of them."""
        said = self.code or (self.type if self.type != "invalid_request_error" else None)
        parts = [str(self.status) if self.status else "", said or str(self.kind)]
        return " ".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-able data."""
        return {
            "kind": str(self.kind),
            "status": self.status,
            "type": self.type,
            "code": self.code,
            "param": self.param,
            "message": self.message[:_SHOWN],
            "retry_after": self.retry_after,
            "started": self.started,
            "unsure": self.unsure,
            "name": self.name,
        }


def told_tokens(message: str) -> int | None:
    """Return the tokens that a context error says the request has."""
    found = [int(match[1]) for match in (pattern.search(message) for pattern in _TOKENS) if match]
    return max(found, default=None)
