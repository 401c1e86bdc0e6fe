"""Bad input: never a half-written file, never a byte outside the edit, never a search that does not end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from routed_llm.migrate import Migration, MigrationError, Options, migrate
from routed_llm.migrate.files import LEFTOVER, Walk
from routed_llm.migrate.ids import shared
from routed_llm.migrate.scan import Scanner

CALL = "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')\n"
ROUTED = "from langchain_routed import RoutedChatModel\nllm = RoutedChatModel(model='gpt-4o')\n"
MORE = 20_000


def search(folder: Path) -> Migration:
    """Search a tree in this process."""
    return migrate(folder, Options(at="2026-11-22"), workers=1)


def cells(*sources: list[str]) -> str:
    """Return a notebook of code cells."""
    made = [
        {"cell_type": "code", "source": lines, "outputs": [], "metadata": {}, "execution_count": 1}
        for lines in sources
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


HOSTILE = {
    "a hundred thousand hits": ("a.jsonl", '{"model":"gpt-4o"}\n' * (5 * MORE), {"keep": 5 * MORE}),
    "one word throughout": ("a.txt", "gpt-4o/" * MORE, {"keep": 1, "never": MORE - 1}),
    "a line of blanks": ("a.yaml", "key:" + " " * 10**6 + "gpt-4o" + " " * 10**6, {"report": 1}),
    "fences that never close": ("a.md", "```python gpt-4o\n" * MORE, {"keep": MORE}),
    "imports that never close": (
        "a.py",
        "from langchain_openai import (\n" * MORE + "'gpt-4o'\n",
        {"report": 1},
    ),
    "brackets in brackets": ("a.py", "x = " + "(" * MORE + "'gpt-4o'" + ")" * MORE, {"report": 1}),
    "brackets another Python might read": ("a.py", "type X = " + "[" * 300 + "'gpt-4o'", {"report": 1}),
    "attributes of attributes": ("a.py", "x = a" + ".b" * MORE + "('gpt-4o')", {"report": 1}),
    "operators on operators": ("a.py", "x = 'gpt-4o'" + " + 'a'" * MORE, {"report": 1}),
    "blocks in blocks": (
        "a.py",
        "".join(" " * n + "if x:\n" for n in range(120)) + " " * 120 + "'gpt-4o'",
        {"report": 1},
    ),
    "a string of hits": ("a.json", '{"model": "' + "gpt-4o " * MORE + '"}', {"keep": MORE}),
    "lists in lists": ("a.json", "[" * MORE + '"gpt-4o"' + "]" * MORE, {"report": 1}),
    "a notebook of lists": (
        "a.ipynb",
        '{"cells":' + "[" * MORE + '"gpt-4o"' + "]" * MORE + "}",
        {"report": 1},
    ),
    "a megabyte of Python": ("a.py", "D = [\n" + "  'gpt-4o',\n" * 10**5 + "]\n", {"report": 10**5}),
    "a module beyond ASCII": ("a.py", CALL + "é = 'gpt-4o'\n" * 2000, {"rewrite": 1, "report": 2000}),
    "no cells": ("a.ipynb", '{"cells": {"a": "gpt-4o"}}', {"report": 1}),
    "cells that are none": ("a.ipynb", '{"cells": ["gpt-4o", null, {"cell_type": "code"}]}', {"keep": 1}),
    "a codec that is no text": ("a.py", "# coding: rot13\nx = 'gpt-4o'\n", {"report": 1}),
    "a codec that there is not": ("a.py", "# coding: klingon\nx = 'gpt-4o'\n", {"report": 1}),
    "a codec that loses bytes": ("a.py", b"# coding: unicode_escape\nx = 'gpt-4o\\x41'\n", {"report": 1}),
    "bytes that are no UTF-8": ("a.py", CALL.encode() + b"# caf\xe9\n", {"report": 1}),
    "Python 2": ("a.py", "print 'gpt-4o'\n", {"report": 1}),
    "old Macintosh lines": ("a.py", CALL.replace("\n", "\r"), {"report": 1}),
    "empty after its mark": ("a.py", b"\xef\xbb\xbf", {}),
}


@pytest.mark.parametrize(("name", "content", "kinds"), HOSTILE.values(), ids=HOSTILE)
def test_the_search_ends_and_accounts_for_everything(
    name: str, content: str | bytes, kinds: dict[str, int], tmp_path: Path
) -> None:
    """What cannot be read as what it is, is read as text; nothing of it is rewritten but what is certain."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = search(tmp_path)
    assert {str(kind): number for kind, number in found.count().items() if number} == kinds
    assert bool(found.changes) is ("rewrite" in kinds)


