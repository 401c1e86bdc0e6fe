"""`routed serve`: OpenAI's endpoints over a router, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import socket
from dataclasses import replace
from typing import Any, Final

from routed_llm.catalog.vocabulary import did_you_mean
from routed_llm.cli.errors import CommandError
from routed_llm.cli.needs import required
from routed_llm.gateway.settings import OPENAI, Settings
from routed_llm.policy import Policy, read_toml

__all__ = ["arguments", "run"]

_CONFIG: Final = ("policy", "budgets")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=4000, help="0 picks a free one (default: 4000)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument(
        "--upstream", metavar="URL", help="the API behind it (default: OPENAI_BASE_URL, or OpenAI's)"
    )
    parser.add_argument("--keys", metavar="FILE", help="the gateway's own keys; see `routed keys`")
    parser.add_argument("--ledger", metavar="LEDGER", help="an SQLite file or a redis:// URL")
    parser.add_argument("--config", metavar="FILE", help="TOML with [policy] and [[budgets]]")
    parser.add_argument("--max-body", type=int, metavar="BYTES", help="the largest body that is taken")
    parser.add_argument("--retries", type=int, default=2, metavar="N", help="further requests (default: 2)")


def run(asked: argparse.Namespace) -> int:
    """Serve until Ctrl-C, having printed how to reach it.

    Raises:
        CommandError: when the port cannot be had, or the file of settings cannot be read.
        PolicyError: when something in the settings is wrong.
    """
    gateway = required("routed_llm.gateway.serving", extra="'routed-llm[gateway]'")
    settings = _settings(asked)
    if settings.port == 0:
        settings = replace(settings, port=_free(settings.host))
    _try(settings)
    url = f"http://{settings.host if ':' not in settings.host else f'[{settings.host}]'}:{settings.port}/v1"
    key = "rk-..." if settings.keys else "any"
    print(f"OpenAI's endpoints, routed, answer at {url}; Ctrl-C stops it.")
    print(f"export OPENAI_BASE_URL={url} OPENAI_API_KEY={key}", flush=True)
    gateway.serve(settings)
    return 0


def _settings(asked: argparse.Namespace) -> Settings:
    config = _read(asked.config) if asked.config else {}
    more = {} if asked.max_body is None else {"largest": asked.max_body}
    return Settings(
        host=asked.host,
        port=asked.port,
        workers=asked.workers,
        upstream=asked.upstream or os.environ.get("OPENAI_BASE_URL") or OPENAI,
        upstream_key=os.environ.get("OPENAI_API_KEY") or None,
        keys=asked.keys,
        ledger=asked.ledger,
        policy=config.get("policy", {}),
        budgets=tuple(config.get("budgets", ())),
        retries=asked.retries,
        **more,
    )


def _read(path: str) -> dict[str, Any]:
    found = read_toml(path)
    for name in found:
        if name not in _CONFIG:
            # A limit that nobody reads would be no limit.
            is_policy = name in Policy.__dataclass_fields__
            hint = "Write it below [policy]." if is_policy else did_you_mean(name, _CONFIG)
            raise CommandError(f"{path}: {name!r} is none of its tables. {hint}")
    return found


def _free(host: str) -> int:
    with socket.create_server((host, 0), family=_family(host)) as server:
        return int(server.getsockname()[1])


def _try(settings: Settings) -> None:
    try:
        with socket.create_server((settings.host, settings.port), family=_family(settings.host)):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(
            f"{settings.host}:{settings.port}: {reason}. Use another port, or --port 0."
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
