"""The packaged TOML files: where they are, what they say, and one digest over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

from routed_llm.catalog.vocabulary import problem

__all__ = ["COMPILED", "ROOT", "SCHEMA", "digest", "files", "made_from", "newest", "read_toml"]

SCHEMA: Final = 1
"""What the files' keys mean. It grows when an older routed-llm would misread newer files."""

ROOT = Path(__file__).parent
COMPILED = "compiled.json"
FOLDERS = ("", "endpoints", "families", "models")


def files(root: Path = ROOT) -> list[str]:
    """List the catalog's TOML files as sorted paths relative to its root."""
    return sorted(
        path.relative_to(root).as_posix() for folder in FOLDERS for path in (root / folder).glob("*.toml")
    )


def digest(root: Path = ROOT) -> str:
    """Sum up every name and byte of the catalog's files; equal digests mean equal catalogs."""
    return _sum_of(root, files(root))


def newest(root: Path = ROOT) -> date:
    """Return the last day on which any fact was compared with its source: what a catalog is dated by."""
    return max(day for name in files(root) for day in _verified(read_toml(root / name, name)))


def _verified(value: Any) -> Iterator[date]:
    if isinstance(value, dict):
        if type(value.get("verified")) is date:
            yield value["verified"]
        value = value.values()
    if not isinstance(value, (str, bytes)) and hasattr(value, "__iter__"):
        for item in value:
            yield from _verified(item)


def made_from(root: Path = ROOT) -> list[str]:
    """Give the digests of what the compiled file is made from: TOML files, and the code that reads them."""
    code = sorted(path.name for path in ROOT.glob("*.py"))
    return [digest(root), _sum_of(ROOT, code)]


def _sum_of(root: Path, names: list[str]) -> str:
    import hashlib  # here and below: not needed to import the package

    total = hashlib.blake2b(digest_size=16)
    for name in names:
        content = (root / name).read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def read_toml(path: Path, shown: str | None = None) -> dict[str, Any]:
    """Parse one TOML file.

    Raises:
        CatalogError: when it is missing or not TOML.
    """
    import tomllib

    name = shown or str(path)
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise problem(name, None, f"cannot be read ({error.strerror}). Check the path.") from None
    except tomllib.TOMLDecodeError as error:
        raise problem(name, None, f"not valid TOML: {error}. Correct the file.") from None
