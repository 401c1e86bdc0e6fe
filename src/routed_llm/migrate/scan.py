"""One file: its occurrences, each in one class, and its content after the edits."""

from __future__ import annotations

import re
import signal
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from routed_llm.migrate import settings
from routed_llm.migrate.dependencies import BESIDE
from routed_llm.migrate.effects import Effects
from routed_llm.migrate.files import decode, encode, mark_of
from routed_llm.migrate.found import Edit, FileFindings, Kind, Occurrence, Options, Site, place_of
from routed_llm.migrate.ids import Hit, RetiringIds
from routed_llm.migrate.notebook import Notebook
from routed_llm.migrate.python.contexts import of_word
from routed_llm.migrate.python.origins import Known
from routed_llm.migrate.python.reading import SETTERS, PythonFindings, read
from routed_llm.migrate.views import Plain, View, fences, parses, python_blocks

__all__ = ["Scanner", "applied", "is_test"]

_TEST_FOLDERS = frozenset({"tests", "test", "testing", "testdata", "fixtures", "cassettes", "__tests__"})
_PYTHON = frozenset({".py", ".pyi", ".pyw"})
_MARKDOWN = frozenset({".md", ".mdx", ".markdown"})
_SETTERS = re.compile(SETTERS.pattern.encode())
_NOTHING = Known()
SECONDS = 30
"""Seconds of a processor that one file may take; a megabyte of Python, the most that is read, takes 20."""
_LINE_END = re.compile("\n")
_SHOWN = 160
"""Characters of a line that are shown whole."""

_TEST = "it stands in a test"
_EXAMPLE = "it is an example in a text; --docs rewrites those, too"


def is_test(path: str) -> bool:
    """Say whether a file is a test or belongs to tests."""
    pure = PurePosixPath(path)
    name = pure.name.lower()
    return (
        any(part.lower() in _TEST_FOLDERS for part in pure.parts[:-1])
        or (name.startswith("test_") and name.endswith(".py"))
        or name.endswith(("_test.py", "_tests.py", ".test.ts", ".test.js"))
        or name == "conftest.py"
    )


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with edits made; they must not overlap.

    Raises:
        ValueError: when two of them do.
    """
    out, done = [], 0
    for edit in sorted(edits, key=lambda item: (item.start, item.end)):
        if edit.start < done:
            raise ValueError(f"two edits overlap at character {edit.start}")
        out += [text[done : edit.start], edit.new]
        done = edit.end
    return "".join([*out, text[done:]])


class _Page:
    """A file's text and where its lines begin: a file may have a hundred thousand occurrences."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def line(self, at: int) -> int:
        """Return the line of a character, from 1."""
        return bisect_right(self._starts, at)

    def start(self, line: int) -> int:
        """Return where a line begins."""
        return self._starts[line - 1]

    def occurrence(self, at: int, hit: Hit, kind: Kind, why: str, rule: str | None = None) -> Occurrence:
        """Return an occurrence at a character of the text."""
        line = self.line(at)
        first = self._starts[line - 1]
        last = self._starts[line] if line < len(self._starts) else len(self.text)
        # Of a long line what stands around the id.
        begin, end = (first, last) if last - first <= _SHOWN else (max(at - 70, first), min(at + 90, last))
        return Occurrence(
            path=self.path,
            offset=at,
            line=line,
            column=at - first + 1,
            text=hit.word,
            model=hit.model,
            kind=kind,
            why=why,
            rule=rule,
            snippet=self.text[begin:end].strip(),
        )


