"""Counting the o200k tokens of texts: bounds that cost nothing, and exact counters.

`bounds` needs no vocabulary and settles most decisions. The exact counters agree with
`tiktoken.Encoding.encode_ordinary` on every text: text that looks like a special token is counted as the
ordinary text it is, and a lone surrogate as U+FFFD.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Final, Protocol

from routed_llm.tokens.split import LONG_SPACE, cut_long_space, has_long_space
from routed_llm.tokens.vocabulary import LONGEST, VocabularyError, o200k_encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAMPLE = 256
_SLICE = 8_192
_SEARCHED = 65_536
_BUFFERED = 16_384
_TO_BUFFER = "encode_to_tiktoken_buffer"  # what tiktoken's public encode_to_numpy calls
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PROBED = 2_048
_PROBE = 128
_DIGITS = b"0123456789"
_MARKS = bytes(point for point in range(33, 127) if not chr(point).isalnum())
# Of a sample only digits and punctuation are left, and all digits become "0", to be counted.
_REST = bytes(point for point in range(256) if point not in _DIGITS + _MARKS)
_CLASSES = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))
_BYTES_PER_TOKEN = 4  # of UTF-8: too many on Cyrillic, too few on JSON
# Five tokens for 22 characters of prose, functions and schemas: 0.227 a character in 756 recorded requests
# whose texts have less than two kilobytes each; right within 9 % in the median of 384 others, bias -0.6 %.

# Text on which toktok-rs 0.3.0 and tiktoken 0.14.0 differ, as UTF-8. toktok counts too few tokens around
# 4,699 letters and marks that Unicode 17 added, so texts with these (or neighbours of the same leading
# bytes) go to tiktoken; so does U+017F after an apostrophe, which only tiktoken takes for an "s".
_TOKTOK_UNSURE_BMP: Final = (
    b"'\xc5\xbf",
    b"\xe0\xa2\x8f",  # U+088F
    b"\xe0\xb1\x9c",  # U+0C5C
    b"\xe0\xb3\x9c",  # U+0CDC
    b"\xe1\xab",  # U+1AC0 to U+1AFF
    b"\xea\x9f",  # U+A7C0 to U+A7FF
)
_TOKTOK_UNSURE_ASTRAL: Final = re.compile(rb"\xf0(?:[\x90\x91\x96\x98\xab\xac\xb2\xb3]|\x9e\x9b)")

GOLDEN: Final[tuple[tuple[str, int], ...]] = (
    ("", 0),
    ("hello world", 2),
    ("It's 12345 o'clock, isn't IT?", 10),
    ("def f(x):\n    return x ** 2\n\n\n", 11),
    ("   leading, trailing   \t\r\n  \n", 7),
    ("<|endoftext|>", 7),
    ("\u4eca\u65e5\u306f\u826f\u3044\u5929\u6c17\u3067\u3059\u306d\u3002", 7),
    ("\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430?", 6),
    ("\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f600!", 10),
    ("e\u0301 \u0915\u094d\u0937 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", 7),
    ('{"a":[1,2.5e-3,null],"b":"\\u00e9"}', 21),
    ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", 21),
)
"""Texts and their o200k counts (tiktoken 0.14.0): what a counter must reproduce before it is used."""


class TextCounter(Protocol):
    """Counts the o200k tokens of texts."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, in order."""
        ...


