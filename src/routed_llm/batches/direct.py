"""What of a job is answered on the spot: noted before it is sent, looked for after a process was killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from routed_llm.batches.answers import read_answer
from routed_llm.batches.provider import ApiError
from routed_llm.budget import PICO
from routed_llm.calls.endpoint_call import Called, EndpointCall
from routed_llm.decide.speed import WINDOWS
from routed_llm.errors import CatalogError, PolicyError
from routed_llm.ledger.run import UNKNOWN, as_moment
from routed_llm.pricing import cost_pico

if TYPE_CHECKING:
    import sqlite3

    from routed_llm.batches.provider import Provider, Response
    from routed_llm.batches.store import JobFile
    from routed_llm.calls.endpoint_call import Outgoing
    from routed_llm.calls.endpoints import Endpoints
    from routed_llm.calls.router import Router
    from routed_llm.ledger.base import Entry

__all__ = ["DirectRequests"]

_TAG: Final = "batch_line"
"""The tag in the books of a request that was answered on the spot: its job, line and attempt."""
_MARK: Final = "routed_line"
_METADATA: Final = 16
"""The most keys that a request's metadata may have (openai-python 2.54, CompletionCreateParams)."""
_STILL: Final = 60.0
"""Seconds for which an answer at an ordinary tier may still come after the process that asked was killed."""
_NO_LIST: Final = (404, 405, 501)
"""What a server answers that lists no completions."""
_DOUBTFUL: Final = (
    "SELECT lines.*, direct.name, direct.model AS sent_model, direct.at, direct.marked "
    "FROM lines LEFT JOIN direct ON direct.n = lines.n AND direct.state = 'sent' "
    "WHERE lines.state = 'sent' AND lines.file IS NULL ORDER BY lines.n"
)


