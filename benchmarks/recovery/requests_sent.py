"""Requests that one failing call sends, ours beside others; the simulator's journal counts them.

Each row is a fault that strikes every request, or the first model's only. No network and no key. litellm's
Router is compared where it is installed: here, or in an environment of its own, whose Python is named::

    python -m venv /tmp/litellm && /tmp/litellm/bin/pip install litellm
    python -m benchmarks.recovery.requests_sent /tmp/litellm/bin/python
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
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


LITELLM = """
import sys, time, logging
logging.disable(logging.CRITICAL)
import litellm
litellm.suppress_debug_info = True
names = ["gpt-4o", "gpt-4.1", "gpt-4.1-mini"]
common = {"api_base": sys.argv[1], "api_key": "k", "timeout": 20}
rows = [{"model_name": n, "litellm_params": {"model": "openai/" + n, **common}} for n in names]
router = litellm.Router(model_list=rows, num_retries=2, fallbacks=[{names[0]: names[1:]}])
begun = time.perf_counter()
try:
    router.completion(model=names[0], messages=[{"role": "user", "content": "Hi"}])
    print("answered", time.perf_counter() - begun)
except Exception as error:
    print(type(error).__name__, time.perf_counter() - begun)
"""


def measure_litellm(sim: Simulator, python: str, fault: str, *, first_only: bool) -> str:
    """Return requests, seconds and outcome of one call of litellm's Router, in its own environment."""
    sim.reset()
    sim.faults.add(f"{fault};times=0" + (";model=gpt-4o" if first_only else ""))
    environment = {"PATH": "/usr/bin:/bin", "NO_PROXY": "127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [python, "-c", LITELLM, sim.url], capture_output=True, text=True, env=environment, check=False
    )
    if not done.stdout.split():
        return f"failed: {done.stderr.strip()[-80:]}"
    outcome, seconds = done.stdout.split()[-2:]
    return f"{len(sim.journal)} in {float(seconds):.1f} s, {outcome}"


def litellm_python() -> str | None:
    """Return a Python that has litellm, or None."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    return sys.executable if importlib.util.find_spec("litellm") else None


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
    python = litellm_python()
    if python is None:
        print(f"litellm is not installed, so its column is left out.\n\n{__doc__}")
    with serve(at=TODAY) as sim:
        names = list(callers(sim))
        callers(sim)["ChatOpenAI"][1]()  # the server loads its vocabulary once
        heads = [*names, *(["litellm Router of 3"] if python else [])]
        print("| fault | strikes |", " | ".join(heads), "|")
        print("| --- | --- |", " --- |" * len(heads))
        for first_only, faults in ((False, FAULTS), (True, FIRST)):
            for fault in faults:
                row = [measure(sim, fault, who, first_only=first_only) for who in names]
                if python:
                    row.append(measure_litellm(sim, python, fault, first_only=first_only))
                struck = "the first model" if first_only else "all"
                print(f"| {fault} | {struck} |", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
