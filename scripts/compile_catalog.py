"""Hatchling's build hook: a wheel brings ``compiled.json`` along, so that no installation has to make it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileCatalog(BuildHookInterface[Any]):
    """Compiles the catalog of the tree that is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling calls it so
        """Make the file."""
        sys.path.insert(0, str(Path(self.root) / "src"))
        from routed_llm.catalog.compile import write_compiled

        write_compiled()
