"""What the simulator was asked and what it answered, one entry per request."""

from __future__ import annotations

import dataclasses
import threading
from datetime import datetime
from decimal import Decimal
from typing import Any

from routed_llm.simulator.billing import Used
from routed_llm.simulator.latency import Taken

KEPT_HEADERS = (
    "x-stainless-retry-count",
    "x-stainless-async",
    "x-stainless-read-timeout",
    "user-agent",
    "openai-organization",
    "openai-project",
    "x-simulator-fault",
    "x-client-request-id",
)


@dataclasses.dataclass(slots=True, kw_only=True)
class Entry:
    """One request.

    Attributes:
        at: wall time of its arrival.
        connection: number of the TCP connection, from 1.
        model: the model asked for; `served` is the snapshot that answered, empty when refused.
        status: HTTP status; an error inside a stream has 200 here and its own `code` and `message`.
        by: who refused it: ``rule``, ``rate_limit``, ``fault``, ``key`` or empty.
        body: the request as it came.
        taken: how long the answer would have taken; the simulator does not wait for it.
    """

    number: int
    at: datetime
    method: str
    path: str
    connection: int
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: Any = None
    model: str = ""
    served: str = ""
    stream: bool = False
    status: int = 0
    code: str | None = None
    param: str | None = None
    message: str = ""
    by: str = ""
    fault: str = ""
    used: Used | None = None
    dollars: Decimal = Decimal(0)
    response_id: str = ""
    taken: Taken | None = None

    @property
    def retry(self) -> int:
        """The number of the SDK's retry, 0 for a first attempt."""
        value = self.headers.get("x-stainless-retry-count", "0")
        return int(value) if value.isdigit() else 0

    def as_json(self) -> dict[str, Any]:
        """Return the entry for the control endpoint."""
        row = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        row["at"] = self.at.isoformat()
        row["used"] = dataclasses.asdict(self.used) if self.used else None
        row["dollars"] = str(self.dollars)
        return row


class Journal:
    """All entries since the start or the last reset; safe to read while requests run."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = threading.Lock()
        self._next = 1

    def open(self, method: str, path: str, connection: int, headers: dict[str, str]) -> Entry:
        """Return a new entry, already in the book."""
        with self._lock:
            entry = Entry(
                number=self._next,
                at=datetime.now().astimezone(),
                method=method,
                path=path,
                connection=connection,
                headers=headers,
            )
            self._next += 1
            self._entries.append(entry)
            return entry

    def entries(self) -> list[Entry]:
        """Return the entries in the order of arrival."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget every entry."""
        with self._lock:
            self._entries.clear()
