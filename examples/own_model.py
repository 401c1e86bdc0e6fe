"""A model of your own beside OpenAI's: an entry for the catalog, and when it is chosen.

    OWN_MODEL_URL=http://127.0.0.1:8001/v1 python examples/own_model.py

The entry says what the server takes and what it costs; `python -m vllm...` or the like serves it.
"""

import os
from datetime import date

from langchain_routed import RoutedChatModel

from routed_llm import Catalog, Policy

TODAY = date(2026, 11, 22)


def catalog(url: str, *, sent_as: str) -> Catalog:
    """Add the model to what the package knows."""
    return Catalog.load().with_models(
        {
            "our-model": {
                "base_url": url,
                "keyless": True,
                "sent_as": sent_as,
                "limits": {
                    "context_window": 40_960,
                    "max_input": 40_960,
                    "max_output": 16_384,
                    "source": "the server's settings",
                    "verified": TODAY,
                },
                "prices": {
                    "source": "what our hardware costs",
                    "verified": TODAY,
                    "rows": [{"since": date(2026, 1, 1), "input": "0.02", "output": "0.06"}],
                },
            }
        }
    )


def main(sent_as: str = "Qwen/Qwen3-32B") -> None:
    """Send a short prompt, which our model answers, and explain a long one, which it cannot read."""
    llm = RoutedChatModel(
        catalog=catalog(os.environ["OWN_MODEL_URL"], sent_as=sent_as),
        # Nobody has published its quality: that it is good enough is ours to say.
        policy=Policy(models=["our-model", "gpt-4.1", "gpt-5.6-luna"], at_least=None),
    )
    routing = llm.invoke("Sort these words: pump, valve, seal.").response_metadata["routing"]
    print(f"{routing['model']} answered for ${routing['cost']}")
    decision = llm.explain("All is well. " * 20_000)
    print(f"{decision.model} would read the long one; {decision.reasons_against('our-model')[0].text}")


if __name__ == "__main__":
    main()
