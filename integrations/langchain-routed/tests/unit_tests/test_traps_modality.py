"""Traps 32 to 40: tokens, profile, and what is an image, a voice clip or a file in which form."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.content import create_text_block
from langchain_openai import ChatOpenAI

from routed_llm import NoModelFits, Policy, RequestError

from .helpers import merged, pdf, png, routing, wav

PNG, PDF, WAV = png(), pdf(2), wav()
PNG_URL, PDF_URL = f"data:image/png;base64,{PNG}", f"data:application/pdf;base64,{PDF}"

IMAGES = {
    "image_url": {"type": "image_url", "image_url": {"url": PNG_URL}},
    "image_url with detail": {"type": "image_url", "image_url": {"url": PNG_URL, "detail": "low"}},
    "image_url string": {"type": "image_url", "image_url": PNG_URL},
    "image_url web": {"type": "image_url", "image_url": {"url": "https://upload.wikimedia.org/a.png"}},
    "image v1 base64": {"type": "image", "base64": PNG, "mime_type": "image/png"},
    "image v1 url": {"type": "image", "url": "https://upload.wikimedia.org/a.png"},
    "image v0": {"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"},
    "image anthropic": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    },
    "input_image": {"type": "input_image", "image_url": PNG_URL, "detail": "low"},
    "media google": {"type": "media", "mime_type": "image/png", "data": PNG},
    "file with image mime": {"type": "file", "base64": PNG, "mime_type": "image/png", "filename": "a.png"},
}
FILES = {
    "file v1": {"type": "file", "base64": PDF, "mime_type": "application/pdf", "filename": "a.pdf"},
    "file openai": {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF_URL}},
    "input_file": {"type": "input_file", "filename": "a.pdf", "file_data": PDF_URL},
    "document anthropic": {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    },
    "media google": {"type": "media", "mime_type": "application/pdf", "data": PDF},
}
VOICES = {
    "input_audio": {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
    "audio v1": {"type": "audio", "base64": WAV, "mime_type": "audio/wav"},
    "audio v0": {"type": "audio", "source_type": "base64", "data": WAV, "mime_type": "audio/wav"},
}
TEXTS = {
    "text": {"type": "text", "text": "Hello there"},
    "string": "Hello there",
    "text-plain": {"type": "text-plain", "text": "Hello there", "mime_type": "text/plain"},
    "input_text": {"type": "input_text", "text": "Hello there"},
    "extras": {"type": "text", "text": "Hello there", "extras": {"signature": "abc"}},
    "made by langchain-core": create_text_block("Hello there"),
    "of an answer": {"type": "text", "text": "Hello there", "annotations": [], "index": 0},
    "cache_control": {"type": "text", "text": "Hello there", "cache_control": {"type": "ephemeral"}},
    "document of text": {"type": "document", "source": {"type": "text", "data": "Hello there"}},
}
ENDPOINTS = {"chat": {"use_responses_api": False}, "responses": {"use_responses_api": True}, "free": {}}


def cases(blocks: dict[str, Any]) -> Any:
    return pytest.mark.parametrize("block", blocks.values(), ids=blocks.keys())


def said(block: Any) -> list[Any]:
    return [
        HumanMessage(
            ["Look:", block] if isinstance(block, str) else [{"type": "text", "text": "Look:"}, block]
        )
    ]


def told(content: Any) -> list[Any]:
    call = {"name": "see", "args": {}, "id": "call_1", "type": "tool_call"}
    return [
        HumanMessage("See"),
        AIMessage("", tool_calls=[call]),
        ToolMessage(content, tool_call_id="call_1"),
    ]


@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
@cases(IMAGES)
def test_an_image_in_any_form_is_seen(make, sim, block: Any, settings: dict[str, Any]) -> None:
    """Every form of an image is an image to the decision, and arrives as one."""
    llm = make(**settings)
    assert "image" in llm.explain(said(block)).facts.inputs
    llm.invoke(said(block))
    assert sim.refused == []
    assert any(
        mark in str(sim.journal[0].body) for mark in ("image_url", "input_image", "input_file", "file_data")
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_a_pdf_that_cannot_be_read_here_is_sent(make, sim, settings: dict[str, Any]) -> None:
    """The provider's reader may be able to: ChatOpenAI does not look, either."""
    cut = base64.b64encode(base64.b64decode(PDF)[:200]).decode()
    make(**settings).invoke(said({**FILES["file v1"], "base64": cut}))
    assert sim.refused == []
    assert cut in str(sim.journal[0].body)


