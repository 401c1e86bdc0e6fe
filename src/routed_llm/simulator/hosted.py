"""Hosted tools: which ones an answer calls, what these read, what is shown of them and what is billed."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from routed_llm.simulator.ask import Ask
from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import SimulatedModel

_SQUARE = "1024x1024"
_PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What was run for one answer.

    Attributes:
        items: the items that show it, in their order.
        reads: input tokens that it adds to the usage.
        dollars: what it is billed beside the usage.
        searches: how many of the calls are searches of the web.
    """

    items: tuple[dict[str, Any], ...] = ()
    reads: int = 0
    dollars: Decimal = Decimal(0)
    searches: int = 0


def run(ask: Ask, body: dict[str, Any], model: SimulatedModel, key: str, today: date) -> Ran:
    """Return what hosted tools do for a request; the same key gives the same.

    Args:
        ask: the request.
        body: the same as it came, for how tools are set up.
        model: who answers.
        key: of seed and request.
        today: the day, for prices.
    """
    if "web_search_options" in body:
        return Ran(dollars=Decimal(load("hosted")["web_search_options"]["dollars"]))
    if ask.endpoint != "responses" or ask.choice == "none":
        return Ran()
    rng = random.Random(hashlib.sha256(f"{key}|hosted".encode("utf-8", "replace")).digest())  # noqa: S311
    left: int = body.get("max_tool_calls") or 10**9
    done: list[Ran] = []
    for tool in body.get("tools") or ():
        rule = _rule(str(tool.get("type")))
        if not rule or left <= 0:
            continue
        thinks = model.reasons and ask.effort != "none"
        draws = rule["draws"] if thinks else rule.get("draws_silent", rule["draws"])
        calls = min(max(rng.choice(draws), ask.choice == "required"), left)
        left -= calls
        if calls:
            done.append(_called(tool, rule, calls, model, rng, today, ask.last_user))
    return Ran(
        items=tuple([item for one in done for item in one.items]),
        reads=sum(one.reads for one in done),
        dollars=sum((one.dollars for one in done), Decimal(0)),
        searches=sum(one.searches for one in done),
    )


def _rule(kind: str) -> dict[str, Any]:
    """Return the rule of a tool, whatever version its type has; nothing for tools that cost nothing."""
    rules = load("hosted")
    name = next((name for name in sorted(rules, reverse=True) if kind.startswith(name)), "")
    own: dict[str, Any] = rules.get(name, {})
    return {**rules[own["like"]], "fixed": {}, **own} if "like" in own else own


def _called(
    tool: dict[str, Any],
    rule: dict[str, Any],
    calls: int,
    model: SimulatedModel,
    rng: random.Random,
    today: date,
    query: str,
) -> Ran:
    name = f"{rng.getrandbits(160):040x}"
    reads, dollars = sum(rng.choice(rule["reads"]) for _ in range(calls)), Decimal(0)
    if "session" in rule:
        items, dollars = list(_code(tool, calls, name)), _session(tool, rule, today)
    elif "image" in rule:
        image = _image(tool, rule, query, name)
        row = rule["image"].get(tool.get("model", "gpt-image-1"), rule["image"]["gpt-image-1"])
        items, dollars = [image], Decimal(row[image["quality"]][image["size"] != _SQUARE])
    elif "pages_from" in rule:
        items = list(_searches(calls, rule["pages_from"], query, name))
        each = rule["dollars"]
        if not model.reasons and "dollars_plain" in rule:
            each, reads = rule["dollars_plain"], 0
        fixed = rule["fixed"].get(model.name)
        if fixed is not None:
            price = model.prices["standard"]["short"]["input"]
            reads, dollars = 0, price * fixed * calls / 1_000_000
        dollars += Decimal(each) * calls
        return Ran(items=tuple(items), reads=reads, dollars=dollars, searches=calls)
    else:
        items = [
            {"id": f"fs_{name[:38]}{at:02}", "type": "file_search_call", "status": "completed",
             "queries": [query[:80]], "results": None}
            for at in range(calls)
        ]  # fmt: skip
        dollars = Decimal(rule["dollars"]) * calls
    return Ran(items=tuple(items), reads=reads, dollars=dollars)


def _searches(calls: int, pages_from: int, query: str, name: str) -> Iterator[dict[str, Any]]:
    for at in range(calls):
        action = {"type": "search", "query": query[:80], "queries": [query[:80]]}
        yield {"id": f"ws_{name[:38]}{at:02}", "type": "web_search_call", "status": "completed",
               "action": action}  # fmt: skip
    if calls >= pages_from:
        yield {"id": f"ws_{name[:38]}99", "type": "web_search_call", "status": "completed",
               "action": {"type": "open_page", "url": "https://example.com/"}}  # fmt: skip


def _code(tool: dict[str, Any], calls: int, name: str) -> Iterator[dict[str, Any]]:
    given = tool.get("container")
    container = given if isinstance(given, str) else f"cntr_{name}"
    for at in range(calls):
        yield {"id": f"ci_{name[:38]}{at:02}", "type": "code_interpreter_call", "status": "completed",
               "code": "print(6 * 7)", "container_id": container, "outputs": None}  # fmt: skip


def _session(tool: dict[str, Any], rule: dict[str, Any], today: date) -> Decimal:
    given = tool.get("container")
    if isinstance(given, str):
        return Decimal(0)
    row = next(row for row in rule["session"] if today < row.get("until", date.max))
    return Decimal(row.get((given or {}).get("memory_limit") or "", row[""]))


def _image(tool: dict[str, Any], rule: dict[str, Any], query: str, name: str) -> dict[str, Any]:
    made = {key: rule[key] if tool.get(key, "auto") == "auto" else tool[key] for key in ("quality", "size")}
    return {"id": f"ig_{name}", "type": "image_generation_call", "status": "completed",
            "background": "opaque", "output_format": tool.get("output_format", "png"), "result": _PIXEL,
            "revised_prompt": query[:200], **made}  # fmt: skip
