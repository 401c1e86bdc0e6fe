"""What a 300,000-token corpus and a 40-turn conversation cost, by the window that the LLM advertises.

LlamaIndex fills whatever window `metadata` names, so the window decides which models can take a call.
Each row is one run against the embedded simulator, which bills every request by its own price list. No
network and no key::

    python -m benchmarks.llama_index.packing
"""

from __future__ import annotations

import collections
import random
from collections.abc import Callable
from datetime import date

from llama_index.core import Document, SummaryIndex
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import LLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM
from routed_llm import Router
from routed_llm.simulator import Simulator, serve
from routed_llm.tokens.vocabulary import o200k_encoding

TODAY = date(2026, 11, 22)
CORPUS_TOKENS = 300_000
TURNS = 40
TURN_TOKENS = 8_000

_NOUNS = (
    "harbour",
    "ledger",
    "engine",
    "village",
    "signal",
    "garden",
    "treaty",
    "lantern",
    "river",
    "merchant",
)
_VERBS = (
    "keeps",
    "names",
    "counts",
    "crosses",
    "paints",
    "guards",
    "repairs",
    "sells",
    "measures",
    "follows",
)


def text_of(tokens: int, seed: int) -> str:
    """Make plain sentences of about that many o200k tokens, the same for the same seed."""
    rng = random.Random(seed)
    sentences = []
    while len(sentences) * 13 < tokens:
        one, two, three = rng.sample(_NOUNS, 3)
        year = rng.randint(1500, 1999)
        sentences.append(f"The {one} {rng.choice(_VERBS)} the {two} of {year} by the {three}.")
    return " ".join(sentences)


def corpus() -> SummaryIndex:
    """Return the index over the corpus, in nodes of 1,024 tokens that overlap by 20."""
    text = text_of(CORPUS_TOKENS, 0)
    tokens = o200k_encoding().encode(text)
    document = Document(text=o200k_encoding().decode(tokens[:CORPUS_TOKENS]))
    return SummaryIndex.from_documents([document], transformations=[SentenceSplitter(chunk_overlap=20)])


def synthesize(mode: ResponseMode, index: SummaryIndex) -> Callable[[LLM], None]:
    """Return the run of one query over the whole corpus."""

    def run(llm: LLM) -> None:
        index.as_query_engine(llm=llm, response_mode=mode).query("Which harbour records mention copper?")

    return run


def converse(llm: LLM) -> None:
    """Hold a conversation of 40 turns, each of which brings 8,000 tokens."""
    engine = SimpleChatEngine.from_defaults(llm=llm)
    for turn in range(TURNS):
        engine.chat(f"Note {turn}: {text_of(TURN_TOKENS, turn + 1)}\nSay 'noted'.")


def llms(sim: Simulator) -> dict[str, LLM]:
    """Return what is compared: the framework's class, and the routed one by its window."""
    common = {"api_base": sim.url, "api_key": "simulated", "max_retries": 0, "timeout": 300.0}
    router = Router(clock=lambda: TODAY)
    return {
        'OpenAI("gpt-4o")': OpenAI(model="gpt-4o", **common),
        "RoutedLLM, default window": RoutedLLM(router=router, **common),
        "RoutedLLM, largest window": RoutedLLM(router=router, context_window="largest", **common),
        "RoutedLLM, 32,000": RoutedLLM(router=router, context_window=32_000, **common),
    }


def main() -> None:
    """Print the table."""
    index = corpus()
    runs = {
        "compact": synthesize(ResponseMode.COMPACT, index),
        "tree_summarize": synthesize(ResponseMode.TREE_SUMMARIZE, index),
        f"chat engine, {TURNS} turns": converse,
    }
    print("| what | LLM | window | calls | refused | input tokens | cached | US dollars | models |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    with serve(at=TODAY) as sim:
        for what, run in runs.items():
            for name, llm in llms(sim).items():
                sim.reset()
                run(llm)
                entries = sim.journal
                models = collections.Counter(entry.model for entry in entries)
                used = [entry.used for entry in entries if entry.used]
                print(
                    f"| {what} | {name} | {llm.metadata.context_window:,} | {len(entries)} "
                    f"| {len(sim.refused)} | {sum(u.prompt for u in used):,} "
                    f"| {sum(u.cached for u in used):,} "
                    f"| {sim.billed:.4f} | {', '.join(f'{m} {n}' for m, n in models.most_common())} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
