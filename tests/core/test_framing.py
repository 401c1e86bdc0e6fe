"""What stands around a request's texts costs what recorded calls were billed, by endpoint and family."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any

import pytest

from routed_llm import Catalog, RequestError, read_openai
from routed_llm.facts import RequestFacts, TokenCount
from routed_llm.framing import PLAIN, REFERENCE, Framed
from routed_llm.media import tokens_for
from routed_llm.tokens.counting import Counting
from routed_llm.tokens.text import TiktokenCounter
from routed_llm.tokens.tools import namespace

CHAT, RESPONSES = "chat_completions", "responses"
CATALOG = Catalog.load()


def counted(payload: dict[str, Any], model: str, endpoint: str) -> TokenCount:
    """Count a whole request as a model does on an endpoint."""
    request = read_openai(payload)
    text = Counting(request.texts, known=request.fixed).exact()
    return tokens_for(request.facts, CATALOG.get(model), endpoint).plus(text)


ASK = {"role": "user", "content": "How warm is it?"}
NOW = {
    "type": "function",
    "name": "now",
    "description": "The time",
    "parameters": {"type": "object", "properties": {}},
}
TEMPERATURE = {
    "type": "function",
    "name": "temperature",
    "description": "Measures",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Town"}},
        "required": ["city"],
    },
}


def chat(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a function in the form of Chat Completions."""
    return {"type": "function", "function": {key: item for key, item in tool.items() if key != "type"}}


