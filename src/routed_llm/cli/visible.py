"""What is printed holds no control characters: a file must not move the cursor of who looks at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["made_visible", "visible"]

_CONTROLS: Final = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)
}
_DIRECTIONS: Final = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_VISIBLE: Final = {**_CONTROLS, **_DIRECTIONS}
"""Control characters but tabs and line ends, and those that turn the direction of writing, as escapes."""


def made_visible(text: str) -> str:
    """Write control characters as escapes."""
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)


@contextmanager
def visible() -> Iterator[None]:
    """Make visible, for a block, what is written to standard output and standard error."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Visible(before[0]), _Visible(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Visible:
    """A text stream that writes no control characters."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def write(self, text: str) -> int:
        self.inner.write(made_visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
