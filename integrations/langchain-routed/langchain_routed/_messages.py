"""LangChain's messages on the wire: as Chat Completions' messages or Responses' items, and back.

langchain-openai's own converters do the converting; here a conversation is made fit for the model and the
endpoint that were chosen. Nothing the user wrote is lost. Of an answer, its text and its tool calls always
stay; what belongs to one model or endpoint only (reasoning, item ids, the work of hosted tools, audio ids)
goes back to the model it came from and is left out, or turned into text, for any other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_openai.chat_models._compat import _convert_from_v1_to_chat_completions
from langchain_openai.chat_models.base import (
    _construct_responses_api_input,
    _convert_message_to_dict,
    _make_computer_call_output_from_message,
    _make_custom_tool_output_from_message,
)

from routed_llm import Previous
from routed_llm.request.wire import ITEMS as WIRE_ITEMS
from routed_llm.request.wire import MEDIA, TEXTS, openai_part, spoken, text_part

__all__ = ["ITEMS", "PLAN", "ROUTING", "Conversation", "since"]

ROUTING: Final = "routing"
"""Key of ``response_metadata`` that holds the record of a decision."""

PLAN: Final = "routed_plan"
"""The keyword under which a decided call travels through LangChain's own methods."""

ITEMS: Final = "routed_items"
"""Key of ``additional_kwargs`` that holds the Responses items behind a plain answer."""

_V03: Final = ("reasoning", "tool_outputs", "__openai_function_call_ids__")
_ROLES: Final = {HumanMessage: "user", SystemMessage: "system", AIMessage: "assistant"}
_TOOLS: Final = "additional_tools"
_NO_ITEM: Final = "the Responses API has no input item of that type, so it cannot be placed in the request."
_CHATS: Final = ("image_url", "input_audio", "file")

