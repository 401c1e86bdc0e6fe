"""Usage: chosen.py TAG FOLDER - keep in FOLDER what a tag publishes, and fail where versions and tag differ.

A tag v1.2.3 publishes all distributions but the catalog's data, which have to be of that version; a tag
catalog-2026.11.29 publishes the data alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

DATA = "routed_llm_catalog"


def versions(folder: Path) -> dict[Path, tuple[str, str]]:
    """Return name and version of each wheel and source distribution in a folder."""
    found = {}
    for path in sorted(folder.iterdir()):
        named = re.fullmatch(r"(\w+)-([\w.]+?)(?:-.+\.whl|\.tar\.gz)", path.name)
        if named is None:
            sys.exit(f"{path} is no distribution. Build into an empty folder.")
        found[path] = named[1], named[2]
    return found


def main(tag: str, folder: str) -> None:
    """Delete what the tag does not publish."""
    data_alone = tag.startswith("catalog-")
    wanted = tag.removeprefix("catalog-" if data_alone else "v")
    kept = 0
    for path, (name, version) in versions(Path(folder)).items():
        if (name == DATA) != data_alone:
            path.unlink()
            continue
        if version != wanted:
            sys.exit(f"{path.name} is not of version {wanted}. Set the version, or name the tag after it.")
        kept += 1
    if not kept:
        sys.exit(f"The tag {tag} publishes nothing that is in {folder}. Build all distributions first.")


if __name__ == "__main__":
    main(*sys.argv[1:])