SYSTEM = {"role": "system", "content": "Be brief."}
LOOSE = {"role": "system", "content": "Be brief now"}
SPACED = {"role": "system", "content": "Be brief.\n  "}
BARE = {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}}
ANSWER = {"role": "assistant", "content": "Warm."}
CALL = {"type": "function", "id": "c1", "function": {"name": "now", "arguments": "{}"}}
TURN = [{"role": "assistant", "content": None, "tool_calls": [CALL]}]
TURN += [{"role": "tool", "tool_call_id": "c1", "content": "noon"}]
PAIR = [{"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]}]
PAIR += [{"role": "tool", "tool_call_id": key, "content": "noon"} for key in ("c1", "c2")]
MANY = [{"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": f"c{n}"} for n in range(4)]}]
MANY += [{"role": "tool", "tool_call_id": f"c{n}", "content": "noon"} for n in range(4)]
ITEMS = [{"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}]
ITEMS += [{"type": "function_call_output", "call_id": "c1", "output": "noon"}]
SCHEMA = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}


def tokens_of(*texts: str) -> int:
    """Count texts, each on its own."""
    return sum(TiktokenCounter().count(texts))


# What the provider shows of these to the model.
ONE = tokens_of("namespace functions {\n\n// The time\ntype now = () => any;\n\n} // namespace functions")
BARE_TEXT = tokens_of("namespace functions {\n\ntype now = () => any;\n\n} // namespace functions")
TWO = tokens_of(
    "namespace functions {\n\n// The time\ntype now = () => any;\n\n"
    "// Measures\ntype temperature = (_: {\n// Town\ncity: string,\n}) => any;\n\n} // namespace functions"
)
TEXTS = tokens_of("functions.now", "now", "{}", "noon")
SHOWN = tokens_of(" heat", '{"type":"object","properties":{"degrees":{"type":"integer"}}}')
PLAIN_CASES = {
    "one message": ({"messages": [ASK]}, 12, 11, 12, 11),
    "a system message": ({"messages": [SYSTEM, ASK]}, 19, 18, 19, 18),
    "an answer and a question": ({"messages": [ASK, ANSWER, ASK]}, 27, 28, 27, 28),
}


@pytest.mark.parametrize(
    ("payload", "old_chat", "new_chat", "old_responses", "new_responses"),
    PLAIN_CASES.values(),
    ids=PLAIN_CASES.keys(),
)
def test_text(
    payload: dict[str, Any], old_chat: int, new_chat: int, old_responses: int, new_responses: int
) -> None:
    """Text counts to the token, nearly always: 3 open a reply of gpt-4o, 2 of gpt-5, which marks answers."""
    found = [
        counted(payload, model, endpoint) for endpoint in (CHAT, RESPONSES) for model in ("gpt-4o", "gpt-5.4")
    ]
    counts = (old_chat, new_chat, old_responses, new_responses)
    assert found == [TokenCount(count - 3, count, count + 4) for count in counts]


FRAMES = {
    "tools, gpt-4o on Chat Completions": ([ASK], [NOW], "gpt-4o", CHAT, 12 + ONE + 9),
    "tools behind a system message": ([SYSTEM, ASK], [NOW], "gpt-4o", CHAT, 19 + ONE + 5),
    "tools, gpt-4o on Responses": ([ASK], [NOW], "gpt-4o", RESPONSES, 12 + ONE + 3),
    "behind one that ends without a mark": ([LOOSE, ASK], [NOW], "gpt-4o", CHAT, 19 + ONE + 6),
    "behind one that ends with spaces": ([SPACED, ASK], [NOW], "gpt-4o", CHAT, 20 + ONE + 4),
    "behind one, gpt-5.4 on Chat Completions": ([SYSTEM, ASK], [NOW], "gpt-5.4", CHAT, 18 + ONE + 90),
    "tools, gpt-5.4 on Chat Completions": ([ASK], [NOW], "gpt-5.4", CHAT, 11 + ONE + 91),
    "not described, gpt-5.4": ([ASK], [BARE], "gpt-5.4", RESPONSES, 11 + BARE_TEXT + 8),
    "not described, gpt-4o": ([ASK], [BARE], "gpt-4o", RESPONSES, 12 + BARE_TEXT + 3),
    "tools, gpt-5.4 on Responses": ([ASK], [NOW], "gpt-5.4", RESPONSES, 11 + ONE + 9),
    "two tools": ([ASK], [NOW, TEMPERATURE], "gpt-5.4", RESPONSES, 11 + TWO + 9),
    "a call, gpt-4o on Chat Completions": ([ASK, *TURN], [], "gpt-4o", CHAT, 12 + TEXTS + 12),
    "a call, gpt-4o on Responses": ([ASK, *TURN], [], "gpt-4o", RESPONSES, 12 + TEXTS + 10),
    "a call, gpt-5.4 on Chat Completions": ([ASK, *TURN], [], "gpt-5.4", CHAT, 11 + TEXTS + 18),
    "a call, gpt-5 on Responses": ([ASK, *TURN], [], "gpt-5", RESPONSES, 11 + TEXTS + 16),
    "a call, gpt-5.4 on Responses": ([ASK, *TURN], [], "gpt-5.4", RESPONSES, 11 + TEXTS + 19),
    "two calls in a turn, gpt-5.4 on Responses": (
        [ASK, *PAIR],
        [],
        "gpt-5.4",
        RESPONSES,
        11 + 2 * TEXTS + 48,
    ),
    "four calls in a turn": ([ASK, *MANY], [], "gpt-5.4", RESPONSES, 11 + 4 * TEXTS + 74),
}


@pytest.mark.parametrize(
    ("messages", "tools", "model", "endpoint", "tokens"), FRAMES.values(), ids=FRAMES.keys()
)
def test_tools(
    messages: list[Any], tools: list[dict[str, Any]], model: str, endpoint: str, tokens: int
) -> None:
    """Functions, calls and results cost what recorded calls say; what is not sure has bounds around it."""
    found = counted({"messages": messages, "tools": [*map(chat, tools)]}, model, endpoint)
    assert found.likely == tokens
    assert found.low < found.likely < found.high


def made(name: str, arguments: str, number: int) -> dict[str, Any]:
    """Return a call in the form of Chat Completions."""
    return {"type": "function", "id": f"c{number}", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([("now", "{}"), ("now", "{}")], id="nothing given"),
        pytest.param([("temperature", '{"city":"Oslo"}'), ("now", "{}")], id="one of them with a city"),
        pytest.param([("look_up_city", '{"name":"Oslo","near":"Rome"}')] * 3, id="three"),
    ],
)
def test_calls_side_by_side(calls: list[tuple[str, str]]) -> None:
    """On Chat Completions gpt-4o is shown one call that makes the others, and 24 tokens more."""
    uses = ",".join(f'{{"recipient_name":"functions.{name}","parameters":{given}}}' for name, given in calls)
    turn: list[Any] = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [made(*call, number) for number, call in enumerate(calls)],
        }
    ]
    turn += [{"role": "tool", "tool_call_id": f"c{n}", "content": "noon"} for n in range(len(calls))]
    found = counted({"messages": [ASK, *turn]}, "gpt-4o", CHAT)
    real = 12 + 24 + tokens_of(f'{{"tool_uses":[{uses}]}}') + len(calls) * tokens_of("noon")
    assert abs(found.likely - real) <= len(calls)
    assert found.low <= real <= found.high


