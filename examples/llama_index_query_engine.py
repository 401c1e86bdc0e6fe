"""A LlamaIndex query engine over a document of more than 128,000 tokens, with one constructor changed.

It runs against the embedded simulator, which enforces the real API's rules and bills by its own price
list: no key, no network, nothing to pay. Against OpenAI itself, leave `api_base` and `api_key` out.
"""

from __future__ import annotations

import random
from datetime import date

from llama_index.core import Document, SummaryIndex
from llama_index.core.llms import LLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM, record_routing

from routed_llm import Router
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)
QUESTION = "In which year did the harbour master count the ships?"
PLACES = ("harbour", "market", "mill", "bridge", "quarry", "school")


def document() -> str:
    """A chronicle of about 150,000 tokens: more than gpt-4o takes at once."""
    rng = random.Random(7)
    entries = (
        f"In {year} the {rng.choice(PLACES)} master counted {rng.randint(2, 99)} {rng.choice(PLACES)} keys."
        for year in (rng.randint(1200, 1999) for _ in range(11_000))
    )
    return " ".join(entries)


def ask(llm: LLM, index: SummaryIndex, sim: Simulator, name: str, *, why: bool = True) -> int:
    """Ask one question of the whole document, say what it took, and return how many requests were refused."""
    sim.reset()
    with record_routing() as log:
        index.as_query_engine(llm=llm, response_mode=ResponseMode.COMPACT).query(QUESTION)
    sizes = ", ".join(f"{entry.used.prompt:,}" for entry in sim.journal if entry.used)
    print(
        f"{name}: {len(sim.journal)} calls of {sizes} tokens, {len(sim.refused)} refused, ${sim.billed:.4f}"
    )
    for record in log if why else ():
        print(f"  {record['model']} at effort {record['effort']} for ${record['cost']}: {record['why']}")
    return len(sim.refused)


def main(*, why: bool = True) -> int:
    """Ask with the class the program had before, then with RoutedLLM; return what the latter had refused."""
    text = document()
    splitter = SentenceSplitter(chunk_size=1024, chunk_overlap=0)
    index = SummaryIndex.from_documents([Document(text=text)], transformations=[splitter])
    router = Router(clock=lambda: TODAY)
    with serve(at=TODAY) as sim:
        plain = OpenAI(model="gpt-4o", api_base=sim.url, api_key="simulated")
        routed = RoutedLLM(model="gpt-4o", api_base=sim.url, api_key="simulated", router=router)
        ask(plain, index, sim, 'OpenAI(model="gpt-4o")')
        refused = ask(routed, index, sim, 'RoutedLLM(model="gpt-4o")', why=why)
        if why:
            decision = routed.explain(f"{text}\n\n{QUESTION}")
            print(f"The whole document in one prompt would go to {decision.model}: {decision.why}")
            for reason in decision.reasons_against("gpt-4o")[:1]:
                print(f"  and not to gpt-4o: {reason.text}")
    return refused


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
