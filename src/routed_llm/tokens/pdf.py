"""What a PDF costs: its text, and one image of each page.

Source: OpenAI's guide "File inputs" (2026-07): models with vision get the extracted text and an image of
each page; a file may have 50 MB. The size of those images is not published, so a page counts as an image
of the worst size (`images.worst_case`).
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from routed_llm.errors import RequestError

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

MAX_BYTES: Final = 50 * 1024 * 1024
"""Of one file and of all files of a request."""

MAX_PAGES: Final = 2_000
"""Pages whose text is looked for: more fit into no window, an image of each included."""

MAX_SECONDS: Final = 10.0
"""Time for the text of a whole file."""

MAX_CONTENT: Final = 4 * 1024 * 1024
"""Bytes of one page's content, unpacked, that are looked through for text."""

_MOST_PAGES: Final = 10_000_000
_DEEPEST: Final = 60
FULL_PAGE: Final = 3_000
"""Tokens of a page that is printed closely."""

_SHOWS: Final = (b"Tj", b"TJ")
"""Operators that show text."""

T = TypeVar("T")


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


def read_pdf(data: bytes, *, seconds: float = MAX_SECONDS) -> PdfFacts:
    """Return pages and text of a PDF; takes some 10 to 100 ms a page, so keep it off an event loop.

    What is not read for want of time is bounded by the bytes of its content.

    Args:
        data: the file.
        seconds: how long its text may be looked for.

    Raises:
        UnreadablePdf: The file is broken, or encrypted in a way that takes a package which is not installed.
        RequestError: The file is too large, has no pages or is locked by a password, or the extra `media` is
            not installed.
    """
    reader = _open(data)
    count, found = _pages(reader)
    end = monotonic() + seconds
    pages: dict[Any, _Page] = {}
    read: list[_Page] = []
    for page in found:
        name = _name(page)
        if name is None or name not in pages:
            # The same page may be shown any number of times, and then counts as often.
            pages[name] = _read(page, end)
        read.append(pages[name])
    rest = count - len(read)
    most = max((page.most for page in read), default=0)
    return PdfFacts(
        pages=count,
        texts=tuple(page.text for page in read if page.text),
        unread=sum(page.most for page in read) + rest * most,
        is_estimate=rest > 0 or any(page.failed for page in read),
    )


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


def _pages(reader: PdfReader) -> tuple[int, list[PageObject]]:
    """Return how many pages there are, and those whose text is looked for."""
    try:
        # A tree may name the same branch again and again: it is counted before it is walked.
        root: Any = reader.trailer["/Root"]
        count = _leaves(root["/Pages"], {})
        pages = list(reader.pages) if count <= MAX_PAGES else []
    except Exception as error:  # pypdf raises whatever a broken object leads to
        raise UnreadablePdf(f"The PDF is broken: {error}. Send a complete PDF file.") from error
    if not count or (count <= MAX_PAGES and not pages):
        raise RequestError("The PDF has no pages. Send a complete PDF file.")
    return (len(pages) or count), pages


def _leaves(node: Any, known: dict[Any, int], depth: int = 0) -> int:
    """Count the pages below a node of the page tree."""
    if depth > _DEEPEST:
        raise ValueError("its page tree is too deep")
    node = node.get_object()
    kids = node.get("/Kids")
    if kids is None:
        return 1
    total = 0
    for kid in kids.get_object():
        name = getattr(kid, "idnum", None)
        if name is None:
            total += _leaves(kid, known, depth + 1)
            continue
        if name not in known:
            known[name] = 0  # a branch that contains itself has no end
            known[name] = _leaves(kid, known, depth + 1)
        total += known[name]
    return min(total, _MOST_PAGES)


class _Page(NamedTuple):
    """What a page gave: its text, or the most tokens that it can have."""

    text: str = ""
    most: int = 0
    failed: bool = False


def _name(page: PageObject) -> Any:
    """Name what a page shows, so that it is read once; None where that is not known."""
    if "/Contents" not in page:
        return None
    shown = [page.raw_get(key) if key in page else None for key in ("/Contents", "/Resources")]
    return tuple(getattr(one, "idnum", None) or repr(one) for one in shown)


def _read(page: PageObject, end: float) -> _Page:
    content = _content(page)
    size = len(content)
    if size > MAX_CONTENT:
        return _Page(most=size, failed=True)
    try:
        text = _in_time(page.extract_text, end)
    except TimeoutError:
        return _Page(most=max(size, FULL_PAGE), failed=True)
    except Exception:  # noqa: BLE001 - pypdf raises whatever a broken font or stream leads to
        return _Page(most=size, failed=True)
    if not text and any(shows in content for shows in _SHOWS):
        # There is text that is not read here; the provider's reader may be able to.
        return _Page(most=min(size, FULL_PAGE), failed=True)
    if not text and _draws_forms(page):
        # Where forms draw forms without end, pypdf leaves out what comes after some thousands of them.
        return _Page(most=FULL_PAGE, failed=True)
    return _Page(text=text)


def _draws_forms(page: PageObject) -> bool:
    """Say whether a page may draw what has drawing instructions of its own."""
    try:
        resources: Any = page["/Resources"]
        drawn = resources["/XObject"].get_object().values()
        return any(one.get_object().get("/Subtype") == "/Form" for one in drawn)
    except Exception:  # noqa: BLE001 - pypdf raises whatever a broken object leads to; most pages draw none
        return False


def _in_time(work: Callable[[], T], end: float) -> T:
    """Return what a function returns, in a thread that is given up when its time is over.

    Nothing else ends pure Python code whose author did not think of it. The thread ends at its next step.

    Raises:
        TimeoutError: when it took too long.
    """
    left = end - monotonic()
    if left <= 0:
        raise TimeoutError
    made: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            made.append(work())
        except SystemExit:
            pass  # nobody waits any more
        except Exception as error:  # noqa: BLE001 - raised where somebody waits
            failed.append(error)

    thread = threading.Thread(target=run, name="routed-pdf", daemon=True)
    thread.start()
    thread.join(left)
    if made:
        return made[0]
    if failed:
        raise failed[0]
    import ctypes  # few files need it

    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
    raise TimeoutError


def _content(page: PageObject) -> bytes:
    """Return a page's drawing instructions, which hold all of its text and more."""
    try:
        content = page.get_contents()
        return content.get_data() if content is not None else b""
    except Exception as error:
        raise UnreadablePdf(f"A page of the PDF is broken: {error}. Send a complete PDF file.") from error
