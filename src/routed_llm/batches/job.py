"""BatchJob: a file of requests on its way, from the plan to the answers. It may be killed at any moment.

What is sent is noted before it is, and what came of it afterwards. A Batch file carries the job and its
number as metadata, and before one is submitted the account's batches are looked through for it: so none is
submitted twice. A request that is answered on the spot has such a mark where it may be stored; another one
that was under way when the process was killed is sent again, and counted as doubtful.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from routed_llm.batches.answers import Outcome, outcomes, read_answer
from routed_llm.batches.direct import DirectRequests
from routed_llm.batches.reading import read_lines
from routed_llm.batches.store import JobFile
from routed_llm.budget import PICO
from routed_llm.calls.endpoint_call import Called, EndpointCall
from routed_llm.calls.endpoints import Endpoints
from routed_llm.calls.wired import Wired
from routed_llm.decide.refusal import no_fit_message
from routed_llm.decide.speed import WINDOWS
from routed_llm.errors import PolicyError, RequestError, RoutedError
from routed_llm.ledger.base import new_id
from routed_llm.ledger.run import as_moment
from routed_llm.policy import read_deadline
from routed_llm.pricing import cost_pico

if TYPE_CHECKING:
    import sqlite3

    from routed_llm.batches.provider import Provider
    from routed_llm.calls.router import Router
    from routed_llm.decision import Decision

__all__ = ["BatchJob", "Summary"]

MOST_LINES: Final = 50_000
MOST_BYTES: Final = 200 * 1024 * 1024
"""What one file of the Batch API holds (openai-python 2.54, resources/batches.py)."""

DAY: Final = 86_400.0
TIERS: Final = ("batch", "flex", "priority", "ultrafast")
"""What a job may be sent at. Of background windows there is no list to find one in that was sent before."""

_BATCH: Final = "batch"
_URLS: Final = {"chat_completions": "/v1/chat/completions", "responses": "/v1/responses"}
_HELD: Final = 0.9
"""Part of a tier's window that must be left for what was planned to be submitted as it is."""
_LONGEST: Final = 10 * 365 * DAY
"""Seconds beyond which all deadlines are treated alike."""
_ATTEMPTS: Final = 3
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a job stands.

    Attributes:
        job: its id.
        states: how many requests are ``planned``, ``sent``, ``done`` and ``failed``.
        by: requests and expected US dollars by (tier, model).
        files: its Batch files: model, requests, state, id of the batch.
        expected: US dollars that it is expected to cost in all.
        at_once: the same if everything were sent at once at the standard tier.
        cost: US dollars that what was answered has cost.
        doubtful: requests that were under way when a process was killed, and may have been paid twice.
        doubtful_cost: the most US dollars that these can have cost beside ``cost``; None for no price.
    """

    job: str
    states: Mapping[str, int]
    by: Mapping[tuple[str, str], tuple[int, Decimal]]
    files: tuple[Mapping[str, Any], ...]
    expected: Decimal
    at_once: Decimal
    cost: Decimal
    doubtful: int
    doubtful_cost: Decimal | None

    @property
    def complete(self) -> bool:
        """Whether every request has its answer, or has failed for good."""
        return not (self.states.get("planned", 0) or self.states.get("sent", 0))


class BatchJob:
    """A job: plan it once, then submit and collect until it is complete. One process at a time.

    Args:
        path: the job's file; it holds prompts and answers, for its owner alone.
        provider: where it goes; only what has been planned is read without one.
        router: decides and keeps the books; with the default policy when left out.
        store: whether OpenAI may store what it answers at once, where a request does not say so itself. What
            was under way when a process was killed is then found again, and is not paid twice.

    Raises:
        PolicyError: when the file cannot be used.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        provider: Provider | None = None,
        router: Router | None = None,
        store: bool = False,
    ) -> None:
        from routed_llm.calls.router import Router

        self._router = Router() if router is None else router
        self._endpoints = Endpoints(self._router)
        self._provider = provider
        self._file = JobFile(path)
        self._direct = DirectRequests(self._file, self._endpoints, store=store)

    def __enter__(self) -> BatchJob:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the job's file."""
        self._file.close()

    # ----- plan

    def plan(self, source: str | Path, *, deadline: float | datetime = DAY) -> Summary:
        """Read a file of requests and decide each; nothing is sent.

        Args:
            source: one JSON object a line: a body of Chat Completions or Responses, or the Batch API's own
                form (``custom_id``, ``body``), which may have a ``deadline``.
            deadline: for requests without one: seconds from the time that they are submitted, or a moment.

        Raises:
            RequestError: for lines that are no requests, or that nothing can serve.
            PolicyError: when the file of the job holds one already, or hard budgets have no room for it.
        """
        if (known := self._file.value("SELECT source FROM job")) is not None:
            raise PolicyError(
                f"{self._file.path} holds a job of {known} already. Go on with it, or name another file.",
                key="job",
            )
        deadline = read_deadline(deadline) or DAY
        wrong: list[str] = []
        packing = _Packing(0)
        with self._file.change() as db:
            now = self._now()
            db.execute("INSERT INTO job VALUES (?, ?, ?)", (new_id(), str(source), now.isoformat()))
            for line in read_lines(source):
                wanted = deadline if line.deadline is None else line.deadline
                moment = isinstance(wanted, datetime)
                left = (wanted - now).total_seconds() if isinstance(wanted, datetime) else wanted
                body = {
                    key: value for key, value in line.body.items() if key not in ("stream", "stream_options")
                }
                try:
                    decision, plan = self._planned(body, left, {})
                    usual, _ = self._planned(body, None, {})
                except RoutedError as error:
                    wrong.append(f"line {line.number}: {error}")
                    continue
                db.execute(
                    "INSERT INTO lines (n, custom_id, body, within, due, state, usual) "
                    "VALUES (?, ?, ?, ?, ?, 'planned', ?)",
                    (
                        line.number,
                        line.custom_id,
                        json.dumps(body),
                        None if moment else min(wanted, _LONGEST),
                        wanted.isoformat() if isinstance(wanted, datetime) else None,
                        _cost(usual),
                    ),
                )
                self._assign(db, line.number, decision, plan, packing)
            if wrong:
                more = f" {len(wrong) - _SHOWN} lines more." if len(wrong) > _SHOWN else ""
                raise RequestError(f"{source}: {' '.join(wrong[:_SHOWN])}{more}", where=str(source))
            self._check_budgets(db)
        return self.status()

    def _planned(
        self, body: Mapping[str, Any], left: float | None, avoid: Mapping[str, str]
    ) -> tuple[Decision, dict[str, Any]]:
        """Decide a request, and say what is sent for it and how its answer is read.

        Raises:
            RoutedError: when it is none, or nothing can serve it.
        """
        own = "" if self._provider is None else self._provider.base_url
        said = None if left is None else {"deadline": max(left, 0.001)}
        call = EndpointCall(
            self._endpoints,
            Called(
                endpoint="chat_completions", body=body, routing=said, credential=self._credential, own=own
            ),
        )
        # A job goes to one account.
        away = {one.id: "it is served elsewhere" for one in self._router.catalog if one.base_url is not None}
        decision = self._router.rechoose(call.request, {**away, **avoid}, call.options, tiers=TIERS)
        if decision is None:
            raise RequestError(no_fit_message(self._router.explain(call.request, call.options, tiers=TIERS)))
        wired = Wired(asked=body, catalog=self._router.catalog, stream_usage=False)
        prepared = wired.prepare(decision)
        wired.opened(decision)
        sent = decision.call
        emulated = frozenset() if sent is None else sent.emulated
        plan = {
            "body": prepared.body,
            "stop": body.get("stop") if "stop" in emulated else None,
            "most": None if sent is None else sent.requested_output,
            "record": {**wired.routing, "tier": _tier(decision)},
        }
        return decision, plan

    @property
    def _credential(self) -> str:
        return "" if self._provider is None else self._provider.credential

    def _assign(
        self, db: sqlite3.Connection, number: int, decision: Decision, plan: dict[str, Any], packing: _Packing
    ) -> None:
        """Note what was decided for a line, and in which file it goes."""
        tier, file = _tier(decision), None
        if tier == _BATCH:
            size = len(_batch_line(number, decision.endpoint or "", plan["body"]))
            if size > MOST_BYTES:
                raise RequestError(f"line {number} is over the 200 MB of a Batch file. Shorten it.")
            file, is_new = packing.place(plan["body"]["model"], decision.endpoint or "", size)
            if is_new:
                db.execute(
                    "INSERT INTO files (file, model, endpoint, state) VALUES (?, ?, ?, 'planned')",
                    (file, plan["body"]["model"], decision.endpoint),
                )
        db.execute(
            "UPDATE lines SET state = 'planned', tier = ?, model = ?, effort = ?, endpoint = ?, "
            "expected = ?, plan = ?, file = ? WHERE n = ?",
            (
                tier,
                decision.model,
                decision.effort,
                decision.endpoint,
                _cost(decision),
                json.dumps(plan),
                file,
                number,
            ),
        )

    def _check_budgets(self, db: sqlite3.Connection) -> None:
        left = self._router.left(at=self._now())
        whole = db.execute("SELECT COALESCE(SUM(expected), 0) FROM lines").fetchone()[0]
        if left is not None and whole > left:
            raise PolicyError(
                f"The job is expected to cost ${Decimal(whole) / PICO:.2f}, and the budgets leave "
                f"${Decimal(left) / PICO:.2f}. Raise them, or make the job smaller.",
                key="budget",
            )

    # ----- submit

    def submit(self, *, workers: int = 8) -> Summary:
        """Send what is planned: Batch files, and beside them what cannot wait, which is answered at once.

        Args:
            workers: requests that are under way at once.

        Raises:
            ApiError: when the API refuses something or is away; call it again, nothing is submitted twice.
        """
        provider = self._reached()
        may_come = self._direct.find_again(provider)
        self._send_planned(provider, workers)
        if may_come:
            self._direct.wait(provider)
            self._send_planned(provider, workers)
        return self.status()

    def _send_planned(self, provider: Provider, workers: int) -> None:
        self._keep_in_time()
        waiting = self._file.rows("SELECT n FROM lines WHERE state = 'planned' AND file IS NULL ORDER BY n")
        with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
            running = [pool.submit(self._direct.answer, provider, row["n"]) for row in waiting]
            try:
                self._send_files(provider)
                for one in running:
                    one.result()
            finally:
                for one in running:
                    one.cancel()

    def _keep_in_time(self) -> None:
        """Decide again what was planned for a window that would end too late by now."""
        now = self._now()
        rows = self._file.rows("SELECT * FROM lines WHERE state = 'planned' AND due IS NOT NULL")
        late = [row for row in rows if self._left(row, now) < WINDOWS.get(row["tier"], 0) * _HELD]
        self._plan_again([(row, json.loads(row["avoid"])) for row in late])

    def _left(self, row: sqlite3.Row, now: datetime) -> float:
        return float((datetime.fromisoformat(row["due"]) - now).total_seconds())

    def _plan_again(self, rows: list[tuple[sqlite3.Row, Mapping[str, str]]]) -> None:
        """Decide lines again for the time that is left to them; where none is, they are sent at once."""
        packing = _Packing(self._file.value("SELECT COALESCE(MAX(file), 0) FROM files"))
        with self._file.change() as db:
            for row, avoid in rows:
                left = row["within"] if row["due"] is None else max(self._left(row, self._now()), 0.001)
                body = json.loads(row["body"])
                db.execute("UPDATE lines SET avoid = ? WHERE n = ?", (json.dumps(dict(avoid)), row["n"]))
                try:
                    try:
                        decision, plan = self._planned(body, left, avoid)
                    except RequestError:
                        decision, plan = self._planned(body, None, avoid)
                        why = "nothing is in time any more, so it is sent at once"
                        change = {"parameter": "deadline", "action": "relaxed", "why": why}
                        plan["record"]["changes"] = [*plan["record"].get("changes", ()), change]
                except RoutedError as error:
                    db.execute(
                        "UPDATE lines SET state = 'failed', error = ? WHERE n = ?", (_error(error), row["n"])
                    )
                    continue
                self._assign(db, row["n"], decision, plan, packing)

    def _send_files(self, provider: Provider) -> None:
        files = self._file.rows("SELECT * FROM files WHERE state IN ('planned', 'uploading') ORDER BY file")
        if not files:
            return
        job = self._file.value("SELECT id FROM job")
        known = {
            str(noted.get("routed_file")): one
            for one in provider.batches()
            if (noted := one.get("metadata") or {}).get("routed_job") == job
        }
        for file in files:
            name = f"{file['file']}.{file['attempt']}"
            batch = known.get(name) or self._submit_file(provider, job, file, name)
            now = self._now()
            with self._file.change() as db:
                db.execute(
                    "UPDATE files SET state = 'sent', batch = ? WHERE file = ?", (batch["id"], file["file"])
                )
                db.execute("UPDATE lines SET state = 'sent' WHERE file = ?", (file["file"],))
                self._set_due(db, "file = ?", file["file"], now)

    def _submit_file(self, provider: Provider, job: str, file: sqlite3.Row, name: str) -> dict[str, Any]:
        """Upload a file, unless it has been, and make its batch."""
        title, upload = f"routed-{job}-{name}.jsonl", None
        if file["state"] == "uploading":
            upload = next((one["id"] for one in provider.files() if one["filename"] == title), None)
        if upload is None:
            with self._file.change() as db:
                db.execute("UPDATE files SET state = 'uploading' WHERE file = ?", (file["file"],))
            rows = self._file.rows(
                "SELECT n, endpoint, plan FROM lines WHERE file = ? ORDER BY n", file["file"]
            )
            data = b"".join(
                _batch_line(row["n"], row["endpoint"], json.loads(row["plan"])["body"]) for row in rows
            )
            upload = provider.upload(title, data)["id"]
        metadata = {"routed_job": job, "routed_file": name}
        return provider.create(upload, _URLS[file["endpoint"]], metadata)

    def _set_due(self, db: sqlite3.Connection, where: str, value: int, now: datetime) -> None:
        """Let the deadlines that are counted from the sending begin."""
        rows = db.execute(f"SELECT n, within FROM lines WHERE {where} AND due IS NULL", (value,)).fetchall()  # noqa: S608 - fixed words
        ends = [((now + timedelta(seconds=row["within"])).isoformat(), row["n"]) for row in rows]
        db.executemany("UPDATE lines SET due = ? WHERE n = ?", ends)

    # ----- status and collect

    def status(self) -> Summary:
        """Say how the job stands, by what was last reported; it asks nobody."""
        states = {
            row[0]: row[1] for row in self._file.rows("SELECT state, COUNT(*) FROM lines GROUP BY state")
        }
        job = self._file.value("SELECT id FROM job")
        if job is None:
            raise PolicyError(f"{self._file.path} holds no job. Plan one first.", key="job")
        groups = self._file.rows(
            "SELECT tier, model, COUNT(*), COALESCE(SUM(expected), 0) FROM lines "
            "GROUP BY tier, model ORDER BY 1, 2"
        )
        files = self._file.rows(
            "SELECT file, model, endpoint, state, batch, "
            "(SELECT COUNT(*) FROM lines WHERE lines.file = files.file) AS lines FROM files ORDER BY file"
        )
        sums = self._file.rows(
            "SELECT COALESCE(SUM(expected), 0), COALESCE(SUM(usual), 0), COALESCE(SUM(cost), 0) FROM lines"
        )[0]
        (doubtful, most, known) = self._file.rows(
            "SELECT COUNT(*), COALESCE(SUM(most), 0), COUNT(most) FROM direct WHERE state = 'unknown'"
        )[0]
        expected, at_once, cost = (Decimal(value) / PICO for value in sums)
        return Summary(
            job=job,
            states=states,
            by={(row[0], row[1]): (row[2], Decimal(row[3]) / PICO) for row in groups},
            files=tuple(dict(row) for row in files),
            expected=expected,
            at_once=at_once,
            cost=cost,
            doubtful=doubtful,
            doubtful_cost=Decimal(most) / PICO if known == doubtful else None,
        )

    def collect(self, output: str | Path | None = None) -> Summary:
        """Fetch what has been answered, book it, and write the answers once the job is complete.

        What failed and may be tried again is planned again: submit it.

        Args:
            output: the file that is written, whole or not at all, one line for each request in their order.

        Raises:
            ApiError: when the API is away; call it again, nothing is booked twice.
        """
        if self._file.value("SELECT COUNT(*) FROM files WHERE state = 'sent'"):
            provider = self._reached()
            for file in self._file.rows("SELECT * FROM files WHERE state = 'sent' ORDER BY file"):
                self._collect_file(provider, file)
        found = self.status()
        if output is not None and found.complete:
            self._write(Path(output))
        return found

    def _collect_file(self, provider: Provider, file: sqlite3.Row) -> None:
        batch = provider.batch(file["batch"])
        found = outcomes(batch, provider.content)
        if found is None:
            return
        rows = self._file.rows(
            "SELECT * FROM lines WHERE file = ? AND state = 'sent' ORDER BY n", file["file"]
        )
        if found.again and self._go_once_more(file, [row["n"] for row in rows]):
            return
        again: list[tuple[sqlite3.Row, Mapping[str, str]]] = []
        results: list[tuple[str, str | None, int | None, str | None, int]] = []
        for row in rows:
            outcome = found.lines.get(str(row["n"]), found.missing)
            result = self._result(row, outcome)
            if result is not None:
                results.append(result)
            else:
                avoid = json.loads(row["avoid"]) | ({row["model"]: outcome.why} if outcome.of_model else {})
                again.append((row, avoid))
        with self._file.change() as db:
            db.executemany("UPDATE lines SET state = ?, answer = ?, cost = ?, error = ? WHERE n = ?", results)
            db.executemany(
                "UPDATE lines SET attempts = attempts + 1, state = 'planned', file = NULL WHERE n = ?",
                [(row["n"],) for row, _ in again],
            )
            db.execute("UPDATE files SET state = 'done' WHERE file = ?", (file["file"],))
        # Killed here, they are still planned: at once, by the plan that they have.
        self._plan_again(again)

    def _go_once_more(self, file: sqlite3.Row, lines: list[int]) -> bool:
        """Plan a file again of which nothing was done; in two where it is too much even by itself.

        Returns:
            Whether that may help: one request that is too much is for another model.
        """
        alone = not self._file.value(
            "SELECT COUNT(*) FROM files WHERE state = 'sent' AND model = ? AND file != ?",
            file["model"],
            file["file"],
        )
        if alone and len(lines) == 1:
            return False
        with self._file.change() as db:
            db.execute(
                "UPDATE files SET state = 'planned', attempt = attempt + 1 WHERE file = ?", (file["file"],)
            )
            db.execute("UPDATE lines SET state = 'planned' WHERE file = ?", (file["file"],))
            if alone:
                (last,) = db.execute("SELECT MAX(file) FROM files").fetchone()
                db.execute(
                    "INSERT INTO files (file, model, endpoint, state) VALUES (?, ?, ?, 'planned')",
                    (last + 1, file["model"], file["endpoint"]),
                )
                rest = [(last + 1, number) for number in lines[len(lines) // 2 :]]
                db.executemany("UPDATE lines SET file = ? WHERE n = ?", rest)
        return True

    def _result(
        self, row: sqlite3.Row, outcome: Outcome
    ) -> tuple[str, str | None, int | None, str | None, int] | None:
        """Read and book what came of a line; None where it is to be tried again."""
        plan = json.loads(row["plan"])
        if outcome.reply is not None:
            answer, usage = read_answer(plan, row["endpoint"], outcome.reply, batch=True)
            model = self._router.model(row["model"])
            cost = None if usage is None else cost_pico(usage, model, self._now().date())
            served = answer.get("model")
            self._router.book(
                self._name(row),
                row["model"],
                effort=row["effort"],
                endpoint=row["endpoint"],
                usage=usage,
                cost=cost,
                estimated=row["expected"],
                served=served,
            )
            record = {
                **plan["record"],
                "served": served,
                "cost": None if cost is None else str(Decimal(cost) / PICO),
            }
            text = json.dumps({**answer, "routing": record})
            return ("done", text, cost, None, row["n"])
        if not outcome.passing or row["attempts"] + 1 >= _ATTEMPTS:
            return ("failed", None, None, json.dumps(outcome.error), row["n"])
        return None

    def _write(self, output: Path) -> None:
        """Write the answers in the order of the requests.

        Raises:
            PolicyError: when the file cannot be written.
        """
        half = output.with_name(f"{output.name}.part")
        try:
            self._write_whole(half)
            half.replace(output)
        except OSError as error:
            raise PolicyError(
                f"{output}: {error.strerror or error}. Name a file that can be written; answers are kept.",
                key="output",
                path=str(output),
            ) from error

    def _write_whole(self, half: Path) -> None:
        with closing(half.open("w", encoding="utf-8", errors="replace")) as file:
            for row in self._file.rows("SELECT custom_id, answer, error FROM lines ORDER BY n"):
                reply = (
                    None if row["answer"] is None else {"status_code": 200, "body": json.loads(row["answer"])}
                )
                error = None if row["error"] is None else json.loads(row["error"])
                line = {"custom_id": row["custom_id"], "response": reply, "error": error}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        half.chmod(0o600)

    def _name(self, row: sqlite3.Row) -> str:
        """Return the name of one attempt at a line, in the books."""
        return f"{self._file.value('SELECT id FROM job')}-{row['n']}-{row['attempts']}"  # noqa: S608 - no query

    def _reached(self) -> Provider:
        if self._provider is None:
            raise PolicyError(
                "A job is submitted to a provider. Give BatchJob(provider=Provider()).", key="provider"
            )
        return self._provider

    def _now(self) -> datetime:
        return as_moment(self._router.now()).astimezone(UTC)


class _Packing:
    """Puts lines into files: one model and endpoint each, within the Batch API's limits."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._open: dict[tuple[str, str], list[int]] = {}

    def place(self, model: str, endpoint: str, size: int) -> tuple[int, bool]:
        """Return the number of the file that a line goes into, and whether it is a new one."""
        found = self._open.get((model, endpoint))
        if found is not None and found[1] < MOST_LINES and found[2] + size <= MOST_BYTES:
            found[1] += 1
            found[2] += size
            return found[0], False
        self._last += 1
        self._open[model, endpoint] = [self._last, 1, size]
        return self._last, True


def _batch_line(number: int, endpoint: str, body: Mapping[str, Any]) -> bytes:
    row = {"custom_id": str(number), "method": "POST", "url": _URLS[endpoint], "body": body}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _tier(decision: Decision) -> str:
    return "standard" if decision.policy is None else decision.policy.service_tier


def _cost(decision: Decision) -> int | None:
    return None if decision.chosen is None else decision.chosen.cost


def _error(error: Exception) -> str:
    return json.dumps({"message": str(error), "code": type(error).__name__})
