"""Make the packaged o200k_base vocabulary from the file that OpenAI publishes with tiktoken.

Give the published file (tiktoken keeps it in its cache directory; llama-index-core carries a copy), or
`--check` to prove that the packaged file still holds exactly the published vocabulary.

    python scripts/pack_vocabulary.py o200k_base.tiktoken
    python scripts/pack_vocabulary.py --check
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
from pathlib import Path

from routed_llm.tokens import vocabulary

TARGET = Path(vocabulary.__file__).parent / "data" / "o200k_base.xz"
WORDS = TARGET.with_name("words.txt")


def read_published(content: bytes) -> list[bytes]:
    """Return the tokens of a published file in the order of their ranks.

    Raises:
        SystemExit: The file is not the published one.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != vocabulary.PUBLISHED_SHA256:
        raise SystemExit(f"sha256 is {found}, expected {vocabulary.PUBLISHED_SHA256}. Fetch the file again.")
    tokens = []
    for rank, line in enumerate(content.splitlines()):
        token, _, given = line.partition(b" ")
        if int(given) != rank:
            raise SystemExit(
                f"Line {rank + 1} has rank {int(given)}: ranks are not dense. Use another format."
            )
        tokens.append(base64.b64decode(token))
    return tokens


def as_published(tokens: list[bytes]) -> bytes:
    """Return tokens as the published file writes them, byte for byte."""
    return b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))


def main(arguments: list[str] | None = None) -> int:
    """Pack the published file, or check the packaged one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("published", nargs="?", type=Path, help="the published o200k_base.tiktoken")
    parser.add_argument("--check", action="store_true", help="check the packaged file instead")
    options = parser.parse_args(arguments)
    if options.check:
        tokens = vocabulary.unpack(vocabulary.read_packed())
        read_published(as_published(tokens))
        if WORDS.read_text() != vocabulary.words_of(tokens):
            raise SystemExit(f"{WORDS.name} holds other words than the vocabulary. Pack it again.")
        print(f"{TARGET.name} holds the published vocabulary")
        return 0
    if options.published is None:
        parser.error("give the published file, or --check")
    tokens = read_published(options.published.read_bytes())
    packed = vocabulary.pack(tokens)
    TARGET.write_bytes(packed)
    WORDS.write_text(vocabulary.words_of(tokens))
    print(f"{TARGET.name}: {len(packed):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
