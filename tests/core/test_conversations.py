"""A conversation that is sent again is read as one that is new, whatever has become of its messages."""

from __future__ import annotations

import copy
import gc
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from routed_llm import Policy, RequestBuilder, RequestError, Router, TokenCount, Usage, read_openai
from routed_llm.request.conversations import Conversation, ConversationCache, copy_of, shared
from routed_llm.tokens.vocabulary import o200k_encoding

Messages = list[dict[str, Any]]

POLICY = Policy(models=("gpt-4o", "gpt-4.1"), at_least=None, incumbent="gpt-4o")
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


def at_day() -> date:
    """Give a day on which both models are served."""
    return date(2026, 11, 22)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Begin and end with no conversation."""
    shared.clear()
    yield
    shared.clear()


def talk() -> Messages:
    """Return a conversation with a tool call and content in parts."""
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": None, "tool_calls": [copy.deepcopy(CALL)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "A cat."},
        {"role": "user", "content": "And now?", "name": "ann"},
    ]


def body(messages: Messages, **others: Any) -> dict[str, Any]:
    """Return a request body."""
    return {"messages": messages, "max_tokens": 50, **others}


def fresh(payload: dict[str, Any]) -> Any:
    """Read as if nothing had been read before, leaving what is known as it is."""
    kept = dict(shared._conversations)
    shared._conversations.clear()
    try:
        return read_openai(copy.deepcopy(payload))
    finally:
        shared._conversations.clear()
        shared._conversations.update(kept)


def same(payload: dict[str, Any]) -> None:
    """Assert that a payload is read as if it had never been seen."""
    again, first = read_openai(payload), fresh(payload)
    assert (again.facts, again.texts, again.fixed, again.opening) == (
        first.facts,
        first.texts,
        first.fixed,
        first.opening,
    )


PLAIN: dict[str, list[tuple[Any, Any]]] = {
    "system first": [("system", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")],
    "user first": [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")],
    "user last": [("system", "a"), ("system", "b"), ("developer", "c"), ("user", "d")],
    "no user": [("system", "a"), ("system", "b"), ("assistant", "c"), ("assistant", "d")],
    "empty texts": [("system", ""), ("user", ""), ("assistant", "c"), ("user", ""), ("user", "e")],
    "all empty": [("user", "")] * 5,
    "a tool's answer": [("user", "a"), ("assistant", "b"), ("tool", "c"), ("user", "d")],
    "a strange role": [("user", "a"), ("narrator", "b"), ("user", "c"), ("user", "d")],
    "long": [(("user", "assistant")[at % 2], "word " * at) for at in range(60)],
    "large": [(("user", "assistant")[at % 2], "é 12,5 " * 20_000) for at in range(6)],
}


@pytest.mark.parametrize("said", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("others", [{}, {"max_tokens": 9}, {"response_format": {"type": "json_object"}}])
def test_plain_messages_are_read_at_once_as_one_by_one(
    said: list[tuple[Any, Any]], others: dict[str, Any]
) -> None:
    """Messages of a role and a text each are told together, and come to the same."""
    messages = [{"role": role, "content": content} for role, content in said]
    one = read_openai({"messages": messages, **others})
    other = read_openai({"messages": tuple(messages), **others})
    assert (one.facts, one.texts, one.fixed, one.opening) == (
        other.facts,
        other.texts,
        other.fixed,
        other.opening,
    )
    same({"messages": messages, **others})


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        (
            {"role": 5, "content": "x"},
            "messages[2] has no role. Give system, developer, user, assistant or tool.",
        ),
        ({"role": "user", "content": 5}, "messages[2].content is not a list. Give a list of objects."),
        (
            {"content": "x", "name": "y"},
            "messages[2] has no role. Give system, developer, user, assistant or tool.",
        ),
        ("x", "messages[2] is not an object. Give an object with a role or a type."),
    ],
)
def test_one_odd_message_is_named(odd: Any, text: str) -> None:
    """What is wrong with one message among plain ones is said as ever."""
    plain = {"role": "user", "content": "x"}
    with pytest.raises(RequestError) as caught:
        read_openai({"messages": [plain, plain, odd, plain, plain]})
    assert str(caught.value) == text


CHANGES: dict[str, Callable[[Messages], object]] = {
    "nothing": lambda m: None,
    "content": lambda m: m[0].update(content="Be long."),
    "content of the last": lambda m: m[-1].update(content="Or then?"),
    "role": lambda m: m[0].update(role="developer"),
    "name": lambda m: m[-1].update(name="bob"),
    "name gone": lambda m: m[-1].pop("name"),
    "text of a part": lambda m: m[1]["content"][0].update(text="Which?"),
    "one more part": lambda m: m[1]["content"].append({"type": "text", "text": "Say it."}),
    "arguments": lambda m: m[2]["tool_calls"][0]["function"].update(arguments='{"at": 22222}'),
    "function": lambda m: m[2]["tool_calls"][0]["function"].update(name="look_it_up"),
    "one more call": lambda m: m[2]["tool_calls"].append(copy.deepcopy(CALL)),
    "call id": lambda m: m[3].update(tool_call_id="call_1_of_them"),
    "message gone": lambda m: m.pop(0),
    "message put in": lambda m: m.insert(1, {"role": "user", "content": "Hi"}),
    "order": lambda m: m.reverse(),
    "one more": lambda m: m.append({"role": "assistant", "content": "A dog."}),
    "many more": lambda m: m.extend({"role": "user", "content": f"No. {at}"} for at in range(9)),
    "image put in": lambda m: m[1]["content"].append(
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("others", [{}, {"tools": [{"type": "function", "function": {"name": "look"}}]}])
def test_whatever_is_changed_in_place_is_read(
    change: Callable[[Messages], object], others: dict[str, Any]
) -> None:
    """The same list and the same message objects are no proof that their content is the same."""
    messages = talk()
    same(body(messages, **others))
    change(messages)
    same(body(messages, **others))
    same(body(messages, **others))


def test_what_was_read_is_not_read_again() -> None:
    """A repeat and a longer conversation begin from what is known of their beginning."""
    messages = talk()
    read_openai(body(messages))
    builder = RequestBuilder()
    assert builder.resume(copy.deepcopy(messages)) == 5
    builder = RequestBuilder()
    assert builder.resume([*messages, {"role": "user", "content": "x"}]) == 5
    assert RequestBuilder().resume(messages[:4]) == 0, "shorter"
    assert RequestBuilder().resume([*messages[:3], *messages[4:]]) == 0, "another"
    assert RequestBuilder().message("user").resume(messages) == 0, "begun already"


@pytest.mark.parametrize(
    ("known", "now", "equal"),
    [
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (0.5, 0.5, True),
        (True, 1, False),
        ("1", 1, False),
        (None, None, True),
        ([1, {"a": None}], [1, {"a": None}], True),
        ({"a": [1]}, {"a": [True]}, False),
    ],
)
def test_a_copy_equals_what_reads_the_same(known: Any, now: Any, equal: bool) -> None:
    """Python takes 1, 1.0 and True for equal, though JSON writes them with different tokens."""
    assert ([now] == [copy_of(known)]) is equal


class Liar(str):
    """A string that is equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


