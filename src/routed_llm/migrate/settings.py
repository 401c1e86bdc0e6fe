"""Occurrences in files that are not Python: configuration, data, texts and other languages."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from routed_llm.migrate.found import Kind
from routed_llm.migrate.ids import Hit
from routed_llm.migrate.located import Located, strings, yaml_strings
from routed_llm.migrate.python.contexts import of_word

__all__ = ["Judge", "environment_names", "is_configuration"]

Verdict = tuple[Kind, str]

_YAML = {".yaml", ".yml"}
_CONFIGURATION = {*_YAML, ".json", ".toml", ".cfg", ".ini", ".env", ".prompty", ".conf", ".properties"}
_TEXT = {".md", ".mdx", ".markdown", ".rst", ".txt", ".html", ".htm", ".adoc", ".tex", ".svg", ".xml", ".po"}
_DATA = {".csv", ".tsv", ".jsonl", ".ndjson", ".lock", ".log", ".sql", ".patch", ".diff", ".map"}
_BROWSER = {".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte"}

_NEAR = 300
"""Characters that are looked at on each side of an id: a line may be as long as the file."""
_MOST_YAML = 2_000_000
"""Characters of YAML whose structure is read; of a longer file each line is read by itself."""

_MODEL_KEY = re.compile(
    r"(^|[_\-.])(model|models|llm|engine|deployment|model_?name|model_?id|llm_?model)($|[_\-.\d])",
    re.IGNORECASE,
)
_RECORDED = frozenset(
    """
    answer choices completion completion_tokens duration finish_reason generated_text latency latency_ms
    original_prompt output prompt_tokens query_by reference_answer reference_contexts response return
    run_id score timestamp token_usage total_tokens trace_id usage
    """.split()  # noqa: SIM905 - one name after another is how it is read
)
"""Keys that stand beside a model in what a call has left behind, and not in what a call is made from."""

_OPTION = re.compile(r"(?:^|\s|[\"'\[,])(?P<name>--?[A-Za-z][\w-]{0,40})(?:=|\s+|[\"'],\s*)[\"']?$")
_FALLBACK = re.compile(r"\$\{(?P<name>\w{1,80}):?[-?=]$")
_ASSIGNED = re.compile(r"(?:^|[\s\"'])(?P<key>[\w.\-/@$]{1,80})[\"']?\s*(?::=|=>|[:=])\s*[\"']?$")
_MARK = re.compile(r"(?:^|\s)(?:#|//|--\s|;\s)")
_ADVICE = "A routed model takes one of the catalog as its baseline; anything else needs a model that stays."
_LISTED = "it is one of a list of models in a configuration. Take it out when it stops."


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
        path: the file's path, which shows what it is.
        text: its text.
    """

    def __init__(self, path: str, text: str) -> None:
        self._text = text
        self._suffix = PurePosixPath(path).suffix.lower()
        self._settings = is_configuration(path)
        self._strings = _structure(self._suffix, text)
        self._starts = [item.start for item in self._strings]

    def classify(self, hit: Hit) -> Verdict:
        """Return an occurrence's class and the reason."""
        if self._suffix in _TEXT:
            return of_word(hit) or (Kind.KEEP, "it stands in a text")
        if self._suffix in _DATA:
            return of_word(hit) or (Kind.KEEP, "it stands in recorded data")
        before, after = self._around(hit)
        item = self._holding(hit)
        if item is not None:
            return self._in_structure(hit, item, before, after)
        if self._strings or _MARK.search(before):
            return of_word(hit) or (Kind.KEEP, "it stands in a comment")
        if not self._settings:
            return of_word(hit) or self._other_language(before, after)
        if before.strip("\"' \t") == "" and re.match(r"[\"']?\s*[:=]", after):
            return of_word(hit) or (Kind.KEEP, "it is a key of a table, such as one of prices or limits")
        return self._value(hit, before, after)

    def _around(self, hit: Hit) -> tuple[str, str]:
        """Return what stands on the line before and after the word that an id belongs to."""
        text = self._text
        start = text.find(hit.word, max(hit.start - len(hit.word), 0), hit.end + len(hit.word))
        start = hit.start if start < 0 else start
        end = start + len(hit.word)
        line = max(text.rfind("\n", max(start - _NEAR, 0), start) + 1, start - _NEAR, 0)
        last = text.find("\n", end, end + _NEAR)
        return text[line:start], text[end : end + _NEAR if last < 0 else last].rstrip("\r")

    def _holding(self, hit: Hit) -> Located | None:
        index = bisect_right(self._starts, hit.start) - 1
        return self._strings[index] if index >= 0 and hit.start < self._strings[index].end else None

    def _in_structure(self, hit: Hit, item: Located, before: str, after: str) -> Verdict:
        verdict = of_word(hit)
        if verdict is not None:
            return verdict
        raw, has_blanks = self._written(item.start, item.end)
        if item.is_key:
            whole = "it is a key of a table, such as one of prices or limits"
            return Kind.KEEP, whole if raw == hit.word else "it stands in a longer text"
        if self._suffix == ".json" and self._is_recorded(item):
            return Kind.KEEP, "it stands in what a call has left behind: recorded data"
        # The line may hold more than this value: in a list or on one line.
        inside = hit.start - item.start
        before = before if inside > len(before) else before[len(before) - inside :]
        before = before.removeprefix('"').removeprefix("'")
        rest = self._text[hit.end : min(item.end, hit.end + len(after))].rstrip("\"'\r\n")
        if raw != hit.word:
            return self._value(hit, before, rest, text=has_blanks)
        key = next((part for part in reversed(item.path) if isinstance(part, str)), "")
        if isinstance(item.path[-1] if item.path else "", int):
            return Kind.REPORT, _LISTED if _listed(
                item
            ) else f"it is an item of {key!r}. Look at what reads it."
        return _of_key(key)

    @lru_cache(maxsize=1)  # noqa: B019 - one string at a time, which may hold very many hits; it ends with its file
    def _written(self, start: int, end: int) -> tuple[str, bool]:
        """Return what a string says, and whether there are blanks in it."""
        raw = self._text[start:end].strip("\"' \t\r\n|>-")
        return raw, re.search(r"\s", raw) is not None

    def _is_recorded(self, item: Located) -> bool:
        return any(
            not _RECORDED.isdisjoint(self._siblings.get(item.path[:depth], ()))
            for depth in range(max(len(item.path) - 3, 0), len(item.path))
        )

    @cached_property
    def _siblings(self) -> dict[tuple[str | int, ...], set[str]]:
        found: dict[tuple[str | int, ...], set[str]] = {}
        for item in self._strings:
            if item.is_key:
                found.setdefault(item.path[:-1], set()).add(str(item.path[-1]))
        return found

    def _value(self, hit: Hit, before: str, after: str, *, text: bool = False) -> Verdict:
        """Classify a value of a configuration by what stands around the word in it.

        Args:
            hit: the occurrence.
            before: what stands before the word on its line, or in its value.
            after: what stands behind it.
            text: whether it is one word of a value of several.
        """
        verdict = of_word(hit)
        if verdict is not None:
            return verdict
        after = re.split(r"\s+[#;]", after, maxsplit=1)[0].rstrip(" \t,;")
        option, fallback, assigned = (form.search(before) for form in (_OPTION, _FALLBACK, _ASSIGNED))
        if option is not None:
            return Kind.REPORT, f"it is what a command is given by {option['name']}. Name a model that stays."
        if fallback is not None:
            return Kind.REPORT, f"it is the default of the variable {fallback['name']}. {_ADVICE}"
        # A text quotes names, too: with ` in Markdown, with anything in a sentence.
        quoted = not text and before[-1:] != "`" and _is_quoted(before, after)
        if assigned is not None and (quoted or after.lstrip("\"'")[:1] in ("", ",", ";", "]", "}", ")")):
            return _of_key(assigned["key"])
        if _is_list(before, after, whole=text) or (quoted and before.strip() in ("'", '"')):
            return Kind.REPORT, _LISTED
        if quoted or not (before.strip("\"' \t") or after.strip("\"' \t")):
            return Kind.REPORT, "it is a value of a configuration. Look at what reads it."
        if re.search(r"\s", (before + after).strip()):
            return Kind.KEEP, "it stands in a longer text"
        return (
            Kind.REPORT,
            f"{hit.word} stands in a longer value. Look at what reads it, and name a model that stays.",
        )

    def _other_language(self, before: str, after: str) -> Verdict:
        option = _OPTION.search(before)
        assigned = re.search(r"[=:]\s?[\"']?$|:-$", before) and re.match(
            r"[\"'`]?\s*(?:[;,)}\]#&|].*|\\?)$", after
        )
        if not (option or assigned or _is_quoted(before, after) or _FALLBACK.search(before)):
            return Kind.KEEP, "it stands in a longer text"
        if self._suffix in _BROWSER:
            return (
                Kind.REPORT,
                "it is a value in JavaScript or TypeScript, which is not rewritten. Set OPENAI_BASE_URL to a "
                "gateway (`routed serve`), or name a model that stays.",
            )
        return Kind.REPORT, "it is a value in a language that is not rewritten. Name a model that stays."


