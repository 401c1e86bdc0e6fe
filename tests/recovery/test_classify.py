"""Errors of every kind become the right facts, from the bodies that the API is known to send."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import httpx
import openai
import pytest
from adapter_fixtures import TODAY
from pydantic import BaseModel, ValidationError, field_validator

from routed_llm import IncompleteStream
from routed_llm.recovery import ErrorKind, classify_error
from routed_llm.simulator import Simulator, serve

K = ErrorKind
BODIES: dict[str, dict[str, Any]] = tomllib.loads(
    files("routed_llm.simulator").joinpath("data/errors.toml").read_text(encoding="utf-8")
)

# Every body in the simulator's data that is not simply a request that no model would take.
KINDS = {
    "model_not_found_responses": K.NOT_FOUND,
    "no_key": K.AUTHENTICATION,
    "wrong_key": K.AUTHENTICATION,
    "unsupported_parameter": K.PARAMETER,
    "unsupported_parameter_null_code": K.PARAMETER,
    "unsupported_parameter_use": K.PARAMETER,
    "unsupported_value_default": K.PARAMETER,
    "unsupported_value": K.PARAMETER,
    "unsupported_effort_responses": K.PARAMETER,
    "cache_retention": K.PARAMETER,
    "cache_breakpoint": K.PARAMETER,
    "tools_with_effort": K.PARAMETER,
    "tools_without_none": K.PARAMETER,
    "search_parameter": K.PARAMETER,
    "search_parameters": K.PARAMETER,
    "prediction_with": K.PARAMETER,
    "included_logprobs": K.PARAMETER,
    "encrypted_reasoning": K.PARAMETER,
    "cut_short": K.CUT_SHORT,
    "encrypted_content": K.STATE,
    "item_not_stored": K.STATE,
    "reasoning_missing": K.STATE,
    "reasoning_alone": K.STATE,
    "reasoning_to_plain_model": K.STATE,
    "audio_modality": K.PARAMETER,
    "audio_stream_format": K.PARAMETER,
    "model_not_found": K.NOT_FOUND,
    "model_retired": K.NOT_FOUND,
    "responses_only": K.ENDPOINT,
    "not_a_chat_model": K.ENDPOINT,
    "not_in_responses": K.ENDPOINT,
    "image_to_text_model": K.MODALITY,
    "image_to_audio_model": K.MODALITY,
    "audio_to_text_model": K.MODALITY,
    "audio_model_without_audio": K.MODALITY,
    "image_patches": K.MODALITY,
    "output_cap": K.OUTPUT_CAP,
    "output_cap_responses": K.OUTPUT_CAP,
    "context_shared": K.CONTEXT,
    "context_with_output": K.CONTEXT,
    "context_input_limit": K.CONTEXT,
    "context_responses": K.CONTEXT,
    "rate_limit": K.RATE_LIMIT,
    "request_too_large": K.TOO_LARGE,
    "insufficient_quota": K.QUOTA,
    # A conflict is told by its status, and OpenAI's SDK sends it again.
    "batch_not_cancellable": K.SERVER,
    "server_error": K.SERVER,
    "overloaded": K.SERVER,
    "stream_error": K.SERVER,
}


def filled(row: dict[str, Any]) -> dict[str, Any]:
    """Return an error body as it is sent, its placeholders filled with plausible values."""
    fill = {
        "param": "max_output_tokens" if "max_output_tokens" in row["message"] else "temperature",
        "unit": "tokens", "wait": "1.5s", "tokens": "140000", "total": "140000", "window": "128000",
    }  # fmt: skip

    class Seven(dict[str, Any]):
        def __missing__(self, key: str) -> str:
            return "7"

    body = {"type": "invalid_request_error", "param": None, "code": None, **row}
    return {k: v.format_map(Seven(fill)) if isinstance(v, str) else v for k, v in body.items()}


TOLD_BY_CODE = {
    "included_logprobs",
    "model_not_found",
    "model_not_found_responses",
    "model_retired",
    "not_in_responses",
    "image_patches",
    "output_cap_responses",
}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((name, "its code") for name in BODIES),
        *((name, "null") for name in BODIES if name not in TOLD_BY_CODE),
    ],
)
def test_every_known_body(name: str, code: str) -> None:
    """Every error body known from the live API is told apart, without its code where words tell."""
    body = filled(BODIES[name])
    if code == "null":
        body["code"] = None
    status = body.pop("status", 400)
    facts = classify_error({"status": status, "error": body})
    assert facts.kind == KINDS.get(name, K.INVALID)
    assert (facts.status, facts.message) == (status, body["message"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": "server_is_overloaded", "message": "Our servers are currently overloaded."}, K.SERVER),
        ({"code": "context_length_exceeded", "type": "invalid_request_error", "message": "x"}, K.CONTEXT),
        ({"type": "server_error", "message": "The server experienced an error"}, K.SERVER),
        ({"type": "invalid_request_error", "message": "Something about the request"}, K.INVALID),
        ({"message": "Something went wrong"}, K.SERVER),
        ({"code": "insufficient_quota", "message": "x"}, K.QUOTA),
        ({"code": "rate_limit_exceeded", "message": "Request too large for gpt-5.6-luna in"}, K.TOO_LARGE),
        ({"code": "invalid_prompt", "message": "Invalid prompt: your prompt was flagged"}, K.CONTENT),
    ],
    ids=["overloaded", "context", "server", "request", "unexplained", "quota", "too large", "policy"],
)
def test_errors_inside_a_stream(body: dict[str, Any], kind: ErrorKind) -> None:
    """An error inside a 200 has no status; its code, type and words tell."""
    assert classify_error(body).kind == kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, "<html>Bad gateway</html>", K.SERVER),
        (504, "", K.SERVER),
        (408, {}, K.TIMEOUT),
        (409, {}, K.SERVER),
        (429, {}, K.RATE_LIMIT),
        (403, {"code": "model_not_found"}, K.NOT_FOUND),
        (403, {"code": "unsupported_country_region_territory"}, K.AUTHENTICATION),
        (404, {"message": "Invalid URL (POST /v2)"}, K.INVALID),
        (422, {}, K.INVALID),
    ],
)
def test_status(status: int, body: Any, kind: ErrorKind) -> None:
    """Where the body says nothing, the status tells."""
    row = body if isinstance(body, dict) else {"message": body}
    assert classify_error({"status": status, **row}).kind == kind


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({"Retry-After": "9"}, "Please try again in 644ms.", 9.0),
        ({}, "Limit 1, Used 1. Please try again in 644ms. Visit", 0.644),
        ({}, "Please try again in 1.2s.", 1.2),
        ({}, "Please try again in 6m0s.", 360.0),
        ({}, "Please try again in 1h2m3.5s.", 3723.5),
        ({}, "Please retry after 26 seconds.", 26.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, "", 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-3"}, "", 0.0),
        ({}, "No word of a time.", None),
    ],
    ids=["ms first", "header before words", "ms", "s", "m", "h", "azure", "date", "date alone", "word",
         "negative", "none"],
)  # fmt: skip
def test_retry_after(headers: dict[str, str], message: str, seconds: float | None) -> None:
    """How long to wait is read from either header, else from the words."""
    assert classify_error({"status": 429, "headers": headers, "message": message}).retry_after == seconds


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ("This model's maximum context length is 128000 tokens. However, your messages resulted in 192041 "
         "tokens. Please reduce the length of the messages.", 192041),
        ("This model's maximum context length is 8192 tokens. However, you requested 8256 tokens (64 in the "
         "messages, 8192 in the completion).", 8256),
        ("Your input exceeds the context window of this model.", None),
    ],
    ids=["input", "with output", "untold"],
)  # fmt: skip
def test_told_tokens(message: str, tokens: int | None) -> None:
    """A context error often says how long the request is."""
    assert classify_error({"status": 400, "message": message}).tokens == tokens


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyboardInterrupt(), TimeoutError(), ConnectionResetError(),
     openai.OpenAIError("no key"), KeyError("status_code")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_is_not_the_providers(error: BaseException) -> None:
    """Mistakes, interrupts and errors of other services are nobody's to recover from."""
    assert classify_error(error).kind == K.FOREIGN


