# ruff: noqa: E501 - a program before or after stands on one line
"""Whole trees: links between files, notebooks, dependency files, bad input, writing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from routed_llm.migrate import Kind, Migration, MigrationError, Options, migrate
from routed_llm.migrate.dependencies import with_dependency
from routed_llm.migrate.files import mark_of, replace_file

CALL = "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')\n"
ROUTED = "from langchain_routed import RoutedChatModel\nllm = RoutedChatModel(model='gpt-4o')\n"


def tree(folder: Path, files: dict[str, str | bytes], **options: Any) -> Migration:
    """Write files and search them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return migrate(folder, Options(at="2026-11-22", **options), workers=1)


def kinds(found: Migration) -> dict[str, str]:
    """Return the class of the one occurrence of each file."""
    return {item.path: str(item.kind) for item in found.occurrences}


def notebook(*cells: tuple[str, Any], indent: int = 1) -> str:
    """Return a notebook's file."""
    made = [
        {"cell_type": kind, "metadata": {"id": n}, "source": source}
        | ({"execution_count": 3, "outputs": [{"text": ["gpt-4o é\n"]}]} if kind == "code" else {})
        for n, (kind, source) in enumerate(cells)
    ]
    return json.dumps(
        {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=indent, ensure_ascii=False
    )


def test_constant_of_another_module(tmp_path: Path) -> None:
    """A constant that a constructor imports is traced to it, and the constructor is rewritten."""
    found = tree(
        tmp_path,
        {
            "app/config.py": "MODEL = 'gpt-4o'\n",
            "app/main.py": "from app.config import MODEL\nfrom langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model=MODEL)\n",
        },
    )
    assert kinds(found) == {"app/config.py": "trace"}
    assert found.occurrences[0].why == "it reaches ChatOpenAI at app/main.py:3, which becomes RoutedChatModel"
    assert list(found.changes) == ["app/main.py"]
    found.write()
    again = migrate(tmp_path, workers=1)
    assert not again.changes
    assert kinds(again) == {"app/config.py": "keep"}


def test_environment_file(tmp_path: Path) -> None:
    """A variable that a constructor reads is traced from the file that sets it."""
    found = tree(
        tmp_path,
        {
            ".env": "OPENAI_MODEL=gpt-4o\n",
            "main.py": "import os\nfrom langchain_openai import ChatOpenAI\n"
            "llm = ChatOpenAI(model=os.getenv('OPENAI_MODEL', 'gpt-4o'))\n",
        },
    )
    assert kinds(found) == {".env": "trace", "main.py": "rewrite"}
    found.write()
    assert kinds(migrate(tmp_path, workers=1)) == {".env": "keep", "main.py": "keep"}


def test_notebook_keeps_everything_else(tmp_path: Path) -> None:
    """Only characters of the code change; outputs, counts, metadata and the file's form stay."""
    before = notebook(
        (
            "code",
            [
                "%pip install langchain\n",
                "!ls\n",
                "from langchain_openai import ChatOpenAI, OpenAIEmbeddings",
            ],
        ),
        ("markdown", ["# gpt-4o\n"]),
        ("code", "llm = ChatOpenAI(model=\"gpt-4o\")  # é\nawait llm.ainvoke('x')"),
        ("code", ["%%bash\n", "echo gpt-4o\n"]),
    )
    found = tree(tmp_path, {"n.ipynb": before})
    assert [str(item.kind) for item in found.occurrences] == [
        "keep",
        "keep",
        "rewrite",
        "keep",
        "report",
        "keep",
    ]
    after = found.changes["n.ipynb"].decode()
    assert after == before.replace(
        '"from langchain_openai import ChatOpenAI, OpenAIEmbeddings"',
        '"from langchain_openai import OpenAIEmbeddings\\n",\n    "from langchain_routed import RoutedChatModel"',
    ).replace('llm = ChatOpenAI(model=\\"', 'llm = RoutedChatModel(model=\\"').replace(
        "install lang", "install langchain-routed lang"
    )
    found.write()
    assert not migrate(tmp_path, workers=1).changes


INSTALLS = {
    "beside what it extends": (
        "%pip install -qU langchain-openai rich",
        "%pip install -qU langchain-openai langchain-routed rich",
    ),
    "with a version and quotes": (
        '!pip install "langchain_openai>=1.7"',
        '!pip install "langchain_openai>=1.7" langchain-routed',
    ),
    "with extras": (
        "!pip install langchain-openai[x]==1.7 a  # b",
        "!pip install langchain-openai[x]==1.7 langchain-routed a  # b",
    ),
    "of another package": ("!pip install -q langchain", "!pip install langchain-routed -q langchain"),
    "as a module of Python": (
        "!python3 -m pip install langchain",
        "!python3 -m pip install langchain-routed langchain",
    ),
    "with uv": ("!uv pip install langchain-openai", "!uv pip install langchain-openai langchain-routed"),
    "with conda": (
        "%conda install -y langchain-openai",
        "%conda install -y langchain-openai langchain-routed",
    ),
    "in a shell cell": (
        "%%bash\npip install langchain-openai",
        "%%bash\npip install langchain-openai langchain-routed",
    ),
    "over lines": (
        "!pip install \\\n  langchain-openai \\\n  rich",
        "!pip install \\\n  langchain-openai langchain-routed \\\n  rich",
    ),
    "there already": (
        "%pip install langchain-openai langchain_routed",
        "%pip install langchain-openai langchain_routed",
    ),
}


@pytest.mark.parametrize("form", ["one string", "a string a line"])
@pytest.mark.parametrize(("before", "after"), INSTALLS.values(), ids=INSTALLS)
def test_a_notebook_installs_what_it_needs(before: str, after: str, form: str, tmp_path: Path) -> None:
    """A line that installs packages in a rewritten notebook installs the routed one, too, and once."""

    def cell(text: str) -> Any:
        return text if form == "one string" else text.splitlines(keepends=True)

    found = tree(tmp_path, {"n.ipynb": notebook(("code", cell(before)), ("code", CALL))})
    assert found.changes["n.ipynb"].decode() == notebook(("code", cell(after)), ("code", ROUTED))
    assert not found.notes
    found.write()
    assert not migrate(tmp_path, workers=1).changes


def test_a_notebook_that_installs_nothing(tmp_path: Path) -> None:
    """Where no line installs packages, it is said what to install."""
    found = tree(tmp_path, {"n.ipynb": notebook(("code", CALL))})
    assert found.notes == (
        "No dependency file names langchain-openai. Add langchain-routed to what is installed.",
    )


def test_places_of_a_notebook(tmp_path: Path) -> None:
    """A place in a notebook is a cell and a line, as its reader sees it."""
    cells = (
        ("markdown", ["# gpt-4o\n"]),
        ("code", "import os\n\nM = 'gpt-4o'"),
        ("code", ["%%time\n", *CALL.splitlines(keepends=True)]),
        ("code", [*CALL.splitlines(keepends=True)[:1], "llm = ChatOpenAI(model=M)"]),
    )
    found = tree(tmp_path, {"n.ipynb": notebook(*cells)})
    code = [item for item in found.occurrences if str(item.kind) != "keep"]
    assert [item.place for item in code] == ["n.ipynb:cell 2, line 3", "n.ipynb:cell 3, line 3"]
    assert code[0].why == "constant that reaches ChatOpenAI at cell 4, line 2, which becomes RoutedChatModel"
    assert found.occurrences[0].place == "n.ipynb:cell 1"


def test_markdown_with_docs(tmp_path: Path) -> None:
    """Python blocks of a text are rewritten when asked for, as one program."""
    text = "# A\n```python\nfrom langchain_openai import ChatOpenAI\n```\ngpt-4o\n```py\nllm = ChatOpenAI(model='gpt-4o')\n```\n"
    assert not tree(tmp_path, {"a.md": text}).changes
    found = migrate(tmp_path, Options(docs=True), workers=1)
    expected = text.replace("langchain_openai import ChatOpenAI", "langchain_routed import RoutedChatModel")
    assert found.changes["a.md"].decode() == expected.replace("llm = ChatOpenAI", "llm = RoutedChatModel")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "langchain-openai>=0.3\nrich\n", "langchain-openai>=0.3\nlangchain-routed\nrich\n", id="line"
        ),
        pytest.param(
            "rich\r\nlangchain_openai", "rich\r\nlangchain_openai\r\nlangchain-routed", id="last, CRLF"
        ),
        pytest.param("rich\n", "rich\n", id="not named"),
        pytest.param(
            "langchain-openai\nlangchain-routed\n", "langchain-openai\nlangchain-routed\n", id="there"
        ),
    ],
)
def test_requirements(before: str, after: str) -> None:
    """A requirements file gets a line below the one that is extended."""
    assert with_dependency(before, "langchain-routed", toml=False) == after
    assert with_dependency(after, "langchain-routed", toml=False) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            '[project]\ndependencies = [\n    "langchain-openai>=1.7", # chat\n]\n',
            '[project]\ndependencies = [\n    "langchain-openai>=1.7",\n    "langchain-routed", # chat\n]\n',
            id="a line each",
        ),
        pytest.param(
            "[project]\ndependencies = ['a', 'langchain-openai']\n",
            "[project]\ndependencies = ['a', 'langchain-openai', 'langchain-routed']\n",
            id="one line",
        ),
        pytest.param(
            '[tool.poetry.dependencies]\nlangchain-openai = "^0.3"\n',
            '[tool.poetry.dependencies]\nlangchain-openai = "^0.3"\nlangchain-routed = "*"\n',
            id="poetry",
        ),
    ],
)
def test_pyproject(before: str, after: str) -> None:
    """A pyproject.toml gets an entry in the form of its neighbours."""
    assert with_dependency(before, "langchain-routed", toml=True) == after


