"""Images, audio and documents: from what a caller gives to the numbers that models count by. Pure.

Nothing is ever fetched: what is given by URL or file id is of unknown size, and said to be.
"""

from __future__ import annotations

import base64
import binascii
import io
import mimetypes
import re
import zipfile
import zlib
from dataclasses import dataclass

from routed_llm.errors import RequestError
from routed_llm.tokens.audio import audio_seconds as seconds_of
from routed_llm.tokens.images import data_url_size
from routed_llm.tokens.images import image_size as size_of
from routed_llm.tokens.pdf import FULL_PAGE, UnreadablePdf, read_pdf

__all__ = ["Document", "audio_seconds", "document", "image_size"]

_PDF = b"%PDF-"
_ZIP = b"PK\x03\x04"
_OFFICE = re.compile(
    r"word/document\.xml|xl/sharedStrings\.xml|xl/worksheets/sheet\d+\.xml|ppt/slides/slide\d+\.xml"
)
_PAGE = re.compile(rb"/Type\s*/Page\b")
_SAID = re.compile(r"<(?:w:|a:)?(?:t|v)(?: [^>]*)?>([^<]+)<")
_OFFICE_BYTES = 20_000_000
"""Of a file's parts together, unpacked: an archive may hold a thousand times its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file turned out to be.

    Attributes:
        kind: ``pdf``, ``file`` (anything else that becomes text), ``image`` or ``audio``.
        pages: pages of a PDF.
        texts: its text, to be counted.
        unread: tokens, at most, of text that could not be extracted.
        unsure: tokens that may come on top of the texts, at most.
        unknown: whether nothing of its size could be known.
        estimates: what could not be known, in words.
        data: the decoded bytes.
    """

    kind: str
    pages: int = 0
    texts: tuple[str, ...] = ()
    unread: int = 0
    unsure: int = 0
    unknown: bool = False
    estimates: tuple[str, ...] = ()
    data: bytes = b""


def image_size(source: str | bytes, *, where: str) -> tuple[int, int] | None:
    """Read width and height in pixels, or None for an image that is given by reference.

    Raises:
        RequestError: when inline data is not an image that the API takes.
    """
    if isinstance(source, str) and not source[:5].lower().startswith("data:"):
        return None
    try:
        width, height, _ = data_url_size(source) if isinstance(source, str) else size_of(source)
    except RequestError as error:
        raise RequestError(f"{where}: {error}", where=where) from error
    return width, height


def audio_seconds(data: str | bytes, form: str | None, *, where: str) -> float:
    """Read the length of a voice clip in seconds.

    Raises:
        RequestError: when the data cannot be read as audio.
    """
    try:
        return seconds_of(_bytes(data), form)
    except RequestError as error:
        raise RequestError(f"{where}: {error}", where=where) from error


def document(data: str | bytes, *, mime: str | None, filename: str | None, where: str) -> Document:
    """Find out what a file is and how much of it there is to count.

    Raises:
        RequestError: when the data is not what it says it is.
    """
    try:
        kind = _mime(data, mime, filename)
        content = _bytes(data)
        if kind.startswith("image/"):
            return Document(kind="image", data=content)
        if kind.startswith("audio/"):
            return Document(kind="audio", data=content)
        if kind == "application/pdf" or content.startswith(_PDF):
            return _pdf(content)
    except RequestError as error:
        raise RequestError(f"{where}: {error}", where=where) from error
    if kind.startswith("text/") or kind in ("application/json", "application/xml"):
        return Document(kind="file", texts=(content.decode("utf-8", "replace"),), data=content)
    if content.startswith(_ZIP):
        found = office_text(content)
        if found is not None:
            note = f"of a file of the type {kind} the text is counted, as far as it is read here"
            return Document(
                kind="file",
                texts=(found,) if found else (),
                unsure=len(content),
                estimates=(note,),
                data=content,
            )
    note = f"a file of the type {kind} is counted at one token for 8 bytes, and by limits at one a byte"
    return Document(kind="file", unread=len(content), estimates=(note,), data=content)


def office_text(content: bytes) -> str | None:
    """Return the text of a document, table or presentation in Office's formats; None for any other archive.

    What the parts of the archive say between their marks, no more of it than `_OFFICE_BYTES`.
    """
    texts: list[str] = []
    left = _OFFICE_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if _OFFICE.fullmatch(name)]
            if not names:
                return None
            for name in sorted(names):
                with archive.open(name) as part:
                    read = part.read(left)
                left -= len(read)
                texts += _SAID.findall(read.decode("utf-8", "replace"))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, zlib.error):
        return None
    return "\n".join(texts)


def _pdf(content: bytes) -> Document:
    try:
        found = read_pdf(content)
    except UnreadablePdf:
        if not content:
            raise
        pages = len(_PAGE.findall(content))
        if pages:
            why = f"a PDF could not be read here; the pages marked in it ({pages:,}) count as full"
            return Document(kind="pdf", pages=pages, unread=pages * FULL_PAGE, estimates=(why,), data=content)
        why = "a PDF could not be read here, so it is of unknown size and is not in the count"
        return Document(kind="pdf", unknown=True, estimates=(why,), data=content)
    note = (
        ("some pages of a PDF gave no text and are counted at one token a byte",) if found.is_estimate else ()
    )
    return Document(
        kind="pdf", pages=found.pages, texts=found.texts, unread=found.unread, estimates=note, data=content
    )


def _mime(data: str | bytes, mime: str | None, filename: str | None) -> str:
    if mime:
        return mime.partition(";")[0].strip().lower()
    if isinstance(data, str) and data[:5].lower() == "data:":
        named = data[5:200].partition(",")[0].partition(";")[0].strip().lower()
        if named:
            return named
    guessed = mimetypes.guess_type(filename)[0] if filename else None
    return guessed or "application/octet-stream"


def _bytes(data: str | bytes) -> bytes:
    if isinstance(data, bytes):
        return data
    text = data.partition(",")[2] if data[:5].lower() == "data:" else data
    try:
        # Some writers break it into lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("The data is not base64. Send base64 text or a data URL.") from error
