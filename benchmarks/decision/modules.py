"""How far one warm call is to follow: functions of ours that it enters, and how often it changes the module.

    python -m benchmarks.decision.modules [FOLDER] [--pairs 12] [--warm 300]

FOLDER is another tree (``git worktree add --detach FOLDER COMMIT``). What is sent is answered at once, with
no network. Counted are the functions of our own packages that are entered (comprehensions and lambdas apart),
the modules that they stand in, how often one is entered in another module than the one before, and how often
such a module had been left already. Some calls learn more than others: the one in the middle is shown.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx

from benchmarks.langchain.overhead import ANSWER

HERE = pathlib.Path(__file__).resolve().parents[2]
INTEGRATIONS = ("langchain-routed", "llama-index-llms-routed", "openai-routed")
OURS = ("routed_llm", "langchain_routed", "llama_index/llms/routed", "openai_routed")


def ways() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is called, as far as a tree has it."""
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER)))
    given: Any = {"api_key": "unused", "http_client": client}
    with contextlib.suppress(ImportError):
        from langchain_routed import RoutedChatModel

        model = RoutedChatModel(**given)
        yield "RoutedChatModel.invoke", lambda: model.invoke("hi")
    with contextlib.suppress(ImportError):
        from llama_index.core.base.llms.types import ChatMessage
        from llama_index.llms.routed import RoutedLLM

        llm = RoutedLLM(**given)
        yield "RoutedLLM.chat", lambda: llm.chat([ChatMessage("hi")])
    with contextlib.suppress(ImportError):
        from openai_routed import OpenAI

        create: Any = OpenAI(**given).chat.completions.create
        yield "OpenAI", lambda: create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])


def entered(call: Callable[[], object]) -> list[str]:
    """Return the module of each function of ours that a call enters, in order."""
    found = []

    def look(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name[0] != "<":
            path = frame.f_code.co_filename
            at = max(path.rfind(f"/{name}/") for name in OURS)
            if at >= 0:
                found.append(path[at + 1 :].removesuffix(".py"))

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


def main() -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, help="another tree")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of modules to show")
    parser.add_argument("--warm", type=int, default=300, help="calls before those that are counted")
    given = parser.parse_args()
    if given.folder is not None:
        there = given.folder.resolve()
        sources = [str(there / "src"), *(str(there / "integrations" / name) for name in INTEGRATIONS)]
        again = [sys.executable, "-m", __spec__.name, f"--pairs={given.pairs}", f"--warm={given.warm}"]
        path = {"PYTHONPATH": os.pathsep.join(sources)}
        return subprocess.run(again, cwd=HERE, env={**os.environ, **path}).returncode
    for name, call in ways():
        for _ in range(given.warm):
            call()
        found = sorted((entered(call) for _ in range(25)), key=len)[12]
        moves = [(one, two) for one, two in pairwise(found) if one != two]
        many, returns = len(set(found)), len(moves) + 1 - len(set(found))
        print(f"{name}: {len(found)} functions, {many} modules, {len(moves)} changes, {returns} returns")
        for (one, two), times in Counter(tuple(sorted(it)) for it in moves).most_common(given.pairs):
            print(f"  {times:4}  {one} - {two}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
