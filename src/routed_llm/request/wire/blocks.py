"""Blocks of a message in any provider's form, as the parts that OpenAI has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from routed_llm.request.wire.turns import MARK

__all__ = ["MEDIA", "TEXTS", "openai_part", "text_part"]

TEXTS: Final = frozenset({"text", "input_text", "output_text", "text-plain"})
"""Types of blocks that are text."""

MEDIA: Final = frozenset(
    {
        *("audio", "document", "file", "image", "image_url", "input_audio", "input_file", "input_image"),
        *("media", "video", "video_url"),
    }
)
"""Types of blocks that are an image, a voice clip, a video or a file."""

_AS_THEY_ARE: Final = frozenset({"audio", "input_audio", "video_url"})
_FOREIGN: Final = frozenset({"annotations", "cache_control", "extras", "id", "index"})
"""Keys of a text block that a framework or another provider added, which Chat Completions refuses."""


class _Media(NamedTuple):
    """One image, voice clip, video or file; of a text that comes as a file, the text is its URL."""

    kind: str
    url: str | None
    file_id: str | None = None
    filename: str | None = None
    detail: str | None = None


def text_part(block: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return a text, or a block of one of :data:`TEXTS`, as a part of Chat Completions."""
    if isinstance(block, str):
        return {"type": "text", "text": block}
    text = block.get("text") or (block.get("data") if block["type"] == "text-plain" else None)
    return {"type": "text", "text": str(text or "")}


def openai_part(block: str | Mapping[str, Any], *, on_responses: bool) -> Mapping[str, Any]:
    """Return a block as a part that OpenAI has: one of Chat Completions, where that has a form for it.

    One that is such a part already, or that nobody knows, is returned itself.

    Args:
        block: the block, or a text.
        on_responses: whether it goes to Responses, so that parts in the form of that stay.
    """
    if isinstance(block, str):
        return text_part(block)
    kind = block.get("type")
    if kind == "text-plain" or (kind == "input_text" and not on_responses):
        return text_part(block)
    given = block.get("extras")
    extras = given if isinstance(given, Mapping) else {}
    if kind == "text" and not _FOREIGN.isdisjoint(block):
        kept = {MARK: extras[MARK]} if MARK in extras else {}
        return kept | {k: v for k, v in block.items() if k not in _FOREIGN}
    if kind not in MEDIA or kind in _AS_THEY_ARE:
        return block
    part = _part(block, on_responses=on_responses)
    mark = block.get(MARK) or extras.get(MARK)
    return part if part is block or mark is None else {**part, MARK: mark}


def _part(block: Mapping[str, Any], *, on_responses: bool) -> Mapping[str, Any]:
    kind, media = block["type"], _read(block)
    is_url = media.kind == "file" and media.file_id is None and not (media.url or "").startswith("data:")
    if media.kind == "image" and media.url is None and not on_responses:
        return block  # which has nothing to show
    if {
        "input_image": on_responses,
        "input_file": on_responses,
        "image": not (media.file_id or media.detail),
        "image_url": isinstance(block.get("image_url"), Mapping) and media.file_id is None,
        "file": media.kind == "file" and not (on_responses and is_url),
    }.get(kind):
        return block  # in OpenAI's form, or in the framework's own, which it writes itself
    detail = {} if media.detail is None else {"detail": media.detail}
    if media.kind == "image" and media.file_id is not None:  # which only Responses has a form for
        return {"type": "input_image", "file_id": media.file_id, **detail}
    if is_url:  # and for this
        return {"type": "input_file", "file_url": media.url}
    if media.kind == "text":
        return {"type": "text", "text": media.url}
    if media.kind == "image":
        return {"type": "image_url", "image_url": {"url": media.url, **detail}}
    if media.kind == "audio":
        form, _, data = (media.url or "").partition(";base64,")
        return {"type": "input_audio", "input_audio": {"data": data, "format": form.partition("/")[2]}}
    if media.kind == "video":
        return {"type": "video_url", "video_url": {"url": media.url}}  # which no model takes
    if media.file_id is not None:
        return {"type": "file", "file": {"file_id": media.file_id}}
    return {"type": "file", "file": {"filename": media.filename or "file", "file_data": media.url}}


def _read(block: Mapping[str, Any]) -> _Media:
    """Read a block of any known form; a file that says it is an image or a voice clip is one."""
    kind, source, value = block["type"], block.get("source"), block.get("image_url")
    if kind in ("image_url", "input_image"):
        image = value if isinstance(value, Mapping) else {**block, "url": value}
        return _Media("image", image.get("url"), image.get("file_id"), detail=image.get("detail"))
    if kind == "input_file" or isinstance(block.get("file"), Mapping):
        file = block if kind == "input_file" else block["file"]
        url = file.get("file_data") or file.get("file_url")
        return _Media(_kind("file", url), url, file.get("file_id"), file.get("filename"))
    if isinstance(source, Mapping):
        # Anthropic's: {"type": "image" | "document", "source": {"type": "base64", "media_type", "data"}}.
        if source.get("type") == "text":
            return _Media("text", str(source.get("data") or ""))
        url = source.get("url") or _data_url(source.get("media_type"), source.get("data"))
        kind = kind if kind == "image" else _kind("file", url)
        return _Media(kind, url, source.get("file_id"), block.get("title"))
    mime, extras = block.get("mime_type"), block.get("extras") or {}
    data = block.get("base64") or (None if block.get("url") else block.get("data"))
    url = block.get("url") or block.get("file_uri") or _data_url(mime, data)
    return _Media(
        # Google's: {"type": "media", "mime_type", "data" | "file_uri"}.
        _kind("file" if kind == "media" else kind, url, mime),
        url,
        block.get("file_id") or (block.get("id") if block.get("source_type") == "id" else None),
        block.get("filename") or block.get("name") or extras.get("filename"),
        block.get("detail") or extras.get("detail"),
    )


def _kind(kind: str, url: str | None, mime: str | None = None) -> str:
    """Say what a file is, by its type: that it has, or that its data URL says."""
    said = (mime or (url or "").removeprefix("data:")).partition("/")[0]
    return said if kind == "file" and said in ("image", "audio", "video") else kind


def _data_url(mime: str | None, data: str | None) -> str | None:
    return None if data is None else f"data:{mime};base64,{data}"
