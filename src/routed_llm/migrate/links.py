"""Links between files: a constant imported elsewhere, an environment variable set in a settings file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from routed_llm.migrate.found import FileFindings, Kind, Occurrence, Options, Site
from routed_llm.migrate.ids import shared
from routed_llm.migrate.scan import Scanner

__all__ = ["link"]

_Place = tuple[str, int]
_BASELINE = "it is the baseline of a routed model"


def link(base: Path, files: Sequence[FileFindings], options: Options) -> list[FileFindings]:
    """Follow names from file to file; rescan those whose model is defined in another one."""
    known, defined = _resolve(files)
    by_path = {file.path: file for file in files}
    reached: dict[_Place, list[Site]] = {}
    settled: set[_Place] = set()
    scanner = Scanner(shared(options.before), options, known) if known else None
    for file in files if scanner is not None else ():
        wanted = [name for name in file.wants if name in known]
        again = scanner.scan(base / file.path, file.path) if wanted and scanner is not None else None
        if again is not None:
            by_path[file.path] = again
            settled.update(defined[name] for name in again.baselines if name in known)
            for site in again.sites:
                for name in wanted:
                    if known[name] in site.models:
                        reached.setdefault(defined[name], []).append(site)
    _variables(by_path, reached, settled)
    for path, offset in settled - set(reached):
        by_path[path] = _changed(by_path[path], offset, Kind.KEEP, _BASELINE, None)
    for (path, offset), sites in reached.items():
        by_path[path] = _traced(by_path[path], offset, sites)
    return list(by_path.values())


def _resolve(files: Sequence[FileFindings]) -> tuple[dict[str, str], dict[str, tuple[str, int]]]:
    """Return, for each wanted name that one module alone defines, its value and where that stands."""
    exported = [
        (f"{_module(file.path)}.{name}", value, (file.path, offset))
        for file in files
        for name, (value, offset) in file.exports.items()
    ]
    known: dict[str, str] = {}
    defined: dict[str, tuple[str, int]] = {}
    for want in {name for file in files for name in file.wants}:
        asked = want.lstrip(".")
        found = [item for item in exported if item[0] == asked or item[0].endswith(f".{asked}")]
        if len(found) == 1 and "." in asked:
            known[want], defined[want] = found[0][1], found[0][2]
    return known, defined


def _module(path: str) -> str:
    pure = PurePosixPath(path)
    parts = [*pure.parts[:-1], *([] if pure.stem == "__init__" else [pure.stem])]
    return ".".join(parts)


def _variables(
    files: dict[str, FileFindings], reached: dict[tuple[str, int], list[Site]], settled: set[tuple[str, int]]
) -> None:
    routed = {name[1:] for file in files.values() for name in file.baselines if name.startswith("$")}
    read = {name: site for file in files.values() for site in file.sites for name in site.environment}
    for file in files.values():
        for item in file.occurrences:
            if item.setting in read and item.kind is Kind.REPORT:
                reached.setdefault((item.path, item.offset), []).append(read[item.setting])
            elif item.setting in routed and item.kind is Kind.REPORT:
                settled.add((item.path, item.offset))


def _traced(file: FileFindings, offset: int, sites: list[Site]) -> FileFindings:
    routed = [site for site in sites if site.blocked is None]
    site = routed[0] if routed else sites[0]
    kind = Kind.TRACE if routed else Kind.REPORT
    end = f"becomes {site.becomes}" if routed else f"is not rewritten: {site.blocked}"
    why = f"it reaches {site.name} at {site.path}:{site.line}, which {end}"

    return _changed(file, offset, kind, why, site.rule)


def _changed(file: FileFindings, offset: int, kind: Kind, why: str, rule: str | None) -> FileFindings:
    def occurrences() -> Iterator[Occurrence]:
        for item in file.occurrences:
            # The literal begins at its quote, the id one or two characters later.
            if 0 <= item.offset - offset <= 4 and item.kind in (Kind.REPORT, Kind.KEEP):
                yield replace(item, kind=kind, why=why, rule=rule)
            else:
                yield item

    return file.with_occurrences(tuple(occurrences()))