LONG = 200_000
LINEAR = {
    "words without a value": ("a.yaml", "a " * LONG + "gpt-4o"),
    "words without a value, not YAML": ("a.yaml", "{{\n" + "a " * LONG + "gpt-4o"),
    "keys without a value": ("a.yaml", "a:" * LONG + "gpt-4o"),
    "quotes": ("a.toml", "'\"" * LONG + "gpt-4o"),
    "dashes": ("a.env", "-" * LONG + "gpt-4o" + "-" * LONG),
    "dollars": ("a.env", "${a:-" * LONG + "gpt-4o"),
    "options": ("a.sh", "--a " * LONG + "gpt-4o"),
    "commas": ("a.ini", "a = gpt-4o" + ", b" * LONG),
    "blanks before a comment": ("a.yaml", "a: gpt-4o" + " " * LONG + "x"),
    "many ids on a line": ("a.yaml", "a: [" + "gpt-4o, " * (LONG // 20) + "x]"),
    "many ids on a line, not YAML": ("a.yaml", "{{ [" + "gpt-4o, " * (LONG // 20) + "x]"),
    "aliases of aliases": (
        "a.yaml",
        "a0: &a0 gpt-4o\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 200)),
    ),
    "slashes": ("a.json", '"' + "a/" * LONG + 'gpt-4o"'),
    "attributes of attributes, no id": ("a.py", "import ChatOpenAI\nx = a" + ".B" * (LONG // 4)),
    "froms without an import": ("a.py", "ChatOpenAI\n" + "from a\n" * (LONG // 8)),
    "imports that never close, no id": ("a.py", "from ChatOpenAI import (\n" * (LONG // 20)),
    "types that never end": ("a.py", "__all__: x\n" * 1000 + CALL),
    "many constructors": ("a.py", CALL + "ChatOpenAI(model='gpt-4o')\n" * (LONG // 100)),
    "many constructors in one notebook": ("a.ipynb", cells([CALL + "ChatOpenAI(model='gpt-4o')\n"] * 100)),
    "many bindings": ("a.py", CALL + "llm.bind(\n" * (LONG // 20)),
    "many settings": (
        "a.py",
        CALL
        + "class A:\n"
        + "".join(f"  m{n}: str = 'gpt-4o'\n" for n in range(1000))
        + "".join(f"ChatOpenAI(model=A.m{n})\n" for n in range(1000)),
    ),
}


@pytest.mark.parametrize(("name", "content"), LINEAR.values(), ids=LINEAR)
def test_hundreds_of_kilobytes_take_seconds(name: str, content: str, tmp_path: Path) -> None:
    """No form of text makes the search slower than its length does."""
    (tmp_path / name).write_text(content)
    begun = time.process_time()
    search(tmp_path)
    assert time.process_time() - begun < 8


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a gc callback
def test_a_file_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has a time; when it is used up the file is searched as text, and the search goes on."""
    monkeypatch.setattr("routed_llm.migrate.scan.SECONDS", 0.2)
    (tmp_path / "a.py").write_text(CALL + "ChatOpenAI = 1\nChatOpenAI\n" * 20_000)
    (tmp_path / "b.py").write_text(CALL)
    found = search(tmp_path)
    assert [(item.path, str(item.kind)) for item in found.occurrences] == [
        ("a.py", "report"),
        ("b.py", "rewrite"),
    ]
    assert found.occurrences[0].why == (
        "the file could not be parsed (it takes more than 0.2 seconds). Fix it first."
    )


MARKS = [("none", b""), ("UTF-8", b"\xef\xbb\xbf")]
ENDS = [("Unix", "\n"), ("Windows", "\r\n")]


@pytest.mark.parametrize(("mark", "bom"), MARKS, ids=[name for name, _ in MARKS])
@pytest.mark.parametrize(("system", "end"), ENDS, ids=[name for name, _ in ENDS])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "shift_jis"])
def test_bytes_outside_the_edit_stay(
    encoding: str, system: str, end: str, mark: str, bom: bytes, tmp_path: Path
) -> None:
    """Marks, line ends, blanks at line ends, tabs, form feeds, and what no editor shows stay as they are."""
    if bom and encoding != "utf-8":
        pytest.skip("a mark of UTF-8 says UTF-8")
    word = "ﾃ".encode("shift_jis").decode("shift_jis") if encoding == "shift_jis" else "é"
    head = f"# -*- coding: {encoding} -*-{end}\f{end}x = '{word}\t '  {end}"
    tail = f"y = ('{word}',   2){end}{end}{end}# end, and no line end"
    new = CALL.replace("\n", end), ROUTED.replace("\n", end)
    before, after = (bom + (head + part + tail).encode(encoding) for part in new)
    (tmp_path / "a.py").write_bytes(before)
    assert search(tmp_path).write() == ["a.py"]
    assert (tmp_path / "a.py").read_bytes() == after


def test_a_file_that_changed_since_it_was_read(tmp_path: Path) -> None:
    """Nothing at all is written when one of the files is no longer what was read."""
    for name in ("a.py", "b.py", "requirements.txt"):
        (tmp_path / name).write_text("langchain-openai\n" if name.endswith("txt") else CALL)
    found = search(tmp_path)
    assert sorted(found.changes) == ["a.py", "b.py", "requirements.txt"]
    for name in ("b.py", "requirements.txt"):
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text("# somebody's own\n" + before)
        with pytest.raises(MigrationError) as caught:
            found.write()
        assert str(caught.value) == f"{tmp_path / name} has changed since it was read. Run the command again."
        assert (tmp_path / "a.py").read_text() == CALL
        (tmp_path / name).write_text(before)
    (tmp_path / "b.py").unlink()
    with pytest.raises(MigrationError) as caught:
        found.write()
    assert str(caught.value) == f"{tmp_path / 'b.py'}: No such file or directory. Run the command again."


def test_a_read_only_file(tmp_path: Path) -> None:
    """Whoever made a file read-only does not want it written; nothing else is either."""
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(CALL)
    (tmp_path / "b.py").chmod(0o444)
    with pytest.raises(MigrationError) as caught:
        search(tmp_path).write()
    expected = f"{tmp_path / 'b.py'} is read-only. Make it writable, or leave its folder out."
    assert str(caught.value) == expected
    assert (tmp_path / "a.py").read_text() == CALL


def test_failing_in_the_middle_says_how_far_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at the second file leaves the first one written whole and the others as they were."""
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text(CALL)
    found, real, calls = search(tmp_path), os.fsync, []

    def fail(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(MigrationError) as caught:
        found.write()
    assert str(caught.value) == (
        f"{tmp_path / 'b.py'}: No space left on device. Nothing of it was written; make it writable. "
        "1 of 3 files were written."
    )
    assert [(tmp_path / name).read_text() for name in ("a.py", "b.py", "c.py")] == [ROUTED, CALL, CALL]
    assert len(list(tmp_path.iterdir())) == 3


KILLED = """
import sys
from pathlib import Path
from routed_llm.migrate.files import mark_of, replace_file
path, size = Path(sys.argv[1]), 3_000_000
print("begun", flush=True)
while True:
    for letter in (b"a", b"b"):
        replace_file(path, mark_of(path.read_bytes()), letter * size)
"""


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """However often a write is killed, the file is one of the two, whole; what is left behind is skipped."""
    path = tmp_path / "a.py"
    path.write_bytes(b"a" * 3_000_000)
    for attempt in range(6):
        done = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
        assert done.stdout is not None
        assert done.stdout.readline() == "begun\n"
        time.sleep(0.03 + 0.017 * attempt)
        done.send_signal(signal.SIGKILL)
        done.wait()
        done.stdout.close()
        data = path.read_bytes()
        assert (len(data), len(set(data))) == (3_000_000, 1)
    (tmp_path / f".b.py.x{LEFTOVER}").write_text(CALL)
    walk = Walk(tmp_path)
    assert [file.name for file in walk] == ["a.py"]
    assert walk.skipped["temporary file of a run that was killed"]


def test_links_that_lead_in_circles(tmp_path: Path) -> None:
    """Links are not followed, so that no file is written outside and no loop is entered; they are counted."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.py").write_text(CALL)
    (tmp_path / "out.py").write_text(CALL)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self").symlink_to("self")
    (tmp_path / "in" / "out.py").symlink_to(tmp_path / "out.py")
    found = search(tmp_path / "in")
    assert (sorted(found.changes), found.skipped["symbolic link"]) == (["a.py"], ["loop", "out.py", "self"])
    found.write()
    assert (tmp_path / "out.py").read_text() == CALL


def test_two_names_of_one_file(tmp_path: Path) -> None:
    """A file with two names is counted once."""
    (tmp_path / "a.py").write_text(CALL)
    os.link(tmp_path / "a.py", tmp_path / "b.py")
    found = search(tmp_path)
    assert (sorted(found.changes), found.skipped["hard link to a file seen before"]) == (["a.py"], ["b.py"])


def git(folder: Path, *words: str) -> None:
    """Run git as somebody."""
    named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *named, "-C", str(folder), *words], check=True, capture_output=True)


def committed(folder: Path, *names: str) -> Path:
    """Return a repository with files committed."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(CALL)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a")
    return folder


def _changed(folder: Path) -> None:
    (folder / "a.py").write_text("# mine\n" + CALL)


def _ignored(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.local.py\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "b")
    (folder / "a.local.py").write_text(CALL)


def _odd_name(folder: Path) -> None:
    (folder / "[a]*é \n.py").write_text(CALL)


def _submodule(folder: Path) -> None:
    committed(folder / "sub", "b.py")
    (folder / "sub" / "b.py").write_text("# mine\n" + CALL)


DIRTY: dict[str, tuple[Callable[[Path], None], str]] = {
    "changed": (_changed, "a.py"),
    "ignored": (_ignored, "a.local.py"),
    "an odd name": (_odd_name, "[a]*é \n.py"),
    "in a repository within": (_submodule, "b.py"),
}


@pytest.mark.parametrize(("spoil", "name"), DIRTY.values(), ids=DIRTY)
def test_what_git_cannot_bring_back(spoil: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    """Changed, untracked and ignored files, also of a submodule, are refused before anything is written."""
    folder = committed(tmp_path / "repo", "a.py", "clean.py")
    spoil(folder)
    with pytest.raises(MigrationError) as caught:
        search(folder).write()
    expected = f"git has uncommitted changes in {name}. Commit them first, or add --allow-dirty."
    assert str(caught.value) == expected
    assert (folder / "clean.py").read_text() == CALL


def test_a_tree_of_many_files(tmp_path: Path) -> None:
    """However many files there are, git is asked about all; another file's changes are no matter."""
    folder = committed(tmp_path / "repo", *(f"p/{'long' * 20}_{number:03}.py" for number in range(210)))
    (folder / "notes.txt").write_text("mine")
    found = search(folder)
    last = folder / max(found.changes)
    last.write_text("# mine\n" + CALL)
    with pytest.raises(MigrationError) as caught:
        search(folder).write()
    assert "git has uncommitted changes in p/long" in str(caught.value)
    last.write_text(CALL)
    assert len(found.write()) == 210


def test_a_git_that_cannot_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a repository without a git to ask, nothing is written."""
    folder = committed(tmp_path / "repo", "a.py")
    found = search(folder)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MigrationError) as caught:
        found.write()
    assert str(caught.value) == (
        f"git cannot say whether {folder} has uncommitted changes "
        "([Errno 2] No such file or directory: 'git'). Fix that, or add --allow-dirty."
    )
    assert found.write(dirty=True) == ["a.py"]


PROGRAMS = {
    "fsmonitor": [("core.fsmonitor", "{program}")],
    "hooks": [("core.hooksPath", "{folder}")],
    "a filter": [("filter.own.clean", "{program}"), ("filter.own.required", "true")],
    "a long-running filter": [("filter.own.process", "{program}")],
    "a text conversion": [("diff.own.textconv", "{program}"), ("diff.external", "{program}")],
}


@pytest.mark.parametrize("settings", PROGRAMS.values(), ids=PROGRAMS)
def test_git_runs_no_program_of_the_repository(settings: list[tuple[str, str]], tmp_path: Path) -> None:
    """What a repository's configuration names as a program is not run when git is asked about its files."""
    folder, trace = committed(tmp_path / "repo", "a.py"), tmp_path / "trace"
    (folder / ".gitattributes").write_text("*.py filter=own diff=own\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "b")
    program = tmp_path / "programs" / "post-index-change"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho run >> {trace}\ncat\n")
    program.chmod(0o755)
    for name, value in settings:
        git(folder, "config", name, value.format(program=program, folder=program.parent))
    os.utime(folder / "a.py", (1, 1))  # git has to look at the content
    assert search(folder).write() == ["a.py"]
    assert not trace.exists()


def test_line_ends_that_git_changes_are_no_changes(tmp_path: Path) -> None:
    """A file that git keeps with other line ends than the working tree has is not taken for changed."""
    folder = committed(tmp_path / "repo", "b.txt")
    (folder / ".gitattributes").write_text("*.py text eol=crlf\n")
    (folder / "a.py").write_bytes(CALL.replace("\n", "\r\n").encode())
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "b")
    assert search(folder).write() == ["a.py"]


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed, or whose files may not be, is named; the search goes on."""
    for name in ("listed", "locked", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text(CALL)
    real_list, real_exists = os.scandir, Path.exists

    def scandir(path: str | Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real_list(path)

    def exists(path: Path) -> bool:
        if path.parent.name in ("locked", "listed") and path.name == "pyvenv.cfg":
            raise PermissionError(13, "Permission denied")
        return real_exists(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "exists", exists)
    found = search(tmp_path)
    assert sorted(found.changes) == ["listed/a.py", "open/a.py"]
    assert found.skipped == {"folder that cannot be read": ["locked"]}


def test_outputs_of_a_notebook_are_not_kept(tmp_path: Path) -> None:
    """A notebook whose outputs are nearly all of it is rewritten in its code alone."""
    source = ["from langchain_openai import ChatOpenAI\n", "llm = ChatOpenAI(model='gpt-4o')"]
    data = json.loads(cells(source, ["llm.invoke('gpt-4o')"]))
    data["cells"][0]["outputs"] = [{"text": [f"gpt-4o {n}\n" for n in range(5000)]}]
    (tmp_path / "a.ipynb").write_text(json.dumps(data))
    found = search(tmp_path)
    assert found.count()["keep"] == 5000
    found.write()
    after = json.loads((tmp_path / "a.ipynb").read_text())
    assert after["cells"][0].pop("source") == [*ROUTED.splitlines(keepends=True)[:1], ROUTED.splitlines()[1]]
    assert [cell.get("outputs") for cell in after["cells"]] == [cell["outputs"] for cell in data["cells"]]


def test_ids_at_the_edges_of_a_text() -> None:
    """The first and the last characters of a file may be an id's."""
    scanner = Scanner(shared(None), Options())
    for text in ("gpt-4o", "/gpt-4o/", "://gpt-4o:", "\\ngpt-4o"):
        found = scanner.scan_bytes(text.encode(), "a.txt")
        assert found is not None
        assert [item.text for item in found.occurrences] == ["gpt-4o"]
