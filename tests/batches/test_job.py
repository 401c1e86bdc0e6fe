"""A job goes from its file to its answers, whatever becomes of its batches and of its process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Budget, PolicyError, RequestError
from routed_llm.batches import ApiError, BatchJob, Provider
from routed_llm.batches import job as jobs
from routed_llm.calls.endpoints import Endpoints
from routed_llm.ledger import SQLiteLedger

from .conftest import Night

NAMES = [f"r{at}" for at in range(8)]


def test_the_answers_come_in_the_order_of_the_requests(night: Night) -> None:
    """A batch answers in any order, at half the price; the file of answers is in the requests' own."""
    with night.job() as job:
        plan = job.plan(night.requests(8))
        assert plan.by == {("batch", "gpt-4.1"): (8, plan.expected)}
        assert float(plan.at_once / plan.expected) == pytest.approx(2, rel=0.01)
        assert job.submit().states == {"sent": 8}
        assert not job.collect(night.folder / "out.jsonl").complete
        assert not (night.folder / "out.jsonl").exists()
        night.pass_time(3600)
        found = job.collect(night.folder / "out.jsonl")
    assert [row["custom_id"] for row in night.answers] == NAMES
    for at, row in enumerate(night.answers):
        assert f"number {at}" in row["response"]["body"]["choices"][0]["message"]["content"]
        assert row["response"]["body"]["routing"]["tier"] == "batch"
    assert found.cost == night.simulator.billed
    night.check_bill()


def test_each_deadline_has_its_tier(night: Night) -> None:
    """What cannot wait for a batch is answered at once, at the least price that is in time."""
    path = night.requests(3)
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    moment = (night.now + timedelta(minutes=1)).isoformat()
    for row, deadline in zip(rows, (86_400, 1_000, moment), strict=True):
        row["deadline"] = deadline
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    night.policy = night.policy.replace(models=["gpt-5.4"])
    with night.job() as job:
        assert [tier for tier, _ in job.plan(path).by] == ["batch", "flex", "standard"]
        assert job.submit().states == {"done": 2, "sent": 1}
    assert night.finish() == ["r0", "r1", "r2"]
    night.check_bill()


def expire(night: Night) -> None:
    """Let the batch end with half of its requests done."""
    night.simulator.batches.finished = 0.5


def fail(night: Night) -> None:
    """Let half of the requests end in a 500."""
    night.simulator.batches.failing = 0.5


def crowd(night: Night) -> None:
    """Let more wait than may, until somebody has looked once."""
    night.simulator.batches.enqueued["gpt-4.1"] = 10


TROUBLE = [
    pytest.param(expire, 24 * 3600, id="half of it expired"),
    pytest.param(fail, 3600, id="half of it failed"),
    pytest.param(crowd, 0, id="too many tokens wait"),
]


@pytest.mark.parametrize(("trouble", "seconds"), TROUBLE)
def test_what_a_batch_did_not_answer_is_sent_again(
    night: Night, trouble: Callable[[Night], None], seconds: int
) -> None:
    """Every request is answered once, and paid once."""
    with night.job() as job:
        job.plan(night.requests(8))
        trouble(night)
        job.submit()
        night.pass_time(seconds)
        found = job.collect(night.folder / "out.jsonl")
        assert found.states["planned"] > 0
    night.simulator.batches.enqueued.clear()
    night.simulator.batches.finished, night.simulator.batches.failing = 1.0, 0.0
    assert night.finish() == NAMES
    night.check_bill()
    answered = [entry for entry in night.simulator.journal if entry.served]
    assert len(answered) == 8


@pytest.mark.parametrize("most", [250, 1], ids=["half of it", "not even one"])
def test_a_file_that_is_more_than_may_wait_is_divided(night: Night, most: int) -> None:
    """An account's queue may be shorter than a file is long: then parts of it go one after the other."""
    night.simulator.batches.enqueued["gpt-4.1"] = most
    with night.job() as job:
        job.plan(night.requests(8), deadline=3 * 86_400.0)
    for _ in range(12):
        with night.job() as job:
            job.submit()
            night.pass_time(3600)
            job.collect()
    assert night.finish() == NAMES
    night.check_bill()
    assert len([entry for entry in night.simulator.journal if entry.served]) == 8
    assert ("gpt-4.1" in {entry.model for entry in night.simulator.journal if entry.served}) == (most > 1)


