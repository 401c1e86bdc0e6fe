"""Blocks of any provider's form, as parts that OpenAI has."""

from __future__ import annotations

from typing import Any

import pytest

from routed_llm.request.wire import openai_part

SAME = object()
"""The block itself: it is OpenAI's already, or the framework writes it."""

PDF, PNG = "data:application/pdf;base64,AAAA", "data:image/png;base64,AAAA"
MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
TEXT = {"type": "text", "text": "x"}


def image(url: str, **more: str) -> dict[str, Any]:
    """An image as Chat Completions has it."""
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**given: str) -> dict[str, Any]:
    """A file as Chat Completions has it."""
    return {"type": "file", "file": given}


def anthropic(kind: str, **source: str) -> dict[str, Any]:
    """A block as Anthropic has it."""
    return {"type": kind, "source": source}


def google(mime: str, **given: str) -> dict[str, Any]:
    """A block as Google has it."""
    return {"type": "media", "mime_type": mime, **given}


BLOCKS: dict[str, tuple[Any, Any, Any]] = {
    "a text": ("x", TEXT, TEXT),
    "a text that comes as a file": ({"type": "text-plain", "text": "x"}, TEXT, TEXT),
    "such a text as data": ({"type": "text-plain", "data": "x"}, TEXT, TEXT),
    "a text of Responses": ({"type": "input_text", "text": "x"}, TEXT, SAME),
    "a text with another's keys": ({**TEXT, "id": "1", "cache_control": {"type": "ephemeral"}}, TEXT, TEXT),
    "a text with a mark beside": ({**TEXT, "extras": {**MARK, "a": 1}}, {**TEXT, **MARK}, {**TEXT, **MARK}),
    "a text as it is": (TEXT, SAME, SAME),
    "what nobody knows": ({"type": "reasoning", "text": "x"}, SAME, SAME),
    "an image": (image("https://a.example/b.png"), SAME, SAME),
    "an image whose URL stands alone": (
        {"type": "image_url", "image_url": "https://a.example/b.png"},
        image("https://a.example/b.png"),
        image("https://a.example/b.png"),
    ),
    "an image of Responses": (
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        image(PNG, detail="low"),
        SAME,
    ),
    "an image by its id": (
        {"type": "image", "file_id": "file-1"},
        SAME,
        {"type": "input_image", "file_id": "file-1"},
    ),
    "a file of Responses, by its id": (
        {"type": "input_file", "file_id": "file-1", **MARK},
        {**file(file_id="file-1"), **MARK},
        SAME,
    ),
    "a file that is an image": (
        {"type": "file", "mime_type": "image/png", "base64": "AAAA"},
        image(PNG),
        image(PNG),
    ),
    "a file by its address": (
        {"type": "file", "url": "https://a.example/b.pdf"},
        SAME,
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
    ),
    "Anthropic's document": (
        {**anthropic("document", type="base64", media_type="application/pdf", data="AAAA"), "title": "b.pdf"},
        file(filename="b.pdf", file_data=PDF),
        file(filename="b.pdf", file_data=PDF),
    ),
    "Anthropic's document without a title": (
        anthropic("document", type="base64", media_type="application/pdf", data="AAAA"),
        file(filename="file", file_data=PDF),
        file(filename="file", file_data=PDF),
    ),
    "Anthropic's document by its address": (
        anthropic("document", type="url", url="https://a.example/b.pdf"),
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
    ),
    "Anthropic's document of text": (anthropic("document", type="text", data="x"), TEXT, TEXT),
    "Google's image": (google("image/png", data="AAAA"), image(PNG), image(PNG)),
    "Google's voice clip": (
        google("audio/wav", data="AAAA"),
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ),
    "Google's video": (
        google("video/mp4", file_uri="https://a.example/b.mp4"),
        {"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}},
        {"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}},
    ),
}
"""A block, and what it is on Chat Completions and on Responses."""


@pytest.mark.parametrize("on_responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize(("block", "chat", "responses"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_in_openais_words(block: Any, chat: Any, responses: Any, on_responses: bool) -> None:
    """What an endpoint has no form for is in the form of the other, where that alone has one."""
    made, wanted = openai_part(block, on_responses=on_responses), responses if on_responses else chat
    assert made is block if wanted is SAME else made == wanted
