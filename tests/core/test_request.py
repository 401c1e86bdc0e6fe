"""Reading requests: what the builder and the reader of OpenAI's own form make of messages and parameters."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from core_support import png

from routed_llm import ImageFacts, Policy, RequestBuilder, RequestError, RequestFacts, Router, read_openai
from routed_llm.tokens.counting import Counting
from routed_llm.tokens.vocabulary import o200k_encoding


def read(payload: dict[str, Any], **given: Any) -> RequestFacts:
    """Read the facts of a body, with a message unless it has one."""
    if "messages" not in payload and "input" not in payload:
        payload = {"messages": [{"role": "user", "content": "hi"}], **payload}
    return read_openai(payload, **given).facts


def part(block: dict[str, Any], role: str = "user") -> dict[str, Any]:
    """Make a body of one message with one block."""
    return {"messages": [{"role": role, "content": [block]}]}


def pdf_file(content: bytes) -> dict[str, Any]:
    """Make a body with a file that says it is a PDF."""
    data = base64.b64encode(content).decode()
    return part(
        {"type": "file", "file": {"filename": "a", "file_data": f"data:application/pdf;base64,{data}"}}
    )


FOUND: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a cap of the old name", {"max_tokens": 5}, {"cap": 5, "cap_name": "max_tokens"}),
    ("a cap of Responses", {"max_output_tokens": 5}, {"cap": 5, "cap_name": "max_output_tokens"}),
    ("null is not given", {"max_tokens": None, "temperature": None, "tools": None}, {"cap": None, "parameters": ()}),
    ("effort of Chat Completions", {"reasoning_effort": "low"}, {"effort": "low"}),
    ("effort of Responses", {"reasoning": {"effort": "high", "summary": None}}, {"effort": "high", "parameters": ()}),
    ("the rest of reasoning", {"reasoning": {"summary": "auto"}},
     {"effort": None, "parameters": (("reasoning", ("{}", (("summary", "auto"),))),)}),
    ("what is to be included", {"include": ["reasoning.encrypted_content", "file_search_call.results"]},
     {"parameters": (("include", ("[]", ("reasoning.encrypted_content", "file_search_call.results"))), ("reasoning.encrypted_content", True))}),
    ("text of Responses", {"text": {"verbosity": "low", "format": {"type": "json_object"}}},
     {"structured": "json_object", "parameters": (("verbosity", "low"),)}),
    ("plain text output", {"response_format": {"type": "text"}}, {"structured": None}),
    ("JSON", {"response_format": {"type": "json_object"}}, {"structured": "json_object"}),
    ("a tool choice by word", {"tool_choice": "required"}, {"tool_choice": "required"}),
    ("a tool choice by name", {"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tool_choice": "named"}),
    ("streaming", {"stream": True}, {"stream": True}),
    ("audio out", {"modalities": ["text", "audio"]}, {"outputs": frozenset({"text", "audio"})}),
    ("a tier", {"service_tier": "flex"}, {"service_tier": "flex", "parameters": (("service_tier", "flex"),)}),
    ("a tier by its other name", {"service_tier": "fast"}, {"service_tier": "priority"}),
    ("the quickest tier", {"service_tier": "ultrafast"}, {"service_tier": "ultrafast"}),
    (
        "a window for an answer in the background",
        {"background": True, "background_options": {"completion_window": "8h"}},
        {"service_tier": "background_8h"},
    ),
    ("an answer soon", {"background": True, "background_options": {"completion_window": "soonest"}}, {"service_tier": "standard"}),
    ("no tier in particular", {"service_tier": "auto"}, {"service_tier": "standard"}),
    ("web search on Chat Completions", {"web_search_options": {}}, {"builtin_tools": frozenset({"web_search_options"})}),
    ("hosted tools by their versions", {"tools": [{"type": "web_search_preview_2025_03_11"}, {"type": "mcp"},
     {"type": "function", "function": {"name": "f"}}]}, {"builtin_tools": frozenset({"web_search_preview", "mcp"}), "tools": 1}),
    ("tools in the form of Responses", {"tools": [{"type": "function", "name": "f", "parameters": {}}]}, {"tools": 1}),
    ("anything else", {"logit_bias": {"5": -1}, "user": "u"},
     {"parameters": (("logit_bias", ("{}", (("5", -1),))), ("user", "u"))}),
    ("a block's mark for the prompt cache", part({"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}),
     {"parameters": (("prompt_cache_breakpoint", ("{}", (("mode", "explicit"),))),), "cache_steered": True}),
    ("the model is left to the caller", {"model": "gpt-4o"}, {"model": None}),
    ("an image and its detail", part({"type": "image_url", "image_url": {"url": png(30, 20), "detail": "low"}}),
     {"images": (ImageFacts(30, 20, "low"),), "inputs": frozenset({"text", "image"})}),
    ("an image of Responses", part({"type": "input_image", "image_url": png(30, 20)}), {"images": (ImageFacts(30, 20),)}),
    ("a remote image", part({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
     {"images": (ImageFacts(None, None),),
      "estimates": ("an image given by reference is counted at the rule's worst case",)}),
    ("an image in a tool message", part({"type": "image_url", "image_url": {"url": png(3, 2)}}, "tool"),
     {"tool_inputs": frozenset({"image"})}),
    ("a file by id", part({"type": "file", "file": {"file_id": "file-1"}}), {"unknown_files": 1,
     "inputs": frozenset({"text", "pdf"}),
     "estimates": ("a file given by reference is of unknown size and is not in the count",)}),
    ("a PDF that cannot be read here", pdf_file(b"%PDF-1.7 cut off"), {"unknown_files": 1, "pdf_pages": 0,
     "inputs": frozenset({"text", "pdf"}),
     "estimates": ("a PDF could not be read here, so it is of unknown size and is not in the count",)}),
    ("a PDF that cannot be read but has marks of pages", pdf_file(b"%PDF-1.7 /Type /Pages /Type /Page /Type/Page x"),
     {"unknown_files": 0, "pdf_pages": 2,
      "estimates": ("a PDF could not be read here; the pages marked in it (2) count as full",)}),
    ("a PDF behind what is no part of it", pdf_file(b"x" * 1019 + b"%PDF-"), {"unknown_files": 1}),
    ("a PDF without its header", pdf_file(b"foo"), {"unknown_files": 1, "inputs": frozenset({"text", "pdf"}),
     "estimates": ("a PDF could not be read here, so it is of unknown size and is not in the count",)}),
    ("a video", part({"type": "video_url", "video_url": {"url": "x"}}), {"inputs": frozenset({"text", "video"})}),
    ("an image in a function's output", {"input": [{"type": "function_call_output", "call_id": "c",
     "output": [{"type": "input_image", "image_url": png(3, 2)}]}]}, {"tool_inputs": frozenset({"image"})}),
    ("nothing but a reference", {"input": [{"type": "item_reference", "id": "msg_1"}]}, {"unknown_files": 1}),
    ("nothing but what was said before", {"input": [], "previous_response_id": "resp_1"},
     {"parameters": (("previous_response_id", "resp_1"),)}),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "found"), [item[1:] for item in FOUND], ids=[item[0] for item in FOUND])
def test_facts_of_requests(payload: dict[str, Any], found: dict[str, Any]) -> None:
    """Each part of a body gives its facts, in either endpoint's words."""
    asked = read(payload)
    assert {name: getattr(asked, name) for name in found} == found


