"""The distributions are released together and say the same of themselves; the data has a date of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import routed_llm

ROOT = Path(__file__).parent.parent
PROJECTS = {
    project["name"]: project
    for path in sorted([ROOT / "pyproject.toml", *ROOT.glob("integrations/*/pyproject.toml")])
    for project in [tomllib.loads(path.read_text())["project"]]
}
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def normal(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(project: dict[str, Any]) -> set[str]:
    """Return the normal names of all that a project needs, extras included."""
    extras = project.get("optional-dependencies", {}).values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return {normal(re.split(r"[\[<>=;~! ]", line)[0]) for line in wanted}


DATA = "routed-llm-catalog"


def test_there_are_five() -> None:
    """The core, one distribution for each framework, and the catalog as data."""
    frameworks = {"langchain-routed", "llama-index-llms-routed", "openai-routed"}
    assert set(PROJECTS) == {"routed-llm", DATA, *frameworks}


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS.keys())
def test_a_distribution_agrees_with_the_core(project: dict[str, Any]) -> None:
    """One version, one lowest Python, one licence; the data has its day as version, and needs nothing."""
    core = PROJECTS["routed-llm"]
    for key in ("requires-python", "license"):
        assert project[key] == core[key]
    assert project["dynamic"] == ["version"]
    if project["name"] == DATA:
        assert project["dependencies"] == []
    else:
        assert version(project["name"]) == routed_llm.__version__


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS.keys())
def test_every_requirement_is_pinned(project: dict[str, Any]) -> None:
    """What a distribution needs has its line in constraints.txt, so that every environment is the same."""
    assert requirements(project) - {normal(name) for name in (*PINS, *PROJECTS)} == set()


def test_the_pins_are_pins() -> None:
    """Every line of both files is `name==version`: no address, no path, no option."""
    for name in ("constraints.txt", "constraints-openai3.txt"):
        for line in (ROOT / name).read_text().splitlines():
            assert re.fullmatch(r"[\w.-]+==[\w.!+]+", line), f"{name}: {line}"


CHOSEN = [
    ("all of one version", "v0.1.0",
     ["routed_llm-0.1.0-py3-none-any.whl", "routed_llm-0.1.0.tar.gz", "routed_llm_catalog-2026.11.29.tar.gz"],
     ["routed_llm-0.1.0-py3-none-any.whl", "routed_llm-0.1.0.tar.gz"]),
    ("the data alone", "catalog-2026.11.29",
     ["routed_llm-0.1.0.tar.gz", "routed_llm_catalog-2026.11.29.tar.gz"],
     ["routed_llm_catalog-2026.11.29.tar.gz"]),
    ("another version", "v0.2.0", ["openai_routed-0.1.0.tar.gz"],
     "openai_routed-0.1.0.tar.gz is not of version 0.2.0. Set the version, or name the tag after it."),
    ("nothing", "catalog-2026.12.1", ["openai_routed-0.1.0.tar.gz"],
     "The tag catalog-2026.12.1 publishes nothing that is in {folder}. Build all distributions first."),
    ("no distribution", "v0.1.0", ["notes.txt"],
     "{folder}/notes.txt is no distribution. Build into an empty folder."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "files", "wanted"), [row[1:] for row in CHOSEN], ids=[row[0] for row in CHOSEN]
)
def test_what_a_tag_publishes(tmp_path: Path, tag: str, files: list[str], wanted: list[str] | str) -> None:
    """A release publishes what is of its version and nothing else, or says what is wrong."""
    for name in files:
        (tmp_path / name).touch()
    ran = subprocess.run(
        [sys.executable, ROOT / ".ci/chosen.py", tag, tmp_path], capture_output=True, text=True, check=False
    )
    if isinstance(wanted, str):
        assert (ran.returncode, ran.stderr.strip()) == (1, wanted.format(folder=tmp_path))
    else:
        assert (ran.returncode, ran.stderr) == (0, "")
        assert sorted(path.name for path in tmp_path.iterdir()) == wanted
