"""What the README shows is what a run gives, and what its badges and first lines say is so."""

from __future__ import annotations

import re
import tomllib
from datetime import date, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import httpx
import pytest

from routed_llm.catalog import Catalog
from routed_llm.simulator import serve

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BEGINNING = README.partition("\n## Elsewhere")[0]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENDS = date(2027, 1, 14)


@pytest.fixture(scope="module")
def shown() -> Any:
    """The script that writes what the README shows."""
    spec = spec_from_file_location("shown", ROOT / "scripts" / "shown.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_what_a_run_draws(shown: Any) -> None:
    """`python scripts/shown.py` would write the picture that is there."""
    assert shown.PICTURE.read_text(encoding="utf-8") == shown.picture(shown.decision())


def test_the_picture_says_what_is_refused_and_what_is_dearer(shown: Any) -> None:
    """It has a bar for the chosen and for a dearer model, and a line for each that cannot serve."""

    def candidate(model: str, effort: str | None, cost: str, *reasons: tuple[str, str]) -> dict[str, Any]:
        said = [{"code": code, "text": text} for code, text in reasons]
        return {"model": model, "effort": effort, "cost": cost, "reasons": said}

    drawn = shown.picture(
        {
            "candidates": [
                candidate("a", "low", "0.01"),
                candidate("a", "high", "0.02", ("dearer", "2.0 times as much")),
                candidate("b", None, "0.04", ("dearer", "4.0 times as much")),
                candidate("c", "low", "0.001", ("floor", "c at low is below b on overall (- X)")),
            ],
            "model": "a",
            "baseline": "b",
            "input_tokens": 1234,
            "at": "2026-11-22",
            "evidence": {"overall": "above"},
            "without_evidence": ["maths"],
        }
    )
    texts = re.findall(r"<text[^>]*>([^<]*)", drawn)
    assert texts == [
        "A prompt of 1,234 tokens, written for b, on 2026-11-22",
        "a serves it: the cheapest of 2 models that can,",
        "by published measures at least as good as b on 1 of 2 areas",
        "a@low",
        "$0.0100 chosen",
        "b",
        "$0.0400",
        "c@low",
        "is below b on overall",
    ]
    assert re.findall(r'rect x="210"[^>]* width="([\d.]+)"', drawn) == ["100.0", "400.0"]


def test_the_first_lines_name_what_ends() -> None:
    """The models that the README says end on that day are those of the catalog, all of them."""
    ending = sorted(model.id for model in Catalog.packaged() if model.lifecycle.shutdown == ENDS)
    first = f"On {ENDS} OpenAI shuts down {', '.join(ending[:-1])} and {ending[-1]}. "
    assert first in " ".join(BEGINNING.split())


def test_the_first_lines_say_what_breaks() -> None:
    """The model that OpenAI names instead of all of them refuses both parameters on the simulator."""
    catalog = Catalog.packaged()
    (instead,) = {one.lifecycle.replacement for one in catalog if one.lifecycle.shutdown == ENDS}
    assert (
        f"and {instead}, which OpenAI names instead, refuses what it sends: `temperature=0`, `stop`."
        in " ".join(BEGINNING.split())
    )
    with serve(at=ENDS + timedelta(days=1)) as simulator:
        for parameter in ({"temperature": 0}, {"stop": ["\n"]}):
            body = {"model": instead, "messages": [{"role": "user", "content": "Hello"}], **parameter}
            httpx.post(
                f"{simulator.url}/chat/completions", json=body, headers={"authorization": "Bearer any"}
            )
        assert [entry.param for entry in simulator.refused] == ["temperature", "stop"]


def test_the_badges_are_true() -> None:
    """Python versions, types and licence are those of the distribution."""
    said = PROJECT["project"]["classifiers"]
    versions = [name.rpartition(" ")[2] for name in said if re.search(r":: 3\.\d+$", name)]
    assert f"![Python {', '.join(versions)}]" in README
    assert f"badge/python-{'%20%7C%20'.join(versions)}-blue" in README
    assert PROJECT["tool"]["mypy"]["strict"] is True
    assert "Typing :: Typed" in said
    assert f"![Licence: {PROJECT['project']['license']}]" in README


def test_the_beginning_is_short() -> None:
    """A reader is through the quick start after less than 600 words, output included."""
    text = re.sub(r"<!--.*?-->|https?://\S+|\|[-| ]+\|", " ", BEGINNING)
    assert len(re.findall(r"[^\W_]+(?:[-'.@][^\W_]+)*", text)) < 600


def test_the_beginning_has_three_links() -> None:
    """There are three ways on, and no list of everything."""
    assert len(re.findall(r"(?<!!)\[[^\]]+\]\([^)]+\)", BEGINNING)) == 3


def test_the_first_program_is_among_the_examples() -> None:
    """What the quick start runs is the program that the README begins with."""
    program = BEGINNING.partition("```python\n")[2].partition("```")[0]
    assert (ROOT / "examples" / "first.py").read_text(encoding="utf-8").partition("\n\n")[2] == program