_RESPONSES_ITEMS: Final = frozenset(
    {
        *("additional_tools", "apply_patch_call_output", "computer_call_output", "configuration_update"),
        *("custom_tool_call_output", "mcp_approval_response", "tool_search_output"),
    }
)
"""Types of blocks that only the Responses endpoint has; langchain-openai passes them on as items."""


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A conversation as the chosen model and endpoint can take it; the caller's messages stay as they are.

    Attributes:
        messages: the conversation.
        model: catalog id of the chosen model; None while it is read for the choice.
        on_responses: whether it goes to Responses.
        known: a function from a model's name to its catalog id, or None for a stranger.
        store: the request's ``store``; with False the provider looks nothing up that it has stored.
        stateless: whether nothing that the provider may have stored is to be referred to.
        brings_tools: whether a message may bring tools: only to who asks for Responses, as with ChatOpenAI.
    """

    messages: Sequence[BaseMessage]
    model: str | None
    on_responses: bool
    known: Callable[[str], str | None]
    store: Any = None
    stateless: bool = False
    brings_tools: bool = False

    # ----- who has answered before

    def _origin(self, message: AIMessage) -> tuple[str | None, Mapping[str, Any]]:
        """Return the catalog id of the model that made an answer, and its routing record (maybe empty)."""
        record = message.response_metadata.get(ROUTING)
        if isinstance(record, Mapping) and record.get("model"):
            return str(record["model"]), record
        name = message.response_metadata.get("model_name") or message.response_metadata.get("model")
        return (self.known(name) if isinstance(name, str) else None), {}

    def previous(self) -> Previous | None:
        """Tell who answered the turn before, by the last answer's metadata; None when nobody known did."""
        messages = self.messages
        for at in reversed(range(len(messages))):
            if isinstance(message := messages[at], AIMessage):
                break
        else:
            return None
        model, record = self._origin(message)
        if model is None:
            return None
        asked = {call["id"] for call in message.tool_calls}
        answered = {m.tool_call_id for m in messages[at + 1 :] if isinstance(m, ToolMessage)}
        return Previous(
            model=model,
            effort=record.get("effort"),
            endpoint=record.get("endpoint") or _endpoint_of(_id(message)),
            prefix_tokens=message.usage_metadata["input_tokens"] if message.usage_metadata else 0,
            in_tool_loop=bool(asked) and messages[-1].type == "tool" and asked <= answered,
        )

    def state_owner(
        self, response_id: str | None, *, chained: bool, carried: bool
    ) -> tuple[str | None, bool]:
        """Tell which model's stored state a request refers to, and whether it must.

        Args:
            response_id: the ``previous_response_id`` given for this call, or None.
            chained: whether langchain-openai will itself refer to the last response in the history.
            carried: whether the caller asked for reasoning that travels; where only a call's move to
                Responses did, its model is as free to change as on Chat Completions.

        Returns:
            The model's catalog id or None, and True when the state is the provider's alone, False when
            the request can also be made without it (encrypted reasoning, which can be left out).
        """
        for message in reversed(self.messages):
            if not isinstance(message, AIMessage):
                continue
            made = _id(message)
            if (response_id is not None and made == response_id) or (chained and made.startswith("resp_")):
                return self._origin(message)[0], True
            if response_id is None and not chained and carried and any(_travelling(message)):
                return self._origin(message)[0], False
        return None, False

    # ----- in OpenAI's words, and in LangChain's

    def as_chat(self) -> list[dict[str, Any]]:
        """Return it in the form of Chat Completions.

        For Responses the items of its own answers stand beside them, and what that endpoint alone has is
        among the messages as it is.
        """
        said: list[dict[str, Any]] = []
        for message in self.messages:
            if (plain := _plain(message)) is not None:
                said.append(plain)
            elif isinstance(message, AIMessage):
                said.append(self._chat_answer(message))
            else:
                said.extend(self._chat_input(message))
        return said

    def _chat_input(self, message: BaseMessage) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if self.on_responses and isinstance(message, ToolMessage):
            item = _make_computer_call_output_from_message(message)
            if item := item or _make_custom_tool_output_from_message(message):
                return [item]
        if isinstance(message.content, str):
            return [_as_dict(message)]
        if self.on_responses:
            brings = self.brings_tools and isinstance(message, SystemMessage)
            kinds = _RESPONSES_ITEMS if brings else _RESPONSES_ITEMS - {_TOOLS}
            items = [dict(_unwrapped(block)) for block in message.content if _is_item(block, kinds)]
            if items and len(items) == len(message.content):
                return items
            message = _with(message, [block for block in message.content if not _is_item(block, kinds)])
        message = _fit_blocks(message, on_responses=self.on_responses)
        if message.content and self.on_responses and self.model and not isinstance(message, ToolMessage):
            message = _with(message, [block for block in message.content if _is_known(block, message)])
        return [*items, _as_dict(message)]

    def _chat_answer(self, message: AIMessage) -> dict[str, Any]:
        extra = message.additional_kwargs
        special = extra and any(extra.get(key) for key in ("refusal", ITEMS, "audio", *_V03))
        calls = _calls_with_custom(message)
        if isinstance(message.content, str) and not (special or calls):
            return _convert_message_to_dict(message)
        own = self.model is not None and self._is_own(message)
        bare = _bare(message, keeps_audio=own and not self.on_responses)
        said = _as_dict(_convert_from_v1_to_chat_completions(bare))
        if calls:
            said["tool_calls"] = calls
        if self.on_responses and own:
            items = extra.get(ITEMS) or _construct_responses_api_input(
                [_with_calls(_as_made(message))], store=self.store
            )
            said[WIRE_ITEMS] = {"model": self.model, "items": items}
            custom = {item["call_id"]: item for item in items if item.get("type") == "custom_tool_call"}
            if custom and not calls:  # of which LangChain's own calls say that they are functions'
                shown = said.get("tool_calls") or ()
                said["tool_calls"] = [_custom(custom.get(call["id"]), call) for call in shown]
        return said

    def as_messages(self) -> list[BaseMessage]:
        """Return it in LangChain's words, for a model that writes its own bodies."""
        several = len({m.name for m in self.messages if isinstance(m, AIMessage)}) > 1
        sent: set[Any] = set()
        said = []
        for message in self.messages:
            speaks = self.on_responses and not isinstance(message, (ToolMessage, FunctionMessage))
            if isinstance(message, AIMessage):
                ids = {item["id"] for item in _made_of(message) if item.get("id")}
                own = self._is_own(message) and sent.isdisjoint(ids)  # no item may stand twice
                sent |= ids
                # The one assistant of a conversation is known, and so is who made items.
                speaks = speaks and several and not (own and ids)
                made = own and self.on_responses
                message = _as_made(message) if made else _bare(message, keeps_audio=own)
            elif not isinstance(message.content, str):
                message = _fit_blocks(message, on_responses=self.on_responses)
            if speaks and message.name:
                message = _with(message, spoken(message.content, message.name, "text"))
            said.append(_with_calls(message) if self.on_responses else message)
        return said

    def _is_own(self, message: AIMessage) -> bool:
        """Say whether what an answer is made of goes back: to its own model, where it is found."""
        # Beside reasoning that travels with the conversation, langchain-openai leaves out what does not.
        travels = _travelling(message) if self.store is False else ()
        return (
            not self.stateless
            and (self._origin(message)[0] == self.model or not _signed(message))
            and not (travels and not any(travels))
        )


