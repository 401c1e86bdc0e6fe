"""routed-llm-catalog: taken where it is newer, left with a warning where it cannot be read."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from routed_llm.catalog import Catalog, installed
from routed_llm.catalog import catalog as module
from routed_llm.catalog.sources import ROOT, SCHEMA, files, newest

TREE = Path(__file__).parents[2]
PACKAGED = Catalog.packaged()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Give what installs a wheel's folder with files of the tree, changed as a test says."""

    def make(about: Any, changes: dict[str, tuple[str, str]] | None = None, leave_out: str = "") -> Path:
        root = tmp_path / "site" / installed.PACKAGE
        for name in files():
            if name != leave_out:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes((ROOT / name).read_bytes())
        for name, (old, new) in (changes or {}).items():
            assert old in (root / name).read_text()
            (root / name).write_text((root / name).read_text().replace(old, new))
        (root / "__init__.py").write_text("")
        if about is not None:
            (root / installed.ABOUT).write_text(about if isinstance(about, str) else json.dumps(about))
        monkeypatch.syspath_prepend(str(root.parent))
        monkeypatch.setattr(module, "_loaded", None)
        return root

    yield make
    sys.modules.pop(installed.PACKAGE, None)


CHEAPER = {"models/gpt-4o.toml": ('input = "2.50"', 'input = "2.00"')}


def about(days: int = 1, schema: Any = SCHEMA) -> dict[str, Any]:
    """Return what a wheel says of itself, so many days after the packaged catalog."""
    return {"schema": schema, "day": str(PACKAGED.day + timedelta(days=days))}


def test_a_newer_wheel_is_taken(install: Callable[..., Path]) -> None:
    """Its facts are used, also for what is laid over them; the packaged ones stay within reach."""
    root = install(about(), CHEAPER)
    catalog = Catalog.load()
    assert catalog.root == root
    assert catalog.get("gpt-4o").prices[0].input == 2_000_000
    assert Catalog.packaged().get("gpt-4o").prices[0].input == 2_500_000
    assert catalog.with_models({"mine": {"base": "gpt-4o"}}).get("mine").prices[0].input == 2_000_000
    assert pickle.loads(pickle.dumps(catalog)).get("gpt-4o") == catalog.get("gpt-4o")
    assert catalog.get("gpt-4").lifecycle.shutdown == PACKAGED.get("gpt-4").lifecycle.shutdown


@pytest.mark.parametrize("days", [pytest.param(0, id="as old"), pytest.param(-3, id="older")])
def test_an_older_wheel_is_left_in_silence(
    days: int, install: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    """What came with the code is at least as new."""
    install(about(days), CHEAPER)
    assert Catalog.load() == PACKAGED
    assert caplog.records == []


NEXT = PACKAGED.day + timedelta(days=1)
UNREADABLE: list[Any] = [
    pytest.param(
        None,
        {},
        "of an unknown day",
        "it does not say which schema it follows. "
        "Install it again: pip install --force-reinstall routed-llm-catalog.",
        id="no about.json",
    ),
    pytest.param(
        '{"day": "2027-01-01"}',
        {},
        "of an unknown day",
        "it does not say which schema it follows. "
        "Install it again: pip install --force-reinstall routed-llm-catalog.",
        id="no schema",
    ),
    pytest.param(
        "not JSON",
        {},
        "of an unknown day",
        "it does not say which schema it follows. "
        "Install it again: pip install --force-reinstall routed-llm-catalog.",
        id="damaged",
    ),
    pytest.param(
        about(schema=SCHEMA + 1),
        {},
        f"of {NEXT}",
        f"it follows schema {SCHEMA + 1}, and this routed-llm reads {SCHEMA}. "
        "Update routed-llm: pip install -U routed-llm.",
        id="a newer schema",
    ),
    pytest.param(
        about(schema=SCHEMA - 1),
        {},
        f"of {NEXT}",
        f"it follows schema {SCHEMA - 1}, and this routed-llm reads {SCHEMA}. "
        "Update it: pip install -U routed-llm-catalog.",
        id="an older schema",
    ),
    pytest.param(
        about(),
        {"changes": {"models/gpt-4o.toml": ('id = "gpt-4o"', 'id = "gpt-4x"')}},
        f"of {NEXT}",
        "models/gpt-4o.toml: id: 'gpt-4x' is not the file's name. Rename one of them. "
        "Install another day's: pip install routed-llm-catalog==DAY.",
        id="a wrong fact",
    ),
    pytest.param(
        about(),
        {"leave_out": "measures.toml"},
        f"of {NEXT}",
        "measures.toml: cannot be read (No such file or directory). Check the path. "
        "Install another day's: pip install routed-llm-catalog==DAY.",
        id="a file is missing",
    ),
]


@pytest.mark.parametrize(("says", "how", "which", "problem"), UNREADABLE)
def test_a_wheel_that_cannot_be_used_is_left(
    says: Any,
    how: dict[str, Any],
    which: str,
    problem: str,
    install: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The packaged catalog stays, and a warning says what to do."""
    install(says, **how)
    assert Catalog.load() == PACKAGED
    (record,) = [one for one in caplog.records if getattr(one, "event", "") == "catalog_left"]
    assert (record.levelname, record.getMessage()) == (
        "WARNING",
        f"routed-llm-catalog {which} is not used, the catalog of {PACKAGED.day} stays: {problem}",
    )


def test_the_wheel_is_built_from_the_same_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its version is the day of the newest fact, and what it holds is the packaged catalog."""
    source = TREE / "integrations" / "routed-llm-catalog"
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    (wheel,) = tmp_path.glob("*.whl")
    day = newest()
    assert wheel.name == f"routed_llm_catalog-{day.year}.{day.month}.{day.day}-py3-none-any.whl"
    from routed_llm.cli import main

    assert main(["catalog", "diff", "packaged", str(wheel)]) == 0
    assert capsys.readouterr().out == (f"0 facts differ between {PACKAGED.version} and {PACKAGED.version}.\n")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "there")
    root = tmp_path / "there" / installed.PACKAGE
    assert installed.about(root) == (root, day, None)
    before = (root / "compiled.json").stat().st_mtime_ns
    assert Catalog.from_folder(root) == PACKAGED
    assert (root / "compiled.json").stat().st_mtime_ns == before, "it needs not be compiled again"


def test_the_source_distribution_is_whole(tmp_path: Path) -> None:
    """Where there is nothing but it, and no routed-llm, a wheel of the same files can be made of it."""
    source = TREE / "integrations" / "routed-llm-catalog"
    build = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--sdist",
        "--outdir",
        str(tmp_path),
        str(source),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as files_of_it:
        files_of_it.extractall(tmp_path, filter="data")
    alone = (
        "import sys; sys.modules['routed_llm'] = None; from hatchling.build import build_wheel as b; b('out')"
    )
    tree = tmp_path / packed.name.removesuffix(".tar.gz")
    made = subprocess.run(
        [sys.executable, "-c", alone], cwd=tree, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = (tree / "out").glob("*.whl")
    assert wheel.name == f"{tree.name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "there")
    assert Catalog.from_folder(tmp_path / "there" / installed.PACKAGE) == PACKAGED


def test_it_is_dated_by_its_newest_fact() -> None:
    """No fact is of a later day than the catalog, and one is of that day."""
    days = {
        date.fromisoformat(found)
        for name in files()
        for found in re.findall(r"^verified = (\d{4}-\d\d-\d\d)", (ROOT / name).read_text(), re.MULTILINE)
    }
    assert PACKAGED.day == max(days) == newest()
