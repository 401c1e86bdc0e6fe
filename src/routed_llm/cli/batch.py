"""`routed batch`: plan a file of requests that may wait, submit it, and collect the answers."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routed_llm.cli.screen import print_json, working
from routed_llm.errors import PolicyError

if TYPE_CHECKING:
    from routed_llm.batches import Summary

__all__ = ["arguments", "run"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    plan = actions.add_parser("plan", help="decide each request of a file, and say what it will cost")
    plan.add_argument("source", metavar="FILE", help="one JSON request a line, as the Batch API takes them")
    plan.add_argument(
        "--deadline",
        type=_deadline,
        default=86_400.0,
        metavar="TIME",
        help="90s, 15m, 8h, 1d, or a moment such as 2026-12-01T06:00+00:00 (default: 24h)",
    )
    submit = actions.add_parser("submit", help="send what is planned; nothing is submitted twice")
    submit.add_argument("--workers", type=int, default=8, metavar="N", help="requests under way at once")
    submit.add_argument(
        "--store",
        action="store_true",
        help="let OpenAI store what it answers at once: found again after a kill, it is not paid twice",
    )
    status = actions.add_parser("status", help="say how the job stands")
    collect = actions.add_parser("collect", help="fetch answers, and write them once all are there")
    collect.add_argument("--output", metavar="FILE", help="where they go, in the order of the requests")
    for action in (plan, submit, status, collect):
        action.add_argument("--job", default="routed-job.db", metavar="FILE", help="the job's file")
        action.add_argument("--policy", metavar="FILE", help="a policy in TOML")
        action.add_argument("--ledger", metavar="FILE", help="where what is spent is booked")
        action.add_argument("--url", metavar="URL", help="the API (default: OPENAI_BASE_URL, or OpenAI's)")
        action.add_argument("--json", action="store_true", help="print JSON for programs")


def run(asked: argparse.Namespace) -> int:
    """Do what was asked; the key is read from ``OPENAI_API_KEY``.

    Raises:
        RequestError: for a file that holds something else than requests.
        PolicyError: when a setting is wrong, or the job's file cannot be used.
        ApiError: when the API refuses something or is away.
    """
    from routed_llm.batches import BatchJob, Provider  # other commands need nothing of it
    from routed_llm.calls.router import Router
    from routed_llm.ledger import open_ledger
    from routed_llm.policy import Policy

    router = Router(
        policy=Policy.from_toml(asked.policy) if asked.policy else None,
        ledger=open_ledger(asked.ledger) if asked.ledger else None,
    )
    provider = Provider(asked.url) if asked.action in ("submit", "collect") else None
    if asked.action != "plan" and not Path(asked.job).exists():
        raise PolicyError(f"{asked.job} holds no job. Plan one first.", key="job")
    store = asked.action == "submit" and asked.store
    with BatchJob(asked.job, provider=provider, router=router, store=store) as job:
        if asked.action == "plan":
            with working("Deciding"):
                found = job.plan(asked.source, deadline=asked.deadline)
        elif asked.action == "submit":
            with working("Sending"):
                found = job.submit(workers=asked.workers)
        elif asked.action == "collect":
            with working("Collecting"):
                found = job.collect(asked.output)
        else:
            found = job.status()
    if asked.json:
        print_json(_plain(found))
    else:
        print("\n".join(_told(found, asked)))
    return 0


def _told(found: Summary, asked: argparse.Namespace) -> list[str]:
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items()))
    rows = [f"job {found.job}: {states}"]
    for (tier, model), (count, dollars) in found.by.items():
        rows.append(f"  {tier:<10} {model:<20} {count:>8,}  about ${dollars:.4f}")
    rows.append(f"expected ${found.expected:.4f}, at once ${found.at_once:.4f}, spent ${found.cost:.4f}")
    if found.doubtful:
        most = "" if found.doubtful_cost is None else f", which is ${found.doubtful_cost:.4f} more at most"
        rows.append(f"{found.doubtful:,} were under way when a process ended, and may be paid twice{most}")
    if found.complete:
        failed = found.states.get("failed", 0)
        rows.append(f"complete{f', {failed:,} failed' if failed else ''}")
        if asked.action == "collect" and asked.output:
            rows.append(f"answers are in {asked.output}")
    elif found.states.get("planned"):
        rows.append("next: routed batch submit")
    else:
        rows.append("next: routed batch collect")
    return rows


def _plain(found: Summary) -> dict[str, Any]:
    fields = asdict(found)
    by = [
        {"tier": tier, "model": model, "requests": count, "expected": str(dollars)}
        for (tier, model), (count, dollars) in found.by.items()
    ]
    names = ("expected", "at_once", "cost", "doubtful_cost")
    money = {name: None if fields[name] is None else str(fields[name]) for name in names}
    return {**fields, "by": by, **money, "complete": found.complete}


def _deadline(text: str) -> float | datetime:
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS:
            return float(number) * _UNITS[unit]
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment
    except ValueError:
        said = f"{text!r} is no time such as 15m, 8h or 2026-12-01T06:00+00:00"
        raise argparse.ArgumentTypeError(said) from None
