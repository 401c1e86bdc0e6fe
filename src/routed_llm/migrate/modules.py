"""The modules of a tree: what each imports, and what a name that one takes from another is in the end."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from routed_llm.migrate.python.tree import aliases

__all__ = ["Modules", "Place", "imports_of"]

_HOPS = 8

Place = tuple[str, str]
"""A file of the tree and a dotted name in it; the empty name is the module itself."""


def imports_of(text: str) -> dict[str, str]:
    """Return the names that a module's imports bind, to what they are: ``.config.MODEL``, ``a.b``.

    What is given an imported class counts, too (``Chat = ChatOpenAI``), and imports inside of functions. An
    import of ``*`` stands under ``*a.b``.

    Raises:
        ValueError: when the text is not Python.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("it is not Python") from error
    found: dict[str, str] = {}
    assigned: list[tuple[str, str]] = []
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for item in node.names:
                name = f"{module}{'' if module.endswith('.') else '.'}{item.name}"
                found[f"*{module}" if item.name == "*" else item.asname or item.name] = name
        elif isinstance(node, ast.Import):
            for item in node.names:
                found[item.asname or item.name.split(".")[0]] = (
                    item.name if item.asname else item.name.split(".")[0]
                )
                if not item.asname and "." in item.name:
                    found[item.name] = item.name
        elif isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute)):
            assigned += [
                (target.id, ast.unparse(node.value))
                for target in node.targets
                if isinstance(target, ast.Name)
            ]
    return {**aliases(assigned, found), **found}


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Give every statement. Most of a module is expressions, which import nothing."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            value = getattr(node, name, ())
            waiting += value if isinstance(value, list) else ()


class Modules:
    """Resolves dotted names in a tree.

    Args:
        base: the folder that was searched.
        paths: the files in it.
        known: imports of files that have been read already.
    """

    def __init__(self, base: Path, paths: Iterable[str], known: Mapping[str, Mapping[str, str]]) -> None:
        self._base = base
        self._paths = frozenset(path for path in paths if path.endswith(".py"))
        self._imports: dict[str, Mapping[str, str]] = dict(known)
        self._ends: dict[str, list[str]] = {}
        for path in self._paths:
            self._ends.setdefault((_parts(path) or [""])[-1], []).append(path)

    def resolve(self, path: str, name: str) -> Place | str:
        """Return where a dotted name of a file is defined: a place of the tree, or a name from outside."""
        return list(self.trail(path, name))[-1]

    def trail(self, path: str, name: str, hops: int = _HOPS) -> Iterator[Place | str]:
        """Give each place of the tree through which a dotted name leads, and what it is in the end."""
        found = self._module(path, name)
        if found is None or not hops:
            yield name
            return
        target, rest = found
        yield target, rest
        head, _, tail = rest.partition(".")
        imports = self.imports(target) if head else {}
        if head in imports:
            yield from self.trail(target, f"{imports[head]}.{tail}" if tail else imports[head], hops - 1)
            return
        for star in (item[1:] for item in imports if item.startswith("*")):
            further = list(self.trail(target, f"{star}{'' if star.endswith('.') else '.'}{rest}", hops - 1))
            last = further[-1]
            # A class of a library, such as langchain_openai's, or what the other module has itself.
            if head[:1].isupper() if isinstance(last, str) else self._defines(last):
                yield from further
                return

    def imports(self, path: str) -> Mapping[str, str]:
        """Return what a file's imports bind."""
        found = self._imports.get(path)
        if found is None:
            try:
                found = imports_of((self._base / path).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = {}
            self._imports[path] = found
        return found

    def _defines(self, place: Place) -> bool:
        path, name = place
        head = name.split(".")[0].split("(")[0].split("[")[0]
        try:
            text = (self._base / path).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return False
        return any(f"{before}{head}" in text for before in ("\n", "\nclass ", "\ndef ")) or text.startswith(
            head
        )

    def _module(self, path: str, name: str) -> Place | None:
        """Return the module of the tree that a dotted name begins with, and what is left of the name."""
        folder = list(PurePosixPath(path).parts[:-1])
        dots = len(name) - len(name.lstrip("."))
        words = [word for word in name[dots:].split(".") if word]
        if dots:
            folder = folder[: len(folder) - dots + 1] if dots - 1 <= len(folder) else []
            return self._longest([folder], words)
        above = [folder[:depth] for depth in range(len(folder), -1, -1)]
        near = self._longest([item for root in above for item in (root, [*root, "src"])], words, least=1)
        return near or self._anywhere(words)

    def _longest(self, roots: Iterable[list[str]], words: list[str], least: int = 0) -> Place | None:
        for root in roots:
            for length in range(len(words), least - 1, -1):
                stem = "/".join([*root, *words[:length]])
                for file in (f"{stem}.py", f"{stem}/__init__.py" if stem else "__init__.py"):
                    if file in self._paths:
                        return file, ".".join(words[length:])
        return None

    def _anywhere(self, words: list[str]) -> Place | None:
        """Look for the one module of the tree whose path ends as the name begins: its root is not known."""
        for length in range(len(words), 1, -1):
            ends = self._ends.get(words[length - 1], [])
            found = [path for path in ends if _parts(path)[-length:] == words[:length]]
            if len(found) == 1:
                return found[0], ".".join(words[length:])
        return None


def _parts(path: str) -> list[str]:
    pure = PurePosixPath(path)
    return [*pure.parts[:-1], *([] if pure.stem == "__init__" else [pure.stem])]
