"""Which calls of an endpoint are routed, and which are sent on as they are."""

from __future__ import annotations

import pytest

from routed_llm.calls.endpoint_call import Called
from routed_llm.calls.endpoints import Endpoints

MODELS = {"gpt-4o": True, "gpt-3.5-turbo": True, "gpt-4-turbo-preview": True, "somebody-elses": False}


@pytest.mark.parametrize(("model", "routed"), MODELS.items(), ids=MODELS)
def test_a_model_that_another_one_stands_for_is_routed(model: str, routed: bool) -> None:
    """A program written for a model that has stopped is routed; a name that nobody knows is passed on."""
    called = Called(endpoint="chat_completions", body={"model": model, "messages": []})
    assert Endpoints.make().routes(called) is routed
