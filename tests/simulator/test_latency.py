"""How long a simulated answer takes: drawn, never waited for."""

from __future__ import annotations

import time
from statistics import median, quantiles

import openai
import pytest

from routed_llm.simulator import Simulator
from routed_llm.simulator.latency import Taken, taken


def draws(model: str, count: int = 400, **given: object) -> list[Taken]:
    """Draw the times of many answers."""
    asked = {"uncached": 500, "thinking": 0, "said": 200, **given}
    return [taken(model, seed=str(at), **asked) for at in range(count)]  # type: ignore[arg-type]


def test_the_ends_are_those_of_the_data() -> None:
    """Nine of ten first tokens come between the ends that the data give."""
    first = [one.first for one in draws("gpt-4o", 2_000, uncached=0, said=0)]
    fifth, *_, last = quantiles(first, n=20)
    assert fifth == pytest.approx(0.4, rel=0.1)
    assert last == pytest.approx(1.9, rel=0.1)


@pytest.mark.parametrize(
    ("more", "least"),
    [({"uncached": 100_500}, 3.0), ({"thinking": 1_000}, 10.0), ({"tier": "flex"}, 1.5)],
    ids=["a long text is read", "thinking comes before the answer", "a tier for which one waits"],
)
def test_what_takes_longer(more: dict[str, object], least: float) -> None:
    """The median first token comes later by at least so many seconds."""
    later = median(one.first for one in draws("gpt-4o", **more))
    assert later - median(one.first for one in draws("gpt-4o")) > least


def test_a_day_is_slow_or_quick_as_a_whole() -> None:
    """Days differ by more than chance, and each draw is the same when it is drawn again."""
    days = [median(one.whole for one in draws("gpt-4o", day=f"2026-11-{day:02}")) for day in range(1, 20)]
    assert max(days) / min(days) > 1.2
    assert draws("gpt-4o", 3, day="2026-11-01") == draws("gpt-4o", 3, day="2026-11-01")


def test_the_header_and_the_journal_carry_it(simulator: Simulator, client: openai.OpenAI) -> None:
    """An answer says how long it took, and came at once."""
    before = time.monotonic()
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Tell me a story."}]
    )
    assert time.monotonic() - before < 5
    entry = simulator.journal[-1]
    assert entry.taken is not None
    assert int(raw.headers["openai-processing-ms"]) == round(entry.taken.whole * 1000)
