"""The packaged vocabulary is the published one, loads without a network, and says so when it is damaged."""

from __future__ import annotations

import base64
import hashlib
import lzma
import threading

import pytest

from routed_llm.tokens import vocabulary
from routed_llm.tokens.vocabulary import VocabularyError, o200k_encoding, pack, read_packed, unpack


@pytest.fixture(scope="module")
def tokens() -> list[bytes]:
    """The packaged tokens in the order of their ranks."""
    return unpack(read_packed())


def test_packaged_file_is_the_published_vocabulary(tokens: list[bytes]) -> None:
    """Written as OpenAI's file writes it, the packaged vocabulary has the sha256 that tiktoken pins."""
    published = b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))
    assert hashlib.sha256(published).hexdigest() == vocabulary.PUBLISHED_SHA256


def test_size_and_longest(tokens: list[bytes]) -> None:
    """The constants that bounds rest on are those of the vocabulary."""
    assert len(tokens) == len(set(tokens)) == vocabulary.SIZE
    assert max(map(len, tokens)) == vocabulary.LONGEST


def test_every_single_byte_is_a_token(tokens: list[bytes]) -> None:
    """No text needs more tokens than it has UTF-8 bytes, because each byte is a token."""
    assert {bytes((byte,)) for byte in range(256)} <= set(tokens)


def test_pack_round_trip() -> None:
    """Packing puts a length byte before each token."""
    assert lzma.decompress(pack([b"a", b"bcd"])) == b"\x01a\x03bcd"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        pytest.param("hello world", [24912, 2375], id="words"),
        pytest.param("", [], id="empty"),
        pytest.param("<|endoftext|>", [27, 91, 419, 1440, 919, 91, 29], id="special literal as text"),
    ],
)
def test_ids(text: str, ids: list[int]) -> None:
    """The encoding gives o200k_base's ids."""
    assert o200k_encoding().encode_ordinary(text) == ids


def test_special_tokens() -> None:
    """The two special tokens have their published ids."""
    assert o200k_encoding().encode("<|endoftext|><|endofprompt|>", allowed_special="all") == [199999, 200018]


def test_built_once_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask at the same time get the same encoding."""
    monkeypatch.setattr(vocabulary, "_encoding", None)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(o200k_encoding())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len({id(encoding) for encoding in found}) == 1


def test_changed_content_is_refused(tokens: list[bytes]) -> None:
    """One token that differs makes the file unusable, and the message says what to do."""
    changed = lzma.compress(b"".join(bytes((len(token),)) + token for token in [b"x", *tokens[1:]]), preset=0)
    digest = hashlib.sha256(lzma.decompress(changed)).hexdigest()
    with pytest.raises(VocabularyError) as caught:
        unpack(changed)
    assert str(caught.value) == (
        f"The vocabulary file o200k_base.xz of routed-llm is damaged: sha256 is {digest}, "
        f"expected {vocabulary.PACKED_SHA256}. Reinstall routed-llm."
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "Compressed data ended before the end-of-stream marker was reached", id="empty"),
        pytest.param(b"not xz at all", "Input format not supported by decoder", id="other format"),
    ],
)
def test_broken_file_is_refused(content: bytes, why: str) -> None:
    """A file that is not whole xz data is reported as damaged."""
    with pytest.raises(VocabularyError) as caught:
        unpack(content)
    assert str(caught.value) == (
        f"The vocabulary file o200k_base.xz of routed-llm is damaged: {why}. Reinstall routed-llm."
    )


def test_needs_no_network_and_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading opens no connection and ignores tiktoken's cache variable."""
    import requests

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the vocabulary was asked from the network")

    monkeypatch.setattr(requests, "get", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nonexistent")
    monkeypatch.setattr(vocabulary, "_encoding", None)
    assert o200k_encoding().n_vocab == 200_019
