"""What came of a Batch file, line by line, and its answers in the form of Chat Completions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from routed_llm.batches.provider import ApiError
from routed_llm.calls.wired import cut_answer, ends_of
from routed_llm.recovery import ErrorKind, classify_error
from routed_llm.request.wire import chat_completion, failure_of
from routed_llm.usage import Usage

__all__ = ["Outcome", "Outcomes", "outcomes", "read_answer"]

_K = ErrorKind
_PASSING: Final = frozenset(
    {_K.RATE_LIMIT, _K.SERVER, _K.TIMEOUT, _K.CONNECTION, _K.INCOMPLETE, _K.UNREADABLE}
)
_OF_MODEL: Final = frozenset(
    {_K.NOT_FOUND, _K.ENDPOINT, _K.CONTEXT, _K.TOO_LARGE, _K.PARAMETER, _K.MODALITY, _K.OUTPUT_CAP, _K.STATE}
)
_FINAL: Final = frozenset({"failed", "completed", "expired", "cancelled"})
_LATER: Final = "token_limit_exceeded"
_EXPIRED: Final = "batch_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one request.

    Attributes:
        reply: the body of its answer, or None.
        error: what the API said in place of one.
        passing: whether it may be tried again.
        of_model: whether another model is to be tried.
    """

    reply: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    passing: bool = False
    of_model: bool = False

    @property
    def why(self) -> str:
        """What was wrong, as a phrase."""
        return str((self.error or {}).get("message") or "it failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What came of a file.

    Attributes:
        lines: custom_id to what came of it.
        missing: what came of those that are in none of its files.
        again: whether the whole file is to be submitted again, later.
    """

    lines: Mapping[str, Outcome]
    missing: Outcome
    again: bool = False


def outcomes(batch: Mapping[str, Any], content: Callable[[str], bytes]) -> Outcomes | None:
    """Read what came of a batch; None while it is not over.

    Args:
        batch: the batch as it stands.
        content: fetches a file.

    Raises:
        ApiError: when a file of results is cut off.
    """
    status = batch.get("status")
    if status not in _FINAL:
        return None
    lines: dict[str, Outcome] = {}
    for key in ("output_file_id", "error_file_id"):
        if batch.get(key):
            for row in _rows(content(str(batch[key])), str(batch[key])):
                lines.setdefault(str(row.get("custom_id")), _outcome(row))
    errors = [one for one in ((batch.get("errors") or {}).get("data") or ()) if isinstance(one, Mapping)]
    first = dict(errors[0]) if errors else {"message": f"the batch has {status} without it", "code": status}
    again = status == "failed" and bool(errors) and all(one.get("code") == _LATER for one in errors)
    missing = Outcome(error=first, passing=True, of_model=again)
    return Outcomes(lines=lines, missing=missing, again=again)


def _rows(data: bytes, name: str) -> list[Mapping[str, Any]]:
    found = []
    for raw in data.splitlines():
        if not raw.strip():
            continue
        try:
            found.append(json.loads(raw))
        except ValueError:
            raise ApiError(f"The file {name} of results is cut off. Collect again.") from None
    return found


def _outcome(row: Mapping[str, Any]) -> Outcome:
    reply, error = row.get("response") or {}, row.get("error")
    body, status = reply.get("body") or {}, reply.get("status_code") or 0
    failure = failure_of(body) if isinstance(body, Mapping) else {"message": "The answer is no object."}
    if error is None and 200 <= status < 300 and failure is None:
        return Outcome(reply=body)
    said = dict(error or failure or {"message": f"status {status}"})
    if said.get("code") == _EXPIRED:
        return Outcome(error=said, passing=True)
    kind = classify_error({"error": said, "status": status if status >= 400 else None, "headers": {}}).kind
    return Outcome(error=said, passing=kind in _PASSING or kind in _OF_MODEL, of_model=kind in _OF_MODEL)


def read_answer(
    plan: Mapping[str, Any], endpoint: str, reply: Mapping[str, Any], *, batch: bool
) -> tuple[Mapping[str, Any], Usage | None]:
    """Return an answer as a Chat Completion, and what it used.

    Args:
        plan: how the request was planned.
        endpoint: where it was sent.
        reply: the body of the answer.
        batch: whether it came in a Batch file, and is paid as such.
    """
    completion = chat_completion(reply) if endpoint == "responses" else reply
    used = completion.get("usage")
    usage = Usage.from_openai(used) if isinstance(used, Mapping) and used else None
    if usage is not None:
        # The results of batches name the default tier.
        usage = replace(usage, service_tier="batch" if batch else completion.get("service_tier"))
    return cut_answer(completion, ends_of(plan.get("stop"), plan.get("most")), usage), usage
