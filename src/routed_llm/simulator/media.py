"""Images, audio and files in a request: decoded, checked against the model, counted."""

from __future__ import annotations

import base64
import binascii
import io
import ipaddress
import urllib.parse
from typing import Any

from routed_llm.simulator import images
from routed_llm.simulator.ask import Part
from routed_llm.simulator.failures import failure
from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.tokens import count

_HEARD = (".mp3", ".wav", ".ogg", ".flac", ".aac", ".mp4", ".mov", ".webm")
_MP3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)


def data_url(url: str) -> tuple[str, bytes] | None:
    """Return (mime, bytes) of a base64 data URL, or None when it is none or does not decode."""
    if not url.startswith("data:") or "," not in url:
        return None
    head, _, content = url[5:].partition(",")
    mime = head.split(";")[0]
    if not head.endswith(";base64"):
        return None
    try:
        return mime, base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


def image_part(model: SimulatedModel, endpoint: str, url: str, detail: str, where: str) -> Part:
    """Return an image block with its tokens; a remote image is counted at the size the data declares."""
    rule = load("tokens")["images"]
    if _is_nowhere(url, rule["nowhere"]):
        raise failure("image_download" if endpoint == "chat" else "image_download_responses", url=url)
    if url.startswith(("http://", "https://", "file-")):
        width, height, data, mime = rule["remote_width"], rule["remote_height"], None, url
    else:
        decoded = data_url(url)
        header = images.size(decoded[1]) if decoded else None
        if decoded is None or header is None:
            raise failure("image_format" if endpoint == "chat" else "image_undecodable_responses")
        mime, width, height = header
        data = decoded[1]
    name = model.image_rule
    if name is None:
        return Part(kind="image", where=where, data=data, mime=mime, detail=detail)
    found = images.patches(name, width, height, detail)
    if found > rule["max_patches"]:
        raise failure("image_patches", patches=found, limit=rule["max_patches"], param=where)
    tokens = images.tokens(name, width, height, detail) + (rule["around_patches"] if found else 0)
    return Part(kind="image", where=where, data=data, mime=mime, detail=detail, tokens=tokens)


def _is_nowhere(url: str, reserved: list[str]) -> bool:
    """Say whether a URL leads nowhere for a provider: a reserved name, or an address inside a network."""
    if not url.startswith(("http://", "https://")):
        return False
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return any(f".{host}".endswith(f".{name}") for name in reserved)


def check_image(model: SimulatedModel, endpoint: str, turn: int, block: int) -> None:
    """Refuse an image to a model that takes none."""
    if "image" in model.inputs:
        return
    root = "messages" if endpoint == "chat" else "input"
    if "audio" in model.inputs:
        raise failure("image_to_audio_model", param=f"{root}[{turn}].content")
    raise failure("image_to_text_model", param=f"{root}.[{turn}].content.[{block}].type")


def check_audio(model: SimulatedModel, endpoint: str, turn: int) -> None:
    """Refuse audio to a model that takes none."""
    root = "messages" if endpoint == "chat" else "input"
    if "audio" not in model.inputs:
        raise failure("audio_to_text_model", param=f"{root}[{turn}]")


def audio_part(block: dict[str, Any], where: str) -> Part:
    """Return an audio block with its tokens, from the length of the recording."""
    kind = block.get("format")
    if kind not in ("wav", "mp3"):
        raise failure("invalid_value", param=f"{where}.format", value=kind, supported="'wav' and 'mp3'")
    try:
        data = base64.b64decode(str(block.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    seconds = wav_seconds(data) if kind == "wav" else mp3_seconds(data)
    if seconds is None:
        raise failure("audio_data", format=kind, param=where)
    tokens = max(1, round(seconds * load("tokens")["audio"]["input_tokens_per_second"]))
    return Part(kind="audio", where=where, data=data, mime=f"audio/{kind}", tokens=tokens)


def wav_seconds(data: bytes) -> float | None:
    """Return the length of a WAV recording from its header, or None when it is none."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    rate, at = 0, 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt ":
            rate = int.from_bytes(data[at + 16 : at + 20], "little")
        if name == b"data":
            return min(size, len(data) - at - 8) / rate if rate else None
        at += 8 + size + size % 2
    return None


def mp3_seconds(data: bytes) -> float | None:
    """Return the length of an MP3 recording at the bit rate of its first frame, or None when it is none."""
    start = 0
    if data[:3] == b"ID3" and len(data) > 10:
        b = data[6:10]
        start = 10 + (b[0] << 21 | b[1] << 14 | b[2] << 7 | b[3])
    for at in range(start, min(len(data) - 3, start + 4096)):
        if data[at] == 0xFF and data[at + 1] & 0xE0 == 0xE0:
            rate = _MP3_KBPS[data[at + 2] >> 4]
            return (len(data) - at) * 8 / (rate * 1000) if rate else None
    return None


def file_part(model: SimulatedModel, endpoint: str, block: dict[str, Any], where: str) -> Part:
    """Return a file block with its tokens; Chat Completions takes PDF only, Responses text files too."""
    given = block.get("file_data")
    if given is None and str(block.get("file_url")).lower().endswith(_HEARD):
        raise failure("file_url_type")
    if given is None:
        return _pdf(model, endpoint, None, "", where)
    decoded = data_url(str(given))
    mime = decoded[0] if decoded else "unknown"
    if mime == "application/pdf" and decoded:
        return _pdf(model, endpoint, decoded[1], str(block.get("detail", "auto")), where)
    if endpoint == "chat" or decoded is None:
        raise failure("file_type_chat", param=f"{where}.file_data", mime=mime)
    if mime.startswith(("audio/", "video/")):
        raise failure("file_type_responses", param=f"{where}.file_data", mime=mime)
    return Part(kind="text", where=where, text=decoded[1].decode("utf-8", "replace"), mime=mime)


def _pdf(model: SimulatedModel, endpoint: str, data: bytes | None, detail: str, where: str) -> Part:
    rule = load("tokens")["files"]
    pages, text = _read_pdf(data, rule)
    tokens = text + rule["around"][endpoint]
    if model.image_rule is not None:
        tokens += pages * rule["page"][endpoint]
    return Part(kind="file", where=where, data=data, mime="application/pdf", detail=detail, tokens=tokens)


def _read_pdf(data: bytes | None, rule: dict[str, Any]) -> tuple[int, int]:
    """Return (pages, tokens of text), by pypdf where it is installed."""
    if data is None:
        return 1, int(rule["tokens_per_page"])
    guess = max(1, round(len(data) / rule["bytes_per_page"]))
    try:
        import pypdf
    except ImportError:
        return guess, guess * int(rule["tokens_per_page"])
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        return len(reader.pages), sum(count(page.extract_text()) for page in reader.pages)
    except Exception:  # noqa: BLE001  pypdf raises many kinds on a damaged file; the size is then all there is
        return guess, guess * int(rule["tokens_per_page"])
