"""A whole tree: scanned on two cores, linked across files, written in one go."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.context import BaseContext
from pathlib import Path

from routed_llm.migrate.dependencies import DependencyEdit, dependency_edits
from routed_llm.migrate.files import MigrationError, Skipped, Walk, check_file, replace_file
from routed_llm.migrate.found import FileFindings, Kind, Occurrence, Options, Site
from routed_llm.migrate.git import refuse_dirty
from routed_llm.migrate.ids import shared
from routed_llm.migrate.links import link
from routed_llm.migrate.scan import Scanner

__all__ = ["Migration", "migrate"]

WORKERS = 2
_CHUNK = 48
_FEW = 120
"""Below this many files, starting another process costs more than it saves."""

Progress = Callable[[int, int], None]
"""Called with how many files are done and how many there are."""


@dataclass(slots=True, kw_only=True)
class Migration:
    """What a tree holds and what would be done about it.

    Attributes:
        root: what was searched.
        options: how.
        files: the findings of the files that have any.
        searched: how many files were looked at.
        skipped: why, to the files and folders that were not looked at.
        dependencies: new contents of dependency files.
        notes: what a person has to do besides.
    """

    root: Path
    options: Options
    files: tuple[FileFindings, ...] = ()
    searched: int = 0
    skipped: Skipped = field(default_factory=dict)
    dependencies: tuple[DependencyEdit, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """Every occurrence, by file."""
        return tuple(item for file in self.files for item in file.occurrences)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every constructor that takes a retiring id, by file."""
        return tuple(site for file in self.files for site in file.sites)

    @property
    def changes(self) -> dict[str, bytes]:
        """The files that would be written, with their new content."""
        made = {file.path: file.new for file in self.files if file.new is not None}
        return {**made, **{edit.path: edit.new for edit in self.dependencies}}

    def count(self) -> dict[Kind, int]:
        """Return the number of occurrences in each class."""
        counted = Counter(item.kind for item in self.occurrences)
        return {kind: counted[kind] for kind in Kind}

    def file(self, path: str) -> Path:
        """Return where a file of the findings is."""
        return self.root if self.root.is_file() else self.root / path

    def write(self, *, dirty: bool = False) -> list[str]:
        """Write every change, each file at once; return the paths.

        Args:
            dirty: whether files may be written that git says are changed or cannot bring back.

        Raises:
            MigrationError: when git has uncommitted changes, or a file has changed since it was read or is
                read-only, before anything is written; or when one cannot be replaced.
        """
        changes = self.changes
        read = {file.path: file.read for file in self.files}
        read.update((edit.path, edit.read) for edit in self.dependencies)
        if changes and not dirty:
            refuse_dirty(self.root if self.root.is_dir() else self.root.parent, sorted(changes))
        for path in changes:
            check_file(self.file(path), read[path])
        for number, (path, new) in enumerate(sorted(changes.items())):
            try:
                replace_file(self.file(path), read[path], new)
            except MigrationError as error:
                raise MigrationError(f"{error} {number} of {len(changes)} files were written.") from error
        return sorted(changes)


def migrate(
    root: Path | str,
    options: Options | None = None,
    *,
    workers: int = WORKERS,
    progress: Progress | None = None,
) -> Migration:
    """Find every occurrence of a retiring id under a path, and work out the edits. Writes nothing.

    Args:
        root: a folder or a file.
        options: how to search and what to rewrite.
        workers: the most processes to use; at most two are.
        progress: called with how far it is.

    Raises:
        MigrationError: when there is nothing at the path.
    """
    root = Path(root).resolve() if Path(root).exists() else Path(root)
    options = options or Options()
    walk = Walk(root, vendored=options.vendored)
    base = root.parent if root.is_file() else root
    paths = [file.relative_to(base).as_posix() for file in walk]
    files: dict[str, FileFindings] = {}
    skipped = walk.skipped
    done = 0
    for number, found in _scan_all(base, paths, options, min(workers, WORKERS)):
        done += number
        for item in found:
            if item.skipped is not None:
                skipped.setdefault(item.skipped, []).append(item.path)
            else:
                files[item.path] = item
        if progress is not None:
            progress(done, len(paths))
    found_links = link(base, paths, list(files.values()), options)
    linked, notes = found_links.files, found_links.notes
    edits, more = _dependencies(base, linked, options) if not root.is_file() else ([], [])
    return Migration(
        root=root,
        options=options,
        files=tuple(
            sorted((item for item in linked if item.occurrences or item.new), key=lambda item: item.path)
        ),
        searched=len(paths),
        skipped=skipped,
        dependencies=tuple(edits),
        notes=(*notes, *more),
    )


def _dependencies(
    base: Path, files: Sequence[FileFindings], options: Options
) -> tuple[list[DependencyEdit], list[str]]:
    if not options.applies("RM020"):
        return [], []
    changed = {
        (file.path, distribution)
        for file in files
        if file.new is not None and not file.path.endswith((".md", ".mdx", ".markdown"))
        # A notebook whose own lines install packages asks nothing of the project's files.
        for distribution in (file.needs if not file.path.endswith(".ipynb") else file.uninstalled)
    }
    return dependency_edits(base, sorted(changed))


def _scan_all(
    base: Path, paths: list[str], options: Options, workers: int
) -> Iterator[tuple[int, list[FileFindings]]]:
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    if workers < 2 or len(paths) < _FEW:
        for chunk in chunks:
            yield len(chunk), _scan_chunk(base, chunk, options)
        return
    # A spawned worker shares nothing with this process, so threads of the progress bar cannot hang it.
    context = multiprocessing.get_context("spawn")
    try:
        yield from _scan_in_processes(base, chunks, options, workers, context)
    except BrokenProcessPool as error:
        raise MigrationError(
            "a process of the search was killed, perhaps for want of memory. Give a smaller --max-size."
        ) from error


def _scan_in_processes(
    base: Path, chunks: list[list[str]], options: Options, workers: int, context: BaseContext
) -> Iterator[tuple[int, list[FileFindings]]]:
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        waiting = iter(chunks)
        running = [
            (len(chunk), pool.submit(_scan_chunk, base, chunk, options))
            for chunk in islice(waiting, 2 * workers)
        ]
        while running:
            size, first = running.pop(0)
            yield size, first.result()
            following = next(waiting, None)
            if following is not None:
                running.append((len(following), pool.submit(_scan_chunk, base, following, options)))


_scanners: dict[str, Scanner] = {}


def _scan_chunk(base: Path, paths: list[str], options: Options) -> list[FileFindings]:
    key = repr(options)
    scanner = _scanners.get(key)
    if scanner is None:
        _scanners.clear()
        scanner = _scanners[key] = Scanner(shared(options.before), options)
    found = (scanner.scan(base / path, path) for path in paths)
    return [item for item in found if item is not None]
