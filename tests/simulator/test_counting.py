# ruff: noqa: E501  tables of cases are read by the row
"""Tokens, cached prefixes and dollars."""

from __future__ import annotations

import base64
import io
import struct
import wave
from decimal import Decimal
from typing import Any

import openai
import pytest

from routed_llm.simulator import Simulator, images, tokens
from routed_llm.simulator.billing import Used, billed
from routed_llm.simulator.models import model
from routed_llm.tokens.vocabulary import o200k_encoding


def user(content: Any) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": "user", "content": content}]


# OpenAI images-vision guide: its published examples, then sizes computed from the documented rule.
VECTORS = [
    ("patch_5.4", 1024, 1024, "high", 1229),
    ("patch_5.4", 2048, 2048, "high", 3000),
    ("patch_astra", 4096, 512, "high", 2458),
    ("patch_astra", 1024, 1024, "high", 1229),
    ("tile_85_170", 1024, 1024, "high", 765),
    ("tile_85_170", 2048, 4096, "high", 1105),
    ("tile_85_170", 4096, 8192, "low", 85),
    ("tile_85_170", 4000, 3000, "auto", 765),
    ("tile_70_140", 4000, 3000, "auto", 630),
    ("tile_2833_5667", 4000, 3000, "auto", 25501),
    ("patch_6144x1.62", 4000, 3000, "auto", 4977),
    ("patch_6144x1.2", 4000, 3000, "auto", 3687),
    ("patch_5.4", 4000, 3000, "low", 3687),
    ("patch_5.4", 4000, 3000, "auto", 2942),
    ("patch_5.5", 4000, 3000, "auto", 11868),
    ("patch_5.6", 4000, 3000, "auto", 14100),
    ("patch_5.6", 4000, 3000, "low", 231),
    ("patch_5.6", 1024, 1024, "low", 308),
    ("patch_5.6", 4000, 3000, "high", 2942),
]


@pytest.mark.parametrize(("rule", "width", "height", "detail", "expected"), VECTORS)
def test_image_tokens(rule: str, width: int, height: int, detail: str, expected: int) -> None:
    """An image costs what its model's rule says."""
    assert images.tokens(rule, width, height, detail) == expected