def _id(message: AIMessage) -> str:
    return str(message.response_metadata.get("id") or "")


def _endpoint_of(identity: str) -> str | None:
    if identity.startswith("resp_"):
        return "responses"
    return "chat_completions" if identity.startswith("chatcmpl") else None


def _plain(message: BaseMessage) -> dict[str, Any] | None:
    """Return a message of nothing but a text, as most are, as langchain-openai writes it; None for others.

    It looks for blocks in a text by its characters, so that long ones take milliseconds.
    """
    content, extra = message.content, message.additional_kwargs
    if type(content) is not str or (extra and any(extra.values())):
        return None
    if type(message) is ToolMessage:
        return {"content": content, "role": "tool", "tool_call_id": message.tool_call_id}
    role = _ROLES.get(type(message))
    if role is None or message.name is not None:
        return None
    if isinstance(message, AIMessage) and (not content or message.tool_calls or message.invalid_tool_calls):
        return None
    return {"content": content, "role": role}


def _as_dict(message: BaseMessage) -> dict[str, Any]:
    """Return a message as langchain-openai writes it.

    It looks at the types of LangChain's blocks anew for each block, which takes 0.1 ms; so the blocks that
    are Chat Completions' own already do not pass it.
    """
    content: Any = message.content
    if isinstance(content, str) or not all(isinstance(b, dict) and _is_chats(b) for b in content):
        return _convert_message_to_dict(message)
    said = _convert_message_to_dict(_with(message, ""))
    return {**said, "content": content or said["content"]}


