"""Haystack makes its client itself: `http_client_kwargs` takes the transport."""

import httpx
from haystack import Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import Tool
from openai_routed import RoutedTransport

TIDE = Tool(
    name="tide",
    description="Tell the tide at a place.",
    parameters={"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    function=lambda place: f"high water at {place}",
)


def main() -> list[str]:
    """Run a pipeline, a stream and a call with tools."""
    told = {"http_client_kwargs": {"transport": RoutedTransport(httpx.HTTPTransport())}}
    pipeline = Pipeline()
    pipeline.add_component(
        "prompt", ChatPromptBuilder([ChatMessage.from_user("What is a tide at {{place}}?")])
    )
    pipeline.add_component("llm", OpenAIChatGenerator(model="gpt-4o", **told))
    pipeline.connect("prompt.prompt", "llm.messages")
    said = [pipeline.run({"prompt": {"place": "Lima"}})["llm"]["replies"][0].text]
    parts: list[str] = []
    told = {"http_client_kwargs": {"transport": RoutedTransport(httpx.HTTPTransport())}}
    llm = OpenAIChatGenerator(
        model="gpt-4o", streaming_callback=lambda part: parts.append(part.content), **told
    )
    llm.run([ChatMessage.from_user("And at Quito?")])
    said.append("".join(parts))
    called = llm.run(
        [ChatMessage.from_user("What is the tide at Lima?")],
        tools=[TIDE],
        generation_kwargs={"tool_choice": "required"},
    )
    said.append(called["replies"][0].tool_calls[0].tool_name)
    return said


if __name__ == "__main__":
    print(main())
