"""One application, three policies: see which model each call would go to before anything is sent.

Run it with an API key, or without one on the simulated API:

    routed simulate --port 8000        # in another terminal, then do what it prints
    python examples/langchain_policies.py
"""

from langchain_routed import RoutedChatModel

from routed_llm import NoModelFits, Policy

QUESTION = "Summarise the rules of chess in three sentences."

POLICIES = {
    "as cheap as gpt-4o's quality allows": Policy(),
    "the best for at most two cents": Policy(optimize="quality", max_cost_per_call="0.02"),
    "only where the floor is measured, not inferred": Policy(evidence="measured"),
}


def main() -> None:
    """Explain one call under each policy, then make the first and one that cannot be served."""
    for name, policy in POLICIES.items():
        decision = RoutedChatModel(policy=policy).explain(QUESTION)
        print(f"{name}: {decision.chosen.name} for about ${decision.dollars:.5f}")

    answer = RoutedChatModel().invoke(QUESTION)
    routing = answer.response_metadata["routing"]
    print(f"answered by {routing['served']}: {routing['why']}; ${routing['cost']}")

    try:
        RoutedChatModel(policy=Policy(max_cost_per_call="0.0000001")).invoke(QUESTION)
    except NoModelFits as refusal:
        print(f"refused before anything was sent: {str(refusal).rsplit('. ', 1)[-1]}")


if __name__ == "__main__":
    main()
