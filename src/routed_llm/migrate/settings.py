"""Occurrences in files that are not Python: configuration, data, texts and other languages."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from pathlib import PurePosixPath

from routed_llm.migrate.found import Kind
from routed_llm.migrate.ids import Hit
from routed_llm.migrate.jsontext import JsonString, strings
from routed_llm.migrate.python.contexts import of_word

__all__ = ["Judge", "environment_names", "is_configuration"]

Verdict = tuple[Kind, str]

_CONFIGURATION = {
    ".yaml",
    ".yml",
    ".json",
    ".toml",
    ".cfg",
    ".ini",
    ".env",
    ".prompty",
    ".conf",
    ".properties",
}
_TEXT = {".md", ".mdx", ".markdown", ".rst", ".txt", ".html", ".htm", ".adoc", ".tex", ".svg", ".xml", ".po"}
_DATA = {".csv", ".tsv", ".jsonl", ".ndjson", ".lock", ".log", ".sql", ".patch", ".diff", ".map"}
_ENTRY = re.compile(
    r"^\s*(?:-\s+)?(?:export\s+|set\s+|ENV\s+|ARG\s+)?[\"']?(?P<key>[\w.\-/@$ ]+?)[\"']?"
    r"\s*[:=]\s*(?P<value>.*?)\s*,?\s*$"
)
_ITEM = re.compile(r"^\s*-\s+[\"']?(?P<value>[^\"'#]+?)[\"']?\s*(#.*)?$")
_MODEL_KEY = re.compile(
    r"(^|[_\-.])(model|models|llm|engine|deployment|model_?name|model_?id|llm_?model)($|[_\-.\d])",
    re.IGNORECASE,
)
_DEFAULT = re.compile(r"\$\{(?P<name>\w+):?-(?P<value>[^}]*)\}")
_ADVICE = "A routed model takes one of the catalog as its baseline; anything else needs a model that stays."


def is_configuration(path: str) -> bool:
    """Say whether a file is one of settings."""
    pure = PurePosixPath(path)
    return (
        pure.suffix.lower() in _CONFIGURATION
        or pure.name.lower().startswith(".env")
        or pure.suffix == ".example"
    )


class Judge:
    """Classifies the occurrences of one file.

    Args:
        path: the file's path, which tells what it is.
        text: its text.
    """

    def __init__(self, path: str, text: str) -> None:
        self._text = text
        pure = PurePosixPath(path)
        self._suffix = pure.suffix.lower()
        self._settings = is_configuration(path)
        self._strings: list[JsonString] = []
        if self._suffix == ".json":
            try:
                json.loads(text)
                self._strings = list(strings(text))
            except (ValueError, RecursionError):
                self._strings = []
        self._starts = [item.start for item in self._strings]

    def classify(self, hit: Hit) -> Verdict:
        """Return an occurrence's class and the reason."""
        if self._suffix in _TEXT:
            return of_word(hit) or (Kind.KEEP, "it stands in a text")
        if self._suffix in _DATA:
            return of_word(hit) or (Kind.KEEP, "it stands in recorded data")
        if self._strings:
            return self._json(hit)
        first = self._text.rfind("\n", 0, hit.start) + 1
        last = self._text.find("\n", hit.end)
        line = self._text[first : len(self._text) if last < 0 else last].rstrip("\r")
        return self._line(hit, line, hit.start - first)

    def _json(self, hit: Hit) -> Verdict:
        index = bisect_right(self._starts, hit.start) - 1
        if index < 0 or self._strings[index].end <= hit.start:
            return of_word(hit) or (Kind.KEEP, "it stands outside of any value")
        item = self._strings[index]
        if item.is_key:
            return of_word(hit) or (Kind.KEEP, "it is a key of a table, such as one of prices or limits")
        value = self._text[item.start + 1 : item.end - 1]
        key = next((part for part in reversed(item.path) if isinstance(part, str)), "")
        listed = bool(item.path) and isinstance(item.path[-1], int)
        return self._value(hit, key, value, listed=listed)

    def _line(self, hit: Hit, line: str, column: int) -> Verdict:
        verdict = of_word(hit)
        comment = re.search(r"(^|\s)(#|//)", line)
        if comment and comment.start() < column:
            return verdict or (Kind.KEEP, "it stands in a comment")
        entry = _ENTRY.match(line)
        if entry and self._settings:
            if column < entry.end("key"):
                return verdict or (Kind.KEEP, "it is a key of a table, such as one of prices or limits")
            return self._value(hit, entry["key"], entry["value"].strip("\"'"), listed=False)
        item = _ITEM.match(line)
        if item and self._settings:
            return self._value(hit, "", item["value"], listed=True)
        if self._settings:
            return verdict or (Kind.KEEP, "it stands in a longer text")
        return verdict or self._other_language(hit, line, column)

    def _value(self, hit: Hit, key: str, value: str, *, listed: bool) -> Verdict:
        verdict = of_word(hit)
        value = re.sub(r"\s+#.*$", "", value).strip().strip("\"'")
        default = _DEFAULT.fullmatch(value)
        value = default["value"] if default else value
        if value != hit.word:
            return verdict or (Kind.KEEP, "it stands in a longer text")
        if verdict is not None:
            return verdict
        if listed:
            return Kind.REPORT, "it is one of a list of models in a configuration. Take it out when it stops."
        if "deployment" in key.lower():
            return (
                Kind.REPORT,
                f"{key!r} names a deployment of Azure. Give the deployment a model that stays.",
            )
        if _MODEL_KEY.search(key):
            return Kind.REPORT, f"it is what the configuration key {key!r} says. {_ADVICE}"
        return Kind.REPORT, f"it is the value of {key!r}. Look at what reads it."

    def _other_language(self, hit: Hit, line: str, column: int) -> Verdict:
        quoted = column > 0 and line[column - 1] in "\"'`" and line[column + len(hit.word) :][:1] in "\"'`"
        if quoted or re.search(r"(=|--model\s|-m\s)\s*[\"']?$", line[:column]):
            return Kind.REPORT, "it is a value in a language that is not rewritten. Name a model that stays."
        return Kind.KEEP, "it stands in a longer text"


def environment_names(path: str, text: str, hit: Hit) -> str | None:
    """Return the name of the environment variable that a line of a configuration sets, or None."""
    if not is_configuration(path):
        return None
    first = text.rfind("\n", 0, hit.start) + 1
    last = text.find("\n", hit.end)
    entry = _ENTRY.match(text[first : len(text) if last < 0 else last].rstrip("\r"))
    return entry["key"].split(" ")[-1] if entry and entry["key"].isupper() else None
