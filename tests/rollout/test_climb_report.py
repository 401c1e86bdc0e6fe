"""`routed report` of a rollout that climbs: where it stands, each step, and the bounds over time."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from routed_llm import MemoryLedger
from routed_llm.cli import main
from routed_llm.rollout import Ladder
from routed_llm.rollout.ladder import Climb
from routed_llm.rollout.log import DecisionLog


@pytest.fixture(params=[0.0, 0.2], ids=["good", "worse"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """Write the log of a climb, and say whether it was stopped."""
    path, now, rng = tmp_path / "log.jsonl", [0.0], random.Random(5)
    written = DecisionLog(str(path))

    def note(entry: dict[str, Any]) -> None:
        time = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(minutes=now[0])
        written.write({"version": 1, "time": time.isoformat(), "at": "2026-11-22", **entry})

    part = Climb(
        ladder=Ladder(margin=5, name="answers"), ledger=MemoryLedger(), note=note, clock=lambda: now[0]
    )
    for _ in range(2000):
        now[0] += 1
        draw = rng.random()
        part.pair(1.0 if draw < 0.05 else -1.0 if draw < 0.1 + request.param else 0.0)
        part.cost(0.0002, 0.0005)
        if part.progress.stopped or part.progress.step == 3:
            break
    return path, part.progress.stopped is not None


def test_terminal_and_json(log: tuple[Path, bool], capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence on where it stands, a row for each step, a picture; JSON has every number."""
    path, stopped = log
    assert main(["report", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "The rollout 'answers': " in shown
    assert ("stopped: at least" in shown) is stopped
    assert ("100% of the callers are routed" in shown) is not stopped
    assert shown.count("promoted") == (0 if stopped else 3)
    picture = shown[shown.index("Points lost, the bounds") :].splitlines()[1:13]
    assert "=" in picture[5]
    assert {len(line.rstrip()) for line in picture} != {0}
    assert main(["report", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["rollout"]
    assert found[-1]["outcome"] == ("stopped" if stopped else "promoted")
    assert (found[-1]["why"] is not None) is stopped
    assert all(low <= high for low, high in (row["loss"] for row in found))


def test_the_page_has_the_picture(log: tuple[Path, bool], tmp_path: Path) -> None:
    """The page draws the band between the bounds, the margin, and names the last step."""
    path, stopped = log
    page = tmp_path / "page.html"
    assert main(["report", str(path), "--html", str(page)]) == 0
    text = page.read_text()
    drawn = text[text.index("<svg", text.index("The rollout that climbs")) :]
    picture = ElementTree.fromstring(drawn[: drawn.index("</svg>") + 6])
    assert picture.find("polygon[@class='soft']") is not None
    assert len(picture.findall("polyline")) == 2
    assert ("stopped" in [text.text for text in picture.findall("text")]) is stopped
    assert "may be lost: 5" in drawn
