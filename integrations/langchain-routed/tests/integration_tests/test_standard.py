"""LangChain's standard integration tests, against the simulator: the default pool, and one model at a time.

The tests download an image, a PDF and a voice clip; here they get small ones of the same kinds.
"""

from __future__ import annotations

import io
import wave
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_routed import RoutedChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.integration_tests import chat_models as standard
from PIL import Image
from pypdf import PdfWriter

from routed_llm import Router
from routed_llm.simulator import Simulator


def _file(url: str) -> bytes:
    """Return a small file of the kind that a test would download."""
    out = io.BytesIO()
    if url.endswith(".png"):
        Image.new("RGB", (640, 480), "white").save(out, "PNG")
    elif url.endswith(".pdf"):
        writer = PdfWriter()
        writer.add_blank_page(width=200, height=200)
        writer.write(out)
    else:
        with wave.open(out, "wb") as clip:
            clip.setnchannels(1)
            clip.setsampwidth(2)
            clip.setframerate(16_000)
            clip.writeframes(bytes(32_000))
    return out.getvalue()


class Standard(ChatModelIntegrationTests):
    """The integration tests that every LangChain chat model passes."""

    models: ClassVar[tuple[str, ...] | None] = None

    @pytest.fixture(autouse=True)
    def _simulated(self, sim: Simulator, router: Router, monkeypatch: pytest.MonkeyPatch) -> Any:
        self._sim, self._router = sim, router
        offline = SimpleNamespace(get=lambda url, **_: SimpleNamespace(content=_file(url)))
        monkeypatch.setattr(standard, "httpx", offline)
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "langchain-routed tests")
        yield
        assert sim.refused == []

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return RoutedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        policy = None if self.models is None else {"models": list(self.models), "at_least": None}
        return {"policy": policy, "base_url": self._sim.url, "router": self._router}

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def returns_usage_metadata(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str | None:
        return "gpt-4.1"


class TestDefaultPool(Standard):
    """The pool that a user gets."""

    @property
    def supports_audio_inputs(self) -> bool:
        return True


class TestGpt4o(Standard):
    """The baseline alone."""

    models = ("gpt-4o",)


class TestGpt54(Standard):
    """A reasoning model with both endpoints."""

    models = ("gpt-5.4",)


class TestGpt56Luna(Standard):
    """A reasoning model that takes tools on Responses only, unless it does not reason."""

    models = ("gpt-5.6-luna",)


class TestResponsesOnly(Standard):
    """A model that Chat Completions does not have."""

    models = ("gpt-5.2-pro",)

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_json_mode(self) -> bool:
        return False


del Standard
