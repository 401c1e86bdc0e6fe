"""Random requests in OpenAI's own form, and random policies, from a seed."""

from __future__ import annotations

from random import Random
from typing import Any

from core_support import CATALOG, png

_WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog;",
    "12345",
    "naïve",
    "café",
    "résumé",
    "東京",
    "Привет",
    "json",
    "=",
    "{}",
    "\n",
]
_SIZES = ((1, 1), (64, 64), (512, 512), (513, 512), (1024, 768), (768, 2048), (4000, 300), (2500, 2500))
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_POOLS = ("gpt-4*", "gpt-4.1*", "gpt-5*", "gpt-5.4*", "gpt-5.6-luna", "gpt-5-*", "gpt-6*", "*-pro", "*")

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "temperature": (0, 0.7, 1, 1.5),
    "top_p": (0.5, 1),
    "presence_penalty": (0, 0.5),
    "frequency_penalty": (0, -1),
    "seed": (7,),
    "stop": ("\n", ["a", "b"], []),
    "n": (1, 2),
    "logprobs": (True, False),
    "logit_bias": ({}, {"1000": -5}),
    "verbosity": ("low", "medium", "high"),
    "user": ("u1",),
    "metadata": ({"team": "search"},),
    "prompt_cache_key": ("k",),
    "prompt_cache_retention": ("24h", "in_memory"),
    "service_tier": ("auto", "default", "flex", "priority"),
    "store": (True, False),
    "prediction": ({"type": "content", "content": "the quick"},),
    "safety_identifier": ("s",),
}


def text(random: Random, most: int = 60) -> str:
    """Make a text of words of several scripts."""
    return " ".join(random.choices(_WORDS, k=random.randint(1, most)))


def image(random: Random) -> dict[str, Any]:
    """Make an image block; the detail is left out at times."""
    url: dict[str, Any] = {"url": png(*random.choice(_SIZES))}
    if random.random() < 0.6:
        url["detail"] = random.choice(("auto", "low", "high"))
    return {"type": "image_url", "image_url": url}


def tool(random: Random, index: int, *, nested: bool) -> dict[str, Any]:
    """Make a function tool, flat or with nested properties."""
    properties: dict[str, Any] = {
        f"p{at}": {"type": "string", "description": text(random, 6)} for at in range(random.randint(0, 3))
    }
    if random.random() < 0.4:
        properties["unit"] = {"type": "string", "enum": ["c", "f"]}
    if nested:
        properties["where"] = {
            "type": "object",
            "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}},
        }
    parameters = {"type": "object", "properties": properties}
    return {
        "type": "function",
        "function": {"name": f"tool_{index}", "description": text(random, 8), "parameters": parameters},
    }


def messages(random: Random, *, images: bool = True, called: bool = False) -> list[dict[str, Any]]:
    """Make a conversation; with ``called``, one that ends with the results of two tool calls."""
    found: list[dict[str, Any]] = []
    if random.random() < 0.5:
        found.append({"role": "system", "content": text(random)})
    for _ in range(random.randint(0, 2)):
        found.append({"role": "user", "content": text(random)})
        found.append({"role": "assistant", "content": text(random)})
    last: list[dict[str, Any]] = [{"type": "text", "text": text(random)}]
    if images and random.random() < 0.3:
        last += [image(random) for _ in range(random.randint(1, 2))]
    found.append({"role": "user", "content": last if random.random() < 0.5 or len(last) > 1 else "Hello."})
    if called:
        calls = [
            {
                "id": f"call_{at}",
                "type": "function",
                "function": {"name": "tool_0", "arguments": '{"p0": "x"}'},
            }
            for at in range(2)
        ]
        found.append({"role": "assistant", "content": None, "tool_calls": calls})
        for at in range(2):
            content: Any = text(random)
            if images and random.random() < 0.2:
                content = [{"type": "text", "text": content}, image(random)]
            found.append({"role": "tool", "tool_call_id": f"call_{at}", "content": content})
    return found


def payload(random: Random) -> dict[str, Any]:
    """Make a whole Chat Completions body, without a model."""
    tools = [tool(random, at, nested=random.random() < 0.3) for at in range(random.choice((0, 0, 1, 3)))]
    made: dict[str, Any] = {"messages": messages(random, called=bool(tools) and random.random() < 0.4)}
    if tools:
        made["tools"] = tools
        if random.random() < 0.4:
            named = {"type": "function", "function": {"name": "tool_0"}}
            made["tool_choice"] = random.choice(("auto", "none", "required", named))
        if random.random() < 0.2:
            made["parallel_tool_calls"] = random.random() < 0.5
    if random.random() < 0.2:
        schema = {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "required": ["a"],
            "additionalProperties": False,
        }
        made["response_format"] = random.choice(
            (
                {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}},
                {"type": "json_object"},
            )
        )
        made["messages"].insert(0, {"role": "system", "content": "Answer in JSON."})
    for name in random.sample(sorted(PARAMETERS), k=random.choice((0, 1, 1, 2, 3))):
        made[name] = random.choice(PARAMETERS[name])
    if made.get("logprobs") and random.random() < 0.5:
        made["top_logprobs"] = 2
    if random.random() < 0.4:
        name = random.choice(("max_tokens", "max_completion_tokens", "max_output_tokens"))
        made[name] = random.choice((1, 15, 16, 100, 5_000, 16_384, 16_385, 32_769, 200_000))
    if random.random() < 0.25:
        made["reasoning_effort"] = random.choice(_EFFORTS)
    if random.random() < 0.1:
        made["stream"] = True
    return made


def policy(random: Random) -> dict[str, Any]:
    """Make the keywords of a policy."""
    made: dict[str, Any] = {}
    if random.random() < 0.5:
        made["models"] = random.choice(_POOLS)
    if random.random() < 0.5:
        made["at_least"] = None
    if random.random() < 0.2:
        made["optimize"] = "quality"
    if random.random() < 0.15:
        made["effort"] = random.choice(_EFFORTS)
    if random.random() < 0.2:
        made["on_unsupported"] = random.choice(("avoid", "raise"))
    return made


def chat_models() -> list[str]:
    """List the models that a call can be pinned to."""
    return sorted(model.id for model in CATALOG if model.endpoints & {"chat_completions", "responses"})
