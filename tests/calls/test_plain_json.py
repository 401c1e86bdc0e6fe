"""JSON as it is read from callers and written to the provider and to them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from routed_llm.calls import plain_json

WRITTEN: dict[str, tuple[Any, bytes]] = {
    "no spaces": ({"a": [1, {"b": None}]}, b'{"a":[1,{"b":null}]}'),
    "text as it is": ({"text": "Größe 名\u2028"}, '{"text":"Größe 名\u2028"}'.encode()),
    "half of a character": ("a\ud83d", b'"a\\ud83d"'),
    "a character in two halves": ("\ud83d\ude00", b'"\\ud83d\\ude00"'),
    "more than 64 bits": ({"seed": 2**70}, b'{"seed":1180591620717411303424}'),
    "a name that is a number": ({1: 2}, b'{"1":2}'),
    "a small number": (0.1, b"0.1"),
    "a control character": ("\x00", b'"\\u0000"'),
}


@pytest.mark.parametrize("quick", [True, False], ids=["orjson", "without"])
@pytest.mark.parametrize(("data", "text"), WRITTEN.values(), ids=WRITTEN.keys())
def test_written(monkeypatch: pytest.MonkeyPatch, data: Any, text: bytes, *, quick: bool) -> None:
    """It is the same bytes, whether or not orjson is installed."""
    if not quick:
        monkeypatch.setattr(plain_json, "orjson", None)
    assert plain_json.compact(data) == text


def test_half_a_character_is_sent_as_a_question_mark() -> None:
    """A provider may refuse what is no text; to a caller it is given as it came."""
    assert plain_json.compact("a\ud83d", halves="replace") == b'"a?"'


REFUSED = {
    "NaN": ('{"a": NaN}', "NaN is no number of JSON"),
    "infinity": ("[-Infinity]", "-Infinity is no number of JSON"),
    "a number that no float holds": ("1e999", "1e999 is no number of JSON"),
    "half of it": ('{"a":', "Expecting value: line 1 column 6 (char 5)"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(text: str, said: str) -> None:
    """What is no JSON is not read."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        plain_json.strict(text)


def test_a_long_integer_stays_one() -> None:
    """It is read and written digit by digit."""
    assert plain_json.compact(plain_json.strict("12345678901234567890123")) == b"12345678901234567890123"
