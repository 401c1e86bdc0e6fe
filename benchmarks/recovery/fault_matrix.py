"""Every fault that the simulator can play, met by every way to call, in both adapters: what came of it.

What has to come of it is written down in EXPECTED by hand, with the reason; nothing of it is computed by the
code that is measured. A cell is wrong when the outcome, the requests sent, the waits or the text differ, and
when a request is missing in the ledger, or the ledger's sum is below the simulator's bill. In GIVEN_UP it is
the caller who ends the call. No network and no key::

    python -m benchmarks.recovery.fault_matrix
    python -m benchmarks.recovery.fault_matrix --write docs/fault-matrix.md
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import openai
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.routed import RoutedLLM
from pydantic import BaseModel

from routed_llm import Budget, IncompleteStream, MemoryLedger, Router
from routed_llm.budget import PICO
from routed_llm.simulator import Simulator, serve
from routed_llm.simulator.faults import KINDS

TODAY: Final = date(2026, 11, 22)
SAID: Final = "one two three four five six seven eight"
ASK: Final = f'Say "{SAID}"'
TIMEOUT: Final = 1.5

SAME, OTHER, ERROR, PART = "the same model", "another model", "error", "part, then error"
RATE, SERVER, MISSING = openai.RateLimitError, openai.InternalServerError, openai.NotFoundError
TIMED_OUT, IN_STREAM = openai.APITimeoutError, openai.APIError
BROKEN, LATE = openai.APIConnectionError, openai.APITimeoutError
NOTHING = (0.0, 0.0)


@dataclass(frozen=True)
class Expected:
    """What has to come of a fault.

    Attributes:
        fault: as the simulator takes it.
        ways: ``whole`` answers (with tools and structured ones among them), ``stream`` or ``all``.
        first: what comes of it when it strikes the first model only.
        sent: requests for that, of which all but one failed.
        wait: least and most seconds waited for that.
        error: what is raised when it strikes every request (and the first model, if ``first`` is an error).
        most: requests for that; max_retries is 2.
        why: the reason.
    """

    fault: str
    ways: str
    first: str
    sent: int
    wait: tuple[float, float]
    error: type[Exception] | None
    most: int
    why: str


BACKOFF = (0.375, 0.5)
"""The first wait that nobody asked for: half a second, less up to a quarter of it by chance."""
EXPECTED: Final = (
    Expected("429;seconds=0.05", "all", SAME, 2, (0.05, 0.055), RATE, 3,
             "The wait is shorter than half a second, and this model has the prefix cached."),
    Expected("429;seconds=3", "all", OTHER, 2, NOTHING, RATE, 3,
             "Limits are per model: another answers at once, and this one is left alone for 3 s."),
    Expected("429_no_headers;seconds=0.05", "all", SAME, 2, (0.05, 0.055), RATE, 3,
             "Without headers the wait stands in the words of the message."),
    Expected("tpm_too_large", "all", OTHER, 2, NOTHING, RATE, 3,
             "The request alone is over this model's limit: no wait helps, another model may."),
    Expected("insufficient_quota", "all", ERROR, 1, NOTHING, RATE, 1,
             "The account has no money: nothing that may be done helps."),
    Expected("no_access", "all", OTHER, 2, NOTHING, MISSING, 3,
             "This key does not have the model; the next one may be had."),
    Expected("cut_short", "all", OTHER, 2, NOTHING, openai.BadRequestError, 3,
             "Reasoning used up the room for the answer, and there is no cap to raise; another answers."),
    Expected("500", "all", OTHER, 2, NOTHING, SERVER, 3, "The provider failed on it; another answers."),
    Expected("502_html", "all", OTHER, 2, NOTHING, SERVER, 3, "As 500; that it is HTML changes nothing."),
    Expected("503", "all", OTHER, 2, NOTHING, SERVER, 3, "It is overloaded; another answers."),
    Expected("hang;seconds=4", "all", OTHER, 2, NOTHING, TIMED_OUT, 3,
             "No answer within the timeout of 1.5 s says that this model is in trouble."),
    Expected("cut;after_chunks=0", "all", SAME, 2, BACKOFF, BROKEN, 3,
             "A broken connection says nothing about the model: the same one is asked again."),
    Expected("cut;after_chunks=1", "stream", SAME, 2, BACKOFF, BROKEN, 3, "No token had come."),
    Expected("cut;after_chunks=7", "stream", PART, 1, NOTHING, BROKEN, 1,
             "Tokens had been passed on: what another model would say does not continue them."),
    Expected("sse_error;after_chunks=0", "stream", OTHER, 2, NOTHING, IN_STREAM, 3,
             "An error inside a stream that had said nothing is the provider's failure on this model."),
    Expected("sse_error;after_chunks=1", "stream", OTHER, 2, NOTHING, IN_STREAM, 3, "No token had come."),
    Expected("sse_error;after_chunks=7", "stream", PART, 1, NOTHING, IN_STREAM, 1, "Tokens had come."),
    Expected("sse_error", "whole", OTHER, 2, NOTHING, SERVER, 3, "Without a stream it is a plain 500."),
    Expected("truncate;after_chunks=0", "stream", OTHER, 2, NOTHING, IncompleteStream, 3,
             "A clean end without a finish reason is no answer; this model failed."),
    Expected("truncate;after_chunks=1", "stream", OTHER, 2, NOTHING, IncompleteStream, 3,
             "No token had come."),
    Expected("truncate;after_chunks=7", "stream", PART, 1, NOTHING, IncompleteStream, 1,
             "Tokens had been passed on; .received holds them."),
    Expected("truncate", "whole", SAME, 2, BACKOFF, BROKEN, 3, "Half a body is a broken connection."),
    Expected("200_html", "all", OTHER, 2, NOTHING, BROKEN, 3,
             "A page in place of an answer: what came of the request is not known, and another answers."),
    Expected("200_error", "all", OTHER, 2, NOTHING, BROKEN, 3, "An error inside HTTP 200 is one."),
    Expected("200_empty", "all", OTHER, 2, NOTHING, BROKEN, 3, "An answer without choices is none."),
    Expected("stall;seconds=0.05", "all", SAME, 1, NOTHING, None, 1, "Slow is not failed."),
    Expected("slow_first_token;seconds=0.05", "all", SAME, 1, NOTHING, None, 1, "Slow is not failed."),
    Expected("slow_chunks;seconds=0.01", "all", SAME, 1, NOTHING, None, 1, "Slow is not failed."),
    Expected("stall;after_chunks=0;seconds=4", "all", OTHER, 2, NOTHING, TIMED_OUT, 3, "Over the timeout."),
    Expected("stall;after_chunks=7;seconds=4", "stream", PART, 1, NOTHING, LATE, 1, "Tokens had come."),
    Expected("slow_first_token;seconds=4", "all", OTHER, 2, NOTHING, TIMED_OUT, 3, "Over the timeout."),
)  # fmt: skip


GIVEN_UP: Final = {
    "stall;after_chunks=0;seconds=1": "Before anything came: it is at work, and is billed.",
    "stall;after_chunks=7;seconds=1": "In the middle of the answer: what came is billed.",
}
"""When the caller gives up: a task is cancelled, a thread is interrupted. One request, one entry."""


class City(BaseModel):
    """A city."""

    name: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@dataclass
class Heard:
    """What a caller got: the text until then, and the routing record, which is complete at the end."""

    text: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


Call = Callable[[Any, Heard], None]


def _chain(answer: Any, heard: Heard) -> None:
    heard.text, heard.record = answer.text, answer.response_metadata["routing"]


def _chain_chunk(chunk: Any, heard: Heard) -> None:
    heard.text += chunk.text
    heard.record = chunk.response_metadata.get("routing") or heard.record


async def _astream(llm: RoutedChatModel, heard: Heard) -> None:
    async for chunk in llm.astream(ASK):
        _chain_chunk(chunk, heard)


def _stream(llm: RoutedChatModel, heard: Heard) -> None:
    for chunk in llm.stream(ASK):
        _chain_chunk(chunk, heard)


def _form(llm: RoutedChatModel, heard: Heard) -> None:
    answer = llm.with_structured_output(City, include_raw=True).invoke("A city")
    _chain(answer["raw"], heard)
    heard.text = SAID if isinstance(answer["parsed"], City) else "no city"


CHAIN: Final[dict[str, Call]] = {
    "invoke": lambda llm, heard: _chain(llm.invoke(ASK), heard),
    "stream": _stream,
    "ainvoke": lambda llm, heard: _chain(asyncio.run(llm.ainvoke(ASK)), heard),
    "astream": lambda llm, heard: asyncio.run(_astream(llm, heard)),
    "with tools": lambda llm, heard: _chain(llm.bind_tools([add]).invoke(ASK), heard),
    "structured": _form,
}


def _index(answer: Any, heard: Heard) -> None:
    heard.text, heard.record = answer.message.content or "", answer.additional_kwargs["routing"]


async def _astream_chat(llm: RoutedLLM, heard: Heard) -> None:
    text = ""
    async for chunk in await llm.astream_chat([ChatMessage(ASK)]):
        text += chunk.delta or ""
        _index(chunk, heard)
    assert text == heard.text, "the deltas are not the text"


def _stream_chat(llm: RoutedLLM, heard: Heard) -> None:
    text = ""
    for chunk in llm.stream_chat([ChatMessage(ASK)]):
        text += chunk.delta or ""
        _index(chunk, heard)
    assert text == heard.text, "the deltas are not the text"


def _index_form(llm: RoutedLLM, heard: Heard) -> None:
    from llama_index.llms.routed import record_routing

    with record_routing() as log:
        answer = llm.as_structured_llm(City).complete("A city")
    heard.record = log[-1]
    heard.text = SAID if isinstance(answer.raw, City) else "no city"


ADD: Final = FunctionTool.from_defaults(add)
INDEX: Final[dict[str, Call]] = {
    "chat": lambda llm, heard: _index(llm.chat([ChatMessage(ASK)]), heard),
    "stream_chat": _stream_chat,
    "achat": lambda llm, heard: _index(asyncio.run(llm.achat([ChatMessage(ASK)])), heard),
    "astream_chat": lambda llm, heard: asyncio.run(_astream_chat(llm, heard)),
    "with tools": lambda llm, heard: _index(llm.chat_with_tools([ADD], ASK), heard),
    "structured": _index_form,
}
WAYS: Final = {"LangChain": CHAIN, "LlamaIndex": INDEX}
STREAMS: Final = ("stream", "astream", "stream_chat", "astream_chat")


def _model(framework: str, sim: Simulator) -> Any:
    """Make a model that knows of no failure yet."""
    router = Router(clock=lambda: TODAY, ledger=MemoryLedger(), budgets=Budget(total=1_000))
    common: dict[str, Any] = {"api_key": "k", "router": router, "timeout": TIMEOUT, "max_retries": 2}
    if framework == "LangChain":
        return RoutedChatModel(base_url=sim.url, **common)
    return RoutedLLM(api_base=sim.url, **common)


@dataclass(frozen=True)
class Cell:
    """What came of one call.

    Attributes:
        outcome: as in :class:`Expected`.
        error: what was raised.
        sent: requests in the simulator's journal.
        waited: seconds that recovery waited, by its own account.
        wrong: what differs from what had to come, in words.
    """

    outcome: str
    error: str
    sent: int
    waited: float
    wrong: str = ""


def cell(sim: Simulator, framework: str, way: str, row: Expected, first: str, *, everything: bool) -> Cell:
    """Make one call while a fault strikes, and hold what came of it against what had to."""
    sim.reset()
    once = row.first == SAME and not everything and row.sent > 1
    sim.faults.add(f"{row.fault};times={int(once)}" + ("" if everything else f";model={first}"))
    heard, raised, llm = Heard(), None, _model(framework, sim)
    try:
        WAYS[framework][way](llm, heard)
    except Exception as error:  # noqa: BLE001  what is raised is the result
        raised = error
    attempts = heard.record.get("attempts", ()) if raised is None else getattr(raised, "attempts", ())
    waited = sum(one["delay"] if isinstance(one, dict) else one.delay for one in attempts)
    outcome = PART if heard.text else ERROR
    if raised is None:
        outcome = SAME if heard.record.get("model") == first else OTHER
    found = Cell(outcome, type(raised).__name__ if raised else "", len(sim.journal), waited)
    wrong = [_differs(sim, row, found, heard, raised, everything=everything), _unbooked(sim, llm)]
    return Cell(found.outcome, found.error, found.sent, waited, "; ".join(filter(None, wrong)))


def _unbooked(sim: Simulator, llm: Any) -> str:
    """Hold the ledger against the simulator's journal and bill."""
    ledger = llm.router.ledger
    entries = list(ledger.entries())
    booked = Decimal(sum(entry.booked for entry in entries)) / PICO
    said = []
    if len(entries) != len(sim.journal):
        said.append(f"{len(entries)} entries in the ledger for {len(sim.journal)} requests")
    if booked < sim.billed:
        said.append(f"booked ${booked}, billed ${sim.billed}")
    if ledger._holds:
        said.append("money is still reserved")
    return "; ".join(said)


