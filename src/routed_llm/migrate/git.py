"""Git: which files have changes that nobody could bring back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from routed_llm.migrate.files import MigrationError

__all__ = ["refuse_dirty"]

_AT_ONCE = 200
"""Paths that git is asked about at a time: a command line is not endless."""

_SECONDS = 120


def refuse_dirty(base: Path, paths: Sequence[str]) -> None:
    """Refuse to write files that git does not have as they are: changed, untracked or ignored ones.

    Args:
        base: what the paths are relative to.
        paths: the files that would be written.

    Raises:
        MigrationError: when there is such a file, or git cannot say.
    """
    changed: list[str] = []
    for repository, files in _by_repository(base, paths).items():
        for start in range(0, len(files), _AT_ONCE):
            changed += _changed(repository, files[start : start + _AT_ONCE])
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise MigrationError(
            f"git has uncommitted changes in {changed[0]}{more}. Commit them first, or add --allow-dirty."
        )


def _by_repository(base: Path, paths: Iterable[str]) -> dict[Path, list[str]]:
    """Group files by the working tree that they belong to; a submodule has one of its own."""
    found: dict[Path, list[str]] = {}
    known: dict[Path, Path | None] = {}
    for path in paths:
        file = base / path
        folder = file.parent
        if folder not in known:
            known[folder] = next(
                (item for item in (folder, *folder.parents) if (item / ".git").exists()), None
            )
        repository = known[folder]
        if repository is not None:
            found.setdefault(repository, []).append(file.relative_to(repository).as_posix())
    return found


def _changed(repository: Path, paths: Sequence[str]) -> Iterator[str]:
    command = [
        "git",
        "-C",
        str(repository),
        "--literal-pathspecs",
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
    ]
    command += ["--untracked-files=all", "--ignored=traditional", "--", *paths]
    problem = None
    try:
        state = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=False, env={**os.environ, "LC_ALL": "C"}
        )
        if state.returncode != 0:
            problem = state.stderr.decode(errors="replace").strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem is not None:
        raise MigrationError(
            f"git cannot say whether {repository} has uncommitted changes ({problem}). "
            "Mend that, or add --allow-dirty."
        )
    for entry in state.stdout.split(b"\0"):
        if entry:
            yield entry[3:].decode(errors="replace")
