"""What hosted tools cost beside tokens: in prices, estimates, limits, budgets and bills."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from routed_llm import Budget, BudgetExceeded, Catalog, NoModelFits, Policy, Router, Usage, read_openai
from routed_llm.ledger.base import Entry
from routed_llm.pricing import cost
from routed_llm.simulator import serve
from routed_llm.usage import hosted_calls

CATALOG = Catalog.load()
DAY = date(2026, 11, 29)

PRICES = [
    ("gpt-5.6-luna", "web_search", "", DAY, "0.01"),
    ("gpt-4.1", "web_search", "", DAY, "0.01"),
    ("gpt-4.1-mini", "web_search", "", DAY, "0.0132"),  # and 8,000 tokens at $0.40 a million
    ("gpt-4o-mini", "web_search", "", DAY, "0.0112"),
    ("gpt-4o", "web_search_preview", "", DAY, "0.025"),
    ("gpt-5.4", "web_search_preview", "", DAY, "0.01"),
    ("gpt-5.4", "file_search", "", DAY, "0.0025"),
    ("gpt-5.1", "code_interpreter", "", date(2026, 2, 1), "0.03"),
    ("gpt-5.4", "code_interpreter", "4g", date(2026, 4, 24), "0.12"),
    ("gpt-5.4", "code_interpreter", "4g", DAY, "0.03"),
    ("gpt-5.4", "code_interpreter", "64g", DAY, "0.48"),
    ("gpt-5.4", "shell", "local", DAY, "0"),
    ("gpt-5.4", "image_generation", "gpt-image-1.5 high 1024x1024", DAY, "0.133"),
    ("gpt-5.4", "mcp", "", DAY, "0"),
]


@pytest.mark.parametrize(("model", "tool", "setup", "day", "dollars"), PRICES)
def test_a_call_of_a_hosted_tool_has_a_price(
    model: str, tool: str, setup: str, day: date, dollars: str
) -> None:
    """A bill has the price of the day, of the model and of how the tool is set up."""
    found, none = [
        cost(Usage(output_tokens=10, hosted=hosted), CATALOG.get(model), day)
        for hosted in (((tool, setup, 2),), ())
    ]
    assert found is not None
    assert none is not None
    assert found - none == 2 * Decimal(dollars)


def _search(at: int, action: str = "search") -> dict[str, Any]:
    return {"type": "web_search_call", "id": f"ws_{at}", "action": {"type": action}}


def _code(at: int, container: str = "c1") -> dict[str, Any]:
    return {"type": "code_interpreter_call", "id": f"ci_{at}", "container_id": container}


_AUTO = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}
_IMAGE = {"type": "image_generation_call", "quality": "high", "size": "1536x1024"}

REPLIES = [
    ("searches", [{"type": "web_search"}], [_search(1), _search(2)], {}, (("web_search", "", 2),)),
    ("a version", [{"type": "web_search_2025_08_26"}], [_search(1)], {}, (("web_search", "", 1),)),
    ("preview", [{"type": "web_search_preview_2025_03_11"}], [_search(1)], {},
     (("web_search_preview", "", 1),)),
    ("pages are free", [{"type": "web_search"}], [_search(1), _search(2, "open_page")], {},
     (("web_search", "", 1),)),
    ("the count that is reported", [{"type": "web_search"}], [_search(1)],
     {"web_search": {"num_requests": 3}}, (("web_search", "", 3),)),
    ("one container, three runs", [_AUTO], [_code(1), _code(2), _code(3)], {},
     (("code_interpreter", "4g", 1),)),
    ("two containers", [_AUTO], [_code(1), _code(2, "c2")], {}, (("code_interpreter", "4g", 2),)),
    ("a container that there was", [{"type": "code_interpreter", "container": "c1"}], [_code(1)], {}, ()),
    ("an image", [{"type": "image_generation"}], [_IMAGE], {},
     (("image_generation", "gpt-image-1 high 1536x1024", 1),)),
    ("files", [{"type": "file_search"}], [{"type": "file_search_call"}] * 2, {}, (("file_search", "", 2),)),
    ("offered, not called", [{"type": "web_search"}], [{"type": "message"}], {}, ()),
    ("functions", [{"type": "function"}], [{"type": "function_call"}], {}, ()),
    ("strange", ["x", None], [None, {"type": None}], {"web_search": 3}, ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tools", "output", "usage", "wanted"), [row[1:] for row in REPLIES], ids=[row[0] for row in REPLIES]
)
def test_a_reply_shows_what_was_called(tools: Any, output: Any, usage: Any, wanted: Any) -> None:
    """Items count as they are billed: searches, sessions of containers, images by size and quality."""
    assert hosted_calls({"tools": tools, "output": output, "tool_usage": usage}) == wanted


def _decide(body: dict[str, Any], **policy: Any) -> Any:
    return Router(policy=Policy(**policy), clock=lambda: DAY).decide(read_openai({"input": "News?", **body}))


ESTIMATES = [
    # tool, more of the request, what is expected of fees and of what is read, at most, with luna
    ({"type": "web_search"}, {}, "0.0196", "0.15"),
    ({"type": "web_search"}, {"tool_choice": "none"}, "0", "0"),
    ({"type": "web_search"}, {"max_tool_calls": 1}, "0.0115", "0.015"),
    ({"type": "web_search"}, {"max_tool_calls": 3}, "0.0196", "0.045"),
    ({"type": "file_search", "vector_store_ids": ["v"]}, {}, "0.0022", "0.0325"),
    (_AUTO, {}, "0.0274", "0.1212"),
    ({"type": "image_generation", "quality": "low", "size": "1024x1024"}, {}, "0.0034", "0.0173"),
    ({"type": "image_generation", "quality": "low", "size": "1024x1024"},
     {"tool_choice": {"type": "image_generation"}}, "0.0113", "0.0173"),
    ({"type": "mcp", "server_label": "a", "server_url": "https://example.com"}, {}, "0.0005", "0.0014"),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "more", "mean", "worst"), ESTIMATES)
def test_estimates_have_the_fees(tool: dict[str, Any], more: dict[str, Any], mean: str, worst: str) -> None:
    """Expected cost, range and worst case rise by what the tools are expected to cost."""
    models = ["gpt-5.6-luna"]
    with_tool, without = _decide({"tools": [tool], **more}, models=models), _decide({}, models=models)
    # A tool takes some hundred tokens to describe, and calls go to the effort that tools are good at.
    assert with_tool.dollars - without.dollars == pytest.approx(Decimal(mean), abs=Decimal("0.0006"))
    assert with_tool.worst_cost - without.worst_cost == pytest.approx(Decimal(worst), abs=Decimal("0.001"))
    spread = with_tool.cost_range
    assert spread["p50"] <= spread["p90"] <= spread["p95"]


def test_a_budget_holds_what_searches_may_cost() -> None:
    """A budget that would pay for the words refuses a call whose searches it would not pay for."""
    ask = read_openai({"input": "News?", "tools": [{"type": "web_search"}]})
    for reserve, least in (("expected", "0.015"), ("p95", "0.06"), ("worst", "0.3")):
        budget = Budget(per_call=least, reserve=reserve)
        with pytest.raises(BudgetExceeded):
            Router(clock=lambda: DAY, budgets=budget).decide(ask)
    assert Router(clock=lambda: DAY, budgets=Budget(per_call="0.03")).decide(ask).model == "gpt-5.6-luna"


def test_a_hard_cap_limits_searches() -> None:
    """A hard cap sends a limit on calls that fits, says so, and refuses where that would not do."""
    decision = _decide({"tools": [{"type": "web_search"}]}, max_cost_per_call="0.1", cost_cap="hard")
    change = next(one for one in decision.changes if one.parameter == "max_tool_calls")
    assert (change.action, change.after) == ("added", 5)
    assert change.why == "more would be billed above max_cost_per_call"
    assert decision.call.parameters["max_tool_calls"] == 5
    assert decision.worst_cost <= Decimal("0.1")
    with pytest.raises(NoModelFits):
        _decide({"tools": [{"type": "web_search"}]}, max_cost_per_call="0.05", cost_cap="hard")
    asked = _decide(
        {"tools": [{"type": "web_search"}], "max_tool_calls": 2}, max_cost_per_call="0.05", cost_cap="hard"
    )
    assert asked.call.parameters["max_tool_calls"] == 2
    assert asked.worst_cost <= Decimal("0.05")


def test_the_cheapest_with_searches_is_not_the_cheapest_without() -> None:
    """Where a model pays more for each search, that counts: previews cost 4o two and a half times as much."""
    plain = _decide({}, models=["gpt-4o", "gpt-5.1"], effort=None)
    searching = _decide({"tools": [{"type": "web_search_preview"}]}, models=["gpt-4o", "gpt-5.1"])
    shown = {candidate.model: candidate.cost for candidate in searching.candidates if candidate.cost}
    assert plain.chosen is not None
    assert shown["gpt-4o"] > 1.7 * 0.025e12


def test_an_entry_keeps_what_was_called() -> None:
    """What is booked can be read again, and an entry whose calls are none is no entry."""
    used = Usage(output_tokens=1, hosted=(("web_search", "", 2), ("code_interpreter", "4g", 1)))
    entry = Entry(id="1", at=datetime.fromisoformat("2026-11-29T00:00:00+00:00"), model="gpt-4o", usage=used)
    row = entry.to_dict()
    assert Entry.from_dict(row) == entry
    for wrong in ([["web_search", "", "2"]], [["web_search"]], [3]):
        with pytest.raises(TypeError):
            Entry.from_dict({**row, "usage": {"hosted": wrong}})


TOOLS = [
    {"type": "web_search"},
    {"type": "web_search_preview"},
    {"type": "file_search", "vector_store_ids": ["v"]},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "16g"}},
    {"type": "image_generation", "quality": "medium", "size": "1024x1536"},
    {"type": "image_generation"},
]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5.4", "gpt-5.6-luna"])
@pytest.mark.parametrize("day", [date(2026, 3, 20), date(2026, 4, 24), DAY], ids=str)
def test_what_is_booked_is_what_is_billed(model: str, day: date) -> None:
    """The simulator, with prices of its own, bills each answer as it is read here."""
    if not CATALOG.get(model).alive(day):
        return
    called = 0
    with serve(at=day) as simulator, httpx.Client(base_url=simulator.url) as client:
        for tool in TOOLS:
            for at in range(4):
                body = {"model": model, "input": f"Question {at}", "tools": [tool]}
                reply = client.post("/responses", json=body, headers={"authorization": "Bearer k"}).json()
                hosted = hosted_calls(reply)
                used = Usage.from_openai(reply["usage"], service_tier=reply["service_tier"], hosted=hosted)
                assert cost(used, CATALOG.get(model), day) == simulator.journal[-1].dollars, (tool, at)
                called += len(hosted)
    assert called > 10
