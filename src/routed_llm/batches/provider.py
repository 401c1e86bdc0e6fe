"""Provider: the API that a job's files and requests go to, over the standard library's HTTP."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from routed_llm.errors import ProviderError
from routed_llm.recovery import fingerprint

if TYPE_CHECKING:
    from routed_llm.calls.endpoint_call import Outgoing

__all__ = ["ApiError", "Provider"]

DEFAULT_URL: Final = "https://api.openai.com/v1"
_TRIES: Final = 5
_TIMEOUT: Final = 900.0


class ApiError(ProviderError):
    """The API refused a request of a job, or could not be reached.

    Attributes:
        status: the HTTP status; 0 where there was no answer.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Provider:
    """Files and batches of one account.

    Args:
        base_url: where the API is; ``OPENAI_BASE_URL``, or OpenAI, when left out.
        api_key: its key; ``OPENAI_API_KEY`` when left out.
        sleep: waits before a request is sent again that only reads.

    Raises:
        ApiError: when there is no key.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.base_url = (base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")
        key = api_key or os.environ.get("OPENAI_API_KEY")
        if not key:
            raise ApiError("There is no API key. Set OPENAI_API_KEY, or give api_key.")
        self._headers = {"authorization": f"Bearer {key}"}
        self.credential = fingerprint(key, self.base_url)
        self._sleep = sleep

    def batches(self) -> Iterator[dict[str, Any]]:
        """Yield every batch of the account, the newest first."""
        return self._pages("/batches", {})

    def files(self) -> Iterator[dict[str, Any]]:
        """Yield every file that was uploaded for a batch."""
        return self._pages("/files", {"purpose": "batch"})

    def batch(self, name: str) -> dict[str, Any]:
        """Return one batch as it stands."""
        return self._read(f"/batches/{name}")

    def completions(self, metadata: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the Chat Completions that were stored with this metadata."""
        return self._pages(
            "/chat/completions", {f"metadata[{key}]": value for key, value in metadata.items()}
        )

    def wait(self, seconds: float) -> None:
        """Wait before something is looked for again."""
        self._sleep(seconds)

    def content(self, file: str) -> bytes:
        """Return what a file holds."""
        return self._get(f"/files/{file}/content")

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Upload a batch's file."""
        edge = uuid.uuid4().hex
        form = (
            f'--{edge}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{edge}\r\n'
            f'content-disposition: form-data; name="file"; filename="{name}"\r\n'
            "content-type: application/jsonl\r\n\r\n"
        ).encode()
        body = b"".join([form, data, f"\r\n--{edge}--\r\n".encode()])
        return self._object("POST", "/files", body, f"multipart/form-data; boundary={edge}")

    def create(self, file: str, endpoint: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        """Create a batch. It is not tried again here: whoever does looks first whether it is there."""
        asked = {
            "input_file_id": file,
            "endpoint": endpoint,
            "completion_window": "24h",
            "metadata": metadata,
        }
        return self._object("POST", "/batches", json.dumps(asked).encode(), "application/json")

    def send(self, sent: Outgoing) -> Response:
        """Send one request of a call and return its response; what goes elsewhere goes with its own key."""
        base = self.base_url if sent.base_url is None else sent.base_url.rstrip("/")
        headers = self._headers if sent.credential is None else sent.credential.on_the_wire()
        data = json.dumps(sent.body, ensure_ascii=False).encode("utf-8", "replace")
        return _exchange("POST", base + sent.path, {**headers, "content-type": "application/json"}, data)

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        after: str | None = None
        while True:
            asked = {**query, "limit": "100", **({"after": after} if after else {})}
            page = self._read(f"{path}?{urlencode(asked)}")
            yield from page["data"]
            if not page.get("has_more") or not page["data"]:
                return
            after = page["data"][-1]["id"]

    def _read(self, path: str) -> dict[str, Any]:
        return _decoded(self._get(path), path)

    def _get(self, path: str) -> bytes:
        """Read something, again after failures that pass."""
        for attempt in range(_TRIES):
            try:
                return self._request("GET", path, None, None)
            except ApiError as error:
                if attempt + 1 == _TRIES or (error.status not in (0, 408, 409, 429) and error.status < 500):
                    raise
                self._sleep(2.0**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _object(self, method: str, path: str, data: bytes, kind: str) -> dict[str, Any]:
        return _decoded(self._request(method, path, data, kind), path)

    def _request(self, method: str, path: str, data: bytes | None, kind: str | None) -> bytes:
        headers = {**self._headers, **({"content-type": kind} if kind else {})}
        try:
            response = _exchange(method, self.base_url + path, headers, data)
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(
                f"{self.base_url} could not be reached: {error}. Run the command again."
            ) from error
        if response.status_code >= 300:
            said = response.read()[:300].decode("utf-8", "replace")
            raise ApiError(
                f"{method} {path.partition('?')[0]} was answered with {response.status_code}: {said}. "
                "Correct what it says, or run the command again later: nothing is submitted twice.",
                status=response.status_code,
            )
        return response.read()


class Response:
    """A response that was read; the words are those of httpx."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status_code = status
        self.headers = headers
        self._data = data

    def read(self) -> bytes:
        """Return the whole body."""
        return self._data

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body."""
        yield self._data

    def close(self) -> None:
        """Nothing is open any more."""


def _exchange(method: str, url: str, headers: Mapping[str, str], data: bytes | None) -> Response:
    """Send one request, follow no redirect, and return the whole response."""
    place = urlsplit(url)
    host, port = place.hostname or "", place.port
    connection: http.client.HTTPConnection
    if place.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = place.path + (f"?{place.query}" if place.query else "")
        connection.request(method, target, data, dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, found, response.read())
    finally:
        connection.close()


def _decoded(data: bytes, path: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(
            f"The answer to {path} is no JSON object. Check the address, or run the command again."
        )
    return found