def _is_chats(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "text":
        return "source_type" not in block and "extras" not in block
    return kind in _CHATS and isinstance(block.get(kind), dict)


def _is_known(block: Any, message: BaseMessage) -> bool:
    """Say whether a block stays: as with langchain-openai, what no endpoint of OpenAI's has does not."""
    kind = _unwrapped(block)["type"]
    if kind in TEXTS or kind in MEDIA or kind == _TOOLS:  # langchain-openai says where tools may stand
        return True
    if isinstance(message, SystemMessage):
        warnings.warn(f"Content block {kind!r} was dropped from a system message: {_NO_ITEM}", stacklevel=2)
    return False


def _with_calls(message: BaseMessage) -> BaseMessage:
    """Return an answer whose calls of custom tools stand among its blocks, in the order of all its calls.

    langchain-openai takes every other call for a function's.
    """
    calls = _calls_with_custom(message)
    if not calls:
        return message
    said: Any = message.content
    if isinstance(said, str):
        said = [{"type": "text", "text": said}] if said else []
    types = {"custom": "custom_tool_call", "function": "function_call"}
    made = [{"type": types[call["type"]], "call_id": call["id"], **call[call["type"]]} for call in calls]
    return _with(message, [*said, *made])


def _calls_with_custom(message: BaseMessage) -> list[dict[str, Any]]:
    """Return an answer's calls where some are of custom tools, for which LangChain has no field."""
    calls = message.additional_kwargs.get("tool_calls") or []
    return calls if any(call["type"] == "custom" for call in calls) else []


def _custom(item: Mapping[str, Any] | None, call: dict[str, Any]) -> dict[str, Any]:
    if item is None:
        return call
    return {"id": call["id"], "type": "custom", "custom": {"name": item["name"], "input": item["input"]}}


def _with(message: BaseMessage, content: Any) -> BaseMessage:
    return message.model_copy(update={"content": content})


def _is_item(block: Any, kinds: Set[str]) -> bool:
    return isinstance(block, Mapping) and _unwrapped(block).get("type") in kinds


def since(messages: Sequence[BaseMessage], response_id: str) -> Sequence[BaseMessage]:
    """Return the messages without those whose items a stored response has, which are refused as doubled."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, AIMessage) and message.response_metadata.get("id") == response_id:
            blocks = message.content if isinstance(message.content, list) else ()
            has_ids = any(isinstance(block, Mapping) and block.get("id") for block in blocks)
            named = message.tool_calls or ITEMS in message.additional_kwargs or has_ids
            return (messages[index + 1 :] if named else ()) or messages
    return messages


def _travelling(message: AIMessage) -> list[bool]:
    """Say of each reasoning of an answer whether it travels with the conversation."""
    return [
        bool(item.get("encrypted_content") or (item.get("extras") or {}).get("encrypted_content"))
        for item in _made_of(message)
        if item.get("type", "reasoning") == "reasoning"
    ]


def _made_of(message: AIMessage) -> list[Mapping[str, Any]]:
    """Return the items and the blocks that an answer is made of, wherever LangChain keeps them."""
    extra, content = message.additional_kwargs, message.content
    if not extra and isinstance(content, str):
        return []
    kept = [*extra.get(ITEMS, ()), extra.get("reasoning"), *([] if isinstance(content, str) else content)]
    return [item for item in kept if isinstance(item, Mapping)]


def _as_made(message: AIMessage) -> AIMessage:
    """Return an answer with what it is made of in its content, for the model that made it."""
    content, kept = message.content, dict(message.additional_kwargs)
    if any(key in kept for key in _V03):  # langchain-openai puts that form in order itself
        if kept.get("refusal") and not message.tool_calls:
            kept.pop("reasoning", None)
    else:
        kept.pop(ITEMS, None)
        content = _with_refusal(content, kept, on_responses=True)
    return message.model_copy(update={"content": content, "additional_kwargs": kept})


def _bare(message: AIMessage, *, keeps_audio: bool) -> AIMessage:
    """Return what of an answer means something to any model: its text and its calls."""
    content: Any = message.content
    kept = {k: v for k, v in message.additional_kwargs.items() if k != ITEMS and k not in _V03}
    # A voice answer is stored by the model that gave it; for any other only its transcript means something.
    audio = None if keeps_audio else kept.pop("audio", None)
    if isinstance(audio, Mapping) and audio.get("transcript") and not content:
        content = str(audio["transcript"])
    if not isinstance(content, str):
        blocks = [_chat_block(_unwrapped(block), keeps_audio=keeps_audio) for block in content]
        content = [block for block in blocks if block is not None] or ""
    content = _with_refusal(content, kept, on_responses=False)
    return message.model_copy(update={"content": content, "additional_kwargs": kept, "id": None})


def _chat_block(block: Any, *, keeps_audio: bool) -> Mapping[str, Any] | None:
    """Return a block of an answer for Chat Completions, without what is Responses' only; None for most."""
    if isinstance(block, str) or block.get("type") in TEXTS:
        return text_part(block)
    kind = block.get("type")
    if kind == "refusal":
        return {"type": "refusal", "refusal": block["refusal"]}
    if kind != "audio" or keeps_audio:
        return block if kind == "audio" else None
    said = block.get("transcript") or (block.get("extras") or {}).get("transcript") or ""
    return {"type": "text", "text": str(said)}


def _with_refusal(content: Any, kept: dict[str, Any], *, on_responses: bool) -> Any:
    """Move a refusal to where both endpoints take it.

    Beside blocks langchain-openai takes its key, even with None, for the mark of its oldest form of answers:
    it then repeats every call that is among the blocks, before them.
    """
    said = kept.pop("refusal", None)
    blocks = [{"type": "text", "text": content}] if content and isinstance(content, str) else content or []
    refuses = any(_is_item(block, {"refusal"}) for block in blocks)
    # Chat Completions takes a refusal alone.
    if not said or refuses or (blocks and not on_responses):
        return content
    return [*blocks, {"type": "refusal", "refusal": said}]


def _unwrapped(block: Any) -> Any:
    """Return what LangChain's standard form wraps because it has no word for it."""
    if isinstance(block, Mapping) and block.get("type") == "non_standard":
        return block["value"] if isinstance(block.get("value"), Mapping) else block
    return block


def _signed(message: AIMessage) -> bool:
    # An answer that names no model is the caller's own make: it goes on as ChatOpenAI would send it.
    metadata = message.response_metadata
    return any(metadata.get(key) for key in (ROUTING, "model_name", "model", "model_provider"))


def _fit_blocks(message: BaseMessage, *, on_responses: bool) -> BaseMessage:
    """Return a message whose blocks can be written; what is in the form of Chat Completions can."""
    if not message.content:
        # langchain-openai makes no item of a message without blocks, and an input of no items is refused.
        return _with(message, "") if on_responses else message
    blocks = [openai_part(block, on_responses=on_responses) for block in message.content]
    if all(new is old for new, old in zip(blocks, message.content, strict=True)):
        return message
    return _with(message, blocks)
