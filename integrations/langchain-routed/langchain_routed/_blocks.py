"""Content blocks: what a block is, whoever's form it has (OpenAI's, LangChain's, a neighbour's)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

__all__ = [
    "BREAKPOINT",
    "RESPONSES_ITEMS",
    "TEXTS",
    "Media",
    "as_media",
    "block_text",
    "breakpoint_of",
]

BREAKPOINT: Final = "prompt_cache_breakpoint"
"""Key of a block that ends a prefix for the prompt cache."""

TEXTS: Final = frozenset({"text", "input_text", "output_text", "text-plain"})
"""Types of blocks that are text."""

RESPONSES_ITEMS: Final = frozenset(
    {
        "additional_tools",
        "apply_patch_call_output",
        "computer_call_output",
        "configuration_update",
        "custom_tool_call_output",
        "mcp_approval_response",
        "tool_search_output",
    }
)
"""Types of blocks that only the Responses endpoint has; langchain-openai passes them on as items."""


class Media(NamedTuple):
    """One image, voice clip or file, in one form.

    Attributes:
        kind: ``image``, ``audio``, ``file`` or ``video``.
        data: base64 text or None.
        url: a web or data URL or None.
        file_id: the provider's id or None.
        mime: the MIME type or None.
        filename: its name or None.
        detail: the detail asked for of an image, or None.
    """

    kind: str
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    mime: str | None = None
    filename: str | None = None
    detail: str | None = None

    @property
    def source(self) -> str | None:
        """A data URL or web URL, or None when only a file id is known."""
        if self.url is not None:
            return self.url
        return None if self.data is None else f"data:{self.mime};base64,{self.data}"

    @property
    def by_reference(self) -> bool:
        """Whether the content itself is not there."""
        return self.data is None and not (self.url or "").startswith("data:")


def block_text(block: Mapping[str, Any]) -> str:
    """Return the text of a block of a text type."""
    if block["type"] != "text-plain":
        return str(block.get("text") or "")
    return str(block.get("text") or block.get("data") or "")


def breakpoint_of(block: Mapping[str, Any]) -> Any:
    """Return a block's mark for the prompt cache, from where langchain-openai reads it, or None."""
    mark, extras = block.get(BREAKPOINT), block.get("extras")
    return extras.get(BREAKPOINT) if mark is None and isinstance(extras, Mapping) else mark


def _image_url(block: Mapping[str, Any]) -> Media:
    value = block.get("image_url")
    if isinstance(value, Mapping):
        return Media("image", url=value.get("url"), detail=value.get("detail"), file_id=value.get("file_id"))
    return Media("image", url=value, detail=block.get("detail"), file_id=block.get("file_id"))


def _input_audio(block: Mapping[str, Any]) -> Media:
    value = block.get("input_audio") or {}
    return Media("audio", data=value.get("data"), mime=f"audio/{value.get('format') or 'wav'}")


def _file(block: Mapping[str, Any]) -> Media:
    value = block.get("file")
    if not isinstance(value, Mapping):
        return _standard(block)
    return _openai_file(value)


def _openai_file(value: Mapping[str, Any]) -> Media:
    return Media(
        "file",
        url=value.get("file_data") or value.get("file_url"),
        file_id=value.get("file_id"),
        filename=value.get("filename"),
    )


def _standard(block: Mapping[str, Any]) -> Media:
    source = block.get("source")
    if isinstance(source, Mapping):
        return _foreign(block, source)
    extras = block.get("extras") or {}
    file_id = block.get("file_id") or (block.get("id") if block.get("source_type") == "id" else None)
    return Media(
        str(block["type"]),
        data=block.get("base64") or (block.get("data") if not block.get("url") else None),
        url=block.get("url"),
        file_id=file_id,
        mime=block.get("mime_type"),
        filename=block.get("filename") or block.get("name") or extras.get("filename"),
        detail=block.get("detail") or extras.get("detail"),
    )


def _foreign(block: Mapping[str, Any], source: Mapping[str, Any]) -> Media:
    # Anthropic's form: {"type": "image" | "document", "source": {"type": "base64", "media_type", "data"}}.
    kind = "image" if block["type"] == "image" else "file"
    data = source.get("data")
    if source.get("type") == "text":
        return Media("text", data=str(data or ""), mime="text/plain")
    return Media(
        kind,
        data=data,
        url=source.get("url"),
        file_id=source.get("file_id"),
        mime=source.get("media_type"),
        filename=block.get("title"),
    )


def _google(block: Mapping[str, Any]) -> Media:
    # Google's form: {"type": "media", "mime_type", "data" | "file_uri"}.
    mime = str(block.get("mime_type") or "")
    kind = mime.partition("/")[0]
    known = kind if kind in ("image", "audio", "video") else "file"
    return Media(known, data=block.get("data"), url=block.get("file_uri"), mime=mime or None)


MEDIA: Final[Mapping[str, Callable[[Mapping[str, Any]], Media]]] = {
    "image_url": _image_url,
    "input_image": _image_url,
    "image": _standard,
    "input_audio": _input_audio,
    "audio": _standard,
    "file": _file,
    "input_file": _openai_file,
    "document": _standard,
    "media": _google,
    "video": _standard,
}
"""Block type to the reader of its form."""


def as_media(block: Mapping[str, Any]) -> Media | None:
    """Read an image, audio, file or video block of any known form; None for any other block.

    A file that says it is an image or a voice clip is read as one.
    """
    reader = MEDIA.get(str(block.get("type")))
    if reader is None:
        return None
    media = reader(block)
    if media.kind != "file":
        return media
    url = media.url or ""
    mime = media.mime or (url[5:].partition(";")[0] if url.startswith("data:") else "")
    kind = mime.partition("/")[0]
    return media._replace(kind=kind, mime=mime) if kind in ("image", "audio", "video") else media
