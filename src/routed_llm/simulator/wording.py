"""The words of an answer: short, plausible, and made of what the request says."""

from __future__ import annotations

import ast
import json
import operator
import random
import re
from collections.abc import Callable
from typing import Any

from routed_llm.simulator.ask import Ask, Turn
from routed_llm.simulator.react import react_step
from routed_llm.simulator.schema_instance import Hints, instance

_EXACT = re.compile(
    r"\b(?:say|reply|respond|answer|output|return|write|repeat|print)\b"
    r"(?:\s+(?:back|after me|with|only|exactly|just|"
    r"the|word|words|phrase|text|following|this|nothing but|verbatim))*\s*:?\s*[\"'“‘`]([^\"'”’`]+)[\"'”’`]",
    re.I,
)
_LENGTH = re.compile(
    r"\b(?:in|of|about|exactly|write|least|around|a)?\s*(\d{1,5})[- ](word|sentence|paragraph)s?\b", re.I
)
_SUM = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:\s*(?:[-+*/×÷^]|\*\*)\s*-?\(?\d+(?:\.\d+)?\)?)+")
_QUERY = re.compile(r"(?:^|\n)\s*(?:Query|Question|User question|Q)\s*:\s*(.+)", re.I)
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_FILLER = (
    "The main point follows from what was given", "Each part can be checked on its own",
    "A short example makes the idea clear", "The same reasoning holds for similar cases",
    "It helps to state the assumptions first", "The details depend on the setting",
    "Two things deserve attention here", "In practice the simplest choice is often enough",
)  # fmt: skip


def words_for(ask: Ask, model: str, rng: random.Random) -> str:
    """Return the text that answers a request that calls no tool."""
    if ask.format == "json_schema" and ask.schema is not None:
        hints = Hints(_returned(ask), rng)
        return json.dumps(instance(ask.schema, hints), ensure_ascii=False)
    if ask.format == "json_object":
        return _json_object(ask, rng)
    prompt = ask.last_user
    exact = _EXACT.search(prompt)
    results = _results(ask.tail())
    if results:
        return results
    step = react_step(ask, rng)
    if step is not None:
        return step
    if exact:
        return exact[1]
    return _lengthened(_answer(ask, prompt, model, rng), prompt, rng)


def _returned(ask: Ask) -> str:
    results = _results(ask.tail())
    return f"{ask.last_user}\n{results}" if results else ask.last_user


def _results(tail: tuple[Turn, ...]) -> str:
    """What the tools returned, repeated with the names of the tools."""
    names = {call.id: call.name for turn in tail for call in turn.calls}
    lines = [
        f"{names.get(turn.answers, 'the tool')} returned: {turn.text.strip()[:2000]}"
        for turn in tail
        if turn.role in ("tool", "function") and turn.text.strip()
    ]
    return "According to the tools: " + "; ".join(lines) + "." if lines else ""


def _answer(ask: Ask, prompt: str, model: str, rng: random.Random) -> str:
    sum_ = _arithmetic(prompt)
    if sum_ is not None:
        return sum_
    seen = _media(ask)
    question = _QUERY.findall(prompt)
    asked = (question[-1] if question else _last_question(prompt)).strip()
    recalled = _recalled(ask, asked)
    if recalled:
        return recalled
    fact = _evidence(prompt.replace(asked, " "), asked)
    if fact:
        return f"{seen}{fact}"
    topic = " ".join(asked.split())[:160].rstrip(" .?!:")
    if not topic:
        return f"{seen}How can I help?"
    opening = rng.choice(("Here is what I can say about", "On the matter of", "Briefly, regarding"))
    return f'{seen}{opening} "{topic}": {rng.choice(_FILLER).lower()}. (Simulated answer of {model}.)'


def _media(ask: Ask) -> str:
    last = next((turn for turn in reversed(ask.turns) if turn.role == "user"), None)
    kinds = [part.kind for part in last.parts if part.kind in ("image", "audio", "file")] if last else []
    shown = [
        f"{kinds.count(kind)} {kind}{'s' if kinds.count(kind) > 1 else ''}" for kind in dict.fromkeys(kinds)
    ]
    return f"I received {' and '.join(shown)}. " if shown else ""


