"""What several test files share."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

from langchain_core.messages import AIMessageChunk
from PIL import Image
from pypdf import PdfWriter


def routing(message: Any) -> dict[str, Any]:
    """The routing record of an answer, which is JSON."""
    record = message.response_metadata["routing"]
    json.dumps(record)
    return record


def changed(message: Any) -> list[tuple[str, str]]:
    """What was sent differently from what was asked, the chosen effort apart."""
    changes = routing(message)["changes"]
    return [(c["parameter"], c["action"]) for c in changes if (c["parameter"], c["action"]) != EFFORT]


EFFORT = ("reasoning_effort", "added")


def merged(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    """All chunks of a stream, added up."""
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def png(width: int = 64, height: int = 48) -> str:
    """A PNG image as base64."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def pdf(pages: int = 1) -> str:
    """A PDF file as base64."""
    out, writer = io.BytesIO(), PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(width=200, height=200)
    writer.write(out)
    return base64.b64encode(out.getvalue()).decode()


def wav(seconds: int = 1) -> str:
    """A voice clip as base64."""
    out = io.BytesIO()
    with wave.open(out, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(8_000)
        clip.writeframes(bytes(16_000 * seconds))
    return base64.b64encode(out.getvalue()).decode()