@pytest.mark.parametrize(
    ("model", "more"), [pytest.param("gpt-4o", 0, id="gpt-4o"), pytest.param("gpt-5.4", 2, id="gpt-5.4")]
)
def test_messages_that_say_who_speaks(model: str, more: int) -> None:
    """A name costs its tokens, and one more for each message on gpt-5 and later."""
    named = [{**ASK, "name": "ann"}, {**ANSWER, "name": "bob"}, ASK]
    found = (
        counted({"messages": named}, model, CHAT).likely
        - counted({"messages": [ASK, ANSWER, ASK]}, model, CHAT).likely
    )
    assert found == tokens_of("ann", "bob") + more


def test_functions_before_there_were_tools() -> None:
    """A call of one, and its result, cost what those of a tool do."""
    old = [
        {"role": "assistant", "content": None, "function_call": CALL["function"]},
        {"role": "function", "name": "now", "content": "noon"},
    ]
    assert counted({"messages": [ASK, *old]}, "gpt-4o", CHAT) == counted(
        {"messages": [ASK, *TURN]}, "gpt-4o", CHAT
    )


def test_what_a_model_declined_is_text() -> None:
    """A refusal that is sent back counts as an answer does."""
    declined = {"role": "assistant", "content": None, "refusal": "Warm."}
    found = counted({"messages": [ASK, declined, ASK]}, "gpt-4o", CHAT)
    assert found == counted({"messages": [ASK, ANSWER, ASK]}, "gpt-4o", CHAT)


@pytest.mark.parametrize("split", [pytest.param(False, id="one text"), pytest.param(True, id="two")])
def test_a_breakpoint_of_the_cache_ends_a_text(split: bool) -> None:
    """Texts that follow each other are one, but not across a breakpoint."""
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}} if split else {}
    parts = [{"type": "text", "text": "Be brief.", **mark}, {"type": "text", "text": "How?"}]
    found = counted({"messages": [{"role": "user", "content": parts}]}, "gpt-5.6-terra", CHAT).likely
    texts = ("Be brief.", "How?") if split else ("Be brief.How?",)
    assert found == 2 + 4 + tokens_of(*texts)


@pytest.mark.parametrize(
    ("endpoint", "less"), [pytest.param(CHAT, 1, id=CHAT), pytest.param(RESPONSES, 0, id=RESPONSES)]
)
def test_results_of_one_turn_are_lines(endpoint: str, less: int) -> None:
    """On Chat Completions results follow each other in lines, whose ends are one token with a mark."""
    call, first, last = PAIR
    marked = {**first, "content": "noon."}
    found = counted({"messages": [ASK, call, first, last]}, "gpt-4o", endpoint).likely
    assert counted({"messages": [ASK, call, marked, last]}, "gpt-4o", endpoint).likely == found + 1 - less
    assert counted({"messages": [ASK, call, first, marked]}, "gpt-4o", endpoint).likely == found + 1


FORCED = {"type": "function", "name": "temperature"}
CHOICES = {
    "named, gpt-4o on Chat Completions": ({"tool_choice": FORCED}, "gpt-4o", CHAT, 7 + 1),
    "named, gpt-4o on Responses": ({"tool_choice": FORCED}, "gpt-4o", RESPONSES, 7 + 1),
    "named, gpt-5.4 on Responses": ({"tool_choice": FORCED}, "gpt-5.4", RESPONSES, 0),
    "one required, gpt-4o on Chat Completions": ({"tool_choice": "required"}, "gpt-4o", CHAT, 0),
    "one required, gpt-4o on Responses": ({"tool_choice": "required"}, "gpt-4o", RESPONSES, 7 + 1),
    "one required of two": ({"tool_choice": "required", "tools": [TEMPERATURE, NOW]}, "gpt-4o", RESPONSES, 0),
    "left open": ({"tool_choice": "auto"}, "gpt-4o", RESPONSES, 0),
}


@pytest.mark.parametrize(("asked", "model", "endpoint", "more"), CHOICES.values(), ids=CHOICES.keys())
def test_a_function_that_has_to_be_called(
    asked: dict[str, Any], model: str, endpoint: str, more: int
) -> None:
    """The reply of gpt-4o is begun with the function that has to be called: its name and 7 tokens."""
    body = {"input": [ASK], "tools": [TEMPERATURE], **asked}
    free = {**body, "tool_choice": "auto"}
    assert counted(body, model, endpoint).likely - counted(free, model, endpoint).likely == more