def test_a_class_of_the_same_name_elsewhere() -> None:
    """Somebody else's APITimeoutError with a status is not the provider's."""

    class APITimeoutError(Exception):
        status_code = 504

    assert classify_error(APITimeoutError()).kind == K.FOREIGN


@pytest.mark.parametrize(
    ("address", "status", "message", "kind"),
    [
        ("https://api.openai.com/v1/chat/completions", 404, "Not found.", K.INVALID),
        ("https://eu.api.openai.com/v1/responses", 404, "", K.INVALID),
        ("https://api.openai.com/v1/responses", 400, "", K.INVALID),
        ("https://api.openai.com/v1/responses", 403, "Missing scopes: api.responses.write", K.NO_ENDPOINT),
        ("https://gateway.example/v1/responses", 404, "", K.NO_ENDPOINT),
        ("https://api.openai.com.example/v1/responses", 404, "", K.NO_ENDPOINT),
    ],
    ids=["OpenAI's", "a region's", "400", "a key's scope", "a gateway's", "a name like it"],
)
def test_openais_own_address_has_both_endpoints(
    address: str, status: int, message: str, kind: ErrorKind
) -> None:
    """Only what stands elsewhere may lack an endpoint; of OpenAI's own only a key may not use one."""
    response = httpx.Response(status, request=httpx.Request("POST", address))
    classes = {400: openai.BadRequestError, 403: openai.PermissionDeniedError, 404: openai.NotFoundError}
    assert classify_error(classes[status](message, response=response, body=None)).kind == kind


