"""Requests that one failing call sends, ours beside others; the simulator's journal counts them.

Each row is a fault that strikes every request. No network and no key::

    python -m benchmarks.recovery.requests_sent
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Any

from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM

from routed_llm import Router
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)
FAULTS = ("429;seconds=0.05", "tpm_too_large", "insufficient_quota", "500", "502_html", "cut;after_chunks=0")
FIRST = ("500", "tpm_too_large", "429;seconds=3")


def callers(sim: Simulator) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Return who is compared: the model each asks first, and its call."""
    chain: dict[str, Any] = {"base_url": sim.url, "api_key": "k", "timeout": 20}
    index: dict[str, Any] = {"api_base": sim.url, "api_key": "k", "timeout": 20}
    plain = ChatOpenAI(model="gpt-4o", **chain)
    fallbacks = plain.with_fallbacks(
        [ChatOpenAI(model="gpt-4.1", **chain), ChatOpenAI(model="gpt-4.1-mini", **chain)]
    )
    routed = RoutedChatModel(router=Router(clock=lambda: TODAY), **chain)
    llm = RoutedLLM(router=Router(clock=lambda: TODAY), **index)
    first = routed.explain("Hi").model or ""
    return {
        "RoutedChatModel": (first, lambda: routed.invoke("Hi")),
        "ChatOpenAI": ("gpt-4o", lambda: plain.invoke("Hi")),
        "with_fallbacks of 3": ("gpt-4o", lambda: fallbacks.invoke("Hi")),
        "RoutedLLM": (first, lambda: llm.complete("Hi")),
        "LlamaIndex OpenAI": ("gpt-4o", lambda: OpenAI(model="gpt-4o", **index).complete("Hi")),
    }


def measure(sim: Simulator, fault: str, who: str, *, first_only: bool) -> str:
    """Return requests, seconds and outcome of one call."""
    model, call = callers(sim)[who]
    sim.reset()
    sim.faults.add(f"{fault};times=0" + (f";model={model}" if first_only else ""))
    start = time.perf_counter()
    try:
        call()
        outcome = "answered"
    except Exception as error:  # noqa: BLE001  what is raised is the result
        outcome = type(error).__name__
    return f"{len(sim.journal)} in {time.perf_counter() - start:.1f} s, {outcome}"


def main() -> None:
    """Print the table."""
    with serve(at=TODAY) as sim:
        names = list(callers(sim))
        callers(sim)["ChatOpenAI"][1]()  # the server loads its vocabulary once
        print("| fault | strikes |", " | ".join(names), "|")
        print("| --- | --- |", " --- |" * len(names))
        for first_only, faults in ((False, FAULTS), (True, FIRST)):
            for fault in faults:
                row = [measure(sim, fault, who, first_only=first_only) for who in names]
                print(f"| {fault} | {'the first model' if first_only else 'all'} |", " | ".join(row), "|")


if __name__ == "__main__":
    main()
