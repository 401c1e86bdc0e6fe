"""Content blocks: what a block is, whoever's form it has (OpenAI's, LangChain's, a neighbour's)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from routed_llm import RequestBuilder

__all__ = [
    "BREAKPOINT",
    "MEDIA",
    "RESPONSES_ITEMS",
    "SILENT",
    "TEXTS",
    "Media",
    "as_media",
    "block_text",
    "breakpoint_of",
    "tell_block",
]

BREAKPOINT: Final = "prompt_cache_breakpoint"
"""Key of a block that ends a prefix for the prompt cache."""

TEXTS: Final = frozenset({"text", "input_text", "output_text", "text-plain"})
"""Types of blocks that are text."""

SILENT: Final = frozenset(
    {"tool_use", "thinking", "reasoning_content", "function_call", "code_interpreter_call", "reasoning"}
)
"""Types of blocks that langchain-openai leaves out of a user's or a tool's message."""

RESPONSES_ITEMS: Final = frozenset(
    {
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
        """Whether the content itself is not at hand."""
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


def tell_block(builder: RequestBuilder, block: Any) -> None:
    """Tell a builder what a block of a user's, system's or tool's message is.

    A block of an unknown type goes on as ChatOpenAI sends it: as it is on Chat Completions, so that what a
    server of one's own takes still reaches it.

    Raises:
        RequestError: for a broken block.
    """
    if isinstance(block, str):
        builder.text(block)
        return
    if (mark := breakpoint_of(block)) is not None:
        builder.set(BREAKPOINT, mark)
    kind = block.get("type")
    if kind == "non_standard" and isinstance(block.get("value"), Mapping):
        tell_block(builder, block["value"])
    elif kind in TEXTS:
        builder.text(block_text(block))
    elif (media := as_media(block)) is not None:
        _tell_media(builder, media)
    elif kind in RESPONSES_ITEMS:
        builder.text(json.dumps(block, default=str)).endpoint("responses")
    elif kind == "refusal":
        builder.text(str(block.get("refusal") or ""))
    elif kind not in SILENT:
        builder.text(json.dumps(block, default=str)).endpoint("chat_completions")


def _tell_media(builder: RequestBuilder, media: Media) -> None:
    if media.kind == "text":
        builder.text(media.data or "")
    elif media.kind == "image":
        if media.file_id is not None:
            builder.endpoint("responses")  # Chat Completions has no image by id.
        builder.image(None if media.file_id is not None else media.source or "", detail=media.detail)
    elif media.kind == "audio":
        audio = None if media.by_reference else media.data or media.url
        builder.audio(audio, format=(media.mime or "").partition("/")[2] or None)
    elif media.kind == "video":
        builder.video()
    elif media.by_reference:
        if media.url is not None:
            builder.endpoint("responses")  # Chat Completions has no file by URL.
        builder.document(None, mime=media.mime, filename=media.filename, reference=True)
    else:
        builder.document(media.data or media.url, mime=media.mime, filename=media.filename)
