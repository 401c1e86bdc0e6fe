"""Audio costs one token for each begun 100 ms in, and 50 ms out."""

from __future__ import annotations

import io
import struct
import sys
import wave
from pathlib import Path

import pytest

from routed_llm.errors import RequestError
from routed_llm.tokens.audio import audio_seconds, input_tokens, output_tokens

FILES = Path(__file__).parent / "audio"


def wav(seconds: float, rate: int = 8_000) -> bytes:
    """Return a silent WAV file."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * int(rate * seconds)))
    return stream.getvalue()


def m4a(seconds: int) -> bytes:
    """Return the head of an M4A file: its brand, and a movie header with 1,000 units a second."""
    brand = b"M4A \0\0\0\0M4A mp42isom"
    header = struct.pack(">IIIII", 0, 0, 0, 1_000, 1_000 * seconds) + bytes(80)
    movie = struct.pack(">I4s", 8 + len(header), b"mvhd") + header
    return (
        struct.pack(">I4s", 8 + len(brand), b"ftyp")
        + brand
        + struct.pack(">I4s", 8 + len(movie), b"moov")
        + movie
    )


def claiming(data: bytes, size: int) -> bytes:
    """Return a WAV file whose data chunk claims another size."""
    at = data.index(b"data") + 4
    return data[:at] + size.to_bytes(4, "little") + data[at + 4 :]


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        pytest.param(wav(2.5), 2.5, id="wav"),
        pytest.param(claiming(wav(2.5), 0xFFFFFFFF), 2.5, id="wav from a pipe"),
        pytest.param(claiming(wav(2.5), 0), 2.5, id="wav from a pipe, length zero"),
        pytest.param((FILES / "tone.mp3").read_bytes(), 0.5, id="mp3"),
        pytest.param((FILES / "tone.flac").read_bytes(), 0.5, id="flac"),
        pytest.param((FILES / "tone.opus").read_bytes(), 0.5, id="opus"),
        pytest.param((FILES / "tone.ogg").read_bytes(), 0.5, id="vorbis"),
        pytest.param(m4a(7), 7, id="m4a"),
    ],
)
def test_seconds_of_a_file(data: bytes, seconds: float) -> None:
    """The length is read from the file, whatever format the request names."""
    assert audio_seconds(data) == pytest.approx(seconds, abs=0.08)
    assert audio_seconds(data, "mp3") == pytest.approx(seconds, abs=0.08)


def test_raw_samples() -> None:
    """Raw samples are 24,000 a second of 16 bits."""
    assert audio_seconds(bytes(72_000), "pcm16") == 1.5
    assert audio_seconds(b"RIFF" + bytes(47_996), "pcm16") == 1.0


@pytest.mark.parametrize(
    ("seconds", "tokens_in", "tokens_out"),
    [
        pytest.param(0, 0, 0, id="nothing"),
        pytest.param(0.001, 1, 1, id="begun"),
        pytest.param(0.1, 1, 2, id="100 ms"),
        pytest.param(0.3, 3, 6, id="three tenths, though 0.3 is no binary fraction"),
        pytest.param(0.7, 7, 14, id="seven tenths"),
        pytest.param(0.101, 2, 3, id="101 ms"),
        pytest.param(60, 600, 1_200, id="a minute"),
        pytest.param(3_600.05, 36_001, 72_001, id="an hour and 50 ms"),
    ],
)
def test_tokens(seconds: float, tokens_in: int, tokens_out: int) -> None:
    """Begun steps count whole."""
    assert input_tokens(seconds) == tokens_in
    assert output_tokens(seconds) == tokens_out


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_impossible_length(seconds: float) -> None:
    """A length that no audio has is an error of the request."""
    with pytest.raises(RequestError) as caught:
        input_tokens(seconds)
    assert str(caught.value) == f"Audio cannot last {seconds} seconds. Give its length in seconds."


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello world, this is no audio", id="text"),
        pytest.param((FILES / "tone.flac").read_bytes()[:20], id="cut flac"),
        pytest.param((FILES / "tone.ogg").read_bytes()[:30], id="cut ogg"),
        pytest.param(wav(1)[:30], id="cut wav"),
        pytest.param(wav(0), id="no samples"),
    ],
)
def test_broken_audio(data: bytes) -> None:
    """What is no audio, or has no length, is an error of the request that says what to send."""
    with pytest.raises(RequestError, match=r"\. Send (WAV, MP3, FLAC, Opus or M4A|a complete audio file)\.$"):
        audio_seconds(data)


def test_whole_message_of_unknown_audio() -> None:
    """An unknown format is named as such."""
    with pytest.raises(RequestError) as caught:
        audio_seconds(b"hello world, this is no audio")
    assert str(caught.value) == (
        "The audio cannot be read: No tag reader found to support file type. "
        "Send WAV, MP3, FLAC, Opus or M4A."
    )


def test_whole_message_of_empty_audio() -> None:
    """A file without samples is named as such."""
    with pytest.raises(RequestError) as caught:
        audio_seconds(wav(0))
    assert str(caught.value) == "The audio has no length. Send a complete audio file."


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tinytag the message names the extra; raw samples need none."""
    monkeypatch.setitem(sys.modules, "tinytag", None)
    with pytest.raises(RequestError) as caught:
        audio_seconds(wav(1))
    assert str(caught.value) == ("Reading the length of audio needs tinytag. Install routed-llm[media].")
    assert audio_seconds(bytes(48_000), "pcm16") == 1.0
