"""`routed keys`: the gateway's own keys: add, list, revoke."""

from __future__ import annotations

import argparse
from typing import Any

from routed_llm.cli.screen import print_json
from routed_llm.gateway.keys import Key, KeyStore
from routed_llm.policy import Policy

__all__ = ["arguments", "run"]

_PERIODS = ("per_call", "per_hour", "per_day", "per_month", "total")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", metavar="NAME", help="whose it is; its calls are tagged key=NAME")
    add.add_argument("--scope", metavar="TAGS", help="further tags of its calls, such as team=search")
    add.add_argument(
        "--models", action="append", metavar="PATTERN", help="models that it may use; repeatable"
    )
    add.add_argument("--policy", metavar="FILE", help="a policy in TOML, over the gateway's")
    for name in _PERIODS:
        said = name.replace("_", " ")
        add.add_argument(
            f"--{name.replace('_', '-')}", metavar="DOLLARS", help=f"most that it may spend {said}"
        )
    add.add_argument(
        "--passes", action=argparse.BooleanOptionalAction, help="whether it may call what is not routed"
    )
    lists = actions.add_parser("list", help="list the keys, without their secrets")
    lists.add_argument("--json", action="store_true", help="print JSON for programs")
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("name", metavar="NAME", help="its name or id")
    for action in (add, lists, revoke):
        action.add_argument("--keys", default="routed-keys.db", metavar="FILE", help="their file")


def run(asked: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        PolicyError: when a setting is wrong, a name is taken, or there is no such key.
        LedgerError: when the file cannot be used.
    """
    store = KeyStore(asked.keys)
    try:
        if asked.action == "add":
            _, secret = store.add(
                asked.name,
                scope=asked.scope,
                policy=_policy(asked),
                budgets=_budgets(asked),
                passes=asked.passes,
            )
            print(secret)
        elif asked.action == "revoke":
            key = store.revoke(asked.name)
            print(f"The key {key.name} ({key.id}) is refused from now on.")
        elif asked.json:
            print_json([_plain(key) for key in store.list()])
        else:
            for key in store.list():
                print(_line(key))
    finally:
        store.close()
    return 0


def _policy(asked: argparse.Namespace) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if asked.policy is not None:
        plain, default = Policy.from_toml(asked.policy).to_dict(), Policy().to_dict()
        wanted = {name: value for name, value in plain.items() if value != default[name]}
    if asked.models:
        wanted["models"] = asked.models
    return wanted


def _budgets(asked: argparse.Namespace) -> tuple[dict[str, Any], ...]:
    amounts = {name: getattr(asked, name) for name in _PERIODS if getattr(asked, name) is not None}
    return (amounts,) if amounts else ()


def _plain(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": dict(key.scope),
        "policy": dict(key.policy),
        "budgets": [dict(budget) for budget in key.budgets],
        "passes": key.passes,
        "created_at": key.created_at.isoformat(),
        "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
    }


def _line(key: Key) -> str:
    state = "active" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d}"
    parts = [f"{name}={value}" for name, value in key.scope.items()]
    parts += [f"{name}={value}" for name, value in key.policy.items()]
    parts += [f"{name}={value}" for budget in key.budgets for name, value in budget.items()]
    return f"{key.id}  {key.name:<20} {state:<20} {' '.join(parts)}".rstrip()
