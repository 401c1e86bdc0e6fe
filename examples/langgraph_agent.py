"""An agent with a tool, a checkpointer and a budget for each conversation.

    pip install langchain langgraph
    python examples/langgraph_agent.py

Each of the agent's calls is decided on its own; a LangGraph thread is the conversation that has the budget.
"""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_routed import RoutedChatModel
from langgraph.checkpoint.memory import InMemorySaver

from routed_llm import Budget, BudgetExceeded


@tool
def stock(part: str) -> str:
    """Say how many of a part are in stock."""
    return f"{len(part)} of {part} are in stock."


def main(per_conversation: str = "0.05") -> None:
    """Hold two turns of one conversation, and say who answered and what is left."""
    agent = create_agent(
        RoutedChatModel(model="gpt-4o", budget=Budget(per_conversation=per_conversation)),
        tools=[stock],
        checkpointer=InMemorySaver(),
    )
    thread = {"configurable": {"thread_id": "order 117"}}
    for question in ("How many pump seals are in stock?", "And how many valves?"):
        try:
            messages = agent.invoke({"messages": [("user", question)]}, thread)["messages"]
        except BudgetExceeded as error:
            print(f"{question} Not asked: {error.remaining} dollars are left of this conversation's.")
            return
        routing = messages[-1].response_metadata["routing"]
        (left,) = routing["remaining"]
        print(f"{question} {routing['served']} answered; ${left['remaining']} of ${left['limit']} are left.")


if __name__ == "__main__":
    main()