def test_dependencies_of_a_tree(tmp_path: Path) -> None:
    """The nearest file that names what is extended gets the package; an old pin is pointed out."""
    found = tree(tmp_path, {"requirements.txt": "langchain-openai==0.2.1\n", "app/main.py": CALL})
    assert found.changes["requirements.txt"] == b"langchain-openai==0.2.1\nlangchain-routed\n"
    assert found.notes == (
        "requirements.txt holds langchain-openai at ==0.2.1; the routed package needs >=1.7,<1.8. Raise the pin.",
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(CALL.encode(), ROUTED.encode(), id="utf-8"),
        pytest.param(
            b"\xef\xbb\xbf" + CALL.encode(), b"\xef\xbb\xbf" + ROUTED.encode(), id="byte order mark"
        ),
        pytest.param(
            "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1") + CALL.encode(),
            "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1") + ROUTED.encode(),
            id="latin-1 declared",
        ),
        pytest.param(CALL.encode() + b"x = '\xff'\n", None, id="latin-1 not declared"),
        pytest.param(
            CALL.encode().replace(b"\n", b"\r\n"), ROUTED.encode().replace(b"\n", b"\r\n"), id="CRLF"
        ),
        pytest.param(CALL.encode().rstrip(b"\n"), ROUTED.encode().rstrip(b"\n"), id="no last line end"),
        pytest.param(b"\x0c\n" + CALL.encode(), b"\x0c\n" + ROUTED.encode(), id="form feed"),
        pytest.param(CALL.encode() + b"print 'python 2'\n", None, id="Python 2"),
    ],
)
def test_bytes(tmp_path: Path, content: bytes, expected: bytes | None) -> None:
    """No byte outside the edits changes, whatever the encoding and line ends."""
    found = tree(tmp_path, {"a.py": content})
    found.write()
    assert (tmp_path / "a.py").read_bytes() == (content if expected is None else expected)
    if expected is None:
        assert {item.kind for item in found.occurrences} == {Kind.REPORT}


