"""AutoGen makes its client itself: `http_client` takes the transport."""

import asyncio

import httpx
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openai_routed import AsyncRoutedTransport


def tide(place: str) -> str:
    """Tell the tide at a place."""
    return f"high water at {place}"


async def main() -> list[str]:
    """Ask, stream, and run an agent with a tool."""
    http_client = httpx.AsyncClient(transport=AsyncRoutedTransport(httpx.AsyncHTTPTransport()))
    model = OpenAIChatCompletionClient(model="gpt-4o", http_client=http_client)
    asked = [UserMessage(content="What is a tide?", source="user")]
    said = [str((await model.create(asked)).content)]
    parts = [part async for part in model.create_stream(asked)]
    said.append(str(getattr(parts[-1], "content", parts[-1])))
    agent = AssistantAgent("harbour", model, tools=[tide])
    said.append(repr((await agent.run(task="What is the tide at Lima?")).messages[-1]))
    await model.close()
    return said


if __name__ == "__main__":
    print(asyncio.run(main()))
