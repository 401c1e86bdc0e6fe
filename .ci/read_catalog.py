"""Read the installed routed-llm-catalog, and hold it against the catalog of the installed routed-llm."""

from __future__ import annotations

import sys

from routed_llm.catalog import Catalog
from routed_llm.catalog.installed import find

wheel = find()
if wheel is None or wheel.problem is not None:
    sys.exit(f"routed-llm-catalog cannot be read: {wheel}")
if "site-packages" not in wheel.root.parts:
    sys.exit(f"routed-llm-catalog comes from {wheel.root}. Run this where only the wheels are installed.")
if Catalog.from_folder(wheel.root) != Catalog.packaged():
    sys.exit("routed-llm-catalog is not the packaged catalog, though both were built from one tree.")
sys.stdout.write(f"routed-llm-catalog of {wheel.day}: {len(Catalog.from_folder(wheel.root))} models\n")
