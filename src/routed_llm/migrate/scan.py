"""One file: its occurrences, each in one class, and its content after the edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from routed_llm.migrate import settings
from routed_llm.migrate.effects import Effects
from routed_llm.migrate.files import decode, encode
from routed_llm.migrate.found import Edit, FileFindings, Kind, Occurrence, Options, Site
from routed_llm.migrate.ids import Hit, RetiringIds
from routed_llm.migrate.markdown import fences, python_blocks
from routed_llm.migrate.notebook import Notebook
from routed_llm.migrate.python.contexts import of_word
from routed_llm.migrate.python.reading import PythonFindings, read
from routed_llm.migrate.views import Plain, View, parses

__all__ = ["Scanner", "applied", "is_test"]

_TEST_FOLDERS = frozenset({"tests", "test", "testing", "testdata", "fixtures", "cassettes", "__tests__"})
_PYTHON = frozenset({".py", ".pyi", ".pyw"})
_MARKDOWN = frozenset({".md", ".mdx", ".markdown"})
_SETTERS = re.compile(
    rb"ChatOpenAI|RoutedChatModel|RoutedLLM|init_chat_model|llama_index[\w.]*\s+import[^\n]*OpenAI|create_(?:react_)?agent|llms\.openai"
)
_FROM = re.compile(r"^[ \t]*from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"\b[A-Za-z_]\w*(?:\.\w+)*\.[A-Z_][A-Z0-9_]*\b")
_TEST = "it stands in a test"
_EXAMPLE = "it is an example in a text; --docs rewrites those, too"


def is_test(path: str) -> bool:
    """Say whether a file is a test or belongs to tests."""
    pure = PurePosixPath(path)
    name = pure.name.lower()
    return (
        any(part.lower() in _TEST_FOLDERS for part in pure.parts[:-1])
        or name.startswith("test_")
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


class Scanner:
    """Scans files one by one.

    Args:
        ids: the ids that retire.
        options: what to rewrite.
        known: values of names of other modules, dotted.
    """

    def __init__(self, ids: RetiringIds, options: Options, known: Mapping[str, str] | None = None) -> None:
        self._ids, self._options = ids, options
        self._known = known or {}
        self._effects = Effects(options, ids.catalog)

    def scan(self, file: Path, path: str) -> FileFindings | None:
        """Scan a file; None when it names no retiring id and takes none from elsewhere."""
        try:
            size = file.stat().st_size
            if size > self._options.max_bytes:
                return FileFindings(path=path, skipped="larger than --max-size")
            data = file.read_bytes()
        except OSError as error:
            return FileFindings(path=path, skipped=f"cannot be read ({error.strerror or error})")
        return self.scan_bytes(data, path)

    def scan_bytes(self, data: bytes, path: str) -> FileFindings | None:
        """Scan a file's content; None when it names no retiring id and takes none from elsewhere."""
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        if not wide and not self._ids.within(data) and not (self._known and _SETTERS.search(data)):
            return _takes(data, path) if path.endswith(".py") and _SETTERS.search(data) else None
        python = PurePosixPath(path).suffix in _PYTHON
        try:
            text, encoding, mark = decode(data, python=python)
        except ValueError as error:
            if b"\0" in data[:8192] and not wide:
                return FileFindings(path=path, skipped="binary")
            return self._undecodable(data, path, str(error))
        return self._scan_text(text, path, lambda new: encode(new, encoding, mark))

    def _scan_text(self, text: str, path: str, write: Callable[[str], bytes]) -> FileFindings:
        suffix = PurePosixPath(path).suffix.lower()
        if suffix in _MARKDOWN and not self._options.docs:
            return self._held(text, path, fences(text), _EXAMPLE)
        if suffix in (*_PYTHON, ".ipynb") and is_test(path) and not self._options.tests:
            return self._held(text, path, [(0, len(text))], _TEST)
        try:
            if suffix in _PYTHON:
                return self._python(Plain(text), text, path, write, others=None)
            if suffix == ".ipynb":
                notebook = Notebook(text)
                return self._python(notebook, text, path, write, others=notebook.kind_at)
            if suffix in _MARKDOWN:
                return self._python(python_blocks(text), text, path, write, others=lambda _: "markdown")
        except (ValueError, RecursionError) as error:
            return self._unparsed(text, path, str(error))
        return self._text(text, path)

    def _python(
        self,
        view: View,
        text: str,
        path: str,
        write: Callable[[str], bytes],
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
                known=self._known,
            )
            if view.text
            else PythonFindings()
        )
        place = view.place
        occurrences = {}
        for judged in found.judged:
            at = place(judged.hit.start)
            occurrences[at] = self._occurrence(
                text, path, at, judged.hit, judged.kind, judged.why, judged.rule
            )
        for hit in self._ids.find(text):
            if hit.start not in occurrences:
                kind, why = self._elsewhere(hit, others)
                occurrences[hit.start] = self._occurrence(text, path, hit.start, hit, kind, why, None)
        new, problem = self._rewritten(view, text, found)
        if problem is not None:
            return self._unparsed(text, path, problem)
        lines = {
            site.line: text.count("\n", 0, place(_line_start(view.text, site.line))) + 1
            for site in found.sites
        }
        return FileFindings(
            path=path,
            occurrences=tuple(occurrences[at] for at in sorted(occurrences)),
            sites=tuple(_moved(site, lines[site.line]) for site in found.sites),
            new=None if new is None else write(new),
            exports={name: (value, place(offset)) for name, (value, offset) in found.exports.items()},
            wants=tuple(dict.fromkeys(found.wants)),
            baselines=tuple(dict.fromkeys(found.baselines)),
        )

    def _held(self, text: str, path: str, spans: list[tuple[int, int]], why: str) -> FileFindings:
        """Account for a file of which nothing is rewritten; to parse it would change nothing."""
        found = []
        for hit in self._ids.find(text):
            inside = any(start <= hit.start < end for start, end in spans)
            verdict = of_word(hit) or (Kind.KEEP, why if inside else "it stands in a text")
            found.append(self._occurrence(text, path, hit.start, hit, *verdict, None))
        return FileFindings(path=path, occurrences=tuple(found))

    def _rewritten(self, view: View, text: str, found: PythonFindings) -> tuple[str | None, str | None]:
        """Return the new text, or why the edits cannot be made."""
        if not found.edits:
            return None, None
        new = applied(text, view.edits(found.edits))
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
        judge = settings.Judge(path, text)
        found = []
        for hit in self._ids.find(text):
            kind, why = judge.classify(hit)
            if kind is Kind.REPORT and is_test(path) and not self._options.tests:
                kind, why = Kind.KEEP, _TEST
            occurrence = self._occurrence(text, path, hit.start, hit, kind, why, None)
            setting = settings.environment_names(path, text, hit)
            found.append(replace(occurrence, setting=setting) if setting else occurrence)
        return FileFindings(path=path, occurrences=tuple(found))

    def _unparsed(self, text: str, path: str, problem: str) -> FileFindings:
        """Account for a file whose structure cannot be read: a person looks at each occurrence."""
        found = []
        for hit in self._ids.find(text):
            kind, why = of_word(hit) or (
                Kind.REPORT,
                f"the file could not be parsed ({problem}). Mend it first.",
            )
            if is_test(path) and kind is Kind.REPORT and not self._options.tests:
                kind, why = Kind.KEEP, _TEST
            found.append(self._occurrence(text, path, hit.start, hit, kind, why, None))
        return FileFindings(path=path, occurrences=tuple(found), problem=problem)

    def _undecodable(self, data: bytes, path: str, problem: str) -> FileFindings:
        return self._unparsed(data.decode("latin-1"), path, problem)

    def _occurrence(
        self, text: str, path: str, at: int, hit: Hit, kind: Kind, why: str, rule: str | None
    ) -> Occurrence:
        first = text.rfind("\n", 0, at) + 1
        last = text.find("\n", at)
        line = text[first : len(text) if last < 0 else last].strip()
        if len(line) > 160:
            middle = at - first
            line = line[max(middle - 70, 0) : middle + 90]
        return Occurrence(
            path=path,
            offset=at,
            line=text.count("\n", 0, at) + 1,
            column=at - first + 1,
            text=hit.word,
            model=hit.model,
            kind=kind,
            why=why,
            rule=rule,
            snippet=line,
        )


def _takes(data: bytes, path: str) -> FileFindings:
    """Note the names that a module without an id of its own takes from others: one may be the model."""
    text = data.decode("utf-8", "replace")
    wants = set(_ATTRIBUTE.findall(text))
    for module, names in _FROM.findall(text):
        wants.update(f"{module}.{name}" for name in re.findall(r"\w+", names))
    return FileFindings(path=path, wants=tuple(sorted(wants)))


def _line_start(text: str, line: int) -> int:
    place = 0
    for _ in range(line - 1):
        place = text.find("\n", place) + 1
    return place


def _moved(site: Site, line: int) -> Site:
    return replace(site, line=line)