def _last_question(prompt: str) -> str:
    sentences = [s for s in re.split(r"(?<=[.?!])\s+|\n+", prompt.strip()) if s]
    questions = [s for s in sentences if s.endswith("?")]
    return (questions or sentences or [""])[-1]


def _recalled(ask: Ask, asked: str) -> str:
    """An answer from earlier in the conversation, such as the user's name."""
    wanted = re.search(r"\bwhat(?:'s| is| was| are) my ((?:\w+ ){0,2}\w+)\?", asked, re.I)
    if not wanted:
        return ""
    for turn in reversed(ask.turns):
        found = re.search(rf"\bmy {re.escape(wanted[1])} (?:is|are|was) ([^.,!?\n]+)", turn.text, re.I)
        if turn.role == "user" and found:
            return f"Your {wanted[1]} is {found[1].strip()}."
    if wanted[1].lower() == "name":
        found = next(
            (m for t in reversed(ask.turns) if (m := re.search(r"\b(?:I'm|I am) ([A-Z]\w+)", t.text))), None
        )
        return f"Your name is {found[1]}." if found else ""
    return ""


def _evidence(material: str, asked: str) -> str:
    """The sentence of the material that shares most words with the question."""
    wanted = {w.lower() for w in re.findall(r"\w{4,}", asked)}
    sentences = [
        s.strip() for s in re.split(r"(?<=[.?!])\s+|\n+", material[-400_000:]) if 12 < len(s.strip()) < 600
    ]
    best = max(
        sentences, key=lambda s: len(wanted & {w.lower() for w in re.findall(r"\w{4,}", s)}), default=""
    )
    shared = wanted & {w.lower() for w in re.findall(r"\w{4,}", best)}
    return best if len(shared) >= 1 and len(sentences) >= 1 and not best.endswith((":", "?")) else ""


def _arithmetic(prompt: str) -> str | None:
    found = _SUM.search(prompt)
    if not found or not re.search(r"[-+*/×÷]", found[0].strip("-")):
        return None
    try:
        value = _evaluate(ast.parse(found[0].replace("×", "*").replace("÷", "/"), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return f"{found[0].strip()} = {value:g}" if abs(value) < 1e15 else None


def _evaluate(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluate(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return float(_OPERATORS[type(node.op)](_evaluate(node.left), _evaluate(node.right)))
    raise ValueError("not plain arithmetic")


def _lengthened(text: str, prompt: str, rng: random.Random) -> str:
    """The text, drawn out to the number of words, sentences or paragraphs that the prompt asks for."""
    asked = _LENGTH.search(prompt)
    if not asked:
        return text
    number, unit = min(int(asked[1]), 20_000), asked[2].lower()
    if unit == "word":
        while len(text.split()) < number:
            text += f" {rng.choice(_FILLER)}."
        return " ".join(text.split()[:number])
    per = 1 if unit == "sentence" else 4
    more = [
        " ".join(f"{rng.choice(_FILLER)}." for _ in range(per)) for _ in range(max(0, min(number, 2000) - 1))
    ]
    return ("\n\n" if unit == "paragraph" else " ").join([text, *more])


def _json_object(ask: Ask, rng: random.Random) -> str:
    """An object with the keys that the prompt names."""
    prompt = "\n".join(turn.text for turn in ask.turns if turn.role in ("system", "developer", "user"))
    named = re.search(r"\b(?:key|field|propert)", prompt)
    keys = re.findall(r"[`\"'](\w+)[`\"'](?!\s*:)", prompt) if named else []
    keys = keys or re.findall(r"[`\"'](\w+)[`\"']\s*:", prompt) or re.findall(r"`(\w+)`", prompt)
    if not keys:
        return json.dumps({"answer": _answer(ask, ask.last_user, "the simulator", rng)}, ensure_ascii=False)
    hints = Hints(ask.last_user, rng)
    hints.quoted = [word for word in hints.quoted if word not in keys]
    return json.dumps({key: hints.words(key) for key in dict.fromkeys(keys)}, ensure_ascii=False)
