"""Agents that write their tool calls as text: Thought, Action, Action Input, Observation, Answer."""

from __future__ import annotations

import dataclasses
import json
import random
import re

from routed_llm.simulator.ask import Ask, Tool
from routed_llm.simulator.calling import plan

_TOOL = re.compile(r"> Tool Name: (\S+)\s*\nTool Description: (.*?)\nTool Args: (\{[^\n]*\})", re.S)
_OBSERVATION = "Observation:"


def react_step(ask: Ask, rng: random.Random) -> str | None:
    """Return the next step of a ReAct conversation in LlamaIndex's form, or None when it is none."""
    prompt = "\n".join(turn.text for turn in ask.turns if turn.role in ("system", "developer"))
    if "Action Input:" not in prompt:
        return None
    last = ask.last_user.strip()
    if last.startswith(_OBSERVATION):
        found = last.removeprefix(_OBSERVATION).strip()
        return f"Thought: I can answer without using any more tools.\nAnswer: The result is {found}"
    calls = plan(
        dataclasses.replace(ask, tools=_tools(prompt), choice="auto", allowed=(), parallel=False), rng
    )
    if not calls:
        return None
    tool, arguments = calls[0]
    return f"Thought: I need to use {tool.name}.\nAction: {tool.name}\nAction Input: {arguments}"


def _tools(prompt: str) -> tuple[Tool, ...]:
    tools = []
    for name, about, schema in _TOOL.findall(prompt):
        try:
            parameters = json.loads(schema)
        except ValueError:
            continue
        tools.append(Tool(name=name, description=about, parameters=parameters))
    return tuple(tools)