def png(width: int, height: int) -> bytes:
    """The header of a PNG of a size."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(9)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (png(640, 480), ("image/png", 640, 480)),
        (b"GIF89a" + struct.pack("<HH", 320, 200), ("image/gif", 320, 200)),
        (
            b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (799).to_bytes(3, "little") + (599).to_bytes(3, "little"),
            ("image/webp", 800, 600),
        ),
        (
            b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 48, 64) + bytes(12),
            ("image/jpeg", 64, 48),
        ),
        (b"no image", None),
        (b"", None),
    ],
    ids=["png", "gif", "webp", "jpeg", "text", "empty"],
)
def test_image_size(data: bytes, found: tuple[str, int, int] | None) -> None:
    """The size is read from the header."""
    assert images.size(data) == found


def test_image_too_large_is_refused(client: openai.OpenAI) -> None:
    """More than 30,000 patches after resizing is a 400, where nothing is resized."""
    url = "data:image/png;base64," + base64.b64encode(png(8000, 8000)).decode()
    content = [{"type": "image_url", "image_url": {"url": url, "detail": "original"}}]
    with pytest.raises(openai.BadRequestError) as info:
        client.chat.completions.create(model="gpt-5.6-luna", messages=user(content))
    assert info.value.code == "image_too_large"
    client.chat.completions.create(model="gpt-4o", messages=user(content))


@pytest.mark.parametrize(
    "text", ["word " * 50_000, "a" * 300_000, "日本語のテキスト。" * 20_000, " " * 200_000, "x\n" * 90_000]
)
def test_long_texts_count_as_whole(text: str) -> None:
    """Counting in pieces gives what counting in one gives, or a token or two more where nothing can be split."""
    exact = len(o200k_encoding().encode_ordinary(text))
    assert exact <= tokens.count(text) <= exact + 2


def test_frames_of_messages(client: openai.OpenAI) -> None:
    """3 per message, its role and text, a name's own tokens, 3 for the reply of gpt-4o, 2 for gpt-5.4's."""
    plain = client.chat.completions.create(model="gpt-4o", messages=user("hi")).usage
    named = client.chat.completions.create(model="gpt-4o", messages=[{**user("hi")[0], "name": "bob"}]).usage
    assert plain
    assert named
    assert (plain.prompt_tokens, named.prompt_tokens) == (3 + 1 + 1 + 3, 3 + 1 + 1 + 3 + 1)
    later = client.chat.completions.create(model="gpt-5.4", messages=user("hi")).usage
    assert later
    assert later.prompt_tokens == 3 + 1 + 1 + 2


def test_texts_beside_each_other(client: openai.OpenAI) -> None:
    """Text blocks of a message were billed as one text: of the full stop and what follows it, one token less."""
    sentences = ["You are brief.", "Please say yes."]
    blocks: Any = [{"type": "text", "text": text} for text in sentences]
    usage = client.chat.completions.create(model="gpt-4o", messages=user(blocks)).usage
    assert usage
    assert usage.prompt_tokens == 3 + 1 + tokens.count("".join(sentences)) + 3
    assert tokens.count("".join(sentences)) == sum(map(tokens.count, sentences)) - 1


def test_image_and_audio_in_usage(client: openai.OpenAI) -> None:
    """Images are counted by the model's rule and audio by its length, never as text."""
    url = "data:image/png;base64," + base64.b64encode(png(1024, 1024)).decode()
    content = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": url}}]
    for name, expected in (("gpt-4o", 765), ("gpt-4o-mini", 25501), ("gpt-5.6-luna", 1229)):
        usage = client.chat.completions.create(model=name, messages=user(content)).usage
        assert usage
        assert usage.prompt_tokens == 8 + expected
    sound = io.BytesIO()
    with wave.open(sound, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes(bytes(2 * 16_000 * 3))
    audio = {"data": base64.b64encode(sound.getvalue()).decode(), "format": "wav"}
    heard = client.chat.completions.create(
        model="gpt-audio-1.5", messages=user([{"type": "input_audio", "input_audio": audio}])
    )
    assert heard.usage
    assert heard.usage.prompt_tokens_details
    assert heard.usage.prompt_tokens_details.audio_tokens == 30


def test_cached_prefix(client: openai.OpenAI) -> None:
    """A prefix seen before is read from the cache in steps of 128 from 1,024 on, per model; 5.6+ bills writes."""
    long = "word " * 2000
    for name, written in (("gpt-4o", 0), ("gpt-5.6-luna", 1920)):
        seen = [
            client.chat.completions.create(model=name, messages=user(long + end)).usage.prompt_tokens_details  # type: ignore[union-attr]
            for end in ("a?", "b?")
        ]
        assert [(d.cached_tokens, d.cache_write_tokens) for d in seen if d] == [(0, written), (1920, 0)]


@pytest.mark.parametrize(
    ("name", "used", "dollars"),
    [
        ("gpt-4o", Used(prompt=1_000_000, completion=1_000_000), "12.5"),
        ("gpt-5.4", Used(prompt=272_000, completion=1000), "0.695"),
        ("gpt-5.4", Used(prompt=272_001, completion=1000), "1.382505"),
        ("gpt-6-luna", Used(prompt=300_000, completion=2000), "0.0615"),
        ("gpt-4.1", Used(prompt=300_000, completion=2000), "0.616"),
        ("gpt-5.6-terra", Used(prompt=2000, cached=1000, written=500, completion=100), "0.00365"),
        ("gpt-6-luna", Used(prompt=2000, written=1000, long_ttl=True), "0.00035"),
        ("gpt-5.4", Used(prompt=1000, completion=1000, tier="flex"), "0.00875"),
        ("gpt-5.4", Used(prompt=300_000, completion=1000, tier="priority"), "1.5225"),
        ("gpt-5.6-luna", Used(prompt=300_000, completion=1000, tier="priority"), "0.2436"),
        ("gpt-6.2-sol", Used(prompt=1000, completion=1000, window="2h"), "0.0084"),
        ("gpt-6.2-sol", Used(prompt=1000, completion=1000, window="8h"), "0.0072"),
        ("gpt-5.4", Used(prompt=1000, completion=1000, window="8h"), "0.0175"),
        ("gpt-6.2-astra", Used(prompt=1000, completion=1000, tier="ultrafast"), "0.144"),
        ("gpt-audio-1.5", Used(prompt=1000, audio_in=900, completion=500, audio_out=400), "0.05565"),
    ],
)
def test_dollars(name: str, used: Used, dollars: str) -> None:
    """A request is billed whole: long context, cache, tier and audio."""
    assert billed(model(name), used) == Decimal(dollars)


def test_journal_bills_every_call(client: openai.OpenAI, simulator: Simulator) -> None:
    """What the journal says was billed is the sum of usage times price."""
    one = client.chat.completions.create(model="gpt-4o", messages=user("hi"), service_tier="priority")
    assert one.service_tier == "priority"
    assert one.usage
    expected = (8 * Decimal("4.25") + one.usage.completion_tokens * 17) / Decimal(1_000_000)
    assert simulator.billed == simulator.journal[0].dollars == expected


@pytest.mark.parametrize(
    ("marked", "details"),
    [(False, [(0, 0), (0, 0)]), (True, [(0, 1_920), (1_920, 0)])],
    ids=["no breakpoint", "a breakpoint"],
)
def test_explicit_mode_uses_the_cache_where_there_is_a_breakpoint(
    client: openai.OpenAI, marked: bool, details: list[tuple[int, int]]
) -> None:
    """Without one a request neither reads nor writes the prompt cache."""
    part: Any = {"type": "text", "text": "word " * 2000}
    if marked:
        part["prompt_cache_breakpoint"] = {"mode": "explicit"}
    seen = [
        client.chat.completions.create(
            model="gpt-5.6-luna",
            messages=user([part]),
            extra_body={"prompt_cache_options": {"mode": "explicit"}},
        ).usage.prompt_tokens_details  # type: ignore[union-attr]
        for _ in range(2)
    ]
    assert [(d.cached_tokens, d.cache_write_tokens) for d in seen if d] == details
