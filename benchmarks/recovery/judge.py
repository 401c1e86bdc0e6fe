"""Says which models would have taken a request, by asking the simulator; the catalog is not asked.

The request is sent as it was made to each model that is asked about, on both endpoints and, where the caller
named none, with each reasoning effort; without the parameters of taste, unless the policy wants them kept.
What the request means (its messages, tools, form of output, cap, ``n``, ``stop``, ``logprobs`` and so on) is
never touched.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from routed_llm.simulator.faults import FaultPlan
from routed_llm.simulator.service import Service

__all__ = ["EFFORTS", "PATHS", "Judge", "takers"]

TASTE = frozenset(
    {"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "verbosity"}
    | {"prompt_cache_retention", "prompt_cache_key"}
)
"""Parameters whose loss changes taste or price and never what a program means."""
ONLY_CHAT = frozenset(
    {"seed", "n", "logit_bias", "presence_penalty", "frequency_penalty", "stop", "prediction"}
)
CAPS = ("max_tokens", "max_completion_tokens")
PATHS = ("/v1/chat/completions", "/v1/responses")
EFFORTS = (None, "none", "minimal", "low", "medium", "high", "xhigh")


def takers(
    judge: Judge,
    models: Mapping[str, Collection[str | None]],
    messages: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    *,
    stream: bool = False,
    taste: bool = False,
    paths: Sequence[str] = PATHS,
) -> dict[str, str]:
    """Return the models that would have taken a request, with the endpoint and effort of it.

    Args:
        judge: what is asked.
        models: the ids to try, and the efforts that will do, unless the parameters name one.
        messages: the conversation, in the form of Chat Completions.
        parameters: everything else of the request.
        stream: whether the answer is to be streamed.
        taste: whether the parameters of taste have to be taken, too.
        paths: the endpoints that can be sent to at all.
    """
    found: dict[str, str] = {}
    taste = taste or "prediction" in parameters  # what excludes what is not a matter of taste
    plain = {name: value for name, value in parameters.items() if taste or name not in TASTE}
    given = parameters.get("reasoning_effort")
    for model, offered in models.items():
        efforts = [one for one in sorted(offered, key=str) if given in (None, one)]
        for path, body in _bodies(model, messages, plain, efforts, stream=stream):
            if path in paths and judge.takes(path, body):
                used = body.get("reasoning_effort", (body.get("reasoning") or {}).get("effort"))
                found[model] = f"{path} effort={used}"
                break
    return found


class Judge:
    """The simulated service without its transport.

    Args:
        day: the date that it judges for.
    """

    def __init__(self, day: date) -> None:
        self._service = Service(at=day, seed=0, api_key=None, faults=FaultPlan())

    def takes(self, path: str, body: Mapping[str, Any]) -> bool:
        """Say whether a request is answered."""
        book = self._service.journal.open("POST", path, 0, {})
        content = json.dumps(body).encode()
        status = self._service.handle("POST", path, {"authorization": "Bearer x"}, content, book).status
        self._service.reset()
        return status == 200 and not book.message

    def alive(self) -> list[str]:
        """List the ids that are offered, snapshots left out."""
        book = self._service.journal.open("GET", "/v1/models", 0, {})
        reply = self._service.handle("GET", "/v1/models", {"authorization": "Bearer x"}, b"", book)
        return [row["id"] for row in reply.body["data"] if not row["id"][-2:].isdigit()]


def _bodies(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    efforts: Sequence[str | None],
    *,
    stream: bool,
) -> Iterator[tuple[str, dict[str, Any]]]:
    cap = next((parameters[name] for name in CAPS if name in parameters), None)
    rest = {k: v for k, v in parameters.items() if k not in CAPS and k != "reasoning_effort"}
    for name in ("stop", "logprobs"):  # an empty one asks for nothing
        if not rest.get(name):
            rest.pop(name, None)
    for effort, form in itertools.product(efforts, PATHS):
        body: dict[str, Any] = {"model": model}
        if form == "/v1/responses":
            if any(rest.get(name) not in (None, 1, {}) for name in ONLY_CHAT):
                continue
            body.update(_responses(messages, rest, cap, effort))
        else:
            body.update({**rest, "messages": list(messages)})
            body.update({} if cap is None else {"max_completion_tokens": cap})
            body.update({} if effort is None else {"reasoning_effort": effort})
        yield form, {**body, **({"stream": True} if stream else {})}


def _responses(
    messages: Sequence[Mapping[str, Any]], rest: Mapping[str, Any], cap: int | None, effort: str | None
) -> dict[str, Any]:
    body = {k: v for k, v in rest.items() if k not in {*ONLY_CHAT, "response_format", "tools", "tool_choice"}}
    body["input"] = [item for message in messages for item in _items(message)]
    if cap is not None:
        body["max_output_tokens"] = max(cap, 16)
    if effort is not None:
        body["reasoning"] = {"effort": effort}
    if "response_format" in rest:
        form = rest["response_format"]
        body["text"] = {"format": {"type": form["type"], **form.get("json_schema", {})}}
    if "tools" in rest:
        body["tools"] = [{"type": "function", "strict": False, **tool["function"]} for tool in rest["tools"]]
    choice = rest.get("tool_choice")
    if choice is not None:
        body["tool_choice"] = (
            choice if isinstance(choice, str) else {"type": "function", **choice["function"]}
        )
    return body


def _items(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content, role = message.get("content"), message["role"]
    if role == "tool":
        yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": content}
        return
    if content:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        yield {"role": role, "content": [_part(part, role) for part in parts]}
    for call in message.get("tool_calls", ()):
        yield {"type": "function_call", "call_id": call["id"], **call["function"]}


def _part(part: Mapping[str, Any], role: str) -> dict[str, Any]:
    if part["type"] == "image_url":
        image = part["image_url"]
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail", "auto")}
    if part["type"] == "file":
        return {"type": "input_file", **part["file"]}
    if part["type"] == "input_audio":
        return dict(part)
    return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
