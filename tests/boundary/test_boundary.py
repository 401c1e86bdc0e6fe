"""Near every boundary a decision is the one that a full count leads to, whatever the text."""

from __future__ import annotations

import random
from datetime import date

import pytest

from routed_llm import Policy, Request, RequestBuilder, Router, TokenCount
from routed_llm.decide.table import prepare
from routed_llm.tokens.memo import shared
from routed_llm.tokens.text import TiktokenCounter, without_surrogates
from routed_llm.tokens.vocabulary import o200k_encoding

AT = date(2026, 11, 22)
POLICIES = {
    "default": Policy(),
    "incumbent": Policy(models=("gpt-4o", "gpt-4.1"), at_least=None, incumbent="gpt-4o"),
    "tight": Policy(models=("gpt-4o-mini", "gpt-4o"), at_least=None, max_cost_per_call="0.0005"),
}
SIZE = 140_000

TEXTS = {
    "English": "The quick brown fox jumps over the lazy dog, and it isn't sorry. ",
    "code": "def f(self, x: int) -> dict[str, int]:\n    return {'a': x ** 2}\n\n\n",
    "JSON": '{"id":12345,"price":3.14e-2,"tags":["new","caf\u00e9"],"ok":null},',
    "CJK": "\u4eca\u65e5\u306f\u826f\u3044\u5929\u6c17\u3067\u3059\u306d\u3002\u6771\u4eac",
    "Russian": "\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430? ",
    "emoji": "\U0001f600\U0001f469\u200d\U0001f467 ",
    "base64": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
}


def request_of(texts: list[str]) -> Request:
    """Make a request of messages."""
    builder = RequestBuilder()
    for at, text in enumerate(texts):
        builder.message(("user", "assistant")[at % 2]).text(text)
    return builder.build()


def cut_to(tokens: int, kind: str, rng: random.Random) -> Request:
    """Make a conversation of about so many tokens, in one to four messages."""
    encoding = o200k_encoding()
    count = rng.randint(1, 4)
    wanted = tokens - request_of(["x"] * count).fixed
    ids = encoding.encode_ordinary(kind * (wanted // max(len(encoding.encode_ordinary(kind)) - 2, 1) + 2))
    places = sorted(rng.sample(range(1, wanted), count - 1))
    parts = zip([0, *places], [*places, wanted], strict=True)
    return request_of([encoding.decode(ids[a:b]) for a, b in parts])


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", POLICIES)
def test_decisions_at_boundaries(name: str, kind: str) -> None:
    """Within three tokens of each boundary, bounds and early stops change no decision."""
    policy, rng = POLICIES[name], random.Random(f"{name} {kind}")
    router = Router(policy=policy, clock=lambda: AT)
    table = prepare(router.catalog, policy, AT)
    marks = [mark for mark in table.breakpoints(request_of(["x"]).facts) if 100 < mark < SIZE]
    assert marks
    for mark in marks:
        for shift in rng.sample(range(-3, 4), 2):
            request = cut_to(mark + shift, TEXTS[kind], rng)
            shared.clear()
            count = request.fixed + sum(TiktokenCounter().count(request.texts))
            assert abs(count - mark) <= 40
            truth = table.select(request.facts.with_tokens(TokenCount.of(count)))
            found = router.explain(request)
            assert (found.model, found.effort, found.endpoint) == (truth.model, truth.effort, truth.endpoint)
            assert found.facts.tokens.low <= count <= found.facts.tokens.high


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ud800" * 20_000, id="lone"),
        pytest.param("a\ud83d\ude00b" * 9_000, id="pairs"),
        pytest.param("x" * 8_191 + "\ud83d\ude00\udc00", id="a pair where a slice ends"),
        pytest.param("x" * 8_190 + "\ud83d\ud83d\ude00", id="a pair after a lone one where a slice ends"),
        pytest.param("plain \u00e9" * 9, id="none"),
    ],
)
def test_surrogates(text: str) -> None:
    """Surrogates are replaced and joined as tiktoken does, slice by slice."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert without_surrogates(text) == whole
    assert TiktokenCounter().count([text]) == [len(o200k_encoding().encode_ordinary(text))]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 300_000, id="letter run"),
        pytest.param(" " * 300_000, id="spaces"),
        pytest.param("\u3000" * 200_000, id="ideographic spaces"),
        pytest.param("\ud800" * 150_000, id="lone surrogates"),
        pytest.param("<|endoftext|>" * 20_000, id="special tokens"),
        pytest.param("'\u017f" * 60_000, id="apostrophe and long s"),
        pytest.param("\u088f\u0c5c" * 60_000, id="letters of Unicode 17"),
    ],
)
async def test_hostile_texts(text: str) -> None:
    """Texts that break tokenizers are decided alike by decide, adecide and a full count."""
    policy = POLICIES["incumbent"]
    router = Router(policy=policy, clock=lambda: AT)
    request = request_of([text])
    count = request.fixed + sum(TiktokenCounter().count(request.texts))
    truth = prepare(router.catalog, policy, AT).select(request.facts.with_tokens(TokenCount.of(count)))
    shared.clear()
    assert router.explain(request).model == truth.model
    shared.clear()
    if truth.model is not None:
        assert (await router.adecide(request)).model == truth.model
