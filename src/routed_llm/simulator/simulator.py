"""The simulator as Python code uses it: `serve(...)` in tests, `run(...)` from the command line."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from routed_llm.simulator.answer import Script
from routed_llm.simulator.batches import Batches
from routed_llm.simulator.faults import Fault, FaultPlan, parse
from routed_llm.simulator.journal import Entry
from routed_llm.simulator.server import Server
from routed_llm.simulator.service import Service


class Simulator:
    """A running simulator.

    Attributes:
        url: the base URL for a client, such as ``http://127.0.0.1:40123/v1``.
        faults: the plan of failures; ``add`` and ``clear``.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._service = server.service
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        self.faults = server.service.faults

    @property
    def at(self) -> date:
        """The simulated date; today's when none was set. It may be set as text, too: ``"2027-01-15"``."""
        return self._service.today

    @at.setter
    def at(self, value: date | str | None) -> None:
        self._service.at = value

    @property
    def journal(self) -> list[Entry]:
        """All requests since the start or the last reset."""
        return self._service.journal.entries()

    @property
    def billed(self) -> Decimal:
        """US dollars for all requests in the journal."""
        return sum((entry.dollars for entry in self.journal), Decimal(0))

    @property
    def refused(self) -> list[Entry]:
        """Requests that broke a rule of the API, also those refused inside a stream."""
        return [entry for entry in self.journal if entry.by == "rule"]

    def assert_not_refused(self) -> None:
        """Fail where a request in the journal broke a rule of the API.

        Raises:
            AssertionError: naming each such request, and the API's words.
        """
        refused = self.refused
        if refused:
            lines = (
                f"  {one.model or 'no model'} on {one.path}: {one.status} {one.code or ''}: {one.message}\n"
                for one in refused
            )
            raise AssertionError(
                f"The API refuses {len(refused)} of {len(self.journal)} requests:\n{''.join(lines)}"
                "Correct what is sent; `.refused` has the bodies."
            )

    @property
    def connections(self) -> int:
        """How many TCP connections carried the requests in the journal."""
        return len({entry.connection for entry in self.journal})

    def script(self, text: str | None = None, **fields: Any) -> None:
        """Queue what a later request gets for an answer; see `Script` for the fields."""
        calls = tuple((name, arguments) for name, arguments in fields.pop("tool_calls", ()))
        self._service.add_script(Script(text=text, tool_calls=calls, **fields))

    @property
    def batches(self) -> Batches:
        """Its files and batches, and how they fare."""
        return self._service.batches

    @property
    def passed(self) -> int:
        """Seconds of simulated time that were let pass."""
        return self._service.passed

    def advance(self, seconds: int) -> None:
        """Let simulated time pass, for batches."""
        self._service.passed += seconds

    def limit(self, model: str, *, tpm: int | None = None, rpm: int | None = None) -> None:
        """Set a model's tokens and requests per minute; None lifts a limit."""
        self._service.limits.set(model, tpm=tpm, rpm=rpm)

    def remember(self, response: dict[str, Any], items: list[dict[str, Any]]) -> None:
        """Store a response, and its conversation, as if it had been given here to these items.

        What its previous response was given is remembered with it.
        """
        earlier = self._service.store.items_of(str(response.get("previous_response_id"))) or []
        self._service.store.keep(response, [*earlier, *items])

    def reset(self) -> None:
        """Forget journal, faults, limits, prompt cache, stored responses and scripts; the date stays."""
        self._service.reset()


@contextlib.contextmanager
def serve(
    *,
    at: date | str | None = None,
    port: int = 0,
    seed: int = 0,
    api_key: str | None = None,
    faults: Iterable[Fault | str | dict[str, Any]] = (),
) -> Iterator[Simulator]:
    """Run a simulator on 127.0.0.1 for the length of a `with` block.

    Args:
        at: the simulated date, which decides what models exist; None means today.
        port: 0 picks a free one.
        seed: the same seed and request give the same answer.
        api_key: the only key accepted; None accepts any.
        faults: failures to play; `Fault` objects, ``"kind;seconds=1"`` or dictionaries.
    """
    plan = FaultPlan(tuple(f if isinstance(f, Fault) else parse(f) for f in faults), seed)
    server = Server(port, Service(at=at, seed=seed, api_key=api_key, faults=plan))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="simulator", daemon=True)
    thread.start()
    try:
        yield Simulator(server)
    finally:
        server.stop()
        thread.join(5)


def run(
    *,
    port: int = 8000,
    at: date | str | None = None,
    seed: int = 0,
    api_key: str | None = None,
    ready: Any = None,
) -> None:
    """Serve until SIGINT or SIGTERM; for the command line.

    `ready` is called with the `Simulator` once it listens; the other arguments are those of `serve`.
    """
    stop = threading.Event()
    with serve(at=at, port=port, seed=seed, api_key=api_key) as simulator:
        previous = {
            kind: signal.signal(kind, lambda *_: stop.set()) for kind in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            if ready is not None:
                ready(simulator)
            stop.wait()
        finally:
            for kind, handler in previous.items():
                signal.signal(kind, handler)
