"""openai-agents: `set_default_openai_client` takes the client for every agent of the program."""

import asyncio

from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled
from openai_routed import AsyncOpenAI


@function_tool
def tide(place: str) -> str:
    """Tell the tide at a place."""
    return f"high water at {place}"


async def main() -> list[str]:
    """Run an agent with a tool, whole and streamed, on either endpoint."""
    set_tracing_disabled(True)
    said = []
    async with AsyncOpenAI() as client:
        set_default_openai_client(client, use_for_tracing=False)
        agent = Agent(name="Harbour", instructions="Tell the tides.", model="gpt-4o", tools=[tide])
        said.append(str((await Runner.run(agent, "What is the tide at Lima?")).final_output))
        streamed = Runner.run_streamed(agent, "And at Quito?")
        async for _ in streamed.stream_events():
            pass
        said.append(str(streamed.final_output))
    return said


if __name__ == "__main__":
    print(asyncio.run(main()))
