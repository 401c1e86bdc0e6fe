"""The body of one request: what was asked, in the wire's words, made into what the chosen model is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import BaseMessage
from langchain_openai.chat_models.base import _construct_responses_api_payload, _get_last_messages

from langchain_routed._messages import Conversation, since
from langchain_routed._reading import NOT_SENT, PASSED_ON, as_form
from routed_llm import Change
from routed_llm.request.wire import request_body

if TYPE_CHECKING:
    from langchain_routed._plan import ParsedCall, PreparedCall
    from langchain_routed._planner import CallPlanner

__all__ = ["body_of", "conversation_of"]

_ENCRYPTED: Final = "reasoning.encrypted_content"
_TRAVELS: Final = {
    "parameter": "include",
    "action": "added",
    "before": None,
    "after": _ENCRYPTED,
    "why": "what is not stored must travel with the conversation",
}
_OPTIONS: Final = ("extra_body", "extra_headers", "extra_query", "timeout")


def body_of(
    planner: CallPlanner,
    asked: ParsedCall,
    prepared: PreparedCall,
    messages: Sequence[BaseMessage],
    *,
    stream: bool,
) -> dict[str, Any]:
    """Return the body to send for a decided call, with the SDK's options.

    Args:
        planner: where the call was planned.
        asked: the call.
        prepared: who sends it, where; hears what was changed.
        messages: the conversation.
        stream: whether the answer is streamed.
    """
    decision, call = prepared.decision, prepared.call
    on_responses = call.endpoint == "responses"
    given = _asked(planner, asked, prepared, messages, stream=stream)
    lost: dict[str, Any] = {}
    encrypted = on_responses and _takes_encrypted(planner, prepared)
    body = request_body(
        given, decision, own=lambda _: True, encrypted=encrypted, stream_usage=False, left_out=lost
    )
    included = body.get("include") or ()
    if encrypted and planner.unstored(asked) and _ENCRYPTED not in included:
        included = body["include"] = [*included, _ENCRYPTED]
    if _ENCRYPTED in included and _ENCRYPTED not in (given.get("include") or ()):
        prepared.note(_TRAVELS)
    for place in lost:
        why = f"{'Responses' if on_responses else 'Chat Completions'} has no place for it"
        prepared.note({**Change(place, "dropped", lost[place], None, why).to_dict()})
    if not on_responses and "max_tokens" in body and planner.owner.factory is None:
        body["max_completion_tokens"] = body.pop("max_tokens")  # as ChatOpenAI does
    if asked.nulls:
        body.update(dict.fromkeys(_harmless(planner, asked.nulls, prepared)))
    # A setting to stream, in a call that is not to, is sent on: it ends as with ChatOpenAI.
    body["stream"] = planner.owner.streaming and not decision.facts.stream
    body.pop("stream_options", None)
    kept = [*_OPTIONS, *([] if on_responses else ["strict"])]
    return {**body, **{name: prepared.shown[name] for name in kept if name in prepared.shown}}


def conversation_of(
    planner: CallPlanner, asked: ParsedCall, prepared: PreparedCall, messages: Sequence[BaseMessage]
) -> Conversation:
    """Return messages as the chosen model and endpoint can take them."""
    call, after = prepared.call, asked.parameters.get("previous_response_id")
    on_responses = call.endpoint == "responses"
    if on_responses and planner.owner.use_previous_response_id and not call.stateless:
        messages, _ = _get_last_messages(messages)
    elif after is not None:
        messages = since(messages, after)
    moved = on_responses and not planner.wants_responses(asked)
    return Conversation(
        messages=messages,
        model=str(prepared.decision.model),
        endpoint=call.endpoint,
        known=planner.known,
        store=False if planner.unstored(asked) else asked.parameters.get("store", False if moved else None),
        stateless=call.stateless,
    )


def _asked(
    planner: CallPlanner,
    asked: ParsedCall,
    prepared: PreparedCall,
    messages: Sequence[BaseMessage],
    *,
    stream: bool,
) -> dict[str, Any]:
    """Return what was asked as the wire takes it: in the form of the endpoint that the caller expects."""
    call = prepared.call
    on_responses = call.endpoint == "responses"
    own_form = on_responses and planner.wants_responses(asked)
    given = {name: value for name, value in asked.parameters.items() if name not in PASSED_ON}
    if on_responses and planner.owner.use_previous_response_id and not call.stateless:
        _, given["previous_response_id"] = _get_last_messages(messages)
    conversation = conversation_of(planner, asked, prepared, messages)
    strict = asked.parameters.get("strict")
    if own_form:
        more = {"stream": stream} if strict is None else {"stream": stream, "strict": strict}
        return {**_construct_responses_api_payload((), {**given, **more}), "input": conversation.as_items()}
    if on_responses and "response_format" in given:
        schema: Any = given.pop("response_format")
        if isinstance(schema, Mapping):
            lenient = strict is None
            given["response_format"] = schema if lenient else as_form(dict(schema), strict=strict)
        elif stream:
            given["response_format"] = as_form(schema, strict=True)
        else:
            given["text_format"] = schema  # the SDK writes it, and reads the answer by it
    return {**given, "messages": conversation.as_chat()}


def _takes_encrypted(planner: CallPlanner, prepared: PreparedCall) -> bool:
    """Say whether the model's reasoning can travel with the conversation."""
    call = prepared.call
    if call.effort in (None, "none") or _ENCRYPTED in call.dropped:
        return False
    rule = planner.router.catalog.get(str(prepared.decision.model)).parameters[call.endpoint].get(_ENCRYPTED)
    return rule is None or rule.accept != "no"


def _harmless(planner: CallPlanner, names: Sequence[str], prepared: PreparedCall) -> list[str]:
    """Return the parameters of which a null may be sent: those that the model takes whatever they are."""
    model, endpoint = str(prepared.decision.model), prepared.call.endpoint
    rules = planner.router.catalog.get(model).parameters.get(endpoint, {})
    absent = planner.router.catalog.endpoint(endpoint).absent
    return [name for name in names if not (name in rules or name in absent or name in NOT_SENT)]
