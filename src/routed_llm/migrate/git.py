"""Git: which files have changes that nobody could bring back.

What a repository's own configuration names (fsmonitor, filters, hooks, transports) is a program of whoever
made the repository, and `git status` runs some of it. So git is only asked what it has, which runs nothing,
and what stands on the disk is compared with that here.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from routed_llm.migrate.files import MigrationError

__all__ = ["refuse_dirty"]

_AT_ONCE = 200
"""Paths that git is asked about at a time: a command line is not endless."""

_SECONDS = 120

_GIT = (
    "git",
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
)
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    # A partial clone would fetch what it lacks, by a program that its configuration names.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}


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
    """Give the files of which the last commit, the index and the disk do not have the same content."""
    staged = _hashes(_ask(repository, "ls-files", "-s", "-z", "--", *paths), place=1)
    committed = (
        _hashes(_ask(repository, "ls-tree", "-r", "-z", "HEAD", "--", *paths), place=2) if staged else {}
    )
    for path in paths:
        known = staged.get(path)
        if (
            known is None
            or committed.get(path) != known
            or known not in _of_file(repository / path, len(known))
        ):
            yield path


def _ask(repository: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(
            [*_GIT, "-C", str(repository), *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, **_ENVIRONMENT},
        )
        if done.returncode == 0:
            return done.stdout
        # A repository without a commit has no HEAD to be compared with.
        if words[0] == "ls-tree" and b"Not a valid object name" in done.stderr:
            return b""
        problem = done.stderr.decode(errors="replace").strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    raise MigrationError(
        f"git cannot say whether {repository} has uncommitted changes ({problem}). "
        "Fix that, or add --allow-dirty."
    )


def _hashes(output: bytes, *, place: int) -> dict[str, str]:
    """Read lines of `ls-files -s` and `ls-tree`: words, the hash among them, a tab, the path."""
    found = {}
    for line in output.split(b"\0"):
        words, _, path = line.partition(b"\t")
        if path:
            found[os.fsdecode(path)] = words.split()[place].decode()
    return found


def _of_file(file: Path, length: int) -> set[str]:
    """Return the hashes under which git may have a file: as it is, and with the line ends of Unix."""
    try:
        data = file.read_bytes()
    except OSError:
        return set()
    algorithm = hashlib.sha1 if length == 40 else hashlib.sha256
    return {
        algorithm(b"blob %d\0" % len(body) + body).hexdigest()
        for body in {data, data.replace(b"\r\n", b"\n")}
    }