def _structure(suffix: str, text: str) -> list[Located]:
    """Return the values of a file whose form can be read, in order."""
    try:
        if suffix == ".json":
            json.loads(text)
            return list(strings(text))
        if suffix in _YAML and len(text) <= _MOST_YAML:
            return list(yaml_strings(text))
    except (ValueError, RecursionError):
        pass
    return []


def _listed(item: Located) -> bool:
    key = next((part for part in reversed(item.path) if isinstance(part, str)), "")
    return key not in ("command", "args", "entrypoint", "cmd")


def _of_key(key: str) -> Verdict:
    if "deployment" in key.lower():
        return Kind.REPORT, f"{key!r} names a deployment of Azure. Give the deployment a model that stays."
    if _MODEL_KEY.search(key):
        return Kind.REPORT, f"it is what the configuration key {key!r} says. {_ADVICE}"
    return Kind.REPORT, f"it is the value of {key!r}. Look at what reads it."


def _is_quoted(before: str, after: str) -> bool:
    return before[-1:] in ("'", '"', "`") and after[:1] == before[-1:]


def _is_list(before: str, after: str, *, whole: bool) -> bool:
    """Say whether a word stands in a list: in brackets, or between commas of which each parts one word.

    Args:
        before: what stands before the word.
        after: what stands behind it.
        whole: whether all of that has to be the list.
    """
    lead, rest = before.rstrip("\"' \t"), after.lstrip("\"' \t")
    if lead[-1:] == "[" or (rest[:1] == "]" and lead[-1:] == ","):
        return True
    if lead[-1:] != "," and rest[:1] != ",":
        return lead.strip("- \t") == "" and rest == "" and "-" in lead
    line = before + " " + after
    body = (line if whole else re.split(r"[=:\[]", line)[-1]).strip(" \"'])}")
    return all(re.fullmatch(r"[\"']?[\w./:@-]{0,80}[\"']?", part.strip()) for part in body.split(","))


def environment_names(path: str, text: str, hit: Hit) -> str | None:
    """Return the name of the environment variable that a line of a configuration sets, or None."""
    if not is_configuration(path):
        return None
    start = text.find(hit.word, max(hit.start - len(hit.word), 0), hit.end + len(hit.word))
    line = max(text.rfind("\n", max(start - _NEAR, 0), start) + 1, start - _NEAR, 0)
    assigned = _ASSIGNED.search(text[line:start])
    fallback = _FALLBACK.search(text[line:start])
    found = fallback["name"] if fallback else assigned["key"] if assigned else ""
    return found if found.isupper() else None