class Scanner:
    """Scans files one by one.

    Args:
        ids: the ids that retire.
        options: what to rewrite.
    """

    def __init__(self, ids: RetiringIds, options: Options) -> None:
        self._ids, self._options = ids, options
        self._effects = Effects(options, ids.catalog)

    def scan(self, file: Path, path: str, known: Known = _NOTHING) -> FileFindings | None:
        """Scan a file; None when it names no retiring id and takes none from elsewhere.

        Args:
            file: the file.
            path: its path in the findings.
            known: what other modules say about it.
        """
        try:
            size = file.stat().st_size
            if size > self._options.max_bytes:
                return FileFindings(path=path, skipped="file larger than --max-size")
            data = file.read_bytes()
        except OSError:
            return FileFindings(path=path, skipped="file that cannot be read")
        return self.scan_bytes(data, path, known)

    def scan_bytes(self, data: bytes, path: str, known: Known = _NOTHING) -> FileFindings | None:
        """Scan a file's content; None when it names no retiring id and takes none from elsewhere."""
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        if not wide and not self._ids.within(data) and not known:
            if not path.endswith(".py") or not _SETTERS.search(data):
                return None
            if not self._ids.in_pieces(data):
                return FileFindings(path=path, takes=True)
        python = PurePosixPath(path).suffix in _PYTHON
        try:
            text, encoding, mark = decode(data, python=python)
        except ValueError as error:
            if b"\0" in data[:8192] and not wide:
                return FileFindings(path=path, skipped="binary file")
            return self._undecodable(data, path, str(error))
        try:
            with _time_limit(SECONDS):
                found = self._scan_text(text, path, lambda new: encode(new, encoding, mark), known)
        except _TimeLimitError:
            found = self._unparsed(text, path, f"it takes more than {SECONDS} seconds")
        return found if found.new is None else replace(found, read=mark_of(data))

    def _scan_text(self, text: str, path: str, write: Callable[[str], bytes], known: Known) -> FileFindings:
        suffix = PurePosixPath(path).suffix.lower()
        if suffix in _MARKDOWN and not self._options.docs:
            return self._held(text, path, fences(text), _EXAMPLE)
        if suffix in (*_PYTHON, ".ipynb") and is_test(path) and not self._options.tests:
            return self._held(text, path, [(0, len(text))], _TEST)
        try:
            if suffix in _PYTHON:
                return self._python(Plain(text), text, path, write, known, others=None)
            if suffix == ".ipynb":
                notebook = Notebook(text)
                return self._python(notebook, text, path, write, known, others=notebook.kind_at)
            if suffix in _MARKDOWN:
                return self._python(
                    python_blocks(text), text, path, write, known, others=lambda _: "markdown"
                )
        except RecursionError:
            return self._unparsed(text, path, "it is nested too deeply")
        except ValueError as error:
            return self._unparsed(text, path, str(error))
        except (_TimeLimitError, SystemError):  # raised within compile() the one comes out as the other
            raise
        except Exception as error:  # noqa: BLE001 - a file that is misread is reported; the others are searched
            return self._unparsed(text, path, f"{type(error).__name__}, which is a defect of this command")
        return self._text(text, path)

    def _python(
        self,
        view: View,
        text: str,
        path: str,
        write: Callable[[str], bytes],
        known: Known,
        *,
        others: Callable[[int], str] | None,
    ) -> FileFindings:
        found = (
            read(
                view.text,
                self._ids,
                self._options,
                path=path,
                effect=self._effects,
                known=known,
                where=_where(view),
            )
            if view.text
            else PythonFindings()
        )
        page, place = _Page(text, path), view.place
        occurrences = {}
        for judged in found.judged:
            at = place(judged.hit.start)
            occurrences[at] = page.occurrence(at, judged.hit, judged.kind, judged.why, judged.rule)
        for hit in self._ids.find(text):
            if hit.start not in occurrences:
                kind, why = self._elsewhere(hit, others)
                occurrences[hit.start] = page.occurrence(hit.start, hit, kind, why)
        edits = view.edits(found.edits)
        uninstalled: tuple[str, ...] = ()
        if isinstance(view, Notebook) and found.edits:
            installing, installs = view.installing(sorted(found.needs), BESIDE)
            edits += installing
            uninstalled = () if installs else tuple(sorted(found.needs))
        new, problem = self._rewritten(view, text, edits)
        if problem is not None:
            return self._unparsed(text, path, problem)
        own = page if isinstance(view, Plain) else _Page(view.text, path)
        lines = {site.line: page.line(place(own.start(site.line))) for site in found.sites}
        return FileFindings(
            path=path,
            occurrences=tuple(_celled(occurrences[at], at, view) for at in sorted(occurrences)),
            sites=tuple(
                replace(_celled(site, place(own.start(site.line)), view), line=lines[site.line])
                for site in found.sites
            ),
            new=None if new is None else write(new),
            exports={
                name: tuple((value, place(offset)) for value, offset in literals)
                for name, literals in found.exports.items()
            },
            imports=found.imports,
            hands=tuple(
                replace(item, literal=(item.literal[0], place(item.literal[1]))) for item in found.hands
            ),
            drops=tuple(found.drops),
            needs=tuple(sorted(found.needs)),
            uninstalled=uninstalled,
            baselines=tuple(dict.fromkeys(found.baselines)),
            compared=tuple(dict.fromkeys(found.compared)),
        )

    def _held(self, text: str, path: str, spans: list[tuple[int, int]], why: str) -> FileFindings:
        """Account for a file of which nothing is rewritten; to parse it would change nothing."""
        found, page = [], _Page(text, path)
        begins = [start for start, _ in spans]
        for hit in self._ids.find(text):
            near = bisect_right(begins, hit.start) - 1
            inside = near >= 0 and hit.start < spans[near][1]
            verdict = of_word(hit) or (Kind.KEEP, why if inside else "it stands in a text")
            found.append(page.occurrence(hit.start, hit, *verdict))
        return FileFindings(path=path, occurrences=tuple(found))

    def _rewritten(self, view: View, text: str, edits: Sequence[Edit]) -> tuple[str | None, str | None]:
        """Return the new text, or why the edits cannot be made."""
        if not edits:
            return None, None
        new = applied(text, edits)
        if isinstance(view, Plain) and parses(text) and not parses(new):
            return None, "its rewritten text would not be Python"
        if isinstance(view, Notebook) and Notebook(new).unread != view.unread:
            return None, "its rewritten cells would not be Python"
        return (new, None) if new != text else (None, None)

    def _elsewhere(self, hit: Hit, others: Callable[[int], str] | None) -> tuple[Kind, str]:
        kind = others(hit.start) if others is not None else "other"
        if kind == "shell":
            return of_word(hit) or (
                Kind.REPORT,
                "it stands in a shell line, a magic or a cell that is not Python. Look at what runs there.",
            )
        if kind == "code":
            return of_word(hit) or (
                Kind.REPORT,
                "it stands in a line that is not Python. Look at what runs there.",
            )
        where = {"output": "a recorded output", "markdown": "a text"}.get(kind, "the file's own data")
        return of_word(hit) or (Kind.KEEP, f"it stands in {where}")

    def _text(self, text: str, path: str) -> FileFindings:
        judge, page = settings.Judge(path, text), _Page(text, path)
        found = []
        for hit in self._ids.find(text):
            kind, why = judge.classify(hit)
            if kind is Kind.REPORT and is_test(path) and not self._options.tests:
                kind, why = Kind.KEEP, _TEST
            occurrence = page.occurrence(hit.start, hit, kind, why)
            setting = settings.environment_names(path, text, hit)
            found.append(replace(occurrence, setting=setting) if setting else occurrence)
        return FileFindings(path=path, occurrences=tuple(found))

    def _unparsed(self, text: str, path: str, problem: str) -> FileFindings:
        """Account for a file whose structure cannot be read: a person looks at each occurrence."""
        found, page = [], _Page(text, path)
        for hit in self._ids.find(text):
            kind, why = of_word(hit) or (
                Kind.REPORT,
                f"the file could not be parsed ({problem}). Fix it first.",
            )
            if is_test(path) and kind is Kind.REPORT and not self._options.tests:
                kind, why = Kind.KEEP, _TEST
            found.append(page.occurrence(hit.start, hit, kind, why))
        return FileFindings(path=path, occurrences=tuple(found), problem=problem)

    def _undecodable(self, data: bytes, path: str, problem: str) -> FileFindings:
        return self._unparsed(data.decode("latin-1"), path, problem)


def _where(view: View) -> Callable[[int], str] | None:
    """Return how a notebook says where something stands."""
    if not isinstance(view, Notebook):
        return None
    return lambda place: place_of("", 0, view.cell_at(view.place(place))).removeprefix(":")


_Placed = TypeVar("_Placed", Occurrence, Site)


def _celled(item: _Placed, at: int, view: View) -> _Placed:
    """Say in which cell of a notebook something stands."""
    return replace(item, cell=view.cell_at(at)) if isinstance(view, Notebook) else item


class _TimeLimitError(Exception):
    """What was limited has used up its time."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """End a block after seconds of the processor, where the system can: Unix, and the process's main thread.

    Time of the processor and not of the clock is counted, so that a busy machine finds the same.

    Raises:
        _TimeLimitError: when the time is used up.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        raise _TimeLimitError

    before = signal.signal(signal.SIGVTALRM, end)
    # Again and again: raised within a callback of the interpreter's, it is lost.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, min(seconds, 0.1))
    try:
        yield
    except Exception as error:
        if ended and not isinstance(error, _TimeLimitError):
            raise _TimeLimitError from error  # raised within compile() it comes out as a SystemError
        raise
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
