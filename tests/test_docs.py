"""Every example in the documentation runs: Python blocks, shell blocks, and consoles with their output.

All blocks of one document run in order and share their names, as a reader would type them.
`OPENAI_BASE_URL` points at the embedded simulator, so an example that calls a model says nothing about it.
A block is left out only by a `<!-- skip: next -->` line above it, a command only when it stands in `NOT_RUN`.
"""

from __future__ import annotations

import asyncio
import doctest
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    path
    for pattern in ("README.md", "docs/**/*.md", "integrations/*/README.md")
    for path in sorted(ROOT.glob(pattern))
]
# They set up a machine; .ci/run does the same in fresh environments.
NOT_RUN = ("pip install", "uv add", "uv pip install", "git clone", "cd ", "make")
SECONDS = 120


def run(commands: str, example: Example) -> str:
    """Run shell commands as a reader in a clone would, and return what they print."""
    kept = [line for line in commands.splitlines() if not line.strip().startswith(NOT_RUN)]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(kept)],
        cwd=example.namespace["clone"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def evaluate_shell(example: Example) -> None:
    """Run a block of commands; it passes when the last status is 0."""
    run(example.parsed, example)


def evaluate_console(example: Example) -> str | None:
    """Run each `$ command` and compare what follows it with its output; `...` stands for anything."""
    for part in f"\n{example.parsed}".split("\n$ ")[1:]:
        command, _, expected = part.partition("\n")
        got = run(command, example)
        if not doctest.OutputChecker().check_output(
            f"{expected.rstrip()}\n", f"{got.rstrip()}\n", doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        ):
            return f"$ {command}\nexpected:\n{expected}\ngot:\n{got}"
    return None


def parse(path: Path) -> Document:
    """Return a document with its executable blocks."""
    shells = [CodeBlockParser(language=name, evaluator=evaluate_shell) for name in ("bash", "sh", "shell")]
    console = CodeBlockParser(language="console", evaluator=evaluate_console)
    return Sybil(parsers=[PythonCodeBlockParser(), *shells, console, SkipParser()]).parse(path)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A scratch folder that holds what a document may read, so that no example can change the tree."""
    for name in ("examples", "docs"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture(autouse=True)
def day() -> None:
    """What the documents show holds on the day on which it is read."""


@pytest.fixture
def loop() -> Iterator[None]:
    """Close the event loop that llama-index-core makes for a query engine and leaves open."""
    yield
    with suppress(RuntimeError), warnings.catch_warnings(action="ignore"):  # there may be none
        asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The simulator's address, set as the environment variables that OpenAI's SDK reads."""
    from routed_llm.simulator import serve

    with serve() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_BASE", server.url)  # the name that LlamaIndex reads
        monkeypatch.setenv("OPENAI_API_KEY", "simulated")
        yield server.url


def examples_of(path: Path, **names: Any) -> list[Example]:
    """Return a document's examples in order; blocks and evaluators find `names` in their namespace."""
    document = parse(path)
    document.namespace.update(names)
    return list(document.examples())


@pytest.mark.skipif(not DOCUMENTS, reason="no document is written yet")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_runs(
    path: Path,
    clone: Path,
    endpoint: str,
    loop: None,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
) -> None:
    """Each block of a document runs without an error and prints what the document shows."""
    monkeypatch.chdir(clone)
    for example in examples_of(path, clone=clone):
        with subtests.test(line=example.line):
            example.evaluate()


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="README.md is not written yet")
def test_the_readme_has_examples() -> None:
    """A README without one example that runs would pass the test above for nothing."""
    assert len(examples_of(ROOT / "README.md")) > 0


Write = Callable[[str], list[Example]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a document and return its examples."""

    def examples(text: str) -> list[Example]:
        path = tmp_path / "document.md"
        path.write_text(text)
        return examples_of(path, clone=tmp_path)

    return examples


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("```python\n1 / 0\n```\n", ZeroDivisionError, id="python"),
        pytest.param("```bash\nfalse\n```\n", AssertionError, id="shell"),
        pytest.param("```bash\nfalse | cat\n```\n", AssertionError, id="pipe"),
        pytest.param("```console\n$ echo one\ntwo\n```\n", Exception, id="console"),
    ],
)
def test_a_wrong_example_fails(write: Write, text: str, error: type[Exception]) -> None:
    """A block that fails, or prints something else, is an error."""
    (example,) = write(text)
    with pytest.raises(error):
        example.evaluate()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```python\nassert 1 + 1 == 2\n```\n", id="python"),
        pytest.param("```bash\npip install nothing-like-this\ntrue\n```\n", id="install is left out"),
        pytest.param("```console\n$ echo one; echo two\none\n...\n$ echo three\nthree\n```\n", id="console"),
    ],
)
def test_a_right_example_passes(write: Write, text: str) -> None:
    """A block that does what it shows passes."""
    (example,) = write(text)
    example.evaluate()


def test_every_place_that_the_architecture_names_is_there() -> None:
    """A file or folder that the picture or a table names is a tracked one."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    listed = subprocess.run(
        ["git", "ls-files", "src", "integrations"], cwd=ROOT, capture_output=True, text=True
    )
    known = {f"/{path}" for path in listed.stdout.splitlines()}
    known |= {f"{parent.as_posix()}/" for path in known for parent in Path(path).parents}
    named = set(re.findall(r"[\w/.-]*\w(?:\.py|\.toml|/)(?=[\s`)│]|$)", text, re.MULTILINE))
    assert len(named) > 40
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in known)] == []
