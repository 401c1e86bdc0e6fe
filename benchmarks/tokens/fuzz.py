"""Compare every counter with tiktoken on random strings.

    python -m benchmarks.tokens.fuzz [--strings 100000] [--seed 1]

Twelve generators make strings that tokenizers disagree on: characters of all planes and of each Unicode
category, blanks, contractions, digits, damaged documentation and code, repetitions, base64, special-token
literals, lone surrogates, letters that only new versions of Unicode know. For each string, the bounds that
need no counting have to hold tiktoken's count, and the counters, a text counted in parts, and a text cut
anywhere it may be cut have to give exactly that count.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

from benchmarks.tokens.compare import machine, sources
from routed_llm.tokens.counting import Counting
from routed_llm.tokens.memo import Memo
from routed_llm.tokens.split import parts
from routed_llm.tokens.text import TextCounter, TiktokenCounter, ToktokCounter, bounds, utf8_length
from routed_llm.tokens.vocabulary import o200k_encoding

Generator = Callable[[random.Random], str]

BLANKS = " \t\n\r\v\f\x1c\x85\xa0\u1680\u2003\u2028\u202f\u3000"
ENDINGS = ("'s", "'S", "'T", "'re", "'VE", "'ll", "'d", "'\u017f", "\u2019s", "'", "''", "'m'M")
LITERALS = ("<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|", "|>", "endoftext")
NEW = (
    "\u088f\u0c5c\u0cdc\u1acf\u1ae0\ua7ce\ua7d2\ua7f1\u017f\U00010940\U000105c0\U00011de0\U00016ea0\U0001e6c0"
)
SHORT = 24


@cache
def by_category() -> dict[str, list[str]]:
    """Return every assigned character of the first two planes by its Unicode category."""
    found: dict[str, list[str]] = {}
    for point in range(0x20000):
        found.setdefault(unicodedata.category(chr(point)), []).append(chr(point))
    return found


@cache
def corpora() -> list[str]:
    """Return documentation, code and JSON."""
    return sources()


def _some(rng: random.Random, alphabet: str | list[str] | tuple[str, ...], most: int = SHORT) -> str:
    return "".join(rng.choices(alphabet, k=rng.randint(1, most)))


def any_plane(rng: random.Random) -> str:
    """Characters of any plane, lone surrogates left out."""
    points = (rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000))) for _ in range(SHORT))
    return "".join(map(chr, points))


def one_category(rng: random.Random) -> str:
    """Characters of one or two categories."""
    names = rng.sample(sorted(by_category()), 2)
    alphabet = by_category()[names[0]] + (by_category()[names[1]] if rng.random() < 0.5 else [])
    text = _some(rng, alphabet)
    return text if rng.random() < 0.5 else f"a{text} b{text}"


def blanks(rng: random.Random) -> str:
    """Blanks of all kinds between words."""
    return "".join(_some(rng, BLANKS, 8) + _some(rng, "aZ9.é", 3) for _ in range(rng.randint(1, 8)))


def contractions(rng: random.Random) -> str:
    """Words with endings."""
    return "".join(_some(rng, "abIXé", 4) + rng.choice(ENDINGS) + rng.choice(" \n.") for _ in range(8))


def digits(rng: random.Random) -> str:
    """Digits of several scripts, and what stands between them."""
    return _some(rng, "0123456789" * 4 + "٣५௧ ,.-\n½²", 60)


def damaged(rng: random.Random) -> str:
    """A piece of a document with a few characters changed."""
    corpus = rng.choice(corpora())
    start = rng.randrange(len(corpus) - 400)
    text = list(corpus[start : start + rng.randint(10, 300)])
    for _ in range(rng.randint(0, 6)):
        text[rng.randrange(len(text))] = chr(rng.choice((rng.randrange(128), rng.randrange(0xD800))))
    return "".join(text)


def repeated(rng: random.Random) -> str:
    """A short string many times over."""
    return _some(rng, "aA =-_#\n\t.é\u3000\U0001f600", 3) * rng.randint(2, 300)


def coded(rng: random.Random) -> str:
    """Base64, with and without line breaks."""
    data = rng.randbytes(rng.randint(1, 200))
    return (base64.encodebytes if rng.random() < 0.5 else base64.b64encode)(data).decode()


def literals(rng: random.Random) -> str:
    """What looks like a special token, among words."""
    return "".join(rng.choice(LITERALS) + _some(rng, "ab \n'", 4) for _ in range(rng.randint(1, 6)))


def surrogates(rng: random.Random) -> str:
    """Lone surrogates and pairs, among words."""
    alphabet = ["\ud800", "\udbff", "\udc00", "\udfff", "\ud83d\ude00", "a", " ", "é", "\n"]
    return _some(rng, alphabet, 40)


def new_letters(rng: random.Random) -> str:
    """Letters and marks that only Unicode 17 knows, and the long s."""
    return _some(rng, [*NEW, "'", "a", " ", "s"], 30)


def mixed(rng: random.Random) -> str:
    """Pieces of all the others."""
    return "".join(rng.choice(GENERATORS[:-1])(rng)[:20] for _ in range(6))


GENERATORS: tuple[Generator, ...] = (
    any_plane,
    one_category,
    blanks,
    contractions,
    digits,
    damaged,
    repeated,
    coded,
    literals,
    surrogates,
    new_letters,
    mixed,
)


class InParts:
    """Counts a text as the router does, without knowing it beforehand."""

    def __init__(self, counter: TextCounter) -> None:
        self._counter = counter

    def count(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [Counting([text], memo=Memo(), counter=self._counter).exact() for text in texts]


class Cut:
    """Counts a text cut wherever it may be cut."""

    def __init__(self, counter: TextCounter) -> None:
        self._counter = counter

    def count(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [sum(self._counter.count(parts(text, 1))) for text in texts]


def counters() -> dict[str, TextCounter | InParts | Cut]:
    """Return every counter there is, by name."""
    plain = TiktokenCounter()
    found: dict[str, TextCounter | InParts | Cut] = {
        "tiktoken": plain,
        "tiktoken, in parts": InParts(plain),
        "tiktoken, cut": Cut(plain),
    }
    try:
        fast = ToktokCounter()
    except ImportError:
        print("toktok-rs is not installed and left out. Install it with: pip install 'routed-llm[fast]'")
    else:
        found |= {"toktok": fast, "toktok, in parts": InParts(fast), "toktok, cut": Cut(fast)}
    return found


def wrong(strings: int, seed: int, seen: Counter[str]) -> Iterator[tuple[str, str, int, int]]:
    """Yield (counter, text, its count, tiktoken's count) wherever they differ.

    Args:
        strings: how many strings to try.
        seed: of the random numbers.
        seen: takes how many strings each generator made.
    """
    rng = random.Random(seed)
    encode = o200k_encoding().encode_ordinary
    tried = counters()

    def made() -> Iterator[str]:
        for number in range(strings):
            generator = GENERATORS[number % len(GENERATORS)]
            seen[generator.__name__] += 1
            yield generator(rng)

    texts = made()
    while batch := list(islice(texts, 1_000)):
        truth = [len(encode(text)) for text in batch]
        for text, count in zip(batch, truth, strict=True):
            low, high = bounds(text)
            if not low <= count <= utf8_length(text) <= high:
                yield "bounds", text, high, count
        for name, counter in tried.items():
            for text, found, count in zip(batch, counter.count(batch), truth, strict=True):
                if found != count:
                    yield name, text, found, count


def main(arguments: list[str] | None = None) -> int:
    """Compare and print; fails when a count differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--strings", type=int, default=20_000, help="100000 for the full run")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    print(json.dumps(machine()))
    seen: Counter[str] = Counter()
    start = time.process_time()
    different = list(wrong(options.strings, options.seed, seen))
    for name, text, found, count in different[:20]:
        print(f"{name}: {found} instead of {count} for {text!a}")
    print(json.dumps(seen))
    print(
        f"{len(different)} counts of {options.strings} strings by {len(counters())} counters differ from "
        f"tiktoken's (seed {options.seed}, {time.process_time() - start:.0f} s of CPU)"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
