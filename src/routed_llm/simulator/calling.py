"""Which tools an answer calls, and with what arguments, judged by the words of the prompt."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from routed_llm.simulator.ask import Ask, Tool
from routed_llm.simulator.frozen import load
from routed_llm.simulator.schema_instance import Hints, instance

_WORD = re.compile(r"[A-Za-z]{3,}")
_AND = re.compile(r",\s*(?:and\s+)?|\s+and\s+")
Planned = tuple[Tool, str]


def plan(ask: Ask, rng: random.Random) -> list[Planned]:
    """Return the calls (tool, arguments) that the answer makes; none when it should be text."""
    offered = [tool for tool in ask.tools if tool.kind in ("function", "custom")]
    if ask.allowed:
        offered = [tool for tool in offered if tool.name in ask.allowed]
    if not offered or ask.choice == "none":
        return []
    prompt = ask.last_user
    done = [call.name for turn in ask.tail() for call in turn.calls]
    wanted = [tool for tool in offered if _named(tool, prompt)]
    if not wanted and not done:
        wanted = _best(offered, prompt)
    calls = [call for tool in wanted if tool.name not in done for call in _calls(tool, prompt, rng)]
    if not calls and ask.choice == "required":
        calls = _calls((wanted or _best(offered, prompt) or offered)[0], prompt, rng)
    return calls if ask.parallel else calls[:1]


def _named(tool: Tool, prompt: str) -> bool:
    """Whether the prompt says the tool's own name, as written or in words."""
    spoken = re.sub(r"[_-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tool.name))
    pattern = rf"(?<![\w-])(?:{re.escape(tool.name)}|{re.escape(spoken)})(?![\w-])"
    return re.search(pattern, prompt, re.I) is not None


def _best(offered: list[Tool], prompt: str) -> list[Tool]:
    """The tool that shares most words with the prompt, when it shares any that says something."""
    said = _words(prompt)
    scored = [(_overlap(tool, said), -i, tool) for i, tool in enumerate(offered)]
    score, _, tool = max(scored, key=lambda row: row[:2])
    return [tool] if score >= 2 else []


def _overlap(tool: Tool, said: frozenset[str]) -> int:
    properties = tool.parameters.get("properties") or {}
    name = _words(re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]", " ", tool.name))
    about = _words(tool.description)
    keys = _words(" ".join(properties))
    return 3 * len(name & said) + len(about & said) + len(keys & said)


def _words(text: str) -> frozenset[str]:
    stems = (re.sub(r"(?:ing|ies|es|s|ed|er)$", "", word.lower()) for word in _WORD.findall(text))
    common = load("words")["common"].split()
    return frozenset(stem for stem in stems if stem not in common and len(stem) > 2)


def _calls(tool: Tool, prompt: str, rng: random.Random) -> list[Planned]:
    if tool.kind == "custom":
        return [(tool, _custom_input(prompt))]
    literal = re.findall(rf"(?<!\w){re.escape(tool.name)}\(([^()]*)\)", prompt)
    if len(set(literal)) > 1:
        return [(tool, _arguments(tool, text, rng)) for text in dict.fromkeys(literal)]
    several = _several(tool, prompt)
    if several:
        return [(tool, json.dumps({key: value}, ensure_ascii=False)) for key, value in several]
    if literal and literal[0].strip():
        return [(tool, _arguments(tool, literal[0], rng))]
    without_name = re.sub(rf"(?<!\w){re.escape(tool.name)}(?!\w)", " ", prompt)
    return [(tool, _arguments(tool, without_name, rng))]


def _several(tool: Tool, prompt: str) -> list[tuple[str, Any]]:
    """One value per call when the only argument is given several values joined by `and`."""
    properties: dict[str, Any] = tool.parameters.get("properties") or {}
    if len(properties) != 1:
        return []
    ((key, row),) = properties.items()
    kind = row.get("type") if isinstance(row, dict) else None
    hints = Hints(prompt, random.Random(0))  # noqa: S311
    if kind in ("integer", "number") and len(hints.numbers) > 1 and " and " in prompt:
        return [(key, int(n) if n == int(n) else n) for n in hints.numbers]
    if kind != "string" or row.get("enum"):
        return []
    if len(hints.quoted) > 1 and " and " in prompt:
        return [(key, text) for text in hints.quoted]
    joined = re.search(
        r"((?:[A-Z][\w'-]*)(?: [A-Z][\w'-]*)*(?:,\s*(?:[A-Z][\w'-]*)(?: [A-Z][\w'-]*)*)*,?\s+and\s+"
        r"(?:in\s+)?(?:[A-Z][\w'-]*)(?: [A-Z][\w'-]*)*)", prompt
    )  # fmt: skip
    if not joined:
        return []
    return [(key, re.sub(r"^in\s+", "", part)) for part in _AND.split(joined[1]) if part]


def _arguments(tool: Tool, text: str, rng: random.Random) -> str:
    if not tool.parameters.get("properties") and not tool.parameters.get("$ref"):
        return "{}"
    return json.dumps(instance(tool.parameters, Hints(text, rng)), ensure_ascii=False)


def _custom_input(prompt: str) -> str:
    fenced = re.search(r"```(?:\w*\n)?(.*?)```", prompt, re.S)
    if fenced:
        return fenced[1].strip()
    quoted = re.findall(r"[\"“`]([^\"”`\n]+)[\"”`]", prompt)
    return quoted[-1] if quoted else prompt.strip()
