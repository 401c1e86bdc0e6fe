"""A gateway over a simulated OpenAI, both on loopback and in this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from adapter_fixtures import TODAY

from routed_llm import Router
from routed_llm.gateway import KeyStore, Settings
from routed_llm.gateway.app import Gateway
from routed_llm.gateway.protocol import Protocol
from routed_llm.simulator import Simulator


class Running:
    """A gateway that is running.

    Attributes:
        url: its base URL.
        gateway: its process's object.
    """

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway = gateway
        self.port = port
        self.url = f"http://127.0.0.1:{port}/v1"

    def post(self, path: str = "/chat/completions", *, key: str = "any", **given: Any) -> httpx.Response:
        """Post something, by default as JSON."""
        given.setdefault("headers", {}).setdefault("authorization", f"Bearer {key}")
        return httpx.post(self.url + path, timeout=30, **given)

    def ask(self, *, key: str = "any", path: str = "/chat/completions", **more: Any) -> httpx.Response:
        """Make a small call."""
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a tide?"}], **more}
        return self.post(path, key=key, json=body)

    def entries(self) -> list[Any]:
        """Return what was booked."""
        return list(self.gateway._router.ledger.entries())


@contextmanager
def running(settings: Settings, router: Router | None = None) -> Iterator[Running]:
    """Run a gateway in a thread."""
    gateway = Gateway(settings, router=router)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        http = type("Quick", (Protocol,), {"patience": settings.patience})
        config = uvicorn.Config(gateway.app, http=http, log_level="warning", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Running(gateway, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


Start = Callable[..., Running]


@pytest.fixture
def start(sim: Simulator, tmp_path: Path) -> Iterator[Start]:
    """Start gateways over the simulator; they are stopped at the end."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def started(**given: Any) -> Running:
            told = {
                "upstream": sim.url,
                "upstream_key": "sk-up",
                "at": TODAY.isoformat(),
                "ledger": str(tmp_path / "ledger.db"),
                "retries": 1,
            }
            return stack.enter_context(running(Settings(**{**told, **given})))

        yield started


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    """A file of keys."""
    made = KeyStore(tmp_path / "keys.db")
    yield made
    made.close()