@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
@cases(FILES)
def test_a_file_in_any_form_is_read(make, sim, block: Any, settings: dict[str, Any]) -> None:
    """Every form of a PDF is one of two pages to the decision, and arrives."""
    llm = make(**settings)
    facts = llm.explain(said(block)).facts
    assert ("pdf" in facts.inputs, facts.pdf_pages) == (True, 2)
    llm.invoke(said(block))
    assert PDF[:60] in str(sim.journal[0].body)
    assert sim.refused == []


@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
@cases(TEXTS)
def test_text_in_any_form_arrives(make, sim, block: Any, settings: dict[str, Any]) -> None:
    """Nothing that the user wrote is lost, whatever the form of its block."""
    make(**settings).invoke(said(block))
    assert "Hello there" in str(sim.journal[0].body)
    assert sim.refused == []


@pytest.mark.parametrize("form", ["raw", "normalised"])
@cases(VOICES)
def test_38_a_voice_goes_to_a_model_that_hears(make, sim, block: Any, form: str) -> None:
    """Audio is a constraint on model and endpoint, before and after LangChain normalises the message."""
    from langchain_core.language_models._utils import _normalize_messages

    messages = said(block) if form == "raw" else _normalize_messages(said(block))
    answer = make().invoke(messages)
    (entry,) = sim.journal
    assert entry.path.endswith("/chat/completions")
    assert entry.used.audio_in > 0
    assert answer.content
    assert sim.refused == []


def test_38_a_voice_that_nobody_may_hear_is_refused(make, sim) -> None:
    """On Responses, ChatOpenAI drops audio without a word; here the call fails and names it."""
    with pytest.raises(NoModelFits, match="audio"):
        make(use_responses_api=True).invoke(said(VOICES["input_audio"]))
    with pytest.raises(NoModelFits, match="audio"):
        make(policy={"models": ["gpt-4.1"]}).invoke(said(VOICES["audio v1"]))
    assert sim.journal == []


@cases({name: IMAGES[name] for name in ("image_url", "image v1 base64", "image v0", "input_image")})
def test_37_an_image_from_a_tool_goes_through_responses(make, sim, block: Any) -> None:
    """Chat Completions takes no image from a tool, whichever model is asked."""
    make().invoke(told([{"type": "text", "text": "Seen"}, block]))
    (entry,) = sim.journal
    assert entry.path.endswith("/responses")
    output = next(item for item in entry.body["input"] if item["type"] == "function_call_output")["output"]
    assert [part["type"] for part in output] == ["input_text", "input_image"]
    assert sim.refused == []


@cases({name: FILES[name] for name in ("file v1", "file openai", "input_file")})
def test_37_a_file_from_a_tool_goes_through_responses(make, sim, block: Any) -> None:
    """The same holds for a PDF; text beside it may be a bare string."""
    make().invoke(told(["Seen", block]))
    (entry,) = sim.journal
    assert entry.path.endswith("/responses")
    output = next(item for item in entry.body["input"] if item["type"] == "function_call_output")["output"]
    assert [part["type"] for part in output] == ["input_text", "input_file"]
    assert sim.refused == []


