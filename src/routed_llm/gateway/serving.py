"""Running the gateway under uvicorn, in one or several processes."""

from __future__ import annotations

import gc
import os
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import uvicorn

from routed_llm.gateway.app import make_app
from routed_llm.gateway.protocol import Protocol
from routed_llm.gateway.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["serve"]

_VARIABLE = "ROUTED_GATEWAY"
_OBJECTS = 10_000
"""Objects that come before the collector looks at them; Python's own 700 are those of a call or two."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; running requests are given their time then.

    Raises:
        PolicyError: when the policy, a budget or a key's settings are wrong.
        LedgerError: when the ledger or the file of keys cannot be used.
    """
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "http": Protocol,
        "timeout_graceful_shutdown": int(settings.grace),
        "access_log": False,
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": False,  # nothing is decided by who a proxy says has called
    }
    if settings.workers == 1:
        uvicorn.run(made_once(settings), **options)
        return
    # What is wrong is reported once and not by every worker.
    make_app(settings)
    with tempfile.TemporaryDirectory() as shared, tempfile.TemporaryDirectory() as counts:
        os.environ[_VARIABLE] = replace(settings, shared=shared).to_json()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
        uvicorn.run(f"{__name__}:made", factory=True, workers=settings.workers, **options)


def made() -> Starlette:
    """Return the application of a worker."""
    return made_once(Settings.from_json(os.environ[_VARIABLE]))


def made_once(settings: Settings) -> Starlette:
    """Return the application of a process that does nothing else.

    A call leaves nothing for Python's collector of cycles, which would look through what is under way after
    every few calls, and now and then through all that was loaded.
    """
    app = make_app(settings)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS, 20, 20)
    return app
