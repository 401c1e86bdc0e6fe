"""`routed explain`: the decision on a request in a file."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routed_llm.calls.router import Router
from routed_llm.catalog import Catalog
from routed_llm.cli.errors import CommandError
from routed_llm.cli.explain_table import show
from routed_llm.cli.screen import console, print_json, working
from routed_llm.decide.table import select
from routed_llm.errors import RequestError
from routed_llm.facts import TokenCount
from routed_llm.policy import Policy
from routed_llm.request import Request, read_openai
from routed_llm.tokens.counting import Counting

if TYPE_CHECKING:
    from routed_llm.decision import Decision

__all__ = ["Timing", "run"]

REPEATS = 201
"""Calls of `select` of which the median is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Where the time went, in seconds.

    Attributes:
        read: reading the file and its JSON, and turning it into a Request.
        count: counting its text exactly, or None: a Router counts only as far as the choice depends on it.
        prepare: the first decision, which prepares the table of this policy and day.
        select: `select` itself, median of `repeats` calls.
    """

    read: float
    count: float | None
    prepare: float
    select: float
    repeats: int = REPEATS

    def to_dict(self) -> dict[str, Any]:
        """Return the seconds as JSON-able data."""
        return {
            "read_seconds": round(self.read, 6),
            "count_seconds": None if self.count is None else round(self.count, 6),
            "prepare_seconds": round(self.prepare, 6),
            "select_seconds": round(self.select, 9),
            "select_repeats": self.repeats,
        }


def run(asked: argparse.Namespace) -> int:
    """Print the decision; 0 when a model was chosen, else 1.

    Raises:
        RequestError: when the file holds no request that can be read.
        PolicyError: for a wrong policy.
        CatalogError: when an unknown model is named.
        CommandError: when the file cannot be read.
    """
    # A console that cannot be had is reported before the work, not after it.
    out = None if asked.json else console()
    began = time.perf_counter()
    body = _body(asked.file)
    if asked.url is not None:
        return _ask(asked, body)
    request = _request(body)
    read = time.perf_counter() - began
    policy = _policy(asked, body)
    catalog = Catalog.load()
    count = None
    if asked.exact:
        began = time.perf_counter()
        with working("Counting"):
            request = _counted(request)
        count = time.perf_counter() - began
    began = time.perf_counter()
    at = asked.at or datetime.now(UTC).date()
    with working("Deciding"):
        decision = Router(catalog=catalog, policy=policy).explain(request, at=at)
    prepare = time.perf_counter() - began
    if out is None:
        median = _select_seconds(decision, policy, catalog)
        timing = Timing(read=read, count=count, prepare=prepare, select=median)
        print_json({**decision.to_dict(), "timing": timing.to_dict()})
    else:
        show(out, decision, every=asked.all)
    return 0 if decision.chosen is not None else 1


def _body(name: str) -> Mapping[str, Any]:
    where = "standard input" if name == "-" else name
    if name == "-" and sys.stdin is None:
        raise CommandError("standard input is closed. Name a file that can be read, or give it a body.")
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(
            f"{where}: {reason}. Name a file that can be read, or - for standard input."
        ) from error
    try:
        body = json.loads(data)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise RequestError(
            f"{where} is not JSON: {error.msg} at {place}. "
            "Give the body of a Chat Completions or Responses call."
        ) from error
    except (ValueError, RecursionError) as error:
        reason = "it holds a number that is too long"
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8"
        elif isinstance(error, RecursionError):
            reason = "it is nested too deep"
        raise RequestError(
            f"{where} is not JSON: {reason}. Give the body of a Chat Completions or Responses call."
        ) from error
    if not isinstance(body, dict):
        raise RequestError(
            f"{where} holds no JSON object. Give the body of a Chat Completions or Responses call."
        )
    return body


def _ask(asked: argparse.Namespace, body: Mapping[str, Any]) -> int:
    """Ask a running gateway, whose policy and budgets this machine does not know."""
    import http.client
    import os
    from contextlib import closing
    from urllib.parse import urlsplit

    try:
        place = urlsplit(asked.url)
    except ValueError:
        place = urlsplit("")
    if place.scheme not in ("http", "https") or not place.hostname:
        raise CommandError(f"{asked.url!r} is not an address. Give one such as http://127.0.0.1:4000/v1.")
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'any')}",
    }
    try:
        with closing(kind(place.netloc, timeout=60)) as connection:
            connection.request("POST", f"{place.path.rstrip('/')}/routing/explain", json.dumps(body), headers)
            answer = connection.getresponse()
            reply = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CommandError(f"{asked.url}: {error}. Start `routed serve` there, or correct --url.") from error
    if answer.status != 200:
        message = reply.get("error", {}).get("message", f"status {answer.status}")
        raise CommandError(f"{asked.url} refused: {message}")
    if asked.json:
        print_json(reply)
    elif reply["model"] is None:
        for model, why in reply["rejected"].items():
            print(f"{model}: {why}")
    else:
        effort = f"@{reply['effort']}" if reply["effort"] else ""
        most = f", ${reply['cost_range']['p95']} in nineteen of twenty" if reply.get("cost_range") else ""
        print(
            f"chosen {reply['model']}{effort} on {reply['endpoint']}, "
            f"${reply['estimated_cost']} expected{most}"
        )
        print(f"why {reply['why']}")
        instead = reply.get("replacement")
        if instead is not None and instead["why_not"] is not None:
            cost = "" if instead["cost"] is None else f" at ${instead['cost']}"
            print(f"not {instead['model']}{cost}, which OpenAI names instead: {instead['why_not']}")
    return 0 if reply["model"] is not None else 1


def _request(body: Mapping[str, Any]) -> Request:
    try:
        # Where no model takes stop sequences the adapters cut at them, so that they rule nothing out.
        return read_openai(body, emulates=("stop",))
    except RecursionError as error:
        raise RequestError("The request is nested too deep. Flatten its tools or schema.") from error


def _counted(request: Request) -> Request:
    """Count exactly what the Router would only count as far as the choice depends on it."""
    exact = Counting(request.texts, known=request.fixed).exact()
    return replace(request, facts=request.facts.with_tokens(TokenCount.of(exact)))


def _policy(asked: argparse.Namespace, body: Mapping[str, Any]) -> Policy:
    policy = Policy() if asked.policy is None else Policy.from_toml(asked.policy)
    named = body.get("model")
    given = {
        "baseline": named if asked.baseline is None else asked.baseline,
        "optimize": asked.optimize,
        "max_cost_per_call": asked.max_cost,
    }
    return policy.replace(**{name: value for name, value in given.items() if value is not None})


def _select_seconds(decision: Decision, policy: Policy, catalog: Catalog) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        select(decision.facts, policy=policy, catalog=catalog, at=decision.at)
        times.append(time.perf_counter() - began)
    return statistics.median(times)