def test_wide_text(tmp_path: Path) -> None:
    """UTF-16 files with a mark are read."""
    found = tree(tmp_path, {"settings.yaml": "model: gpt-4o\n".encode("utf-16")})
    assert kinds(found) == {"settings.yaml": "report"}


def test_what_is_skipped(tmp_path: Path) -> None:
    """Vendored, hidden, binary and large files and links are left out and counted; loops end."""
    loop = tmp_path / "loop"
    loop.symlink_to(tmp_path)
    found = tree(
        tmp_path,
        {
            "node_modules/a.py": CALL,
            ".venv/b.py": CALL,
            "c.png": b"gpt-4o",
            "d.bin2": b"\0gpt-4o\0",
            "big.ipynb": notebook(("code", [CALL])) + " " * 2_000_000,
            "e.py": CALL,
        },
        max_bytes=1_000_000,
    )
    assert list(found.changes) == ["e.py"]
    assert dict(found.skipped) == {
        "symbolic link": ["loop"],
        "vendored or generated folder": ["node_modules"],
        "hidden folder": [".venv"],
        "binary file": ["c.png", "d.bin2"],
        "file larger than --max-size": ["big.ipynb"],
    }


def test_nothing_there(tmp_path: Path) -> None:
    """A path that does not exist is refused."""
    with pytest.raises(MigrationError, match=r"does not exist\. Name a folder or a file\.$"):
        migrate(tmp_path / "none")


def test_broken_notebook(tmp_path: Path) -> None:
    """A notebook that is no JSON is reported and left alone."""
    found = tree(tmp_path, {"n.ipynb": '{"cells": [ "gpt-4o"'})
    assert kinds(found) == {"n.ipynb": "report"}
    assert not found.changes


def test_dirty_git(tmp_path: Path) -> None:
    """Files that git could not bring back are not written unless told."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    found = tree(tmp_path, {"a.py": CALL})
    with pytest.raises(MigrationError) as caught:
        found.write()
    assert (
        str(caught.value) == "git has uncommitted changes in a.py. Commit them first, or add --allow-dirty."
    )
    assert (tmp_path / "a.py").read_text() == CALL
    assert found.write(dirty=True) == ["a.py"]
    assert (tmp_path / "a.py").read_text() == ROUTED


def test_replacing_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails halfway the file is as it was and nothing is left behind; modes are kept."""
    path = tmp_path / "a.py"
    path.write_bytes(b"old")
    path.chmod(0o755)
    replace_file(path, mark_of(b"old"), b"mid")
    assert path.stat().st_mode & 0o777 == 0o755

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(MigrationError) as caught:
        replace_file(path, mark_of(b"mid"), b"new")
    assert str(caught.value).startswith(f"{path}: No space left on device.")
    assert path.read_bytes() == b"mid"
    assert [item.name for item in tmp_path.iterdir()] == ["a.py"]


def test_two_processes_find_the_same(tmp_path: Path) -> None:
    """What two processes find is what one finds."""
    files = {f"p{number // 20}/m{number}.py": CALL for number in range(150)}
    alone = tree(tmp_path, files)
    both = migrate(tmp_path, Options(at="2026-11-22"), workers=2)
    assert both.changes == alone.changes
    assert both.count()[Kind.REWRITE] == 150
