"""The tree stands alone: nothing committed leads to one machine or to one package index."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.mutants import mutants

ROOT = Path(__file__).parent.parent

# Written with a class around one letter, so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": r"(^|[^[:alnum:]_.~-])/([w]ork|[r]oot|([h]ome|[U]sers)/[[:alnum:]]+)(/|$)",
    "a folder beside the repository": r"\.\./[s]hared",
    "a package index": r"([p]ypi\.org|[p]ythonhosted\.org|[r]egistry\.npmjs|[d]eb\.debian\.org|[i]ndex-url)",
    "a private key or token": r"(BEGIN [A-Z ]*[P]RIVATE KEY|sk-[p]roj-[[:alnum:]_-]{20})",
}


def grep(pattern: str) -> list[str]:
    """Return `path:line:text` of the tracked lines that match an extended regular expression."""
    found = subprocess.run(
        ["git", "grep", "-nIE", pattern, "--", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode in (0, 1), found.stderr
    return found.stdout.splitlines()


def tracked() -> list[str]:
    """Return the paths of the tracked files."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a clone knows what is committed")


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_no_committed_line_leads_away_from_the_tree(pattern: str) -> None:
    """No tracked text holds what only one machine or one index can answer."""
    assert grep(pattern) == []


def test_the_search_finds_what_is_there() -> None:
    """The search above would find a line: it finds this file's own first line."""
    assert [line.split(":")[0] for line in grep(r"^\"\"\"The tree stands [a]lone")] == ["tests/test_tree.py"]


def test_no_lock_file_is_committed() -> None:
    """Pins live in constraints.txt, which names no index; lock files name one."""
    locks = {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "pylock.toml"}
    assert [path for path in tracked() if Path(path).name in locks] == []


def test_the_namespace_packages_stay_open() -> None:
    """An `__init__.py` in `llama_index` or `llama_index/llms` would hide every other LlamaIndex package."""
    prefix = "integrations/llama-index-llms-routed/llama_index"
    assert {f"{prefix}/__init__.py", f"{prefix}/llms/__init__.py"}.isdisjoint(tracked())


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of a Markdown file leads to a tracked file or folder."""
    known = set(tracked())
    known |= {parent.as_posix() for path in known for parent in Path(path).parents}
    lost = [
        f"{path}: {target}"
        for path in tracked()
        if path.endswith(".md")
        for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / path).read_text())
        if "://" not in target and os.path.normpath(Path(path).parent / target) not in known
    ]
    assert lost == []


def test_the_client_stays_thin() -> None:
    """The adapter on the SDK shows that the core does the work: under 500 lines, everything included."""
    modules = [path for path in tracked() if path.startswith("integrations/openai-routed/openai_routed/")]
    assert sum(len((ROOT / path).read_text("utf-8").splitlines()) for path in modules) < 500


def test_every_mutant_has_a_place() -> None:
    """A mutant whose code has moved on kills nothing, and nobody would see it."""
    assert [one.name for one in mutants() if one.is_stale] == []
