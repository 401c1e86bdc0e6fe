"""pydantic-ai: `OpenAIProvider(openai_client=...)` takes the client; both of its OpenAI models work on it."""

import asyncio

from openai_routed import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class Sea(BaseModel):
    """A form of answer."""

    name: str
    depth: int


async def main() -> list[str]:
    """Ask for a text, a form, and a stream, with a tool."""
    said = []
    async with AsyncOpenAI() as client:
        provider = OpenAIProvider(openai_client=client)
        for model in (
            OpenAIChatModel("gpt-4o", provider=provider),
            OpenAIResponsesModel("gpt-4o", provider=provider),
        ):
            agent = Agent(model)

            @agent.tool_plain
            def tide(place: str) -> str:
                """Tell the tide at a place."""
                return f"high water at {place}"

            said.append((await agent.run("What is the tide at Lima?")).output)
            formed = Agent(model, output_type=Sea)
            said.append(repr((await formed.run("Which sea?")).output))
            async with agent.run_stream("And at Quito?") as streamed:
                said.append(await streamed.get_output())
    return said


if __name__ == "__main__":
    print(asyncio.run(main()))
