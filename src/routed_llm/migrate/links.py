"""Links between files: what modules take from one another, hand to one another, and read from settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from routed_llm.migrate.found import FileFindings, Kind, Occurrence, Options, Site
from routed_llm.migrate.ids import shared
from routed_llm.migrate.modules import Modules, imports_of
from routed_llm.migrate.notebook import Notebook
from routed_llm.migrate.python.origins import Known
from routed_llm.migrate.rules import CLASSES
from routed_llm.migrate.scan import Scanner

__all__ = ["Link", "link"]

_BASELINE = "it is the baseline of a routed model"
_COMPARED = "it is compared with something"
_LOOK = "Look at what is done with it there."
_STAR = re.compile(rb"import\s*\*")
_DOTTED = re.compile(r"[\"']([A-Za-z_.][\w.]{0,200})[\"']")
_Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Link:
    """What linking has found.

    Attributes:
        files: the findings.
        notes: what a person has to know of strings that name what is rewritten.
    """

    files: list[FileFindings]
    notes: list[str]


def link(base: Path, paths: Sequence[str], files: Sequence[FileFindings], options: Options) -> Link:
    """Follow names from file to file, and scan again what another file says something about.

    Args:
        base: the folder that was searched.
        paths: every file that was searched.
        files: the findings of those that have any.
        options: what to rewrite.
    """
    return _Linker(base, paths, files, options).run()


@dataclass(slots=True)
class _Said:
    """What other files say about one, and which literals say so."""

    values: dict[str, list[str]] = field(default_factory=dict)
    given: dict[str, list[str]] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[_Place]] = field(default_factory=dict)
    environment: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def known(self, kept: Iterable[str] = ()) -> Known:
        return Known(
            values={name: tuple(dict.fromkeys(found)) for name, found in self.values.items()},
            given={name: tuple(dict.fromkeys(found)) for name, found in self.given.items()},
            same=self.same,
            kept=frozenset(kept),
            environment=self.environment,
        )


class _Linker:
    def __init__(
        self, base: Path, paths: Sequence[str], files: Sequence[FileFindings], options: Options
    ) -> None:
        self.base, self.paths = base, paths
        self.files = {file.path: file for file in files}
        self.modules = Modules(base, paths, {file.path: file.imports for file in files if file.imports})
        self.scanner = Scanner(shared(options.before), options)
        self.said: dict[str, _Said] = {}
        self.reached: dict[_Place, list[Site]] = {}
        self.passed: dict[_Place, str] = {}
        self.settled: dict[_Place, str] = {}

    def run(self) -> Link:
        self._imported()
        self._handed()
        self._set()
        for path, said in self.said.items():
            again = self.scanner.scan(self.base / path, path, said.known())
            if again is not None:
                self.files[path] = again
                self._reach(again, said)
        notes = self._keep()
        self._variables()
        for (path, offset), why in self.settled.items():
            if (path, offset) not in self.reached:
                self.files[path] = _changed(self.files[path], offset, Kind.KEEP, why, None)
        for (path, offset), function in self.passed.items():
            if (path, offset) not in self.reached and (path, offset) not in self.settled:
                why = f"it is handed to {function}, which hands it to no constructor known here. {_LOOK}"
                # What is only compared, shown or counted there is settled already.
                self.files[path] = _changed(self.files[path], offset, Kind.REPORT, why, None, (Kind.REPORT,))
        for (path, offset), sites in self.reached.items():
            self.files[path] = _traced(self.files[path], offset, sites)
        return Link(list(self.files.values()), notes)

    def _imported(self) -> None:
        """Tell each file what the names that it imports hold, and what they are other names of."""
        for path, imports in self._importing():
            for bound, target in imports.items():
                star = bound.startswith("*")
                name = target.rpartition(".")[0] if star else target
                name = "." * (len(target) - len(target.lstrip("."))) if star and not name.strip(".") else name
                place = self.modules.resolve(path, name)
                if isinstance(place, str):
                    self._outside(path, name, place)
                elif place[0] != path:
                    self._taken(path, name, *place)

    def _importing(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Give the files with their imports; of those that name no id the ones that may take one."""
        waiting, offered = [], {"import *"}
        for file in self.files.values():
            if file.takes:
                waiting.append(file.path)
            else:
                yield file.path, file.imports
            if file.exports:
                offered |= {PurePosixPath(file.path).stem, PurePosixPath(file.path).parent.name}
                offered |= {re.split(r"\W", name)[0] for name in file.exports}
        fresh = {name.encode() for name in offered if name}
        texts = {path: self._read(path) for path in waiting} if len(offered) > 1 else {}
        while fresh:
            found = [path for path, data in texts.items() if any(name in data for name in fresh)]
            fresh = set()
            for path in found:
                del texts[path]
                imports = self.modules.imports(path)
                yield path, imports
                # What it imports by another name may be taken from it in turn.
                last = {bound: target.rpartition(".")[2] for bound, target in imports.items()}
                fresh |= {bound.encode() for bound, name in last.items() if bound != name and name in offered}

    def _outside(self, path: str, name: str, what: str) -> None:
        if what != name and what in CLASSES:
            self._of(path).same[name] = what

    def _taken(self, path: str, name: str, other: str, rest: str) -> None:
        """Note what a file takes from another one: a name of it, or the module as a whole."""
        there = self.files.get(other)
        for exported, literals in (there.exports if there is not None else {}).items():
            if rest and exported != rest and not exported.startswith((f"{rest}.", f"{rest}[", f"{rest}(")):
                continue
            spelled = f"{name}{'' if name.endswith('.') or rest else '.'}{exported[len(rest) :]}"
            said = self._of(path)
            for value, offset in literals:
                said.values.setdefault(spelled, []).append(value)
                said.places.setdefault(spelled, []).append((other, offset))
        for bound, target in self.modules.imports(other).items() if not rest else ():
            further = self.modules.resolve(other, target)
            spelled = f"{name}{'' if name.endswith('.') else '.'}{bound}"
            if isinstance(further, str):
                self._outside(path, spelled, further)
            elif further[0] in self.files and further[1] and not bound.startswith("*"):
                self._taken(path, spelled, *further)

    def _handed(self) -> None:
        """Tell each file what others hand to its functions."""
        for file in list(self.files.values()):
            for item in file.hands:
                place = self.modules.resolve(file.path, item.callee)
                if isinstance(place, str):
                    self._outside(file.path, item.callee, place)
                    continue
                other, name = place
                if other == file.path or not name:
                    continue
                key, said = f"{name}:{item.key}", self._of(other)
                said.given.setdefault(key, []).append(item.literal[0])
                said.places.setdefault(key, []).append((file.path, item.literal[1]))
                self.passed[file.path, item.literal[1]] = f"{name}() of {other}"

    def _set(self) -> None:
        """Tell each file what the settings files beside or above it give the variables that it reads."""
        found: dict[str, dict[PurePosixPath, list[str]]] = {}
        for file in self.files.values():
            for item in file.occurrences:
                if item.setting is not None and item.kind is Kind.REPORT:
                    folders = found.setdefault(item.setting, {})
                    folders.setdefault(PurePosixPath(file.path).parent, []).append(item.text)
        for path in [path for path in self.files if found and path.endswith((".py", ".ipynb"))]:
            data, above = self._read(path), PurePosixPath(path).parents
            for name, folders in found.items():
                values = [value for folder, given in folders.items() if folder in above for value in given]
                if values and name.encode() in data:
                    self._of(path).environment[name] = tuple(dict.fromkeys(values))

    def _of(self, path: str) -> _Said:
        return self.said.setdefault(path, _Said())

    def _reach(self, again: FileFindings, said: _Said) -> None:
        for name in (*again.compared, *again.baselines):
            why = _COMPARED if name in again.compared else _BASELINE
            self.settled.update(dict.fromkeys(said.places.get(name, ()), why))
        for site in again.sites:
            # What a function of the tree is given is followed into that function.
            if not site.rule and not isinstance(self.modules.resolve(site.path, site.name[:-2]), str):
                continue
            for name in site.takes:
                for place in said.places.get(name, ()):
                    self.reached.setdefault(place, []).append(site)

    # Names that other modules take from what is rewritten

    def _keep(self) -> list[str]:
        """Keep the imported names that other files use, and note the strings that name them."""
        drops = {
            file.path: set(file.drops) for file in self.files.values() if file.drops and file.new is not None
        }
        if not drops:
            return []
        names = sorted({name for found in drops.values() for name in found})
        written = [name.encode() for name in names]
        kept: dict[str, set[str]] = {}
        notes = []
        for path in self.paths:
            text = self._python(path, written)
            if text is None:
                continue
            used = [place for name in _uses(text, set(names)) for place in self._dropped(path, name, drops)]
            for other, name in used:
                kept.setdefault(other, set()).update({name} if other != path else ())
            for line, shown, other, dropped in self._named(path, text, names, drops):
                kept.setdefault(other, set()).add(dropped)
                notes.append(
                    f"{path}:{line} names {shown}. {other} keeps that import, but "
                    "calls the routed class now: change the string where it replaces what is called."
                )
        for path, found in kept.items():
            again = self.scanner.scan(self.base / path, path, self._of(path).known(found))
            if again is not None:
                self.files[path] = again
        return notes

    def _named(
        self, path: str, text: str, names: Sequence[str], drops: dict[str, set[str]]
    ) -> Iterator[tuple[int, str, str, str]]:
        """Give the lines whose strings name what would be gone: how it is written, the module, the name."""
        for line, module, name in _strings(text, names):
            for other, dropped in self._dropped(path, f"{module}.{name}", drops):
                yield line, f'"{module}.{name}" in a string', other, dropped
        alone = list(_alone(text, names))
        meant = self._meant(path, text) if alone else set()
        for line, name in alone:
            for other in sorted(meant):
                if name in drops.get(other, ()):
                    yield line, f'"{name}" of {other} by a string', other, name

    def _meant(self, path: str, text: str) -> set[str]:
        """Return the modules that a file imports or names in a string."""
        try:
            named = set(imports_of(text).values())
        except ValueError:
            return set()
        named |= {found[1] for found in _DOTTED.finditer(text)}
        places = (self.modules.resolve(path, name) for name in named)
        return {place[0] for place in places if not isinstance(place, str) and not place[1]}

    def _dropped(self, path: str, name: str, drops: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
        """Give the modules that a name leads through and that would have it no more."""
        for place in self.modules.trail(path, name):
            if not isinstance(place, str) and place[1] in drops.get(place[0], ()):
                yield place

    def _read(self, path: str) -> bytes:
        try:
            return (self.base / path).read_bytes()
        except OSError:
            return b""

    def _python(self, path: str, names: Sequence[bytes]) -> str | None:
        """Return a file's Python, when it names one of the names or imports everything from somewhere."""
        if not path.endswith((".py", ".ipynb")):
            return None
        data = self._read(path)
        if not any(name in data for name in names) and _STAR.search(data) is None:
            return None
        try:
            text = data.decode("utf-8", "replace")
            return Notebook(text).text if path.endswith(".ipynb") else text
        except (ValueError, RecursionError):
            return None

    def _variables(self) -> None:
        files = self.files.values()
        routed = {name[1:] for file in files for name in file.baselines if name.startswith("$")}
        read = {name: site for file in files for site in file.sites for name in site.environment}
        for file in files:
            for item in file.occurrences:
                if item.setting in read and item.kind is Kind.REPORT:
                    self.reached.setdefault((item.path, item.offset), []).append(read[item.setting])
                elif item.setting in routed and item.kind is Kind.REPORT:
                    self.settled[item.path, item.offset] = _BASELINE


def _uses(text: str, names: set[str]) -> Iterator[str]:
    """Give the dotted names of other modules that a text uses and that end in one of some names."""
    try:
        imports = imports_of(text)
    except ValueError:
        return
    for bound, target in imports.items():
        if bound.startswith("*"):
            yield from (f"{target[:-1]}{name}" for name in names if re.search(rf"\b{name}\b", text))
        elif target.rpartition(".")[2] in names:
            yield target
        elif bound in text:
            for name in names:
                if f"{bound}.{name}" in text:
                    yield f"{target}.{name}"


def _strings(text: str, names: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Give the strings that name something of a module, as those that mocks are given, with their lines."""
    for found in re.finditer(
        rf"[\"']([A-Za-z_][\w.]{{0,200}})\.({'|'.join(map(re.escape, names))})[\"']", text
    ):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2]


def _alone(text: str, names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Give the strings and keywords that name something of a module which is named elsewhere."""
    either = "|".join(map(re.escape, names))
    for found in re.finditer(
        rf"[\"'](?:[^\"'\n]{{0,80}}[}}\s]\.)?({either})[\"']|[(,]\s*({either})\s*=[^=]", text
    ):
        yield text.count("\n", 0, found.end()) + 1, found[1] or found[2]


def _traced(file: FileFindings, offset: int, sites: list[Site]) -> FileFindings:
    routed = [site for site in sites if site.blocked is None]
    site = routed[0] if routed else sites[0]
    kind = Kind.TRACE if routed else Kind.REPORT
    end = f"becomes {site.becomes}" if routed else f"is not rewritten: {site.blocked}"
    why = f"it reaches {site.name} at {site.place}, which {end}"
    return _changed(file, offset, kind, why, site.rule)


def _changed(
    file: FileFindings,
    offset: int,
    kind: Kind,
    why: str,
    rule: str | None,
    before: tuple[Kind, ...] = (Kind.REPORT, Kind.KEEP),
) -> FileFindings:
    def occurrences() -> Iterator[Occurrence]:
        for item in file.occurrences:
            # The literal begins at its quote, the id one or two characters later, a prefix before it.
            if 0 <= item.offset - offset <= 11 and item.kind in before:
                yield replace(item, kind=kind, why=why, rule=rule)
            else:
                yield item

    return file.with_occurrences(tuple(occurrences()))