def test_37_where_chat_is_insisted_on_it_is_refused(make, sim) -> None:
    """With Chat Completions insisted on, an image from a tool fits nothing, and is not sent."""
    with pytest.raises(NoModelFits, match="chat_completions takes no image in a tool message"):
        make(use_responses_api=False).invoke(told([IMAGES["image_url"]]))
    assert sim.journal == []


@pytest.mark.parametrize(
    "block",
    [
        {"type": "file", "file": {"file_id": "file-abc"}},
        {"type": "file", "file_id": "file-abc"},
        {"type": "input_file", "file_id": "file-abc"},
        {"type": "file", "source_type": "id", "id": "file-abc"},
    ],
    ids=["openai", "v1", "input_file", "v0"],
)
def test_39_a_file_by_id_is_of_unknown_size(make, block: Any) -> None:
    """It needs a model that reads files, is never fetched, and is named among the estimates."""
    decision = make().explain(said(block))
    assert decision.chosen is not None
    assert decision.facts.unknown_files == 1
    assert decision.facts.estimates == (
        "a file given by reference is of unknown size and is not in the count",
    )


@pytest.mark.parametrize(
    ("block", "sent"),
    [
        pytest.param(
            {"type": "file", "url": "https://example.org/a.pdf"},
            {"type": "input_file", "file_url": "https://example.org/a.pdf"},
            id="file by URL",
        ),
        pytest.param(
            {"type": "image", "file_id": "file-abc"},
            {"type": "input_image", "file_id": "file-abc"},
            id="image",
        ),
    ],
)
def test_39_what_only_responses_takes_goes_there(make, block: Any, sent: Any) -> None:
    """A reference that Chat Completions has no form for is sent through Responses."""
    llm = make()
    assert llm.explain(said(block)).endpoint == "responses"
    payload = llm._get_request_payload(said(block))
    assert sent.items() <= payload["input"][0]["content"][1].items()


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "non_standard"])
def test_39_tools_that_a_system_message_brings_go_there(make, wrapped: bool) -> None:
    """Tools added within a conversation are an item of Responses; who does not ask for it is refused them."""
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
    item = {"type": "additional_tools", "role": "developer", "tools": tools}
    block = {"type": "non_standard", "value": item} if wrapped else item
    messages = [SystemMessage([{"type": "text", "text": "Be brief."}, block]), HumanMessage("Hi")]
    llm = make(use_responses_api=True)
    assert llm.explain(messages).endpoint == "responses"
    sent = llm._get_request_payload(messages)["input"]
    assert sent[0] == item
    assert [one["role"] for one in sent[1:]] == ["system", "user"]
    for other in (make(), make(use_responses_api=False)):
        with pytest.raises(ValueError, match="requires the Responses API"):
            other.invoke(messages)