@pytest.mark.parametrize(
    "odd", [Liar("x"), b"x", bytearray(b"x"), object(), {1, 2}], ids=lambda odd: type(odd).__name__
)
def test_what_is_no_plain_data_is_not_kept(odd: Any) -> None:
    """The equality of other objects may mean anything."""
    with pytest.raises(TypeError):
        copy_of({"a": [odd]})


def test_responses_with_instructions() -> None:
    """Instructions are told before the items and belong to what is recognised."""
    items = [{"role": "user", "content": f"Message {at}"} for at in range(6)]
    for instructions in ("Be brief.", "Be brief.", "Be long and polite.", None, "Be brief."):
        same({"input": items, "instructions": instructions})
    items.append({"type": "function_call_output", "call_id": "c", "output": "done"})
    same({"input": items, "instructions": "Be brief."})


def test_conversations_are_bounded() -> None:
    """The oldest leave first, by number and by characters, and one that is too large is not kept."""
    talks = ConversationCache(conversations=3, characters=1_000)

    def kept(number: int, size: int) -> Conversation:
        seen = [{"role": "user", "content": f"{number}"}] * 4
        return Conversation(seen, ("x" * size,), state={}, tokens=TokenCount(0, 1, size), size=size)

    all_of_them = [kept(number, 100) for number in range(5)]
    for each in all_of_them:
        talks.keep(each)
    assert [talks.find(each.seen) is each for each in all_of_them] == [False, False, True, True, True]
    assert talks.characters == 300
    talks.keep(kept(9, 900))
    assert (len(talks), talks.characters) == (2, 1_000)
    talks.keep(kept(10, 1_001))
    assert (len(talks), talks.characters) == (2, 1_000)
    talks.clear()
    assert (len(talks), talks.characters) == (0, 0)