JOINED = [
    ("texts beside each other are one text", [{"type": "text", "text": "So."}, {"type": "text", "text": "Please"}], ("So.Please",)),
    ("nothing between them", [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}], ("ab",)),
    ("an image between them", [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": png(3, 2)}},
                               {"type": "text", "text": "b"}], ("a", "b")),
]  # fmt: skip


@pytest.mark.parametrize(("content", "texts"), [row[1:] for row in JOINED], ids=[row[0] for row in JOINED])
def test_texts_of_a_message(content: list[dict[str, Any]], texts: tuple[str, ...]) -> None:
    """Text parts that follow each other are counted as one; messages, and a name, stand for themselves."""
    found = read_openai(
        {"messages": [{"role": "user", "name": "n", "content": content}, {"role": "user", "content": "c"}]}
    )
    assert found.texts == ("n", *texts, "c")


def test_pins() -> None:
    """With pin the body's model is the only one allowed."""
    assert read({"model": "gpt-4o"}, pin=True).model == "gpt-4o"
    assert read({}, pin=True).model is None


def tokens(text: str) -> int:
    """Count with tiktoken alone."""
    return len(o200k_encoding().encode_ordinary(text))


COUNTS: list[tuple[str, dict[str, Any], int]] = [
    ("one message", {"messages": [{"role": "user", "content": "hello world"}]}, 2 + 4 + 3),
    ("two messages and a name", {"messages": [{"role": "system", "content": "a"}, {"role": "user", "name": "bob",
     "content": "b"}]}, 1 + 4 + 1 + 4 + 1 + 3),
    ("a refusal", {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]}, 1 + 4 + 3),
    ("an input and instructions", {"input": "a", "instructions": "b"}, 1 + 4 + 1 + 4 + 3),
    ("nothing said", {"messages": [{"role": "assistant", "content": None}]}, 4 + 3),
    ("what looks like a special token", {"messages": [{"role": "user", "content": "<|endoftext|>"}]}, 7 + 4 + 3),
]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "count"), [item[1:] for item in COUNTS], ids=[item[0] for item in COUNTS]
)
def test_counts(payload: dict[str, Any], count: int) -> None:
    """Exact counts as gpt-4o bills them on Chat Completions; the bounds hold them."""
    request = read_openai(payload)
    assert Counting(request.texts, known=request.fixed).exact() == count
    assert request.facts.tokens.low <= count <= request.facts.tokens.high


