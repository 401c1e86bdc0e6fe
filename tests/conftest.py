"""What every test shares: no network but loopback (see `addopts`), no settings of the machine."""

from __future__ import annotations

import os

import pytest

_FOREIGN = ("OPENAI_", "ROUTED_", "LANGCHAIN_", "LANGSMITH_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(_FOREIGN):
            monkeypatch.delenv(name)