def test_a_conversation_weighs_all_that_it_keeps_alive() -> None:
    """Strings that are not counted, and messages that hold nothing, take memory, too."""
    shared.clear()
    read_openai({"messages": [{"role": "user", "content": "x" * 100}] * 4})
    assert 4 * 100 <= shared.characters <= 4 * 100 + 4 * 300
    shared.clear()
    read_openai({"messages": [{"role": "user", "content": [], "note": "x" * 5_000}] * 4})
    assert shared.characters > 4 * 5_000
    shared.clear()
    read_openai({"messages": [{"role": "user", "content": ""}] * 100_000})
    assert len(shared) == 0


def test_threads_share_conversations() -> None:
    """Threads that read and change conversations of one beginning all read what they sent."""
    wrong: list[object] = []

    def run(seed: int) -> None:
        rng = random.Random(seed)
        messages = talk()
        for _ in range(150):
            messages.append({"role": "user", "content": f"{seed} {rng.random()}"})
            if rng.random() < 0.2:
                messages[rng.randrange(len(messages))]["content"] = f"other {rng.random()}"
            texts = [text for m in messages if isinstance(text := m["content"], str)]
            found = [text for text in read_openai({"messages": messages}).texts if text in set(texts)]
            if found != texts:
                wrong.append((found, texts))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def long_talk(tokens: int) -> Messages:
    """Return six messages of about so many tokens."""
    return [{"role": ("user", "assistant")[at % 2], "content": " word" * (tokens // 6)} for at in range(6)]


def exact(messages: Messages) -> int:
    """Count a plain conversation in full."""
    encode = o200k_encoding().encode_ordinary
    return 3 + sum(4 + len(encode(message["content"])) for message in messages)


@pytest.mark.parametrize(
    ("off", "taken"),
    [(0, True), (37, True), (-12, True), (2_500, True), (2_600, False), (40_000, False), (-119_000, False)],
)
def test_what_the_provider_reports_is_the_truth_for_the_next_turn(off: int, taken: bool) -> None:
    """A report near the exact count replaces it, and only what comes after it is counted anew."""
    router = Router(clock=at_day, policy=POLICY)
    messages = long_talk(123_900)
    decision = router.decide(read_openai({"messages": messages}))
    own = exact(messages)
    assert decision.facts.tokens == TokenCount.of(own)
    router.begin(decision).settle(Usage(input_tokens=own + off, output_tokens=3))
    messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]
    after = read_openai({"messages": messages})
    expected = exact(messages) + (off if taken else 0)
    bounds = after.facts.tokens
    assert bounds.low <= expected <= bounds.high <= expected + 12
    assert router.decide(after).model == ("gpt-4o" if expected <= 123_904 else "gpt-4.1")


def test_what_the_provider_reports_is_the_likely_amount_of_the_next_turn() -> None:
    """Where nothing was counted a report moves the likely amount within its bounds, and these stay."""
    router = Router(clock=at_day, policy=Policy(models="gpt-4o", at_least=None))
    messages = long_talk(3_000)
    decision = router.decide(read_openai({"messages": messages}))
    before = decision.facts.tokens
    assert not before.exact
    reported = (before.likely + before.high) // 2
    router.begin(decision).settle(Usage(input_tokens=reported, output_tokens=3))
    again = read_openai({"messages": messages}).facts.tokens
    assert (again.low, again.likely, again.high) == (before.low, reported, before.high)
    messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]
    after = read_openai({"messages": messages}).facts.tokens
    assert reported + 8 <= after.likely <= reported + 16
    router.begin(router.decide(read_openai({"messages": messages}))).settle(
        Usage(input_tokens=10**9, output_tokens=3)
    )
    beyond = read_openai({"messages": messages}).facts.tokens
    assert beyond.low <= beyond.likely == beyond.high == after.high


def test_a_decision_keeps_no_conversation_alive() -> None:
    """Whoever keeps a Decision keeps no text with it."""
    router = Router(clock=at_day, policy=POLICY)
    request = read_openai({"messages": long_talk(123_900)})
    decision = router.decide(request)
    held = weakref.ref(request.conversation)
    del request
    shared.clear()
    gc.collect()
    assert held() is None
    router.begin(decision).settle(Usage(input_tokens=5, output_tokens=1))


def test_a_count_is_found_again_without_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat of a conversation that was counted is settled by its bounds."""
    router = Router(clock=at_day, policy=POLICY)
    messages = long_talk(123_900)
    first = router.decide(read_openai({"messages": messages}))
    monkeypatch.setattr("routed_llm.calls.evaluation.counting_of", None)
    again = router.decide(read_openai({"messages": copy.deepcopy(messages)}))
    assert (again.model, again.facts.tokens) == (first.model, first.facts.tokens)
