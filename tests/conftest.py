"""What every test shares: no network but loopback (see `addopts`), no settings of the machine, a Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ["adapter_fixtures"]

# Every run tries the same examples: whoever changed nothing sees no failure. A longer search is a random one.
settings.register_profile("same", derandomize=True)
if "ROUTED_TEST_EXAMPLES" not in os.environ:
    settings.load_profile("same")


NO_REDIS = "no redis-server on this machine; install the distribution's package redis-server"


@contextmanager
def _redis(folder: Path, *options: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip(NO_REDIS)
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    server = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port, server)
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def run_redis() -> Callable[..., Any]:
    """Give what runs a redis-server of its own: a context of its URL and its process."""
    return _redis


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a redis-server on loopback for the session."""
    with _redis(tmp_path_factory.mktemp("redis")) as (url, _):
        yield url


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("redis-server did not begin to listen")
