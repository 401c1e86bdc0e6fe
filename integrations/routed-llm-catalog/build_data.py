"""Hatchling's hooks: the version is the day of the newest fact, the content is the catalog of this tree.

A source distribution holds the files; a wheel that is made of one takes them from there.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

HERE = Path(__file__).resolve().parent
HELD = HERE / "routed_llm_catalog" / "about.json"
"""Where the files are there already: in a source distribution."""

if not HELD.exists():
    sys.path.insert(0, str(HERE.parents[1] / "src"))

    from routed_llm.catalog.compile import write_compiled
    from routed_llm.catalog.installed import ABOUT, PACKAGE
    from routed_llm.catalog.sources import COMPILED, ROOT, SCHEMA, files, newest

    if HELD != HERE / PACKAGE / ABOUT:
        raise RuntimeError(f"routed_llm looks for {PACKAGE}/{ABOUT}. Name the same file here.")


class Version(MetadataHookInterface):
    """Dates the distribution."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the version, such as 2026.11.29."""
        day = date.fromisoformat(json.loads(HELD.read_text())["day"]) if HELD.exists() else newest()
        metadata["version"] = f"{day.year}.{day.month}.{day.day}"


class Content(BuildHookInterface[Any]):
    """Puts the files into the wheel and into the source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling calls it so
        """Add the files, what they were compiled to, and what they are."""
        if HELD.exists():
            return
        write_compiled()
        about = Path(tempfile.mkdtemp()) / ABOUT
        about.write_text(json.dumps({"schema": SCHEMA, "day": newest().isoformat()}), encoding="utf-8")
        sources = {ROOT / name: name for name in (*files(), COMPILED)}
        build_data["force_include"].update(
            {str(path): f"{PACKAGE}/{name}" for path, name in {**sources, about: ABOUT}.items()}
        )