class Refused(BaseModel):
    """A form of answer that no answer has."""

    word: str

    @field_validator("word")
    @classmethod
    def refuse(cls, word: str) -> str:
        """Refuse every word."""
        raise ValueError(f"{word} is refused")


@pytest.mark.parametrize("endpoint", ["chat_completions", "responses"])
def test_what_the_model_wrote_is_no_broken_answer(endpoint: str) -> None:
    """A text that a program's own schema refuses is the program's business, on either endpoint."""
    said: Any = [{"role": "user", "content": "Hi"}]
    with serve(at=TODAY) as sim:
        sim.script('{"word": "good"}')
        client = openai.OpenAI(api_key="sk-test", base_url=sim.url, max_retries=0)
        ask: Any = {
            "responses": lambda: client.responses.parse(model="gpt-4o", input="Hi", text_format=Refused),
            "chat_completions": lambda: client.chat.completions.parse(
                model="gpt-4o", messages=said, response_format=Refused
            ),
        }[endpoint]
        with pytest.raises(ValidationError) as caught:
            ask()
    assert classify_error(caught.value, answered=True).kind == K.FOREIGN


REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.RemoteProtocolError("peer closed connection"), K.CONNECTION),
        (httpx.ReadError("reset"), K.CONNECTION),
        (httpx.ConnectError("refused"), K.CONNECTION),
        (httpx.ReadTimeout("slow"), K.TIMEOUT),
        (httpx.PoolTimeout("full"), K.TIMEOUT),
        (IncompleteStream(received="half"), K.INCOMPLETE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_broken_transport(error: Exception, kind: ErrorKind) -> None:
    """What the SDK lets through from its HTTP client is known by its class."""
    assert classify_error(error).kind == kind


@pytest.fixture(scope="module")
def server() -> Any:
    """One simulator for this module."""
    with serve(at=TODAY) as simulator:
        yield simulator


@pytest.mark.parametrize(
    ("fault", "kind", "status", "wait"),
    [
        ("429;seconds=2", K.RATE_LIMIT, 429, 2.0),
        ("429_no_headers;seconds=1.5", K.RATE_LIMIT, 429, 1.5),
        ("tpm_too_large", K.TOO_LARGE, 429, None),
        ("insufficient_quota", K.QUOTA, 429, None),
        ("500", K.SERVER, 500, None),
        ("502_html", K.SERVER, 502, None),
        ("503", K.SERVER, 503, None),
        ("cut", K.CONNECTION, None, None),
        ("hang;seconds=2", K.TIMEOUT, None, None),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat_completions", "responses"])
def test_the_sdks_exceptions(
    server: Simulator, endpoint: str, fault: str, kind: ErrorKind, status: int | None, wait: float | None
) -> None:
    """What the installed SDK raises for each fault of a server is read by its attributes."""
    server.reset()
    server.faults.add(fault)
    chat = [{"role": "user", "content": "Hi"}]
    timeout = 0.5 if "hang" in fault else 20
    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=timeout) as client:
        send: Callable[[], Any] = {
            "responses": lambda: client.responses.create(model="gpt-4o", input="Hi"),
            "chat_completions": lambda: client.chat.completions.create(model="gpt-4o", messages=chat),  # type: ignore[arg-type]
        }[endpoint]
        with pytest.raises(Exception) as info:  # noqa: PT011  the class differs between majors
            send()
    facts = classify_error(info.value)
    assert (facts.kind, facts.status, facts.retry_after) == (kind, status, wait)
    if status is not None:
        assert facts.endpoint == endpoint


@pytest.mark.parametrize(("fault", "kind"), [("sse_error", K.SERVER), ("cut", K.CONNECTION)])
def test_the_sdks_exceptions_in_a_stream(server: Simulator, fault: str, kind: ErrorKind) -> None:
    """An error event and a broken connection in a stream are told apart."""
    server.reset()
    server.faults.add(kind=fault)
    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        chat = [{"role": "user", "content": "Hi"}]
        stream = client.chat.completions.create(model="gpt-4o", messages=chat, stream=True)  # type: ignore[call-overload]
        with pytest.raises(Exception) as info:  # noqa: PT011
            list(stream)
    facts = classify_error(info.value, started=True)
    assert (facts.kind, facts.status, facts.started) == (kind, None, True)


@pytest.mark.parametrize(
    ("where", "kind"),
    [("openai._streaming", "unreadable"), ("my_program", "foreign"), ("openai.lib._parsing", "foreign")],
)
def test_what_is_no_json_in_a_stream(where: str, kind: str) -> None:
    """An event that the SDK cannot read is the provider's failure; a program's own JSON is not."""
    place: dict[str, object] = {"__name__": where, "json": json}
    exec("def read(text): return json.loads(text)", place)
    with pytest.raises(json.JSONDecodeError) as info:
        place["read"]("{")  # type: ignore[operator]
    assert classify_error(info.value).kind == kind


@pytest.mark.parametrize(
    ("status", "error", "unsure"),
    [
        pytest.param(500, {"message": "no", "type": "server_error"}, False, id="500 of the provider"),
        pytest.param(503, {"message": "no", "code": "overloaded"}, False, id="503 of the provider"),
        pytest.param(500, {"message": "<html>"}, True, id="500 of what stands before it"),
        pytest.param(503, {"message": "upstream connect error"}, True, id="503 of what stands before it"),
        pytest.param(502, {"message": "no", "type": "server_error"}, True, id="502 of anybody"),
        pytest.param(504, {"message": "no"}, True, id="504"),
        pytest.param(None, {"message": "no", "type": "server_error"}, True, id="inside a stream"),
        pytest.param(429, {"message": "no"}, False, id="429"),
        pytest.param(400, {"message": "<html>"}, False, id="400"),
        pytest.param(408, {"message": "no"}, True, id="408"),
    ],
)
def test_what_may_have_been_carried_out(status: int | None, error: dict[str, Any], unsure: bool) -> None:
    """Only what the provider itself refused is sure not to be billed; plain data and errors alike."""
    assert classify_error({"error": error, "status": status}).unsure == unsure
    request = httpx.Request("POST", "http://a/v1/chat/completions")
    raised: openai.APIError = openai.APIError("no", request=request, body=error)
    if status is not None:
        raised = openai.APIStatusError("no", response=httpx.Response(status, request=request), body=error)
    assert classify_error(raised).unsure == unsure


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("5", 5.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", 0.0),
        ("inf", 30 * 86_400),
        ("1e400", 30 * 86_400),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60.0),
        ("Tue, 20 Oct 2026 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 30 * 86_400),
        ("soon", None),
        ("5, 6", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("name", ["retry-after", "Retry-After", "RETRY-AFTER"])
def test_how_long_a_server_asks_to_wait(name: str, value: str, wait: float | None) -> None:
    """In any writing; never less than nothing, nor longer than a month."""
    headers = {name: value, "Date": "Wed, 21 Oct 2026 07:27:00 GMT"}
    facts = classify_error({"error": {"message": "no"}, "status": 429, "headers": headers})
    assert facts.retry_after == wait
