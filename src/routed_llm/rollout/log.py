"""The decision log: one JSON line for each call, without any text of prompts or answers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from routed_llm.errors import PolicyError

__all__ = ["DecisionLog"]


_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class DecisionLog:
    """Appends lines to a file. Threads and processes may share it: each line is one write.

    Args:
        path: the file; made when the first line is written.

    Raises:
        PolicyError: when it cannot be opened for writing.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._handle = self._open()
        self._owner = os.getpid()

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append an entry.

        A full disk must not lose an answer that has been paid for, so what cannot be written is dropped.
        """
        line = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._lock:
            try:
                os.write(self._handle, line)
            except OSError:
                return

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _FLAGS, 0o600)
        except OSError as error:
            raise PolicyError(
                f"log={self._path!r}: {error.strerror or error}. Name a file that can be written.", key="log"
            ) from error

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # The module may be gone before its objects when the interpreter ends.
        handle = getattr(self, "_handle", None)
        if handle is not None:
            try:
                close(handle)
            except OSError:
                return
