"""What a PDF costs: its text, and one image of each page.

Source: OpenAI's guide "File inputs" (2026-07): models with vision get the extracted text and an image of
each page; a file may have 50 MB. The size of those images is not published, so a page counts as an image
of the worst size (`images.worst_case`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from routed_llm.errors import RequestError

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

MAX_BYTES: Final = 50 * 1024 * 1024
"""Of one file and of all files of a request."""


class UnreadablePdf(RequestError):
    """A PDF that cannot be read here; the provider's reader may be able to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfFacts:
    """What is known of a PDF before it is sent.

    Attributes:
        pages: number of pages, each of which costs one image.
        texts: the text of each page that has any, to be counted.
        unread: most tokens of the pages whose text could not be extracted (their content's bytes).
        is_estimate: whether `unread` had to stand in for text.
    """

    pages: int
    texts: tuple[str, ...] = ()
    unread: int = 0
    is_estimate: bool = False


def read_pdf(data: bytes) -> PdfFacts:
    """Return pages and text of a PDF; takes some 10 to 100 ms a page, so keep it off an event loop.

    Raises:
        UnreadablePdf: The file is broken, or encrypted in a way that takes a package which is not installed.
        RequestError: The file is too large, has no pages or is locked by a password, or the extra `media` is
            not installed.
    """
    reader = _open(data)
    texts = []
    unread = 0
    failed = False
    for page in _pages(reader):
        text, most = _page_text(page)
        failed = failed or text is None
        unread += most
        if text:
            texts.append(text)
    return PdfFacts(pages=len(reader.pages), texts=tuple(texts), unread=unread, is_estimate=failed)


def page_count(data: bytes) -> int:
    """Return the number of pages of a PDF without extracting text.

    Raises:
        RequestError: As `read_pdf`.
    """
    return len(_pages(_open(data)))


def _open(data: bytes) -> PdfReader:
    if len(data) > MAX_BYTES:
        raise RequestError(
            f"The PDF has {len(data):,} bytes, more than the {MAX_BYTES:,} that the API takes. "
            "Send a smaller file."
        )
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError
    except ImportError as error:
        raise RequestError("Reading a PDF needs pypdf. Install routed-llm[media].") from error
    try:
        reader = PdfReader(io.BytesIO(data))
        locked = reader.is_encrypted and not reader.decrypt("")
    except DependencyError as error:
        raise UnreadablePdf(
            f"The PDF is encrypted and cannot be read: {error}. Install cryptography, or send it unlocked."
        ) from error
    except Exception as error:  # pypdf raises whatever a broken object leads to
        raise UnreadablePdf(f"The PDF is broken: {error}. Send a complete PDF file.") from error
    if locked:
        raise RequestError("The PDF is locked by a password. Send it unlocked.")
    return reader


def _pages(reader: PdfReader) -> list[PageObject]:
    try:
        pages = list(reader.pages)
    except Exception as error:  # pypdf raises whatever a broken object leads to
        raise UnreadablePdf(f"The PDF is broken: {error}. Send a complete PDF file.") from error
    if not pages:
        raise RequestError("The PDF has no pages. Send a complete PDF file.")
    return pages


def _page_text(page: PageObject) -> tuple[str | None, int]:
    try:
        return page.extract_text(), 0
    except Exception:  # noqa: BLE001 - pypdf raises whatever a broken font or stream leads to
        return None, _content_bytes(page)


def _content_bytes(page: PageObject) -> int:
    """Return the bytes of a page's drawing instructions, which hold all of its text and more."""
    try:
        content = page.get_contents()
        return len(content.get_data()) if content is not None else 0
    except Exception as error:
        raise UnreadablePdf(f"A page of the PDF is broken: {error}. Send a complete PDF file.") from error
