"""A streaming service in which every tenant has a budget of its own.

    pip install fastapi uvicorn
    uvicorn fastapi_service:app --app-dir examples
    curl -N http://127.0.0.1:8000/ask -H 'x-tenant: acme' -d '{"question": "What is a tide?"}'

A call that the tenant's budget has no room for is answered with 429 before anything is sent to OpenAI.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from langchain_core.messages import BaseMessageChunk
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Budget, BudgetExceeded


class Question(BaseModel):
    """What a tenant asks."""

    question: str


def make_app(tenant_budget: Budget, ledger: str | None = None) -> FastAPI:
    """Make the service.

    Args:
        tenant_budget: what each tenant may spend; its scope is ``tenant``.
        ledger: where calls are booked, such as ``redis://...`` for several processes; in memory if left out.
    """
    app = FastAPI()
    llm = RoutedChatModel(model="gpt-4o", budget=tenant_budget, ledger=ledger)

    @app.post("/ask")
    async def ask(asked: Question, x_tenant: str = Header()) -> StreamingResponse:
        stream = llm.astream(asked.question, routing={"scope": {"tenant": x_tenant}})
        try:
            first = await anext(stream)  # whether the budget has room is known before the first byte
        except BudgetExceeded as error:
            raise HTTPException(
                429, f"{x_tenant} has ${error.remaining} left until {error.resets_at}."
            ) from error
        return StreamingResponse(_texts(first, stream), media_type="text/plain")

    return app


async def _texts(first: BaseMessageChunk, rest: AsyncIterator[BaseMessageChunk]) -> AsyncIterator[str]:
    yield first.text
    async for chunk in rest:
        yield chunk.text


app = make_app(Budget(per_day=5, scope="tenant"), ledger=os.environ.get("LEDGER"))
