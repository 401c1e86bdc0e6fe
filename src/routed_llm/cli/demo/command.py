"""`routed demo` from its arguments to its exit code."""

from __future__ import annotations

import argparse

from routed_llm.cli.demo.cases import CASES, DAY
from routed_llm.cli.demo.query_engine import run_query_engine
from routed_llm.cli.demo.rendering import Screen, data
from routed_llm.cli.demo.running import Pair, run_case, settings
from routed_llm.cli.needs import required
from routed_llm.cli.screen import WIDTH, console, print_json
from routed_llm.simulator import serve

__all__ = ["run"]


def run(asked: argparse.Namespace) -> int:
    """Send every case and show it; 0 when no routed request was refused and each case came out right.

    Raises:
        CommandError: when a package that the demo needs is not installed.
    """
    at = asked.at or DAY
    required("langchain_routed", extra="langchain-routed")
    screen = None if asked.json else Screen(console(piped=WIDTH), why=asked.why)
    pairs: list[Pair] = []
    with settings(), serve(at=at) as simulator:
        if screen is not None:
            screen.begin(simulator.url, at)
        for case in CASES:
            pairs.append(run_case(case, simulator, at))
            if screen is not None:
                screen.case(pairs[-1])
        engine = run_query_engine()
    if screen is not None:
        screen.end(pairs, engine)
    else:
        print_json(data(pairs, engine, at))
    return 0 if all(pair.as_it_should for pair in pairs) and engine.refused == 0 else 1
