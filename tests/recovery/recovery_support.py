"""What the tests of recovery share: a small request, error bodies, a clock that stands still."""

from __future__ import annotations

from datetime import date
from typing import Any

from routed_llm import ErrorFacts, Request, RequestBuilder
from routed_llm.recovery import classify_error

AT = date(2026, 11, 22)


def ask(text: str = "Hello", **parameters: Any) -> Request:
    """Return a small request with some parameters."""
    builder = RequestBuilder()
    builder.message("user")
    builder.text(text)
    for name, value in parameters.items():
        builder.set(name, value)
    return builder.build()


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now


ERRORS: dict[str, dict[str, Any]] = {
    "429 soon": {"status": 429, "code": "rate_limit_exceeded", "message": "Please try again in 200ms."},
    "429 late": {"status": 429, "code": "rate_limit_exceeded", "message": "Please try again in 9s."},
    "429 never": {
        "status": 429,
        "code": "rate_limit_exceeded",
        "message": "Try again in 400s, please try again in 400s.",
    },
    "429": {"status": 429},
    "too large": {"status": 429, "message": "Request too large for gpt-4o"},
    "quota": {"status": 429, "code": "insufficient_quota", "type": "insufficient_quota"},
    "500": {"status": 500, "type": "server_error"},
    "500 no retry": {"status": 500, "headers": {"x-should-retry": "false"}},
    "502": {"status": 502, "message": "<html>"},
    "context": {"status": 400, "code": "context_length_exceeded"},
    "not found": {"status": 404, "code": "model_not_found"},
    "responses only": {"status": 404, "message": "This model is only supported in v1/responses"},
    "image": {
        "status": 400,
        "message": "Invalid content type. image_url is only supported by certain models.",
    },
    "key": {"status": 401, "code": "invalid_api_key"},
    "policy": {"status": 400, "code": "content_policy_violation"},
    "wrong": {"status": 400, "code": "invalid_type"},
}


def error(name: str, *, started: bool = False) -> ErrorFacts:
    """Return the facts of a named error."""
    return classify_error(ERRORS[name], started=started)


class ProviderFailure(Exception):
    """An error as an SDK would raise it: a status, a body, and nothing else."""

    __module__ = "openai"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        row = dict(ERRORS[name])
        self.status_code = row.pop("status", None)
        self.headers = row.pop("headers", {})
        self.body = row