class DirectRequests:
    """A job's requests that no Batch file holds.

    Of these OpenAI keeps no list but that of stored completions, which can be looked through by metadata. So
    one that is stored carries its job, line and attempt, and is found again; of any other that was under way
    as its process was killed nobody can say whether it was answered.

    Args:
        file: the job's file.
        endpoints: sends calls, and keeps the books.
        store: whether OpenAI may store those that do not say so themselves.
    """

    def __init__(self, file: JobFile, endpoints: Endpoints, *, store: bool) -> None:
        self._file = file
        self._endpoints = endpoints
        self._store = store

    @property
    def _router(self) -> Router:
        return self._endpoints.router

    def _now(self) -> datetime:
        return as_moment(self._router.now()).astimezone(UTC)

    def _name(self, row: sqlite3.Row) -> str:
        job = self._file.value("SELECT id FROM job")
        return f"{job}-{row['n']}-{row['attempts']}"

    # ----- sending

    def answer(self, provider: Provider, number: int) -> None:
        """Send a request, and note its answer."""
        (row,) = self._file.rows("SELECT * FROM lines WHERE n = ?", number)
        now, plan = self._now(), json.loads(row["plan"])
        due = datetime.fromisoformat(row["due"]) if row["due"] else now + timedelta(seconds=row["within"])
        said: dict[str, Any] = {"scope": {_TAG: self._name(row)}}
        if not any(change["parameter"] == "deadline" for change in plan["record"]["changes"]):
            said["deadline"] = max((due - now).total_seconds(), 0.001)
        called = self._called(json.loads(row["body"]), said, provider)
        unnoted: list[PolicyError] = []
        served = self._endpoints.respond(called, partial(self._send, provider, row, due, unnoted))
        if unnoted:
            raise unnoted[0]
        body = json.loads(served.body or b"{}")
        if served.status >= 300:
            self._settle(row, error=body.get("error") or {"message": f"status {served.status}"})
            return
        cost = (body.get("routing") or {}).get("cost")
        self._settle(row, answer=body, cost=None if cost is None else int(Decimal(cost) * PICO))

    def _called(self, body: Mapping[str, Any], said: Any, provider: Provider) -> Called:
        return Called(
            endpoint="chat_completions",
            body=body,
            routing=said,
            credential=provider.credential,
            own=provider.base_url,
        )

    def _send(
        self,
        provider: Provider,
        row: sqlite3.Row,
        due: datetime,
        unnoted: list[PolicyError],
        sent: Outgoing,
    ) -> Response:
        """Note that a request is under way, with what it can be found by, and send it."""
        try:
            name, marked = self._noted(row, due, sent)
        except PolicyError as error:
            unnoted.append(error)
            raise
        if marked:
            kept = {**(sent.body.get("metadata") or {}), _MARK: name}
            sent = replace(sent, body={**sent.body, "store": True, "metadata": kept})
        return provider.send(sent)

    def _noted(self, row: sqlite3.Row, due: datetime, sent: Outgoing) -> tuple[str, bool]:
        """Note that a request is under way; return its name, and whether it is sent with that."""
        name, marked = self._name(row), self._may_mark(sent)
        try:
            model = self._router.catalog.get(sent.model).id
        except CatalogError:  # an address of its own names it otherwise
            model = str(row["model"])
        with self._file.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO direct (name, n, model, endpoint, at, marked) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (name, row["n"], model, sent.endpoint, self._now().isoformat(), marked),
            )
            db.execute("UPDATE lines SET state = 'sent', due = ? WHERE n = ?", (due.isoformat(), row["n"]))
        return name, marked

    def _may_mark(self, sent: Outgoing) -> bool:
        """Say whether a request is stored, where it can be found again."""
        given, kept = sent.body.get("store"), sent.body.get("metadata") or {}
        allowed = bool(given) or (self._store and given is None)
        return allowed and sent.endpoint == "chat_completions" and len(kept) < _METADATA

    def _settle(
        self,
        row: sqlite3.Row,
        *,
        answer: Mapping[str, Any] | None = None,
        cost: int | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Note what came of a request."""
        state = "failed" if answer is None else "done"
        with self._file.change() as db:
            db.execute(
                "UPDATE lines SET state = ?, answer = ?, cost = ?, error = ? WHERE n = ?",
                (state, _text(answer), cost, _text(error), row["n"]),
            )
            db.execute("DELETE FROM direct WHERE name = ?", (self._name(row),))

    # ----- after a process was killed

    def find_again(self, provider: Provider) -> bool:
        """Take the answers to what a killed process had under way, and plan again what can have none.

        Returns:
            Whether the answers to some may still come: then :meth:`wait` for them.
        """
        missing = [row for row in self._file.rows(_DOUBTFUL) if not self._find(provider, row)]
        later = [row for row in missing if self._may_come(row) > 0]
        self._give_up(provider, [row for row in missing if row not in later])
        return bool(later)

    def wait(self, provider: Provider) -> None:
        """Look for what may still be answered until it may not any more, and plan it again then."""
        missing = self._file.rows(_DOUBTFUL)
        # Before any wait: a clock that moves would shorten what is compared with the seconds waited.
        longest = {row["n"]: self._may_come(row) for row in missing}
        waited, pause = 0.0, 1.0
        while missing:
            missing = [row for row in missing if not self._find(provider, row)]
            late = [row for row in missing if longest[row["n"]] <= waited]
            self._give_up(provider, late)
            missing = [row for row in missing if row not in late]
            if missing:
                provider.wait(pause)
                waited, pause = waited + pause, min(pause * 2, _STILL)

    def _may_come(self, row: sqlite3.Row) -> float:
        """Return the seconds for which an answer may still come, and leave time for another attempt."""
        if not row["marked"]:
            return 0.0
        now = self._now()
        passed = max((now - datetime.fromisoformat(row["at"])).total_seconds(), 0.0)
        left = (datetime.fromisoformat(row["due"]) - now).total_seconds()
        return min(WINDOWS.get(row["tier"], _STILL) - passed, left / 2)

    def _find(self, provider: Provider, row: sqlite3.Row) -> bool:
        """Say whether a request was answered after all; then its answer is taken, and booked."""
        if not row["marked"]:
            return False
        try:
            found = list(provider.completions({_MARK: row["name"]}))
        except ApiError as error:
            if error.status not in _NO_LIST:
                raise
            found = []
        for place, reply in enumerate(found):
            self._take(row, reply, f"{row['name']}-{place}")
        return bool(found)

    def _take(self, row: sqlite3.Row, reply: Mapping[str, Any], entry: str) -> None:
        plan = json.loads(row["plan"])
        answer, usage = read_answer(plan, "chat_completions", reply, batch=False)
        cost = None
        if usage is not None:
            cost = cost_pico(usage, self._router.model(row["sent_model"]), self._now().date())
        if row["name"] not in self._booked():
            self._router.book(
                entry,
                row["sent_model"],
                endpoint="chat_completions",
                usage=usage,
                cost=cost,
                estimated=row["expected"],
                served=reply.get("model"),
            )
        dollars = None if cost is None else str(Decimal(cost) / PICO)
        record = {**plan["record"], "served": reply.get("model"), "cost": dollars}
        self._settle(row, answer={**answer, "routing": record}, cost=cost)

    def _booked(self) -> dict[str | None, Entry]:
        """Return what was booked before its job knew of it."""
        return {entry.tags.get(_TAG): entry for entry in self._router.ledger.entries()}

    def _give_up(self, provider: Provider, rows: list[sqlite3.Row]) -> None:
        """Plan requests again that may have been answered, or not: booked as they were expected."""
        if not rows:
            return
        booked = self._booked()
        for row in rows:
            name = self._name(row)
            entry = booked.get(name)
            if entry is None:
                self._router.book(
                    name,
                    row["sent_model"] or row["model"],
                    effort=row["effort"],
                    endpoint=row["endpoint"],
                    estimated=row["expected"],
                    outcome=UNKNOWN,
                )
            is_known = entry is not None and entry.outcome != UNKNOWN
            most = entry.booked if entry is not None and is_known else self._worst(provider, row)
            with self._file.change() as db:
                db.execute(
                    "INSERT OR REPLACE INTO direct (name, n, model, endpoint, at, marked, state, most) "
                    "VALUES (?, ?, ?, ?, ?, 0, 'unknown', ?)",
                    (name, row["n"], row["model"], row["endpoint"], self._now().isoformat(), most),
                )
                db.execute(
                    "UPDATE lines SET state = 'planned', attempts = attempts + 1 WHERE n = ?", (row["n"],)
                )

    def _worst(self, provider: Provider, row: sqlite3.Row) -> int | None:
        """Return the most picodollars that a request can have cost; None where that is not known."""
        model = row["sent_model"] or row["model"]
        call = EndpointCall(self._endpoints, self._called(json.loads(row["body"]), None, provider))
        others = {one.id: "it was not sent there" for one in self._router.catalog if one.id != model}
        decision = self._router.rechoose(call.request, others, call.options)
        if decision is None or decision.worst_cost is None:
            return None
        return int(decision.worst_cost * PICO)


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)