FORM = {"type": "json_schema", "name": "heat", "schema": SCHEMA}
SHAPES = {
    "a schema": ([ASK], [], 12 + SHOWN + 10 + 2 + 1),
    "behind a system message": ([SYSTEM, ASK], [], 19 + SHOWN + 6 + 2 + 1),
    "with an answer before": ([ASK, ANSWER, ASK], [], 27 + SHOWN + 10 + 2 * (2 + 1)),
    "with functions": ([ASK], [NOW], 12 + SHOWN + 10 + 2 + 1 + ONE + 9 - 7),
}


@pytest.mark.parametrize(("messages", "tools", "tokens"), SHAPES.values(), ids=SHAPES.keys())
def test_answers_in_a_shape(messages: list[Any], tools: list[dict[str, Any]], tokens: int) -> None:
    """On Chat Completions each answer names its schema; functions and a schema share what opens them."""
    body = {"messages": messages, "tools": [*map(chat, tools)], "response_format": FORM}
    assert counted(body, "gpt-4o", CHAT).likely == tokens


KEEPING = {
    "a stored call": ({}, 2),
    "not stored": ({"store": False}, 0),
    "beside another one": ({"input": [ASK, *[{**item, "id": "fc_1"} for item in ITEMS[:1]], *ITEMS]}, 0),
}


@pytest.mark.parametrize(("asked", "more"), KEEPING.values(), ids=KEEPING.keys())
def test_a_call_that_is_stored(asked: dict[str, Any], more: int) -> None:
    """A call given with its id is shown as it was made, which costs gpt-4o 0 or 3 tokens on Responses."""
    body = {"input": [ASK, {**ITEMS[0], "id": "fc_1"}, ITEMS[1]], **asked}
    items = [{key: item for key, item in row.items() if key != "id"} for row in body["input"]]
    found = counted(body, "gpt-4o", RESPONSES).likely
    assert found - counted({"input": items}, "gpt-4o", RESPONSES).likely == more


def test_a_name_is_not_said_beside_a_call() -> None:
    """Who calls may have a name; the turn says nothing for that."""
    named = [{**TURN[0], "name": "Ada"}, TURN[1]]
    for model, more in (("gpt-4o", 1), ("gpt-5.4", 2)):
        found = counted({"messages": [ASK, *named]}, model, CHAT).likely
        assert found == counted({"messages": [ASK, *TURN]}, model, CHAT).likely + more


@pytest.mark.parametrize(
    ("model", "endpoint", "tokens"),
    [
        pytest.param("gpt-4o", RESPONSES, 12 + SHOWN + 7, id="gpt-4o"),
        pytest.param("gpt-5.4", RESPONSES, 11 + SHOWN + 6, id="gpt-5.4"),
        pytest.param("gpt-5.4", CHAT, 11 + SHOWN + 6 + 2 + 1, id="gpt-5.4 on Chat Completions"),
    ],
)
def test_schemas(model: str, endpoint: str, tokens: int) -> None:
    """An output schema costs its JSON without its limits, its name, and a frame."""
    form = {"type": "json_schema", "name": "heat", "schema": {**SCHEMA, "additionalProperties": False}}
    assert counted({"input": [ASK], "text": {"format": form}}, model, endpoint).likely == tokens


@pytest.mark.parametrize(
    ("items", "messages"), [(ITEMS, TURN), ([ITEMS[0], *ITEMS, ITEMS[1]], PAIR)], ids=["one", "two in a turn"]
)
def test_items_count_like_messages(items: list[Any], messages: list[Any]) -> None:
    """Calls in the form of Responses count as the same calls in the form of Chat Completions do."""
    for model, endpoint in (("gpt-4o", CHAT), ("gpt-5.4", RESPONSES)):
        found = counted({"input": [ASK, *items]}, model, endpoint)
        assert found == counted({"messages": [ASK, *messages]}, model, endpoint)


def test_a_name_counts_its_own_tokens_only() -> None:
    """A name adds its tokens to a message, and nothing else."""
    named = counted({"messages": [{**ASK, "name": "Ada"}]}, "gpt-4o", CHAT)
    assert named.likely == 12 + 1


def test_ids_of_calls_cost_nothing() -> None:
    """The model never sees the id of a call."""
    long = [{**TURN[0], "tool_calls": [{**CALL, "id": "c" * 64}]}, {**TURN[1], "tool_call_id": "c" * 64}]
    assert counted({"messages": [ASK, *long]}, "gpt-4o", CHAT) == counted(
        {"messages": [ASK, *TURN]}, "gpt-4o", CHAT
    )


