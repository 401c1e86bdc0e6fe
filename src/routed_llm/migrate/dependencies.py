"""RM020: the files that name a project's dependencies get the routed packages beside the ones they extend."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from routed_llm.migrate.files import decode, encode, mark_of
from routed_llm.migrate.rules import LANGCHAIN, LLAMA_INDEX, OPENAI

__all__ = ["BESIDE", "DependencyEdit", "dependency_edits"]


class DependencyEdit(NamedTuple):
    """An edit of a dependency file.

    Attributes:
        path: the file, relative to the root.
        new: its content after the edit.
        read: the mark of its content before (:func:`routed_llm.migrate.files.mark_of`).
    """

    path: str
    new: bytes
    read: str


BESIDE: Mapping[str, tuple[str, ...]] = {
    LANGCHAIN.distribution: ("langchain-openai",),
    LLAMA_INDEX.distribution: ("llama-index-llms-openai", "llama-index"),
    OPENAI["OpenAI"].distribution: ("openai",),
}
"""The distributions that each of the routed ones extends, the nearest first."""

_REQUIRED: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "langchain-openai": (">=1.7,<1.8", (1, 7)),
    "llama-index-llms-openai": (">=0.8,<0.9", (0, 8)),
    "openai": (">=2.45", (2, 45)),
}
_FILES = ("pyproject.toml", "requirements*.txt", "requirements*.in", "requirements/*.txt")
_PIN = r"(?:\[[^\]]*\])?\s*(?P<operator>==|~=|<=|<|\^)\s*(?P<version>\d+(?:\.\d+)*)"


def dependency_edits(
    root: Path, changed: Iterable[tuple[str, str]]
) -> tuple[list[DependencyEdit], list[str]]:
    """Return the edits of dependency files that rewritten files make necessary.

    Args:
        root: the folder that was searched.
        changed: each rewritten file's path relative to it, with the distribution that it now needs.

    Returns:
        New contents, and sentences on what a person has to do.
    """
    folders: dict[tuple[Path, str], list[Path]] = {}
    orphans: set[str] = set()
    for path, distribution in changed:
        found = _nearest(root, root / path, distribution)
        if found is None:
            orphans.add(distribution)
        else:
            folders[found[0], distribution] = found[1]
    texts: dict[Path, str] = {}
    notes = [
        f"No dependency file names {BESIDE[name][0]}. Add {name} to what is installed."
        for name in sorted(orphans)
    ]
    codings: dict[Path, tuple[bytes, str, bytes]] = {}
    for (_, distribution), files in sorted(folders.items()):
        for file in files:
            data = file.read_bytes()
            try:
                text, encoding, mark = decode(data, python=False)
            except ValueError as error:
                notes.append(
                    f"{file.relative_to(root).as_posix()}: {error}. Add {distribution} to it by hand."
                )
                continue
            codings[file] = (data, encoding, mark)
            before = texts.get(file, text)
            texts[file] = with_dependency(before, distribution, toml=file.suffix == ".toml")
            notes.extend(_pins(file.relative_to(root).as_posix(), text))
    edits = []
    for file, new in texts.items():
        old, encoding, mark = codings[file]
        data = encode(new, encoding, mark)
        if data != old:
            edits.append(DependencyEdit(file.relative_to(root).as_posix(), data, mark_of(old)))
    return edits, list(dict.fromkeys(notes))


def with_dependency(text: str, distribution: str, *, toml: bool) -> str:
    """Return a dependency file's text with a distribution named after the one that it extends."""
    if re.search(_name(distribution), text):
        return text
    for known in BESIDE[distribution]:
        new = (_in_toml if toml else _in_requirements)(text, known, distribution)
        if new is not None:
            return new
    return text


def _nearest(root: Path, file: Path, distribution: str) -> tuple[Path, list[Path]] | None:
    """Find the closest folder upwards whose dependency files name what is extended."""
    for folder in file.parents:
        named = []
        for pattern in _FILES:
            for candidate in sorted(folder.glob(pattern)) if root in (folder, *folder.parents) else ():
                text = candidate.read_text(encoding="utf-8", errors="replace")
                if any(re.search(_name(known), text) for known in (*BESIDE[distribution], distribution)):
                    named.append(candidate)
        if named:
            return folder, named
        if folder == root:
            return None
    return None


def _name(distribution: str) -> str:
    return r"(?<![\w.\-])" + distribution.replace("-", "[-_.]") + r"(?![\w.\-])"


def _in_requirements(text: str, known: str, new: str) -> str | None:
    found = re.search(
        rf"^(?P<lead>[ \t]*){_name(known)}[^\r\n]*(?P<end>\r?\n|$)", text, re.MULTILINE | re.IGNORECASE
    )
    if found is None:
        return None
    if not found["end"]:
        newline = "\r\n" if "\r\n" in text else "\n"
        return f"{text}{newline}{found['lead']}{new}"
    return f"{text[: found.end()]}{found['lead']}{new}{found['end']}{text[found.end() :]}"


def _in_toml(text: str, known: str, new: str) -> str | None:
    listed = re.search(
        rf"""(?P<lead>^[ \t]*)?(?P<quote>["']){_name(known)}[^"'\n]*(?P=quote)(?P<comma>[ \t]*,)?""",
        text,
        re.MULTILINE,
    )
    keyed = re.search(rf"^(?P<lead>[ \t]*){_name(known)}[ \t]*=[^\r\n]*(?P<end>\r?\n|$)", text, re.MULTILINE)
    if keyed is not None:
        made = f'{text[: keyed.end()]}{keyed["lead"]}{new} = "*"{keyed["end"] or ""}{text[keyed.end() :]}'
    elif listed is not None:
        lead, quote = listed["lead"], listed["quote"]
        newline = "\r\n" if "\r\n" in text else "\n"
        between = f"{newline}{lead}" if lead is not None else " "
        end = "," if listed["comma"] else ""
        comma = "" if listed["comma"] else ","
        entry = f"{comma}{between}{quote}{new}{quote}{end}"
        made = f"{text[: listed.end()]}{entry}{text[listed.end() :]}"
    else:
        return None
    try:
        tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        return None
    return made


def _pins(path: str, text: str) -> list[str]:
    """Say which pins keep the routed packages from being installed."""
    notes = []
    for name, (wanted, least) in _REQUIRED.items():
        found = re.search(_name(name) + _PIN, text, re.IGNORECASE)
        if found is None:
            continue
        version = tuple(int(part) for part in found["version"].split("."))
        old = version < least if found["operator"] != "<" else version <= least
        if old:
            notes.append(
                f"{path} holds {name} at {found['operator']}{found['version']}; "
                f"the routed package needs {wanted}. Raise the pin."
            )
    return notes
