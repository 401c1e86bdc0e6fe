"""A real redis-server for the tests that want one, and what the tests of this folder share."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Ledger, MemoryLedger, open_ledger

sys.path.insert(0, str(Path(__file__).parent))

NO_REDIS = "no redis-server on this machine; install the distribution's package redis-server"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a redis-server on loopback for the session."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip(NO_REDIS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port, server)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("redis-server did not begin to listen")


@pytest.fixture(params=["memory", "sqlite", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Give an empty ledger of each kind."""
    made: Any
    if request.param == "memory":
        made = MemoryLedger()
    elif request.param == "sqlite":
        made = open_ledger(str(tmp_path / "book.db"))
    else:
        made = open_ledger(request.getfixturevalue("redis_url"))
        made._client.flushdb()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the name under which several processes open one empty ledger."""
    if request.param == "sqlite":
        return str(tmp_path / "book.db")
    url: str = request.getfixturevalue("redis_url")
    opened: Any = open_ledger(url)
    opened._client.flushdb()
    opened.close()
    return url


@pytest.fixture
def clock() -> Callable[[], Any]:
    """Give the clock of these tests, which stands still."""
    from ledger_support import NOON

    return lambda: NOON
