"""A PDF costs its text and an image of each page."""

from __future__ import annotations

import io
import sys

import pytest
from pypdf import PageObject, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from routed_llm.errors import RequestError
from routed_llm.tokens import pdf as module
from routed_llm.tokens.pdf import PdfFacts, page_count, read_pdf


def writer(*texts: str) -> PdfWriter:
    """Return a PDF with one line of text on each page."""
    made = PdfWriter()
    for text in texts:
        page = made.add_blank_page(612, 792)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = made._add_object(content)
    return made


def written(made: PdfWriter) -> bytes:
    """Return the bytes of a PDF."""
    stream = io.BytesIO()
    made.write(stream)
    return stream.getvalue()


def locked(password: str) -> bytes:
    """Return a PDF that is encrypted with RC4 and a user's password."""
    made = writer("secret")
    made.encrypt(password, "owner", algorithm="RC4-128")
    return written(made)


TWO_PAGES = written(writer("Hello world", "Second page"))


def test_pages_and_text() -> None:
    """Pages are counted and their text extracted."""
    assert read_pdf(TWO_PAGES) == PdfFacts(pages=2, texts=("Hello world", "Second page"))
    assert page_count(TWO_PAGES) == 2


def test_page_without_text() -> None:
    """A scanned page has no text but is a page."""
    made = writer("Hello")
    made.add_blank_page(100, 100)
    assert read_pdf(written(made)) == PdfFacts(pages=2, texts=("Hello",))


def test_encrypted_without_a_password() -> None:
    """A PDF that opens without a password is read."""
    assert read_pdf(locked("")).texts == ("secret",)


def test_page_that_cannot_be_extracted(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a page's text cannot be extracted, the bytes of its content bound it, marked as an estimate."""

    def fail(self: PageObject) -> str:
        raise KeyError("/Encoding")

    monkeypatch.setattr(PageObject, "extract_text", fail)
    facts = read_pdf(written(writer("Hello world")))
    assert facts == PdfFacts(
        pages=1, unread=len("BT /F1 12 Tf 72 720 Td (Hello world) Tj ET"), is_estimate=True
    )


def test_page_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """If not even a page's content can be read, the PDF is refused."""

    def fail(self: PageObject) -> str:
        raise ValueError("bad stream")

    monkeypatch.setattr(PageObject, "extract_text", fail)
    monkeypatch.setattr(PageObject, "get_contents", fail)
    with pytest.raises(RequestError) as caught:
        read_pdf(TWO_PAGES)
    assert str(caught.value) == "A page of the PDF is broken: bad stream. Send a complete PDF file."


@pytest.mark.parametrize("read", [read_pdf, page_count])
def test_locked(read: object) -> None:
    """A PDF that needs a password is refused."""
    with pytest.raises(RequestError) as caught:
        read(locked("user"))  # type: ignore[operator]
    assert str(caught.value) == "The PDF is locked by a password. Send it unlocked."


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello", id="text"),
        pytest.param(TWO_PAGES[:200], id="cut"),
        pytest.param(TWO_PAGES.replace(b"/Pages", b"/Sages"), id="no page tree"),
    ],
)
def test_broken(data: bytes) -> None:
    """What is no PDF is an error of the request."""
    with pytest.raises(
        RequestError, match=r"^The PDF (is broken: .*|has no pages)\. Send a complete PDF file\.$"
    ):
        read_pdf(data)


def test_no_pages() -> None:
    """A PDF without pages is an error of the request."""
    with pytest.raises(RequestError) as caught:
        read_pdf(written(PdfWriter()))
    assert str(caught.value) == "The PDF has no pages. Send a complete PDF file."


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file above the API's limit is refused before it is read."""
    monkeypatch.setattr(module, "MAX_BYTES", 1_000)
    with pytest.raises(RequestError) as caught:
        read_pdf(bytes(1_001))
    assert str(caught.value) == (
        "The PDF has 1,001 bytes, more than the 1,000 that the API takes. Send a smaller file."
    )


def test_limit_is_the_published_one() -> None:
    """The limit is 50 MB."""
    assert module.MAX_BYTES == 52_428_800


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pypdf the message names the extra."""
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(RequestError) as caught:
        read_pdf(TWO_PAGES)
    assert str(caught.value) == "Reading a PDF needs pypdf. Install routed-llm[media]."
