"""Which models exist on which day, and what is served under which name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import openai
import pytest

from routed_llm.simulator import Simulator, serve

HI = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("model", "served"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("gpt-5.4-mini", "gpt-5.4-mini-2026-03-17"),
        ("gpt-5.6", "gpt-5.6-sol"),
        ("gpt-6-luna", "gpt-6-luna"),
    ],
)
def test_served_name(client: openai.OpenAI, model: str, served: str) -> None:
    """The response names the snapshot that answered; 5.6 and later have none."""
    assert client.chat.completions.create(model=model, messages=HI).model == served


@pytest.mark.parametrize(
    ("model", "day", "status"),
    [
        ("gpt-4o", date(2027, 1, 13), 200),
        ("gpt-4o", date(2027, 1, 14), 404),
        ("gpt-4o-2024-11-20", date(2027, 1, 14), 404),
        ("gpt-5", date(2026, 12, 10), 200),
        ("gpt-5", date(2026, 12, 11), 404),
        ("gpt-4.1-nano", date(2026, 10, 22), 200),
        ("gpt-4.1-nano", date(2026, 10, 23), 404),
        ("gpt-5.5", date(2026, 4, 22), 404),
        ("gpt-5.5", date(2026, 4, 23), 200),
        ("gpt-6.2-sol", date(2026, 11, 16), 404),
        ("gpt-6.2-sol", date(2026, 11, 17), 200),
        ("o3-mini", date(2026, 11, 1), 404),
    ],
)
def test_dates(client: openai.OpenAI, simulator: Simulator, model: str, day: date, status: int) -> None:
    """A model is there from its release on and gone from its shutdown on."""
    simulator.at = day
    if status == 200:
        client.chat.completions.create(model=model, messages=HI)
        return
    with pytest.raises(openai.NotFoundError) as info:
        client.chat.completions.create(model=model, messages=HI)
    assert info.value.code == "model_not_found"


DAYS = {
    "a date": date(2027, 1, 15),
    "a moment": datetime(2027, 1, 15, 12, tzinfo=UTC),
    "a text": "2027-01-15",
}


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_a_day_in_every_form(client: openai.OpenAI, simulator: Simulator, day: Any) -> None:
    """A day is taken as a date, a moment or a text, when the simulator begins and later."""
    simulator.at = day
    assert simulator.at == date(2027, 1, 15)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4o", messages=HI)
    with serve(at=day) as another:
        assert another.at == date(2027, 1, 15)


@pytest.mark.parametrize("day", ["tomorrow", "", 20270115, 1.5, b"2027-01-15"], ids=repr)
def test_what_is_no_day(simulator: Simulator, day: Any) -> None:
    """It is refused where it is given, and the day stays."""
    before = simulator.at
    with pytest.raises(ValueError, match="is not a day") as info:
        simulator.at = day
    assert str(info.value) == f"at={day!r} is not a day. Give a date, or one as text: '2027-01-15'."
    assert simulator.at == before


def test_listing_carries_shutdown_dates(client: openai.OpenAI) -> None:
    """GET /v1/models gives what is offered that day, with the date of its end."""
    rows = {row.id: row.to_dict(mode="json")["shutdown_date"] for row in client.models.list()}
    assert rows["gpt-4o"] == "2027-01-14"
    assert rows["gpt-6-luna"] is None
    assert "gpt-4.1-nano" not in rows
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4.1-nano")