def test_arguments_count_without_their_spaces() -> None:
    """The arguments of a call are shown to the model as compact JSON, however they were sent."""
    loose, tight = (
        counted(
            {
                "messages": [
                    ASK,
                    {**TURN[0], "tool_calls": [{**CALL, "function": {"name": "now", "arguments": text}}]},
                    TURN[1],
                ]
            },
            "gpt-4o",
            CHAT,
        )
        for text in ('{"a": 1, "b": 2}', '{"a":1,"b":2}')
    )
    assert loose == tight


def test_facts_without_frames_count_alike_everywhere() -> None:
    """Of facts that somebody wrote down nothing is added or taken away."""
    facts = RequestFacts(tokens=TokenCount.of(100))
    for model in CATALOG:
        for endpoint in model.endpoints:
            assert tokens_for(facts, model, endpoint) == TokenCount.of(0), (model.id, endpoint)


def test_the_reference_is_gpt_4o_on_chat_completions() -> None:
    """The catalog's figures of the reference are those that the core counts by."""
    framing = CATALOG.get("gpt-4o").framing[CHAT]
    for framed in (PLAIN, Framed(1, 2, 3, 1, 1, 4, 0, 1), Framed(1, 2, 3, 1, 1, 4, 1, 1)):
        assert framing.beside(framed) == 0


def test_every_model_with_an_endpoint_of_ours_has_a_framing() -> None:
    """No model of the provider's own is counted by another one's frames for want of data."""
    without = [
        (model.id, endpoint)
        for model in CATALOG
        for endpoint in model.endpoints
        if endpoint != "realtime" and endpoint not in model.framing
    ]
    assert without == []


def test_frames_survive_a_log() -> None:
    """Facts that are written to a log and read again count the same."""
    facts = read_openai({"messages": [SYSTEM, ASK, *TURN, ANSWER, ASK], "tools": [chat(NOW)]}).facts
    assert RequestFacts.from_dict(facts.to_dict()) == facts
    assert REFERENCE.of(facts.framed) == 3 + 4 + 6 - 1


def test_one_call_at_a_time() -> None:
    """Calling functions one at a time is told to gpt-5 and later on Responses, which costs tokens."""
    many, one = (
        counted({"input": [ASK], "tools": [NOW], **more}, "gpt-5-nano", RESPONSES).likely
        for more in ({}, {"parallel_tool_calls": False})
    )
    assert one - many == 78


def test_functions_count_as_tools_do() -> None:
    """Functions in the form that came before tools cost what tools cost."""
    old = {"messages": [ASK], "functions": [chat(NOW)["function"]]}
    assert counted(old, "gpt-4o", CHAT) == counted({"messages": [ASK], "tools": [chat(NOW)]}, "gpt-4o", CHAT)


