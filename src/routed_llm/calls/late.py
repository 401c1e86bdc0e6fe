"""The answer to a call as a response of httpx or httpx2, written as late as what asks for it allows.

Both have the same classes under different names; which of them a request is of says which of them its answer
must be of. To write headers and a body that nobody reads would take longer than the decision.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from routed_llm.calls.runners import aclosed

if TYPE_CHECKING:
    from types import ModuleType

    from routed_llm.calls.endpoint_call import Served

__all__ = ["answer_to", "library_of"]


def answer_to(request: Any, served: Served) -> Any:
    """Return the response to a request, as its library wants it."""
    library, is_whole = library_of(request), served.events is None
    whole, parts, headers = _kinds(library)
    response = (whole if is_whole else library.Response)(
        served.status,
        request=request,
        extensions={"http_version": b"HTTP/1.1", "routed": served},
        stream=library.ByteStream(b"") if is_whole else parts(served.events),
    )
    response.headers = headers({**served.headers, "content-type": served.content_type})
    response.is_closed = response.is_stream_consumed = is_whole
    response.elapsed = timedelta(seconds=served.seconds)
    return response


class _Whole:
    """A response whose body is written where somebody reads it: the SDK wants what it is written from."""

    is_decoded_next = False  # whether json() comes next, before which the SDK reads the body for nothing

    @property
    def _content(self) -> bytes:
        return self.extensions["routed"].body  # type: ignore[attr-defined, no-any-return] # `answer_to` puts it there

    def read(self) -> bytes:
        return b"" if self.is_decoded_next else self._content

    async def aread(self) -> bytes:
        return self.read()

    def json(self, **options: Any) -> Any:
        if self.is_decoded_next:
            self.is_decoded_next = False
            return self.extensions["routed"].answer  # type: ignore[attr-defined] # as above
        return super().json(**options)  # type: ignore[misc] # of the response that it is mixed into


class LateHeaders:
    """Headers that are written as httpx keeps them once more is asked for than one by its name.

    To be mixed into its class: that, and to look through them three times, takes longer than a decision.
    """

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        given = vars(self).get("_given")
        if given is not None:
            # httpx reads headers in UTF-8 and writes them in ASCII.
            written = {name: text if text.isascii() else text.encode() for name, text in given.items()}
            super().__init__(written)  # type: ignore[call-arg] # of httpx's class
            vars(self).pop("_given", None)
        return object.__getattribute__(self, name)

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        return type(self).__bases__[1], (self.raw,)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a header by its name."""
        given = vars(self).get("_given")
        return super().get(key, default) if given is None else given.get(key.lower(), default)  # type: ignore[misc] # as above


class Parts:
    """The body of an answer in parts, to be mixed into httpx's class; closing it gives the call up."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._events)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._events)

    def close(self) -> None:
        """Give the call up, unless it is over."""
        self._events.close()

    async def aclose(self) -> None:
        """Do what :meth:`close` does, in an event loop."""
        await aclosed(self._events)


@cache
def _kinds(library: ModuleType) -> tuple[Any, Any, Any]:
    """Return the classes of a response, of a body in parts and of headers, as subclasses of the library's."""
    mixed = (_Whole, library.Response), (Parts, library.SyncByteStream, library.AsyncByteStream)
    whole, parts, headers = (
        type(one[1].__name__, one, {}) for one in (*mixed, (LateHeaders, library.Headers))
    )
    return whole, parts, headers


def library_of(request: Any) -> ModuleType:
    """Return the library that a request is of: httpx, or httpx2 (openai 2 and 3)."""
    return sys.modules[type(request).__module__.partition(".")[0]]
