"""The o200k_base vocabulary, packaged, so that counting never needs a network or an environment variable.

tiktoken downloads its vocabulary on first use and keeps it where `TIKTOKEN_CACHE_DIR` says. Other
libraries in the same process set that variable for themselves, and tiktoken deletes a cached file whose
hash differs, so this module builds the `tiktoken.Encoding` itself from `data/o200k_base.xz`.

Format of the file: xz; each token as one length byte and its bytes, in the order of its rank (ranks are
dense from 0). `scripts/pack_vocabulary.py` makes it from the file that OpenAI publishes with tiktoken.

Source of vocabulary, pattern and special tokens: tiktoken 0.14.0 `tiktoken_ext/openai_public.py`,
MIT licence (`data/LICENSE-tiktoken.txt`).
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import TYPE_CHECKING, Final

from routed_llm.errors import RoutedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import tiktoken

SIZE: Final = 199_998
"""Number of ordinary tokens; their ranks are 0 to SIZE - 1."""

LONGEST: Final = 128
"""Bytes of the longest ordinary token."""

PUBLISHED_SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of OpenAI's `o200k_base.tiktoken`, as pinned in `tiktoken_ext/openai_public.py`."""

PACKED_SHA256: Final = "bac143fe7fe950090c6e4ed9a2f80de5412a92495758b52becbbe5a7eea25ecb"
"""Of the packaged file's content after decompression."""

SPECIAL_TOKENS: Final = {"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018}

PATTERN: Final = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)

_FILE = "o200k_base.xz"
_WORDS = "words.txt"
_lock = threading.Lock()
_encoding: tiktoken.Encoding | None = None


class VocabularyError(RoutedError, RuntimeError):
    """The packaged vocabulary is missing or damaged."""


def o200k_encoding() -> tiktoken.Encoding:
    """Return the o200k_base encoding, built once per process from the packaged file.

    The first call takes some 0.3 s of CPU and about 90 MB; call it off the request path.

    Raises:
        VocabularyError: The packaged file is missing or its hash differs.
    """
    global _encoding
    if _encoding is None:
        with _lock:
            if _encoding is None:
                _encoding = _build(read_packed())
    return _encoding


def read_packed(name: str = _FILE) -> bytes:
    """Return a packaged file as it stands on disk.

    Raises:
        VocabularyError: The file is missing.
    """
    from importlib import resources  # costs more to import than the rest of this package

    try:
        return resources.files("routed_llm.tokens").joinpath("data", name).read_bytes()
    except OSError as error:
        raise VocabularyError(
            f"The vocabulary file {name} of routed-llm cannot be read: {error}. Reinstall routed-llm."
        ) from error


@cache
def words() -> frozenset[str]:
    """Return long words, and words behind an underscore, that are one token: names are recognised by them.

    Raises:
        VocabularyError: The packaged file is missing.
    """
    return frozenset(read_packed(_WORDS).decode().split())


def words_of(tokens: Iterable[bytes]) -> str:
    """Return what the file of `words` holds, of the vocabulary's tokens."""
    return "".join(
        sorted(f"{token.decode()}\n" for token in tokens if re.fullmatch(rb"_[a-z]{2,}|[a-z]{9,}", token))
    )


def unpack(packed: bytes) -> list[bytes]:
    """Return the tokens of a packed vocabulary in the order of their ranks.

    Raises:
        VocabularyError: The content is not the o200k_base vocabulary.
    """
    import hashlib
    import lzma

    try:
        content = lzma.decompress(packed)
    except lzma.LZMAError as error:
        raise VocabularyError(_damaged(str(error))) from error
    found = hashlib.sha256(content).hexdigest()
    if found != PACKED_SHA256:
        raise VocabularyError(_damaged(f"sha256 is {found}, expected {PACKED_SHA256}"))
    tokens = []
    position = 0
    while position < len(content):
        start = position + 1
        position = start + content[position]
        tokens.append(content[start:position])
    return tokens


def pack(tokens: Iterable[bytes]) -> bytes:
    """Return the packed form of tokens given in the order of their ranks."""
    import lzma

    content = b"".join(bytes((len(token),)) + token for token in tokens)
    return lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)


def _build(packed: bytes) -> tiktoken.Encoding:
    import tiktoken

    return tiktoken.Encoding(
        name="o200k_base",
        pat_str=PATTERN,
        mergeable_ranks={token: rank for rank, token in enumerate(unpack(packed))},
        special_tokens=SPECIAL_TOKENS,
    )


def _damaged(why: str) -> str:
    return f"The vocabulary file {_FILE} of routed-llm is damaged: {why}. Reinstall routed-llm."
