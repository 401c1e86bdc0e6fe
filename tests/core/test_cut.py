"""Cutting at stop sequences: whole texts, texts in parts, and that both agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routed_llm import AnswerCutter, ContentCutter, RequestError, StopCutter


def text(said: str, index: int | None = None) -> dict[str, object]:
    """A block of text."""
    return {"type": "text", "text": said, **({} if index is None else {"index": index})}


WHOLE = [
    pytest.param("Lima. END Quito.", "END", "Lima. ", True, id="one sequence, given as a string"),
    pytest.param("Lima. END Quito.", ["END"], "Lima. ", True, id="one sequence, in a list"),
    pytest.param("one two three", ["three", "two"], "one ", True, id="the earlier of two"),
    pytest.param("abcd", ["bc", "abcd"], "", True, id="the one that begins earlier, though it ends later"),
    pytest.param("abce", ["bc", "abcd"], "a", True, id="the other, when the earlier one is not completed"),
    pytest.param("abc", ["bc", "abcd"], "a", True, id="the other, when the text ends before"),
    pytest.param("END of it", ["END"], "", True, id="at the start"),
    pytest.param("The END", ["END"], "The ", True, id="at the end"),
    pytest.param("EEND", ["END"], "E", True, id="after a false start"),
    pytest.param("aaab", ["aab"], "a", True, id="overlapping itself"),
    pytest.param("Lima.", ["END"], "Lima.", False, id="nowhere"),
    pytest.param("Lima. EN", ["END"], "Lima. EN", False, id="begun only"),
    pytest.param("end", ["END"], "end", False, id="in other letters"),
    pytest.param("", ["END"], "", False, id="no text"),
    pytest.param("Lima.", [], "Lima.", False, id="no sequence"),
    pytest.param("Lima.", ["", "a"], "Lim", True, id="an empty sequence beside another"),
    pytest.param("a\r\nb", ["\n"], "a\r", True, id="a line break"),
    pytest.param("né ✋ là", ["✋"], "né ", True, id="beyond ASCII"),
]
PARTS = [
    pytest.param(["Lima. E", "N", "D. Quito"], ["END"], ["Lima. ", "", "", ""], id="split over parts"),
    pytest.param(
        ["Lima. E", "N", "ough"], ["END"], ["Lima. ", "", "ENough", ""], id="begun and not completed"
    ),
    pytest.param(["Lima. E", "N"], ["END"], ["Lima. ", "", "EN"], id="begun at the very end"),
    pytest.param(["E", "E", "ND"], ["END"], ["", "E", "", ""], id="a false start passes on"),
    pytest.param(["a", "b", "c", "d"], ["bc", "abcd"], ["", "", "", "", ""], id="an earlier one may follow"),
    pytest.param(["a", "b", "c", "e"], ["bc", "abcd"], ["", "", "", "a", ""], id="an earlier one does not"),
    pytest.param(["abc"], ["bc", "abcd"], ["", "a"], id="an earlier one cannot any more"),
    pytest.param(["Hello", " there"], ["END"], ["Hello", " there", ""], id="nothing waits without reason"),
    pytest.param(["a. ", "b. ", "c."], [". "], ["a", "", "", ""], id="what comes later is left out"),
]
WRONG = [
    pytest.param(5, "stop holds a int. Give a string or a list of strings.", id="a number"),
    pytest.param(["a", None], "stop holds a NoneType. Give a string or a list of strings.", id="None within"),
    pytest.param([b"a"], "stop holds a bytes. Give a string or a list of strings.", id="bytes"),
]
letters = st.text(alphabet="abc", max_size=40)


@pytest.mark.parametrize(("text", "stops", "kept", "found"), WHOLE)
def test_a_whole_text_is_cut(text, stops, kept, found) -> None:
    """What stays is the text up to the first sequence and without it."""
    cutter = StopCutter(stops)
    assert (cutter.cut(text), cutter.found) == (kept, found)


@pytest.mark.parametrize(("parts", "stops", "passed"), PARTS)
def test_a_text_in_parts_passes_on_what_is_certain(parts, stops, passed) -> None:
    """Each part brings on what can no longer belong to a sequence; the end brings the rest."""
    cutter = StopCutter(stops)
    assert [*(cutter.feed(part) for part in parts), cutter.finish()] == passed


@given(parts=st.lists(letters, max_size=8), stops=st.lists(st.text("abc", max_size=5), max_size=3))
def test_parting_changes_nothing_and_little_waits(parts, stops) -> None:
    """Text in parts ends where the whole text ends, and fewer characters wait than a sequence has."""
    text = "".join(parts)
    places = [text.find(stop) for stop in stops if stop and stop in text]
    most = max([len(stop) for stop in stops if stop], default=1) - 1
    cutter, passed, taken = StopCutter(stops), "", 0
    for part in parts:
        passed, taken = passed + cutter.feed(part), taken + len(part)
        assert text.startswith(passed)
        assert cutter.found or taken - len(passed) <= most
    assert (passed + cutter.finish(), cutter.found) == (text[: min(places, default=len(text))], bool(places))


@pytest.mark.parametrize(("stops", "message"), WRONG)
def test_what_is_no_sequence_is_refused(stops, message) -> None:
    """Neither a string nor a list of them: the error says what to give."""
    with pytest.raises(RequestError) as caught:
        StopCutter(stops)
    assert (str(caught.value), caught.value.where) == (message, "stop")


BLOCKS = [
    pytest.param("Lima. END Quito.", "Lima. ", id="a text"),
    pytest.param([text("Lima. END Quito.")], [text("Lima. ")], id="one block"),
    pytest.param([text("Lima. EN"), text("D.")], [text("Lima. EN"), text("D.")], id="not over two blocks"),
    pytest.param(
        [{"type": "reasoning"}, text("a END"), {"type": "function_call"}],
        [{"type": "reasoning"}, text("a ")],
        id="what comes later is left out",
    ),
    pytest.param(["Lima. END"], ["Lima. "], id="a text in a list"),
]
STREAMS = [
    pytest.param(["Lima. E", "ND."], ["Lima. ", "", ""], "stop", id="a text"),
    pytest.param(["Lima. E"], ["Lima. ", "E"], None, id="a text that ends"),
    pytest.param(
        [[text("a E", 0)], [text("ND", 0)]],
        [[text("a ", 0)], [text("", 0)], [text("", 0)]],
        "stop",
        id="a block in parts",
    ),
    pytest.param(
        [[text("a E", 0)], [text("b", 1)]],
        [[text("a ", 0)], [text("E", 0), text("b", 1)], None],
        None,
        id="a block that ends as another begins",
    ),
]


@pytest.mark.parametrize(("content", "kept"), BLOCKS)
def test_a_whole_answer_is_cut_in_its_blocks(content, kept) -> None:
    """Of blocks each is a text of its own, and nothing comes after the end."""
    assert ContentCutter(AnswerCutter("END"), whole=True).feed(content) == kept


@pytest.mark.parametrize(("parts", "passed", "why"), STREAMS)
def test_an_answer_in_parts_is_cut_in_its_blocks(parts, passed, why) -> None:
    """Of a stream, text waits only while a stop sequence may have begun in it."""
    cutter = ContentCutter(AnswerCutter("END"))
    assert [*map(cutter.feed, parts), cutter.finish()] == passed
    assert cutter.why == why