@pytest.mark.parametrize("on_responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "non_standard"])
def test_39_tools_in_anybody_elses_message_are_refused(make, *, wrapped: bool, on_responses: bool) -> None:
    """What a user or a tool says brings no tools, on either endpoint, as with ChatOpenAI."""
    item = {"type": "additional_tools", "role": "developer", "tools": []}
    block = {"type": "non_standard", "value": item} if wrapped else item
    for message in (HumanMessage([block]), ToolMessage([block], tool_call_id="c1")):
        with pytest.raises(ValueError, match="must be carried on a `SystemMessage`"):
            make(use_responses_api=on_responses)._get_request_payload([message])


@pytest.mark.parametrize(
    ("kind", "message"), [("system", SystemMessage), ("user", HumanMessage)], ids=["system", "user"]
)
def test_39_a_block_that_nobody_knows_is_left_out(make, recwarn, kind: str, message: Any) -> None:
    """Of a system message's that is said, as by ChatOpenAI."""
    said = message([{"type": "text", "text": "Be brief."}, {"type": "tool_removal", "name": "f"}])
    sent = make(use_responses_api=True)._get_request_payload([HumanMessage("Hi"), said])["input"]
    assert sent[1] == {
        "type": "message",
        "role": kind,
        "content": [{"type": "input_text", "text": "Be brief."}],
    }
    assert [str(one.message) for one in recwarn] == [
        "Content block 'tool_removal' was dropped from a system message: the Responses API has no input item "
        "of that type, so it cannot be placed in the request."
    ] * (kind == "system")


def test_40_what_a_model_made_is_no_input(make, sim) -> None:
    """An image or a voice in an answer of the history asks for no model that sees or hears."""
    history = [
        HumanMessage("Draw and speak"),
        AIMessage(
            [{"type": "text", "text": "Here"}, {"type": "image", "base64": PNG, "mime_type": "image/png"}],
            additional_kwargs={"audio": {"id": "audio_1", "data": WAV, "transcript": "four words were said"}},
        ),
        HumanMessage("Thanks"),
    ]
    decision = make().explain(history)
    assert decision.facts.inputs == frozenset({"text"})
    assert make().get_num_tokens_from_messages(history) < 60
    make().invoke(history)
    assert sim.refused == []


def test_40_a_spoken_answer_is_taken_over_as_text(make, sim) -> None:
    """A voice answer is stored by the model that gave it; the next model gets what was said."""
    llm = make()
    voice = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    answer = llm.invoke("Say hello", **voice)
    transcript = answer.additional_kwargs["audio"]["transcript"]
    assert "audio" in routing(answer)["model"]
    history = [HumanMessage("Say hello"), answer, HumanMessage("And in writing?")]
    llm.invoke(history)
    llm.invoke(history, **voice)
    other, same = (str(entry.body) for entry in sim.journal[1:])
    assert transcript in other
    assert "audio_" not in other
    assert sim.refused == []
    if sim.journal[2].model == routing(answer)["model"]:
        assert answer.additional_kwargs["audio"]["id"] in same


def test_40_tools_and_schemas_count(make) -> None:
    """Thirty tools are a thousand tokens and more, and a schema counts, too."""
    tool = {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "Look something up in the big book of everything.",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
        },
    }
    tools = [{**tool, "function": {**tool["function"], "name": f"look_up_{i}"}} for i in range(30)]
    llm = make()
    bare, full = ([HumanMessage("Hi")], None), ([HumanMessage("Hi")], tools)
    assert llm.get_num_tokens_from_messages(*full) - llm.get_num_tokens_from_messages(*bare) > 700
    with_tools = llm.explain("Hi", tools=tools).facts
    assert (with_tools.tools, with_tools.tokens.likely > 500) == (30, True)


