"""A pytest plugin that puts the routed clients in the place of the SDK's, before any test imports them.

The record of routing is left out of answers, since the SDK's tests compare whole objects.
"""

from __future__ import annotations

import json
import os
from typing import Any

import openai
import openai_routed

from routed_llm import Catalog, Policy, exchange
from routed_llm.calls import endpoint_call, endpoints

if os.environ.get("SDK_SWAP") == "routed":
    for name in ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"):
        setattr(openai, name, getattr(openai_routed, name))
    openai.Client, openai.AsyncClient = openai.OpenAI, openai.AsyncOpenAI

    if os.environ.get("SDK_RECORD") == "off":

        def complete(self: Any, answer: Any, record: dict[str, Any]) -> Any:
            """Return the response without the record."""
            served = _complete(self, answer, record)
            served.answer.pop("routing", None)
            return served

        _complete = endpoint_call.EndpointCall.complete
        endpoint_call.EndpointCall.complete = complete  # type: ignore[method-assign]
        endpoint_call.EventWriter._told = lambda self, part, record: part  # type: ignore[method-assign]

    # Their mocks answer with an empty body, or with no choices, which is one more failure here: they are
    # given the least that is an answer, so that what is counted on the way can be compared.
    least = [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": None}}]

    def check_answer(raw: bytes, path: str) -> tuple[dict[str, Any], bool]:
        """Give what has no choices the least that is an answer."""
        body = json.loads(raw or b"{}") if raw[:1] in (b"", b"{") else None
        if body is not None and not (body.get("choices") or body.get("error") or path.endswith("/responses")):
            return {**body, "choices": least}, False
        return _check_answer(raw, path)

    _check_answer = exchange.check_answer
    exchange.check_answer = check_answer

    # And some ask with no messages at all, which is refused here before it is sent.
    read_openai = endpoint_call.read_openai
    endpoint_call.read_openai = lambda body, **around: read_openai(
        {**body, "messages": [{"role": "user", "content": "Hi"}]} if body.get("messages") == [] else body,
        **around,
    )

    # As the tests were written: the model that they name is the one that is meant, while it is alive.
    plain, known = endpoints._with_baseline, Catalog.load()

    def with_baseline(policy: Policy, model: str) -> Policy:
        """Return a policy that leaves no choice, where there is such a model."""
        if model not in known:
            return plain(policy, model)
        return Policy(models=[model], baseline=model, at_least=None)

    endpoints._with_baseline = with_baseline  # type: ignore[assignment] # for the SDK tests alone
