"""Ledgers that are no ledgers: whatever stands there, the error is typed and comes soon."""

from __future__ import annotations

import os
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attack_support import DAY

from routed_llm import Budget, LedgerError, PolicyError, Router, Usage, open_ledger, read_openai


def call(ledger: str) -> None:
    """Book a call."""
    router = Router(ledger=open_ledger(ledger), budgets=Budget(total=10), clock=lambda: DAY)
    request = read_openai({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]})
    router.begin(router.decide(request)).settle(Usage(input_tokens=10, output_tokens=5))


PLACES: dict[str, Any] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "junk": lambda path: path.write_bytes(b"hello world" * 1_000),
    "a link": lambda path: path.symlink_to(path.with_name("other")),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_of_ours(tmp_path: Path, place: str) -> None:
    """The sentence names the path."""
    path = tmp_path / "calls.db"
    PLACES[place](path)
    with pytest.raises(LedgerError, match=r"calls\.db"):
        call(str(path))


def test_a_path_with_a_nul() -> None:
    """No system has such a file."""
    with pytest.raises(PolicyError, match=r"^A path has no NUL character in it\. Give the path of a file\.$"):
        call("a\0b.db")


def test_a_file_that_becomes_a_folder(tmp_path: Path) -> None:
    """A call that is under way is answered; the next one is refused."""
    path = tmp_path / "calls.db"
    call(str(path))
    for file in tmp_path.iterdir():
        file.unlink()
    path.mkdir()
    with pytest.raises(LedgerError):
        call(str(path))


REPLIES: dict[str, bytes] = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a number": b":5\r\n",
    "a list": b"*3\r\n$1\r\na\r\n:1\r\n*0\r\n",
    "out of memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "a replica": b"-READONLY You can't write against a read only replica.\r\n",
    "no password": b"-NOAUTH Authentication required.\r\n",
    "still loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "a length that never comes": b"$999999999999\r\nabc",
}


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """Run a server that answers everything alike, and give its address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65_536):
                self.request.sendall(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()


@pytest.mark.parametrize("reply", REPLIES)
def test_what_is_no_redis_of_ours(reply: str) -> None:
    """It is a LedgerError within the ledger's own time, whatever the client stumbles over."""
    pytest.importorskip("redis", reason="Install it with: pip install 'routed-llm[redis]'")
    begun = time.monotonic()
    with answering(REPLIES[reply]) as url, pytest.raises(LedgerError, match=r"^The ledger on redis://127\."):
        call(url)
    assert time.monotonic() - begun < 8