THOUGHT = {"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "x" * 2_800}


NOW_ON, EARLIER = [ASK, THOUGHT, *ITEMS], [ASK, THOUGHT, *ITEMS, ASK]
REASONED = {
    "for the turn that goes on": (NOW_ON, "gpt-5", None, 300),
    "for an earlier turn": (EARLIER, "gpt-5", None, 0),
    "for an earlier turn, gpt-5.6": (EARLIER, "gpt-5.6-luna", None, 300),
    "for an earlier turn, asked for": (EARLIER, "gpt-5.4", "all_turns", 300),
    "for an earlier turn, not wanted": (EARLIER, "gpt-5.6-luna", "current_turn", 0),
    "for turns that do not reason": (NOW_ON, "gpt-4o", None, 0),
}


@pytest.mark.parametrize(("items", "model", "context", "tokens"), REASONED.values(), ids=REASONED.keys())
def test_reasoning_handed_back(items: list[Any], model: str, context: str | None, tokens: int) -> None:
    """Reasoning counts by the length of its encrypted form: of its turn, and from gpt-5.6 on of all turns."""
    without = [item for item in items if item is not THOUGHT]
    asked = {"reasoning": {"context": context}} if context else {}
    found = [counted({"input": held, **asked}, model, RESPONSES) for held in (items, without)]
    assert found[0].likely - found[1].likely == tokens
    assert found[0].low <= found[1].high + tokens <= found[0].high + tokens


LATER = {
    "functions": ([NOW], "gpt-5-nano", [], True, 86),
    "of gpt-6": ([NOW], "gpt-6-luna", [], True, 86),
    "beside a search for functions": (
        [NOW],
        "gpt-5.6-luna",
        [{"type": "tool_search"}],
        False,
        0,
    ),
}


@pytest.mark.parametrize(("tools", "model", "hosted", "bounded", "around"), LATER.values(), ids=LATER.keys())
def test_functions_offered_later(
    tools: list[Any], model: str, hosted: list[Any], bounded: bool, around: int
) -> None:
    """A list of functions among the items costs its text, a message and what says how they are called."""
    item = {"type": "additional_tools", "role": "developer", "tools": tools}
    mark = {"role": "assistant", "content": ""}
    text = Counting((namespace(tools),)).exact()
    found, without = (
        counted({"input": [ASK, held], "tools": hosted}, model, RESPONSES) for held in (item, mark)
    )
    assert found.likely - without.likely == text + around
    assert found.bounded is bounded


def test_what_is_offered_later_is_a_list_of_objects() -> None:
    """Anything else is the caller's error."""
    with pytest.raises(RequestError, match="additional_tools"):
        read_openai({"input": [ASK, {"type": "additional_tools", "tools": "all"}]})


def test_a_custom_tool_may_cost_less() -> None:
    """gpt-5 was billed without the words for plain text on its first day: bounds hold for both."""
    tool = {"type": "custom", "name": "run", "description": "Run code."}
    found = counted({"input": [ASK], "tools": [tool]}, "gpt-5", RESPONSES)
    assert found.low <= found.likely - 13


def picture(url: str) -> dict[str, Any]:
    """Return a request with an image."""
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


def test_an_image_by_url_is_typical_for_money_and_the_worst_for_limits() -> None:
    """Nobody knows how large it is: it is expected to have 512 pixels a side, and may fill the rule."""
    small, large = (
        counted(picture("https://example.org/a.png"), model, CHAT) for model in ("gpt-4o", "gpt-5.6-luna")
    )
    assert (small.likely, small.high) == (7 + 85 + 170, 7 + 85 + 8 * 170 + 4)
    assert (large.likely, large.high) == (6 + 308, 6 + 36_000 + 4)


def test_hosted_tools_cost_before_they_are_used() -> None:
    """The description of a hosted tool is part of the prompt."""
    found = [
        counted({"input": [ASK], "tools": tools}, "gpt-4.1", RESPONSES).likely
        for tools in ([], [{"type": "web_search"}])
    ]
    assert found[1] - found[0] == 294


def document(name: str, kind: str, data: bytes) -> dict[str, Any]:
    """Return a request with a file."""
    text = base64.b64encode(data).decode()
    block = {"type": "input_file", "filename": name, "file_data": f"data:{kind};base64,{text}"}
    return {"input": [{"role": "user", "content": [block]}]}


def office(**parts: str) -> bytes:
    """Pack an Office file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in parts.items():
            archive.writestr(path.replace("__", "/") + ".xml", text)
    return packed.getvalue()


OFFICE_TYPE = "application/vnd.openxmlformats-officedocument"
WORDS = "<w:p><w:t>Budget of the</w:t> <w:t xml:space='preserve'> year</w:t></w:p>"
SHARED, CELLS = "<sst><si><t>label</t></si></sst>", "<row><c><v>7</v></c></row>"
OFFICE = {
    "docx": (office(word__document=WORDS), "Budget of the\n year"),
    "xlsx": (office(xl__sharedStrings=SHARED, xl__worksheets__sheet1=CELLS), "label\n7"),
    "pptx": (office(ppt__slides__slide1="<p:sld><a:t>Agenda</a:t></p:sld>"), "Agenda"),
}


@pytest.mark.parametrize(("data", "text"), OFFICE.values(), ids=OFFICE.keys())
def test_office_files_count_by_their_text(data: bytes, text: str) -> None:
    """Of a file in Office's formats the text counts; limits leave room for more."""
    found = counted(document("a.bin", OFFICE_TYPE, data), "gpt-5.4", RESPONSES)
    assert found.likely == 6 + 12 + tokens_of(text)
    assert found.high >= len(data)


def test_any_other_file_is_guessed() -> None:
    """A file of which nothing can be read counts an eighth of its bytes for money, and all for limits."""
    found = counted(document("a.bin", "application/octet-stream", bytes(800)), "gpt-5.4", RESPONSES)
    assert found.likely == 6 + 12 + 100
    assert found.high >= 800


def test_an_archive_that_is_no_document_is_not_unpacked() -> None:
    """An archive of other things is any other file."""
    data = office(readme="hello")
    found = counted(document("a.zip", "application/zip", data), "gpt-5.4", RESPONSES)
    assert found.likely == 6 + 12 + len(data) // 8
