"""What the constructor at a site asks for in every call, as the routed class in its place reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from routed_llm.migrate.found import Site
from routed_llm.migrate.rules.base import LLAMA_INDEX, UNKNOWN
from routed_llm.request import Request, RequestBuilder

__all__ = ["request_of"]

PROMPT: Final = "Summarise the report in three sentences and name its author."

_SETTINGS: Final = frozenset(
    """
    api_key api_version async_client azure_deployment azure_endpoint base_url cache callback_manager callbacks
    catalog client context_window custom_get_token_ids default_headers default_query disable_streaming
    disabled_params engine extra_body factory http_async_client http_client http_socket_options
    include_response_headers max_retries metadata model model_kwargs model_name name openai_api_base
    openai_api_key openai_organization openai_proxy organization output_version policy profile rate_limiter
    request_timeout root_async_client root_client router stream_chunk_timeout stream_usage streaming tags
    tiktoken_model_name timeout use_previous_response_id use_responses_api verbose
    """.split()  # noqa: SIM905 - one name after another is how it is read
)
"""ChatOpenAI's keywords that are no parameters of a call (langchain-openai 1.7.3); others are sent."""

_RESPONSES: Final = frozenset({"context_management", "include", "reasoning", "text", "truncation"})
"""Keywords for which ChatOpenAI goes to Responses (``_use_responses_api``, langchain-openai 1.7.3)."""

_LLAMA_INDEX: Final = ("temperature", "max_tokens", "reasoning_effort", "modalities")
"""OpenAI's keywords that are parameters of a call (llama-index-llms-openai 0.8)."""

_LLAMA_INDEX_TEMPERATURE: Final = 0.1
"""What LlamaIndex sends when no temperature is given (``DEFAULT_TEMPERATURE``, llama-index-core 0.14)."""

_TYPICAL: Final[Mapping[str, Any]] = {
    "temperature": 0.7,
    "top_p": 0.9,
    "max_tokens": 1000,
    "max_completion_tokens": 1000,
    "stop": ["\n"],
}
"""What stands for a value that is no literal."""

_TOOL: Final = {
    "type": "function",
    "function": {"name": "look_up", "description": "", "parameters": {"type": "object", "properties": {}}},
}
_SCHEMA: Final = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
}


def request_of(site: Site) -> Request:
    """Return a short request as the routed class at a site would read it.

    Raises:
        RequestError: for a parameter that no model takes.
    """
    builder = RequestBuilder()
    builder.message("user").text(PROMPT)
    given = dict(site.parameters)
    sent = _llama_index(given) if site.becomes == LLAMA_INDEX.name else _langchain(given, site.uses, builder)
    for name, value in sent.items():
        known = _TYPICAL.get(name) if value == UNKNOWN else value
        if known is not None:
            builder.set(name, known)
    if "stop" in site.uses:
        builder.set("stop", _TYPICAL["stop"])
    if "tools" in site.uses:
        builder.tools([_TOOL])
    if "structured" in site.uses:
        builder.set("response_format", _SCHEMA)
    return builder.emulates("stop").build()


def _langchain(given: Mapping[str, Any], uses: Sequence[str], builder: RequestBuilder) -> dict[str, Any]:
    more = given.get("model_kwargs")
    sent = {name: value for name, value in given.items() if name not in _SETTINGS}
    sent.update(more if isinstance(more, Mapping) else {})
    for name, alias in (("stop_sequences", "stop"), ("max_tokens", "max_completion_tokens")):
        if name in sent:
            sent.setdefault(alias, sent.pop(name))
    if "reasoning" in sent:
        sent["reasoning"] = sent.pop("reasoning")  # added last, as there: its effort wins
    on_responses = given.get("use_responses_api")
    if not isinstance(on_responses, bool):
        on_responses = any(sent.get(name) is not None for name in _RESPONSES)
        on_responses = (
            on_responses
            or given.get("output_version") == "responses/v1"
            or given.get("use_previous_response_id") is True
            # A form of answer beside tools that are not strict: the SDK has that there only.
            or ("tools" in uses and ("structured" in uses or sent.get("response_format") is not None))
        ) or None
    if on_responses is not None:
        builder.endpoint("responses" if on_responses else "chat_completions")
    if given.get("streaming") is True:
        builder.set("stream", True)
    return sent


def _llama_index(given: Mapping[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = {"temperature": _LLAMA_INDEX_TEMPERATURE}
    sent.update((name, given[name]) for name in _LLAMA_INDEX if given.get(name) is not None)
    if given.get("max_output_tokens") is not None:
        sent["max_tokens"] = given["max_output_tokens"]
    if given.get("audio_config") is not None:
        sent["audio"] = given["audio_config"]
    if given.get("logprobs") is True:
        sent.update((name, given[name]) for name in ("logprobs", "top_logprobs") if name in given)
    more = given.get("additional_kwargs")
    return {**sent, **(more if isinstance(more, Mapping) else {})}
