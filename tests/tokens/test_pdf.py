"""A PDF costs its text and an image of each page."""

from __future__ import annotations

import io
import sys
import time

import pytest
from pypdf import PageObject, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from routed_llm.errors import RequestError
from routed_llm.tokens import pdf as module
from routed_llm.tokens.pdf import PdfFacts, read_pdf


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


def test_locked() -> None:
    """A PDF that needs a password is refused."""
    with pytest.raises(RequestError) as caught:
        read_pdf(locked("user"))
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


def stream(data: bytes, extra: bytes = b"") -> bytes:
    """Return a stream object."""
    return b"<<" + extra + b"/Length %d>>\nstream\n" % len(data) + data + b"\nendstream"


def file_of(*objects: bytes) -> bytes:
    """Return a PDF of numbered objects, the first of which is its catalog."""
    out, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + one + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer\n<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)


CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
ONE_PAGE = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]"


def tree(depth: int) -> bytes:
    """Return a page tree whose every branch names the next one twice."""
    nodes = [b"<</Type/Pages/Count 2/Kids[%d 0 R %d 0 R]>>" % (n + 3, n + 3) for n in range(depth)]
    leaf = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
    return file_of(CATALOG, *nodes, leaf)


def nested(depth: int) -> bytes:
    """Return a page that draws a form twice, which draws the next one twice, and so on."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</XObject<</F 5 0 R>>>>/Contents 4 0 R>>"
    forms = [
        stream(b"/F Do /F Do", FORM + b"/Resources<</XObject<</F %d 0 R>>>>" % (6 + n)) for n in range(depth)
    ]
    return file_of(CATALOG, ONE_PAGE, page, stream(b"/F Do /F Do"), *forms, stream(b"BT (hi) Tj ET", FORM))


def repeated(pages: int, parts: int) -> bytes:
    """Return a page that is shown again and again, and whose content is the same stream again and again."""
    kids, contents = b" ".join([b"3 0 R"] * pages), b" ".join([b"4 0 R"] * parts)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents[" + contents + b"]>>"
    return file_of(
        CATALOG,
        b"<</Type/Pages/Count %d/Kids[" % pages + kids + b"]>>",
        page,
        stream(b"BT (hello) Tj ET " * 50),
    )


@pytest.mark.parametrize(
    ("data", "pages", "most"),
    [
        pytest.param(tree(20), 2**20, 0, id="a million pages"),
        pytest.param(tree(50), 10_000_000, 0, id="pages without number"),
        pytest.param(nested(25), 1, 3_000, id="forms within forms"),
        pytest.param(repeated(200, 200), 200, 200 * 3_000, id="streams again and again"),
    ],
)
def test_a_small_file_takes_no_long_time(data: bytes, pages: int, most: int) -> None:
    """A file of few bytes that unfolds without end is bounded, in time and in tokens."""
    begun = time.monotonic()
    facts = read_pdf(data, seconds=0.5)
    assert time.monotonic() - begun < 20  # hundreds of times as long without limits
    assert (len(data) < 6_000, facts.pages, facts.unread, facts.is_estimate) == (True, pages, most, True)


def test_a_tree_that_contains_itself() -> None:
    """A page tree without an end is an error of the request."""
    with pytest.raises(RequestError, match=r"Send a complete PDF file\.$"):
        read_pdf(file_of(CATALOG, b"<</Type/Pages/Count 1/Kids[2 0 R]>>"))


def test_a_page_whose_text_is_not_found() -> None:
    """A page that shows text of which none is found may have as much as its content, a full page at most."""
    facts = read_pdf(repeated(1, 1))
    assert (facts.texts, facts.is_estimate) == ((), True)
    assert 850 <= facts.unread <= 851  # a line break may be added


def test_a_page_that_is_shown_twice_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown again counts again, and is not read again."""
    read: list[PageObject] = []
    monkeypatch.setattr(PageObject, "extract_text", lambda page: read.append(page) or "said")
    assert read_pdf(repeated(50, 1)).texts == ("said",) * 50
    assert len(read) == 1
