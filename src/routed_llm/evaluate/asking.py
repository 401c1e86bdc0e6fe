"""Asking: calls are made once, kept in a file, under a budget; what a killed run left is taken up again."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from routed_llm.budget import PICO
from routed_llm.calls.endpoint_call import ANY, Called
from routed_llm.database import opened
from routed_llm.errors import LedgerError, RoutedError
from routed_llm.evaluate.examples import Answer
from routed_llm.request import read_openai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routed_llm.calls.endpoint_call import Outgoing
    from routed_llm.calls.endpoints import Endpoints, Reply
    from routed_llm.decision import Decision
    from routed_llm.policy import Policy

__all__ = ["Asker", "Forecast", "Job", "Kept"]

RETRIES: Final = 6
"""Times that a failed request is tried again: rate limits are waited for, as nobody waits here."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT NOT NULL, attempt INTEGER NOT NULL, at TEXT NOT NULL, reserved INTEGER NOT NULL, cost INTEGER,
    answer TEXT, PRIMARY KEY (key, attempt)
) WITHOUT ROWID;
"""


class Job(NamedTuple):
    """One call to be made.

    Attributes:
        body: the request, without a model.
        name: who is asked: a configuration or a policy's name.
        policy: what decides for it.
        tags: the call's tags.
    """

    body: Mapping[str, Any]
    name: str
    policy: Policy
    tags: Mapping[str, str] | None = None

    @property
    def key(self) -> str:
        """What is the same for the same request to the same policy."""
        said = json.dumps([self.body, self.name, repr(self.policy)], sort_keys=True)
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Forecast(NamedTuple):
    """What calls are expected to cost, by the router's own estimates.

    Attributes:
        calls: calls that are still to be made.
        kept: calls whose answers are there already.
        dollars: expected for those to be made.
        most: US dollars that they may cost at worst.
        refused: why some of them cannot be made, to their number.
    """

    calls: int
    kept: int
    dollars: Decimal
    most: Decimal
    refused: Mapping[str, int]


class Kept:
    """Answers in an SQLite file that only its owner can read. One run at a time uses it.

    A call is written down before it is sent, with the most that it may cost, and again when it is answered.
    So a killed run has lost nothing that was answered, and what was under way counts as spent.

    Args:
        path: the file, made when it is not there.
        keep_days: days for which answers are kept; 0 keeps them for good. Costs are kept.

    Raises:
        LedgerError: when the file cannot be used, or another run uses it.
    """

    def __init__(self, path: str | Path, *, keep_days: int = 90) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
            self._db = opened(self.path, wait=2)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA secure_delete = ON")  # what is forgotten leaves no text in the file
            # A killed process loses nothing then, and no call waits for the disk.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute(_SCHEMA)
            if keep_days:
                old = (datetime.now(UTC) - timedelta(days=keep_days)).isoformat()
                self._db.execute("UPDATE calls SET answer = NULL WHERE at < ?", (old,))
            self._db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            hint = "Another run uses it: wait for that one" if "locked" in str(error) else "Name another file"
            raise LedgerError(
                f"{self.path} cannot be used: {error}. {hint}.", where=str(self.path)
            ) from error

    def answer(self, key: str) -> Answer | None:
        """Return the answer to a call, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT answer FROM calls WHERE key = ? AND answer IS NOT NULL", (key,)
            ).fetchone()
        return None if row is None else Answer.of_body(json.loads(row[0]))

    def claim(self, key: str, most: int, budget: int | None) -> int | None:
        """Write down that a call is about to be sent; None when the budget has no room for it.

        Args:
            key: the call's.
            most: picodollars that it may cost.
            budget: picodollars that all calls in the file may cost, or None.

        Returns:
            The number of the attempt.
        """
        with self._lock:
            if budget is not None and self._spent() + most > budget:
                return None
            attempt: int = self._db.execute("SELECT count(*) FROM calls WHERE key = ?", (key,)).fetchone()[0]
            now = datetime.now(UTC).isoformat()
            self._db.execute("INSERT INTO calls VALUES (?, ?, ?, ?, NULL, NULL)", (key, attempt, now, most))
            return attempt

    def settle(self, key: str, attempt: int, cost: int | None, body: str | None) -> None:
        """Write down what came back: an answer's body, or None for a failure; None for a cost not known."""
        with self._lock:
            self._db.execute(
                "UPDATE calls SET cost = ?, answer = ? WHERE key = ? AND attempt = ?",
                (cost, body, key, attempt),
            )

    @property
    def spent(self) -> int:
        """Picodollars that all calls have cost; where the end is not known, the most it may be."""
        with self._lock:
            return self._spent()

    def _spent(self) -> int:
        return int(
            self._db.execute("SELECT COALESCE(SUM(COALESCE(cost, reserved)), 0) FROM calls").fetchone()[0]
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@dataclass(slots=True, kw_only=True)
class Asker:
    """Makes calls, each once.

    Attributes:
        endpoints: what serves them.
        send: sends one request; see :meth:`routed_llm.Endpoints.respond`.
        kept: the answers.
        budget: US dollars that all calls in the file may cost, or None.
        concurrency: calls under way at a time.
        stopped: set to begin no further call, such as by a signal.
        failed: why calls failed, to their number.
    """

    endpoints: Endpoints
    send: Callable[[Outgoing], Reply]
    kept: Kept
    budget: Decimal | None = None
    concurrency: int = 8
    stopped: threading.Event = field(default_factory=threading.Event)
    failed: dict[str, int] = field(default_factory=dict)
    _under_way: int = 0
    _ended: threading.Condition = field(default_factory=threading.Condition)

    def forecast(self, jobs: Iterable[Job]) -> Forecast:
        """Say what calls are expected to cost; those that are kept cost nothing."""
        calls = kept = 0
        dollars = most = Decimal(0)
        refused: dict[str, int] = {}
        for job in {job.key: job for job in jobs}.values():
            if self.kept.answer(job.key) is not None:
                kept += 1
                continue
            decision = self._decision(job)
            if decision.chosen is None:
                refused[decision.why] = refused.get(decision.why, 0) + 1
                continue
            calls += 1
            dollars += decision.dollars or 0
            most += decision.worst_cost or 0
        return Forecast(calls, kept, dollars, most, refused)

    def ask(
        self, jobs: Sequence[Job], progress: Callable[[int], object] = lambda _: None
    ) -> list[Answer | None]:
        """Return the answers to calls in their order; None for what failed or was not asked any more.

        Args:
            jobs: the calls.
            progress: called with how many more are done.
        """
        unique = {job.key: job for job in jobs}
        found: dict[str, Answer | None] = {}

        def one(item: tuple[str, Job]) -> None:
            key, job = item
            found[key] = self.kept.answer(key) or self._asked(key, job)
            progress(1)

        with ThreadPoolExecutor(self.concurrency) as pool:
            try:
                list(pool.map(one, unique.items()))
            except KeyboardInterrupt:
                self.stopped.set()  # what is under way is paid for: it is waited for and kept
                raise
        return [found.get(job.key) for job in jobs]

    def _decision(self, job: Job) -> Decision:
        request = read_openai(job.body, emulates=("stop",))
        return self.endpoints.router.explain(request, policy=job.policy, scope=job.tags or None)

    def _asked(self, key: str, job: Job) -> Answer | None:
        if self.stopped.is_set():
            return self._failure("stopped before it was sent")
        try:
            decision = self._decision(job)
        except RoutedError as error:
            return self._failure(str(error))
        if decision.chosen is None:
            return self._failure(decision.why)
        worst = decision.worst_cost or Decimal(0)
        attempt = self._claimed(key, int(worst * PICO))
        if attempt is None:
            return self._failure(f"the budget of ${self.budget} has no room for calls that may cost so much")
        cost: int | None = None
        text: str | None = None
        try:
            served = self.endpoints.respond(_called(job), self.send)
            if served.status >= 400 or served.body is None:
                cost = 0  # an answer of the provider's with an error status is not billed
                return self._failure(f"status {served.status}: {_message(served.body)}")
            text = served.body.decode()
            found = json.loads(text)
            said = (found.get("routing") or {}).get("cost")
            cost = None if said is None else int(Decimal(said) * PICO)
            return Answer.of_body(found)
        except Exception as error:  # noqa: BLE001 - whatever sending raised: the other calls go on
            return self._failure(f"{type(error).__name__}: {error}")
        finally:
            self.kept.settle(key, attempt, cost, text)
            with self._ended:
                self._under_way -= 1
                self._ended.notify_all()

    def _claimed(self, key: str, most: int) -> int | None:
        """Book a call at the most that it may cost; while others are under way, wait for what they leave."""
        budget = None if self.budget is None else int(self.budget * PICO)
        with self._ended:
            while (attempt := self.kept.claim(key, most, budget)) is None and self._under_way:
                self._ended.wait()
            self._under_way += attempt is not None
        return attempt

    def _failure(self, why: str) -> Answer | None:
        self.failed[why] = self.failed.get(why, 0) + 1
        return None


def _called(job: Job) -> Called:
    body = {**job.body, "model": ANY}
    return Called(
        endpoint="chat_completions" if "messages" in body else "responses",
        body=body,
        routing={"policy": job.policy, "scope": dict(job.tags)} if job.tags else job.policy,
        retries=RETRIES,
    )


def _message(body: bytes | None) -> str:
    try:
        return str(json.loads(body or b"{}")["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return (body or b"").decode("utf-8", "replace")[:200]
