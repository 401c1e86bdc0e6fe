"""`routed simulate`: a simulated OpenAI API until Ctrl-C."""

from __future__ import annotations

import argparse

from routed_llm.cli.errors import CommandError
from routed_llm.simulator import Simulator
from routed_llm.simulator import run as serve

__all__ = ["run"]


def run(asked: argparse.Namespace) -> int:
    """Serve until Ctrl-C, having printed how to reach it.

    Raises:
        CommandError: when the port cannot be had.
    """

    def ready(simulator: Simulator) -> None:
        key = asked.key or "any"
        print(f"The simulated OpenAI API of {simulator.at} answers at {simulator.url}; Ctrl-C stops it.")
        print(f"export OPENAI_BASE_URL={simulator.url} OPENAI_API_KEY={key}", flush=True)

    try:
        serve(port=asked.port, at=asked.at, api_key=asked.key, ready=ready)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"Port {asked.port}: {reason}. Use another port, or --port 0.") from error
    return 0