def bounds(text: str) -> tuple[int, int]:
    """Return the fewest and the most tokens a text can have, without reading it.

    Each byte is a token, so the UTF-8 length bounds from above (4 bytes a character unless the text is
    ASCII); no token is longer than 128 bytes, so its 128th part bounds from below.
    """
    length = len(text)
    return -(-length // LONGEST), length if text.isascii() else 4 * length


def bounds_of(texts: Sequence[str]) -> tuple[int, int]:
    """Return the sums of the fewest and the most tokens that texts can have, without reading them."""
    lengths = [*map(len, texts)]
    fewest = sum([-(-length // LONGEST) for length in lengths])
    if all(map(str.isascii, texts)):
        return fewest, sum(lengths)
    return fewest, sum([len(text) if text.isascii() else 4 * len(text) for text in texts])


def estimates_of(texts: Sequence[str]) -> tuple[int, int, int]:
    """Return the fewest, the likely and the most tokens of texts in all; see `bounds` and `likely`."""
    if len(texts) == 1:  # as in most requests
        (text,) = texts
        length, guess = len(text), likely(text)
        fewest, most = -(-length // LONGEST), length if text.isascii() else 4 * length
        return fewest, fewest if guess < fewest else most if guess > most else guess, most
    if not texts:
        return 0, 0, 0
    lengths = [*map(len, texts)]
    if max(lengths) < _PROBED and all(map(str.isascii, texts)):
        fewest = sum([-(-length // LONGEST) for length in lengths])
        return fewest, sum([-(-5 * length // 22) for length in lengths]), sum(lengths)
    fewest, most = bounds_of(texts)
    return fewest, min(max(sum(map(likely, texts)), fewest), most), most


def without_surrogates(text: str) -> str:
    """Return a text with its lone surrogates replaced by U+FFFD and its pairs joined, as tiktoken does.

    In slices, since Python replaces millions of them slowly and holds its lock on other threads meanwhile.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text
    parts = []
    start, length = 0, len(text)
    while start < length:
        end = start + _SLICE
        if _PAIR.match(text, end - 1):
            end += 1  # a pair is not cut in two
        part = text[start:end]
        if _PAIR.search(part):
            part = part.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        else:
            part = _SURROGATE.sub("\ufffd", part)
        parts.append(part)
        start = end
    return "".join(parts)


def utf8_length(text: str) -> int:
    """Return the bytes of a text as UTF-8, the tightest bound from above short of counting.

    A lone surrogate counts as the three bytes of U+FFFD, which takes its place.
    """
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def likely(text: str) -> int:
    """Return an estimate of the tokens of a text from its length and four samples of it.

    Good enough for a price shown beforehand, not for a limit: within some 10% of the truth on prose and code,
    within a quarter or so of it on JSON, tables, logs and numbers, and about half of it on base64 and emoji.
    Texts of less than two kilobytes are taken for prose.
    """
    length = len(text)
    if text.isascii():
        return -(-5 * length // 22) if length < _PROBED else _likely_ascii(text)
    if length <= 4 * _SAMPLE:
        return -(-utf8_length(text) // _BYTES_PER_TOKEN)
    step = (length - _SAMPLE) // 3
    half, last = 2 * step, 3 * step
    sampled = utf8_length(
        text[:_SAMPLE]
        + text[step : step + _SAMPLE]
        + text[half : half + _SAMPLE]
        + text[last : last + _SAMPLE]
    )
    return -(-sampled * length // (4 * _SAMPLE * _BYTES_PER_TOKEN))


def _likely_ascii(text: str) -> int:
    """Estimate from how much of four samples is digits and punctuation, which come few to a token.

    The weights are a least-squares fit, rounded, of the o200k counts of 600 pieces of documentation, code,
    JSON, tables, logs, numbers, hexadecimal and base64.
    """
    length = len(text)
    step, probe = (length - _PROBE) // 3, _PROBE
    half, end = 2 * step, 3 * step
    sample = f"{text[:probe]}{text[step : step + probe]}{text[half : half + probe]}{text[end : end + probe]}"
    classes = sample.encode().translate(_CLASSES, _REST)
    digits = classes.count(b"0")
    weight = 22 * len(sample) + 31 * digits + 28 * (len(classes) - digits)
    return -(-weight * length // (100 * len(sample)))


class TiktokenCounter:
    """Counts with tiktoken and the packaged vocabulary; always available."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, in order.

        Raises:
            VocabularyError: The packaged vocabulary cannot be loaded.
        """
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> int:
        if len(text) < LONG_SPACE or not has_long_space(text):
            return self._ordinary(text)
        ordinary, pieces = cut_long_space(text)
        encoding = o200k_encoding()
        # The pattern overflows tiktoken's stack on these, so they go to its merging step directly.
        merged = sum(len(encoding._encode_single_piece(piece)) for piece in pieces)
        return merged + sum(map(self._ordinary, ordinary))

    def _ordinary(self, text: str) -> int:
        encoding = o200k_encoding()
        if not text.isascii():
            text = without_surrogates(text)
        try:
            if len(text) < _BUFFERED or (encode := getattr(encoding._core_bpe, _TO_BUFFER, None)) is None:
                return len(encoding.encode_ordinary(text))
            # A list of millions of numbers takes Python's lock for its making and its end.
            return memoryview(encode(text, frozenset())).nbytes // 4
        except BaseException as error:
            if not _is_panic(error):
                raise
            return utf8_length(text)  # no text has more tokens, so never an undercount


class ToktokCounter:
    """Counts with toktok-rs (extra `fast`), three to eight times as fast as tiktoken.

    Raises:
        ImportError: toktok-rs is not installed.
    """

    def __init__(self) -> None:
        import toktok  # type: ignore[import-untyped]

        self._batch_count = toktok.batch_count
        self._exact = TiktokenCounter()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, in order.

        Texts on which toktok is known to differ from tiktoken are counted with tiktoken.
        """
        taken = [text if text.isascii() else without_surrogates(text) for text in texts]
        sure = [_toktok_agrees(text) for text in taken]
        counted = iter(self._batch([text for text, agreed in zip(taken, sure, strict=True) if agreed]))
        return [
            next(counted) if agreed else self._exact.count([text])[0]
            for text, agreed in zip(taken, sure, strict=True)
        ]

    def _batch(self, texts: list[str]) -> list[int]:
        if not texts:
            return []
        try:
            # One thread: the caller may run many requests at once.
            return list(self._batch_count(texts, "o200k_base", threads=1))
        except BaseException as error:
            if not _is_panic(error):
                raise
            return self._exact.count(texts)


def default_counter() -> TextCounter:
    """Return the fastest counter that is installed and reproduces `GOLDEN`; chosen once per process.

    The first call loads a vocabulary (some 0.3 s); call `warm_up` beforehand to keep that off a request.

    Raises:
        VocabularyError: Not even tiktoken reproduces the golden counts.
    """
    global _default
    if _default is None:
        with _lock:
            if _default is None:
                _default = _choose()
    return _default


def warm_up() -> None:
    """Load the vocabulary of the default counter now instead of at the first count."""
    default_counter()


def is_warm() -> bool:
    """Return whether the default counter is chosen and its vocabulary loaded."""
    return _default is not None


def passes_self_test(counter: TextCounter) -> bool:
    """Return whether a counter gives the golden counts."""
    return counter.count([text for text, _ in GOLDEN]) == [count for _, count in GOLDEN]


_lock = threading.Lock()
_default: TextCounter | None = None


def _choose() -> TextCounter:
    try:
        fast = ToktokCounter()
    except ImportError:
        pass
    else:
        if passes_self_test(fast):
            return fast
    counter = TiktokenCounter()
    if not passes_self_test(counter):
        raise VocabularyError(
            "tiktoken does not give the known token counts of o200k_base. Install tiktoken>=0.13."
        )
    return counter


def _toktok_agrees(text: str) -> bool:
    if text.isascii():
        return True
    # In slices, since a search of megabytes would hold Python's lock; each looks one character further, for
    # the long s after an apostrophe.
    return all(
        _slice_agrees(text[start : start + _SEARCHED + 1].encode())
        for start in range(0, len(text), _SEARCHED)
    )


def _slice_agrees(data: bytes) -> bool:
    if any(part in data for part in _TOKTOK_UNSURE_BMP):
        return False
    return b"\xf0" not in data or _TOKTOK_UNSURE_ASTRAL.search(data) is None


def _is_panic(error: BaseException) -> bool:
    # A Rust panic arrives as pyo3_runtime.PanicException, a BaseException that cannot be imported.
    return type(error).__name__ == "PanicException"