def test_what_is_late_is_sent_at_once_on_record(night: Night) -> None:
    """Where a batch took a request's whole time, the answer says that its deadline was passed."""
    with night.job() as job:
        job.plan(night.requests(2))
        expire(night)
        job.submit()
        night.pass_time(24 * 3600)
        job.collect()
        assert {tier for tier, _ in job.status().by} == {"batch", "standard"}


def test_what_fails_every_time_says_why(night: Night) -> None:
    """After three attempts a request has failed, and its place in the answers holds the error."""
    night.simulator.batches.failing = 1.0
    with night.job() as job:
        job.plan(night.requests(2), deadline=3 * 86_400.0)
    assert night.finish() == []
    assert [row["custom_id"] for row in night.answers] == ["r0", "r1"]
    assert "The server had an error" in night.answers[0]["error"]["message"]
    assert len([entry for entry in night.simulator.journal if entry.path == "/v1/batches"]) > 3


class Killed(BaseException):
    """The process is gone."""


class Mortal(Provider):
    """A provider whose process is killed before or after its n-th request that changes or reads something."""

    left = 0
    after = False

    def _request(self, method: str, path: str, data: bytes | None, kind: str | None) -> bytes:
        Mortal.left -= 1
        if Mortal.left == 0 and not Mortal.after:
            raise Killed
        found = super()._request(method, path, data, kind)
        if Mortal.left == 0:
            raise Killed
        return found


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", range(1, 8))
def test_killed_at_any_place(night: Night, place: int, after: bool) -> None:
    """Whatever request the process is killed before or after, nothing is submitted twice or lost."""
    with night.job() as job:
        job.plan(night.requests(8))
    night.provider = lambda: Mortal(night.simulator.url, "k", sleep=lambda _: None)
    Mortal.left, Mortal.after = place, after
    for _ in range(3):
        try:
            with night.job() as job:
                job.submit()
                night.pass_time(3600)
                job.collect(night.folder / "out.jsonl")
        except Killed:
            continue
    assert night.finish() == NAMES
    night.check_bill()
    made = [
        entry for entry in night.simulator.journal if (entry.method, entry.path) == ("POST", "/v1/batches")
    ]
    assert len([entry for entry in made if entry.status == 200]) == 1
    assert len([entry for entry in night.simulator.journal if entry.served]) == 8