def test_both_endpoints_count_alike() -> None:
    """The same conversation in either form has the same facts."""
    chat = read_openai({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}]})
    responses = read_openai(
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hello there"}]}]}
    )
    assert chat.facts == responses.facts
    assert (chat.texts, chat.fixed) == (responses.texts, responses.fixed)


@pytest.mark.parametrize("mime", ["text/plain", "application/json", "text/markdown"])
def test_text_files_become_text(mime: str) -> None:
    """A file of text counts as its text."""
    data = f"data:{mime};base64," + base64.b64encode(b"hello world").decode()
    request = read_openai(part({"type": "input_file", "file_data": data, "filename": "a.txt"}))
    assert request.facts.inputs == {"text", "file"}
    assert request.texts == ("hello world",)


def test_no_text_is_kept_in_the_facts() -> None:
    """Facts can be recorded: nothing of a prompt is in them."""
    secret = "the launch code is 7231"
    request = read_openai({"messages": [{"role": "user", "content": secret}]})
    assert secret not in repr(request)
    assert secret not in str(request.facts.to_dict())
    assert request.texts == (secret,)


def test_an_estimate_is_named_once() -> None:
    """Ten remote images are one estimate."""
    builder = RequestBuilder().message("user")
    for _ in range(10):
        builder.image("https://example.org/x.png")
    assert builder.build().facts.estimates == (
        "an image given by reference is counted at the rule's worst case",
    )


@pytest.mark.filterwarnings("ignore")
def test_an_empty_file_is_no_pdf() -> None:
    """What no provider could read is said before it is sent."""
    with pytest.raises(RequestError) as caught:
        read(pdf_file(b""))
    assert str(caught.value).startswith("message 1 (user): The PDF is broken: ")
    assert str(caught.value).endswith(" Send a complete PDF file.")


def voice(seconds: int) -> bytes:
    """Make a WAV file of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(8_000)
        clip.writeframes(bytes(16_000 * seconds))
    return out.getvalue()


INLINE: dict[str, tuple[bytes, Callable[[str], dict[str, Any]]]] = {
    "image": (base64.b64decode(png(30, 20).partition(",")[2]),
              lambda text: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}),
    "audio": (voice(2), lambda text: {"type": "input_audio", "input_audio": {"data": text, "format": "wav"}}),
    "text": (b"hello world " * 20, lambda text: {"type": "file", "file": {"file_data": f"data:text/plain;base64,{text}"}}),
    "pdf": (b"%PDF-1.7 cut off " * 20,
            lambda text: {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{text}"}}),
    "a PDF without its header": (b"foo " * 40,
            lambda text: {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{text}"}}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", INLINE)
def test_base64_in_lines(kind: str) -> None:
    """Base64 that is broken into lines is read as if it were one, whatever it holds."""
    data, block = INLINE[kind]
    in_lines, whole = block(base64.encodebytes(data).decode()), block(base64.b64encode(data).decode())
    assert read(part(in_lines)) == read(part(whole))


def _call(name: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"}


def _output(name: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": "3"}


ASKED = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("items", "endpoint"),
    [
        pytest.param([ASKED, _call("a"), _output("a"), ASKED], None, id="at once"),
        pytest.param([ASKED, _call("a"), _call("b"), _output("b"), _output("a")], None, id="in any order"),
        pytest.param([ASKED, _call("a"), ASKED, _output("a")], "responses", id="behind what the user said"),
        pytest.param(
            [ASKED, _call("a"), _call("b"), _output("a"), ASKED, _output("b")], "responses", id="one of two"
        ),
        pytest.param([ASKED, _output("a")], None, id="of a stored call"),
        pytest.param(
            [ASKED, _call("a"), {"role": "assistant", "content": "Wait."}, _output("a")],
            None,
            id="behind what the model said",
        ),
    ],
)
def test_an_output_that_comes_late_keeps_the_call_on_responses(
    items: list[dict[str, Any]], endpoint: str | None
) -> None:
    """Chat Completions takes the output of a tool only right behind its call."""
    assert read({"input": items}).endpoint == endpoint


@pytest.mark.parametrize(
    ("name", "values"),
    [("temperature", (1, 1.0)), ("store", (1, True)), ("temperature", (0.5, 0.7))],
    ids=["a whole number", "true", "others"],
)
def test_values_are_sent_as_they_were_written(name: str, values: tuple[Any, ...]) -> None:
    """1, 1.0 and True are equal, and are what was given, whatever was asked before."""
    router = Router(policy=Policy(models="gpt-4.1", at_least=None), clock=lambda: date(2026, 11, 22))
    for value in values * 5:
        request = read_openai({"messages": [{"role": "user", "content": "Hi"}], name: value})
        call = router.decide(request).call
        assert call is not None
        assert repr((request.facts.parameters, dict(call.parameters))) == repr(
            (((name, value),), {name: value})
        )