def test_32_counting_needs_no_network(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting loads no vocabulary and fetches no image, and raises on nothing that may be sent."""
    llm = make()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    web = said(IMAGES["image_url web"])
    assert llm.get_num_tokens_from_messages(web) > llm.get_num_tokens_from_messages([HumanMessage("Look:")])
    assert llm.get_num_tokens_from_messages(said(VOICES["input_audio"])) > 0
    assert llm.get_num_tokens_from_messages(said(FILES["file v1"])) > 0
    assert llm.get_num_tokens("hello world") == len(llm.get_token_ids("hello world")) == 2
    assert llm.get_num_tokens("<|endoftext|>") > 1


def test_32_a_broken_image_is_told(make, sim) -> None:
    """Data that is no image is refused before it is sent, with the message it stands in."""
    broken = base64.b64encode(b"no image at all").decode()
    with pytest.raises(RequestError, match=r"message 1 \(user\)"):
        make().invoke(said({"type": "image", "base64": broken, "mime_type": "image/png"}))
    assert sim.journal == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("这是一个关于语言模型的长句子。" * 9_000, id="Chinese"),
        pytest.param('{"key": [1, 2, {"a": "b"}]}, ' * 16_000, id="JSON"),
        pytest.param(base64.b64encode(bytes(range(256)) * 600).decode(), id="base64"),
    ],
)
def test_33_near_a_limit_text_is_counted(make, sim, text: str) -> None:
    """Where characters divided by four would overflow a window, the true count decides."""
    llm = make(policy={"models": ["gpt-4o", "gpt-4.1"]})
    llm.invoke(text)
    assert sim.refused == []
    assert sim.journal[0].model == (
        "gpt-4.1" if sim.journal[0].used.prompt > 120_000 else sim.journal[0].model
    )


def test_34_the_placeholder_is_a_real_name(make) -> None:
    """Tools that look a tokenizer or a profile up by the model's name find gpt-4o."""
    llm = make()
    assert llm.model == llm.model_name == "gpt-4o"
    assert llm._get_ls_params()["ls_model_name"] == "gpt-4o"
    assert llm._identifying_params["model_name"] == "gpt-4o"


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        pytest.param({}, 128_000, id="the baseline"),
        pytest.param({"model": "gpt-4.1-mini"}, 1_047_576, id="another baseline"),
        pytest.param({"profile_scope": "pool"}, 1_047_576, id="the pool"),
        pytest.param({"policy": {"models": ["gpt-4o"]}}, 128_000, id="alone in the pool"),
        pytest.param({"policy": {"models": ["gpt-4*"]}}, 128_000, id="one of the pool"),
        pytest.param({"policy": {"models": ["gpt-5.4"], "at_least": None}}, 922_000, id="not in the pool"),
        pytest.param({"policy": {"exclude": ["gpt-4o*"]}}, None, id="left out"),
        pytest.param({"profile": {"max_input_tokens": 1}}, 1, id="given"),
    ],
)
def test_35_the_profile_is_the_baselines(make, settings: dict[str, Any], most: int | None) -> None:
    """A program's thresholds stay where they were; where the baseline is not allowed, the usual choice's."""
    llm = make(**settings)
    if most is None:
        most = llm._own_planner().router.catalog.get(llm.explain("Hello").model).limits.max_input
    assert llm.profile["max_input_tokens"] == most


def test_35_the_profile_is_of_one_model(make) -> None:
    """What it says can be had together: the widest model of the pool hears nothing."""
    own = ChatOpenAI(model="gpt-4.1").profile
    ours = make(model="gpt-4.1").profile
    assert {key: ours[key] for key in own if key in ours} == own
    assert make(profile_scope="pool").profile["audio_inputs"] is False
    assert make(policy=Policy(models=["gpt-audio*"], at_least=None)).profile["audio_inputs"] is True


@pytest.mark.parametrize(("scope", "fires"), [("baseline", True), ("pool", False)])
def test_35_summarization_fires_where_it_did(make, scope: str, fires: bool) -> None:
    """At eight tenths of gpt-4o's window, as before, unless the whole pool's is asked for."""
    from langchain.agents.middleware import SummarizationMiddleware

    history = [HumanMessage("word " * 110_000), AIMessage("ok"), HumanMessage("go on")]
    llm = make(profile_scope=scope)
    middleware = SummarizationMiddleware(
        llm, trigger=("fraction", 0.8), token_counter=llm.get_num_tokens_from_messages
    )
    assert middleware._should_summarize(history, llm.get_num_tokens_from_messages(history)) is fires


def test_system_and_developer_messages_arrive(make, sim) -> None:
    """System text with blocks, and a developer role, are counted and sent."""
    developer = SystemMessage("Be brief", additional_kwargs={"__openai_role__": "developer"})
    make().invoke([SystemMessage([{"type": "text", "text": "Be kind"}]), developer, HumanMessage("Hi")])
    assert [m["role"] for m in sim.journal[0].body["messages"]] == ["system", "developer", "user"]
    assert sim.refused == []


def test_streamed_images_work_like_sent_ones(make, sim) -> None:
    """A stream is routed by the same facts."""
    whole = merged(list(make().stream(said(IMAGES["image v1 base64"]))))
    assert routing(whole)["model"] == routing(make().invoke(said(IMAGES["image v1 base64"])))["model"]
