"""A program as users write one: an agent, retrieval, budgets and explanations. Type checkers read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM
from openai_routed import OpenAI

from routed_llm import (
    Budget,
    BudgetExceeded,
    Decision,
    Entry,
    MemoryLedger,
    NoModelFits,
    Policy,
    Router,
    read_openai,
    scoped,
)
from routed_llm.record import Record


@tool
def weather(city: str) -> str:
    """Say what the weather is like."""
    return f"It rains in {city}."


TOOLS: list[BaseTool] = [weather]
LEDGER = MemoryLedger()
POLICY = Policy(task="tool_use", max_cost_per_call="0.05")
LIMITS = Budget(per_day="5", per_conversation=Decimal("0.50"), notify_at=(0.8,))


def agent(question: str) -> str:
    """Let a model call tools until it answers."""
    llm = RoutedChatModel(policy=POLICY, budget=LIMITS, ledger=LEDGER)
    bound = llm.bind_tools(TOOLS)
    messages: list[BaseMessage] = [HumanMessage(question)]
    for _ in range(5):
        answer: AIMessage = bound.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            return answer.text
        calls = answer.tool_calls
        messages += [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in calls]
    return ""


def retrieve(documents: Sequence[Document], question: str) -> Iterator[str]:
    """Stream an answer that rests on documents."""
    llm = RoutedChatModel(task="knowledge")
    context = "\n\n".join(document.page_content for document in documents)
    for chunk in llm.stream([SystemMessage(context), HumanMessage(question)]):
        yield chunk.text


def summarize(text: str) -> str | None:
    """Do the same with LlamaIndex."""
    llm = RoutedLLM(policy=POLICY)
    return llm.chat([ChatMessage(f"Summarize: {text}")]).message.content


def complete(text: str) -> str | None:
    """Do the same with OpenAI's own client."""
    client = OpenAI(policy=POLICY)
    found = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
    return found.choices[0].message.content


def spend(team: str) -> Decimal:
    """Say what a team has spent once its money is gone."""
    resets_at: datetime | None = None
    while resets_at is None:
        try:
            with scoped(team=team):
                agent("Is it raining in Lima?")
        except BudgetExceeded as error:
            resets_at = error.resets_at or datetime.now(UTC)
    entries: list[Entry] = list(LEDGER.entries())
    return sum((entry.dollars or Decimal(0) for entry in entries), Decimal(0))


def explain(prompt: str) -> str:
    """Say what would be chosen today, for how much and why."""
    router = Router(policy=POLICY, budgets=LIMITS)
    request = read_openai({"messages": [{"role": "user", "content": prompt}]})
    try:
        decision: Decision = router.decide(request, at=datetime.now(UTC))
    except NoModelFits as error:
        return str(error)
    record: Record = decision.record()
    seconds = record["seconds"]
    waits = "" if seconds is None else f" in {seconds['whole']:.1f} s"
    others = ", ".join(sorted(record["dearer"]))
    return f"{record['model']} for {record['estimated_cost']}{waits}: {record['why']}; others: {others}"
