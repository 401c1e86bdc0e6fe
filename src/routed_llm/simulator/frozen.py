"""Reads the simulator's frozen data files, once per process.

Nothing here comes from the router's catalog: a wrong catalog must not pass its own test.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return one file of `data/` as a dictionary; callers must not change it."""
    text = resources.files("routed_llm.simulator").joinpath("data", f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)