def test_killed_between_the_books_and_the_job(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was booked before the process ended is not booked again."""
    with night.job() as job:
        job.plan(night.requests(8))
        job.submit()
        night.pass_time(3600)
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "cost_pico", _dies_at(5, jobs.cost_pico))
            with pytest.raises(Killed):
                job.collect()
    assert night.finish() == NAMES
    night.check_bill()


def dies_after(of: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Let the process be killed once a part of sending a request at once has done its work."""

    def patched(patch: pytest.MonkeyPatch) -> None:
        whole = getattr(of, name)

        def gone(*given: Any) -> Any:
            raise Killed

        def dies(*given: Any) -> Any:
            whole(*given)
            patch.setattr(SQLiteLedger, "settle", gone)
            raise Killed

        patch.setattr(of, name, dies)

    return patched


HEARD, BOOKED = dies_after(Provider, "send"), dies_after(Endpoints, "respond")
STORED = {"store": True}
FULL = {"store": True, "metadata": {f"k{at}": "v" for at in range(16)}}
# How the process ends, whether the job may store, the request's own fields; outcomes booked, answers paid.
DOUBTFUL = [
    pytest.param(HEARD, False, {}, ["unknown", "answered"], 2, id="answered, and nobody heard"),
    pytest.param(BOOKED, False, {}, ["answered"] * 2, 2, id="answered and booked, and the job not told"),
    pytest.param(HEARD, True, {}, ["answered"], 1, id="the job may store it"),
    pytest.param(BOOKED, True, {}, ["answered"], 1, id="stored and booked, and the job not told"),
    pytest.param(HEARD, False, STORED, ["answered"], 1, id="stored by its own wish"),
    pytest.param(HEARD, True, {"store": False}, ["unknown", "answered"], 2, id="not to be stored"),
    pytest.param(HEARD, False, FULL, ["unknown", "answered"], 2, id="its metadata is full"),
]


@pytest.mark.parametrize(("ends", "store", "fields", "outcomes", "paid"), DOUBTFUL)
def test_killed_as_it_answers_at_once(
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
    ends: Callable[[pytest.MonkeyPatch], None],
    store: bool,
    fields: dict[str, Any],
    outcomes: list[str],
    paid: int,
) -> None:
    """What was stored is found again; else it is sent again, counted as doubtful, and booked as expected."""
    night.store = store
    with night.job() as job:
        job.plan(night.requests(1, body=fields), deadline=60.0)
        with monkeypatch.context() as patch:
            ends(patch)
            with pytest.raises(Killed):
                job.submit(workers=1)
    assert night.finish() == NAMES[:1]
    with night.job() as job:
        found = job.status()
    assert [entry.outcome for entry in night.ledger.entries()] == outcomes
    assert len([entry for entry in night.simulator.journal if entry.served]) == paid
    assert found.doubtful == paid - 1
    most = found.doubtful_cost
    assert most is not None
    assert found.cost <= night.simulator.billed <= found.cost + most
    if "unknown" not in outcomes:
        assert found.cost + most == night.simulator.billed
        night.check_bill()
    if paid == 1:
        assert found.cost == night.simulator.billed
        assert night.answers[0]["response"]["body"]["routing"]["tier"] == "standard"


WAITED = [
    pytest.param(3, 60.0, 1, [1.0, 2.0], id="it comes"),
    pytest.param(99, 40.0, 2, [1.0, 2.0, 4.0, 8.0, 16.0], id="it does not"),
    pytest.param(99, 1.5, 2, [1.0], id="there is no time"),
]


@pytest.mark.parametrize("ticks", [pytest.param(True, id="clock"), pytest.param(False, id="clock stands")])
@pytest.mark.parametrize(("looks", "deadline", "paid", "pauses"), WAITED)
def test_an_answer_may_come_after_its_process_was_killed(
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
    looks: int,
    deadline: float,
    paid: int,
    pauses: list[float],
    ticks: bool,
) -> None:
    """What is not listed yet is waited for, as long as there is time for another attempt."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if ticks:
            night.pass_time(int(seconds))

    night.store = True
    night.provider = lambda: Provider(night.simulator.url, "k", sleep=sleep)
    with night.job() as job:
        job.plan(night.requests(1), deadline=deadline)
        with monkeypatch.context() as patch:
            HEARD(patch)
            with pytest.raises(Killed):
                job.submit(workers=1)
    whole, left = Provider.completions, [looks]

    def listed(self: Provider, metadata: Any) -> Any:
        left[0] -= 1
        return whole(self, metadata) if left[0] < 0 else iter(())

    monkeypatch.setattr(Provider, "completions", listed)
    assert night.finish() == NAMES[:1]
    assert waits == pauses
    assert len([entry for entry in night.simulator.journal if entry.served]) == paid


def test_a_server_without_a_list_of_completions(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lists none is asked in vain, and the request is sent again."""
    night.store = True
    with night.job() as job:
        job.plan(night.requests(1), deadline=60.0)
        with monkeypatch.context() as patch:
            HEARD(patch)
            with pytest.raises(Killed):
                job.submit(workers=1)

    def listed(self: Provider, metadata: Any) -> Any:
        raise ApiError("GET /chat/completions was answered with 404.", status=404)

    monkeypatch.setattr(Provider, "completions", listed)
    assert night.finish() == NAMES[:1]


def _dies_at(call: int, of: Callable[..., Any]) -> Callable[..., Any]:
    left = [call]

    def dies(*args: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise Killed
        return of(*args)

    return dies


LIMITS = [
    pytest.param("MOST_LINES", 3, [3, 3, 2], id="lines"),
    pytest.param("MOST_BYTES", 500, [2, 2, 2, 2], id="bytes"),
]


@pytest.mark.parametrize(("name", "value", "sizes"), LIMITS)
def test_files_keep_to_the_limits(
    night: Night, monkeypatch: pytest.MonkeyPatch, name: str, value: int, sizes: list[int]
) -> None:
    """A job of any size goes in as many files as the Batch API's limits ask for."""
    monkeypatch.setattr(jobs, name, value)
    with night.job() as job:
        assert [file["lines"] for file in job.plan(night.requests(8)).files] == sizes
    assert night.finish() == NAMES


def test_a_request_that_no_file_holds(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request over a file's limit is said before anything is sent."""
    monkeypatch.setattr(jobs, "MOST_BYTES", 100)
    with night.job() as job:
        with pytest.raises(RequestError) as caught:
            job.plan(night.requests(2))
        assert str(caught.value) == "line 1 is over the 200 MB of a Batch file. Shorten it."
    assert night.simulator.journal == []


def test_a_file_holds_one_model(night: Night) -> None:
    """Requests that different models serve go in files of their own."""
    path = night.requests(2)
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    rows[1]["body"]["reasoning_effort"] = "high"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with night.job() as job:
        files = job.plan(path).files
    assert [(file["model"], file["lines"]) for file in files] == [("gpt-4.1", 1), ("gpt-5.4", 1)]
    assert night.finish() == ["r0", "r1"]


BODY = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}'
WRONG = [
    pytest.param("", "holds no request. Give one JSON object a line.", id="empty"),
    pytest.param(BODY + "\n[1]\n", "line 2 is a list, not an object.", id="no object"),
    pytest.param(BODY + "\nhello\n", "line 2 is no JSON.", id="no JSON"),
    pytest.param(BODY + "\n" + BODY[:40], "line 2 is cut off: the file was written half.", id="half written"),
    pytest.param('{"model": "gpt-4o"}\n', "line 1 has neither messages nor input.", id="no messages"),
    pytest.param(
        '{"messages": [], "input": ""}\n', "line 1 has both messages and input.", id="two endpoints"
    ),
    pytest.param('{"body": 3}\n', "line 1 has neither messages nor input.", id="no body"),
    pytest.param(
        '{"body": {"messages": []}, "url": "/v1/embeddings"}\n',
        "line 1 goes to '/v1/embeddings', and not to one of /v1/chat/completions, /v1/responses.",
        id="another endpoint",
    ),
    pytest.param(
        f'{{"custom_id": "a", "body": {BODY}}}\n' * 2,
        "line 2 has the custom_id 'a' of line 1.",
        id="one id twice",
    ),
    pytest.param(
        f'{{"custom_id": 4, "body": {BODY}}}\n', "line 1 has the custom_id 4, which is no string.", id="id"
    ),
    pytest.param(
        f'{{"custom_id": "a\\ud83d", "body": {BODY}}}\n',
        "line 1 has the custom_id 'a\\ud83d', which holds half a character.",
        id="half a character",
    ),
    pytest.param(
        f'{{"deadline": "soon", "body": {BODY}}}\n',
        "line 1 has the deadline 'soon', which is no number of seconds and no moment.",
        id="deadline",
    ),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_file_that_is_wrong_is_refused_as_a_whole(night: Night, text: str, said: str) -> None:
    """What is wrong with a file is said by line, before anything is decided or sent."""
    path = night.folder / "in.jsonl"
    path.write_text(text)
    with night.job() as job:
        with pytest.raises(RequestError) as caught:
            job.plan(path)
        assert said.rstrip(".") in str(caught.value)
        with pytest.raises(PolicyError, match="holds no job"):
            job.status()
    assert night.simulator.journal == []


REFUSED = [
    pytest.param({"deadline": 0.05}, {}, "line 1: None of 2 models can serve this request.", id="too soon"),
    pytest.param(
        {}, {"budgets": Budget(total="0.0005")}, "and the budgets leave $0.00.", id="more than the budget"
    ),
]


@pytest.mark.parametrize(("fields", "router", "said"), REFUSED)
def test_a_plan_that_cannot_be_kept_is_refused(
    night: Night, fields: dict[str, Any], router: dict[str, Any], said: str
) -> None:
    """A deadline that nothing meets and a budget without room are said before anything is sent."""
    with night.job(**router) as job, pytest.raises((RequestError, PolicyError)) as caught:
        job.plan(night.requests(3, **fields))
    assert said in str(caught.value)
    assert night.simulator.journal == []


@pytest.mark.parametrize("deadline", [0.0, -5.0, float("nan")])
def test_a_deadline_that_is_none(night: Night, deadline: float) -> None:
    """It is said once, and not of each line."""
    with night.job() as job, pytest.raises(PolicyError) as caught:
        job.plan(night.requests(3), deadline=deadline)
    said = f"deadline={deadline!r} is not a time to answer in. Give a number of seconds above 0, or an aware"
    assert str(caught.value) == f"{said} datetime."


ODD = ["with space", "ünïcödé ☃", 'quote"and\\back', "new\nline", "", "null", "\u0000", "x" * 300]


def test_odd_names_and_texts(night: Night) -> None:
    """A custom_id comes back as it was, and half a character in a text stops nobody."""
    path = night.requests(len(ODD))
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    for row, name in zip(rows, ODD, strict=True):
        row["custom_id"] = name
        row["body"]["messages"][0]["content"] += " \ud83d"
        row["deadline"] = 1e300
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with night.job() as job:
        job.plan(path)
    assert night.finish() == ODD
    night.check_bill()


class Full:
    """A job's file on a disk that is full when a request is to be noted."""

    def __init__(self, db: Any) -> None:
        self.db = db

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def execute(self, statement: str, *values: Any) -> Any:
        """Do everything else."""
        if "INTO direct" in statement:
            raise sqlite3.OperationalError("database or disk is full")
        return self.db.execute(statement, *values)


@pytest.mark.parametrize("at", ["noting", "writing"])
def test_a_full_disk(night: Night, at: str) -> None:
    """What cannot be noted is not sent, what cannot be written is kept, and either can be done again."""
    with night.job() as job:
        job.plan(night.requests(2), deadline=60.0)
        if at == "noting":
            job._file._db = Full(job._file._db)  # type: ignore[assignment] # stands for a connection
            with pytest.raises(PolicyError) as caught:
                job.submit(workers=1)
            assert night.simulator.journal == []
            what = (
                f"{night.folder / 'job.db'}: database or disk is full. Make room for it, and run the command"
            )
            assert str(caught.value) == f"{what} again; what it holds is kept."
        else:
            job.submit()
            with pytest.raises(PolicyError) as caught:
                job.collect(night.folder / "none" / "out.jsonl")
            what = (
                f"{night.folder / 'none' / 'out.jsonl'}: No such file or directory. Name a file that can be"
            )
            assert str(caught.value) == f"{what} written; answers are kept."
    assert night.finish() == NAMES[:2]
    night.check_bill()


def test_answers_that_are_cut_off_are_fetched_again(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file of results is no result."""
    with night.job() as job:
        job.plan(night.requests(8))
        job.submit()
        night.pass_time(3600)
        with monkeypatch.context() as patch:
            whole = Provider.content
            patch.setattr(Provider, "content", lambda self, file: whole(self, file)[:-40])
            with pytest.raises(ApiError, match="of results is cut off"):
                job.collect()
    assert night.finish() == NAMES
    night.check_bill()


@pytest.mark.parametrize("days", [-1, 7], ids=["back", "forward"])
def test_a_clock_that_jumps(night: Night, days: int) -> None:
    """Nothing is lost or sent twice when the clock of this machine jumps between two commands."""
    with night.job() as job:
        job.plan(night.requests(8), deadline=night.now + timedelta(days=2))
    night.now += timedelta(days=days)
    assert night.finish() == NAMES
    night.check_bill()
    assert len([entry for entry in night.simulator.journal if entry.served]) == 8


def test_one_process_at_a_time(night: Night) -> None:
    """A second process is turned away while the first one works, and the file is its owner's alone."""
    with night.job() as job:
        job.plan(night.requests(1))
        with pytest.raises(PolicyError, match="another process works on this job"):
            night.job()
    path = night.folder / "job.db"
    assert path.stat().st_mode & 0o777 == 0o600
    with BatchJob(path) as job, pytest.raises(PolicyError, match="Give BatchJob"):
        job.submit()


def test_the_commands(
    night: Night, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`routed batch` does the same."""
    from routed_llm.cli import main

    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file, out = str(night.folder / "job.db"), str(night.folder / "out.jsonl")
    assert main(["batch", "status", "--job", file]) == 2
    assert capsys.readouterr().err == f"routed batch: {file} holds no job. Plan one first.\n"
    assert not Path(file).exists()
    assert main(["batch", "plan", str(night.requests(3)), "--job", file, "--deadline", "1d"]) == 0
    assert main(["batch", "submit", "--job", file, "--url", night.simulator.url]) == 0
    night.simulator.advance(3600)
    assert main(["batch", "collect", "--job", file, "--url", night.simulator.url, "--output", out]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["complete", f"answers are in {out}"]
    assert Path(out).read_text().count("\n") == 3