class GaveUp(BaseException):
    """What ends a call in a thread, as Ctrl-C does."""


def given_up(sim: Simulator, framework: str, way: str, fault: str) -> Cell:
    """Make one call, end it from outside while the provider is at work, and look at the books."""
    sim.reset()
    sim.faults.add(f"{fault};times=0")
    heard, llm = Heard(), _model(framework, sim)
    raised: BaseException | None = None
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        WAYS[framework][way](llm, heard)
    except BaseException as error:  # noqa: BLE001  what is raised is the result
        raised = error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    said = [_unbooked(sim, llm)]
    if not isinstance(raised, GaveUp | asyncio.CancelledError):
        said.append(f"{type(raised).__name__} was raised")
    if len(sim.journal) != 1:
        said.append(f"{len(sim.journal)} requests, not 1")
    return Cell("given up", type(raised).__name__, len(sim.journal), 0.0, "; ".join(filter(None, said)))


def _interrupt(*_: Any) -> None:
    """Cancel the task that is at work or, without one, interrupt the thread."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise GaveUp from None
    for task in asyncio.all_tasks(loop):
        loop.call_soon_threadsafe(task.cancel)


def _differs(
    sim: Simulator, row: Expected, found: Cell, heard: Heard, raised: Exception | None, *, everything: bool
) -> str:
    fails = row.error is not None and (everything or row.first in (ERROR, PART))
    wanted = (PART if row.first == PART else ERROR) if fails else row.first
    sent = row.most if everything else row.sent
    said = []
    if found.outcome != wanted:
        said.append(f"{found.outcome} {found.error}, not {wanted}")
    if fails and not _is(raised, row.error):
        said.append(f"{found.error}, not {row.error.__name__ if row.error else None}")
    if found.sent != sent:
        said.append(f"{found.sent} requests, not {sent}")
    if not everything and not row.wait[0] - 0.001 <= found.waited <= row.wait[1] + 0.001:
        said.append(f"waited {found.waited:.3f} s, not {row.wait}")
    if not SAID.startswith(heard.text) or (raised is None and heard.text != SAID):
        said.append(f"the text is {heard.text!r}")
    if sim.refused:
        said.append(f"refused: {sim.refused[0].message}")
    if any(entry.retry for entry in sim.journal):
        said.append("the SDK retried")
    if raised is not None and len(getattr(raised, "attempts", ())) != found.sent:
        said.append(".attempts does not list every request")
    return "; ".join(said)


def _is(raised: Exception | None, error: type[Exception] | None) -> bool:
    if error is not None and isinstance(raised, error):
        return True
    # openai 2 lets its HTTP client's own errors through once a stream has begun.
    names = {kind.__name__ for kind in type(raised).__mro__}
    return (error is BROKEN and "TransportError" in names) or (error is LATE and "TimeoutException" in names)


def without_a_row() -> set[str]:
    """Name the faults of the simulator that nothing is expected of."""
    return set(KINDS) - {row.fault.split(";")[0] for row in EXPECTED}


Key = tuple[str, str, bool, str]


def rows(framework: str, ways: tuple[str, ...]) -> Iterator[tuple[Expected, str]]:
    """Give every row with every way that it is for."""
    for row in EXPECTED:
        for way in WAYS[framework]:
            kind = "stream" if way in STREAMS else "whole"
            if row.ways in ("all", kind) and (not ways or way in ways):
                yield row, way


def measure(ways: tuple[str, ...] = (), faults: tuple[str, ...] = ()) -> dict[Key, Cell]:
    """Make all calls, or those of some ways and faults: framework, fault, whether all is struck, way."""
    cells: dict[Key, Cell] = {}
    with serve(at=TODAY) as sim:
        for framework in WAYS:
            firsts = {}
            for way, call in WAYS[framework].items():
                sim.reset()
                call(_model(framework, sim), Heard())
                firsts[way] = sim.journal[0].model
            for way in WAYS[framework]:
                for fault in GIVEN_UP if not ways or way in ways else ():
                    if not faults or fault in faults:
                        cells[framework, fault, False, way] = given_up(sim, framework, way, fault)
            for row, way in rows(framework, ways):
                for everything in (False, True) if not faults or row.fault in faults else ():
                    found = cell(sim, framework, way, row, firsts[way], everything=everything)
                    key = (framework, f"{row.fault}|{row.ways}", everything, way)
                    cells[key] = found
    return cells


def table(cells: dict[Key, Cell]) -> str:
    """Write the matrix as Markdown: a row for each fault, a column for each way."""
    count = len(cells)
    wrong = sum(bool(one.wrong) for one in cells.values())
    lines = [
        "# What comes of every fault",
        "",
        f"Made by `python -m benchmarks.recovery.fault_matrix` on the simulator: {count} calls, {wrong}",
        "of them not as expected. What is expected stands in that file, written by hand, with the reason.",
        "A call may send three requests (`max_retries=2`), and the timeout is 1.5 s. A cell says who",
        "answered or what was raised, how many requests were sent, and how long was waited between them.",
        "In every cell each request has its entry in the ledger, the ledger's sum is not below the",
        "simulator's bill, and nothing stays reserved.",
    ]
    for framework, ways in WAYS.items():
        for everything, title in ((False, "the first model only"), (True, "every model")):
            lines += ["", f"## {framework}, a fault that strikes {title}", ""]
            lines += [f"| fault | {' | '.join(ways)} | why |", f"| --- |{' --- |' * (len(ways) + 1)}"]
            for row in EXPECTED:
                key = f"{row.fault}|{row.ways}"
                said = [_said(cells.get((framework, key, everything, way))) for way in ways]
                lines.append(f"| `{row.fault}` | {' | '.join(said)} | {row.why} |")
        lines += ["", f"## {framework}, the caller gives up", ""]
        lines += [f"| meanwhile | {' | '.join(ways)} | why |", f"| --- |{' --- |' * (len(ways) + 1)}"]
        for fault, why in GIVEN_UP.items():
            said = [_said(cells.get((framework, fault, False, way))) for way in ways]
            lines.append(f"| `{fault}` | {' | '.join(said)} | {why} |")
    return "\n".join(lines) + "\n"


def _said(found: Cell | None) -> str:
    if found is None:
        return ""
    outcome = {ERROR: found.error, PART: f"part, {found.error}"}.get(found.outcome, found.outcome)
    wait = f", {found.waited:.1f} s" if found.waited >= 0.05 else ""
    return f"{outcome}, {found.sent}{wait}" + (f" WRONG: {found.wrong}" if found.wrong else "")


def main(arguments: list[str] | None = None) -> int:
    """Make all calls; 1 when something is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, help="the Markdown file to write")
    parser.add_argument("--ways", default="", help="only these, separated by commas")
    chosen = parser.parse_args(arguments)
    missing = without_a_row()
    cells = measure(tuple(filter(None, chosen.ways.split(","))))
    for (framework, fault, everything, way), found in cells.items():
        if found.wrong:
            print(f"{framework}, {way}, {fault}, {'every' if everything else 'first'} model: {found.wrong}")
    wrong = sum(bool(one.wrong) for one in cells.values())
    print(f"{len(cells)} calls, {wrong} not as expected; faults that no row is for: {sorted(missing)}")
    if chosen.write:
        chosen.write.write_text(table(cells), encoding="utf-8")
    return 1 if wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main())
