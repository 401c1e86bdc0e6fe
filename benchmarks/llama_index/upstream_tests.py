"""Run the tests of llama-index-llms-openai twice: as they are, and with RoutedLLM in the place of OpenAI.

The tests are not part of any distribution of that package. Take them from its public repository, the
folder ``llama-index-integrations/llms/llama-index-llms-openai/tests`` at a commit near the installed
version, and name the folder::

    python -m benchmarks.llama_index.upstream_tests FOLDER

``pinned`` lets only the model that a test names serve it; ``routed`` lets the default policy choose. Names
that the catalog does not have (they were shut down long ago) are added to it as copies of gpt-4o-mini.
Tests that call OpenAI call the embedded simulator, and tests of the oldest models, whose vocabulary would be
fetched, count by o200k_base: nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from routed_llm.simulator import serve

FILES = ("test_openai.py", "test_llms_openai.py", "test_openai_utils.py")

PLUGIN = """
import os

from llama_index.core.constants import DEFAULT_TEMPERATURE
from llama_index.llms import openai
from llama_index.llms.openai.base import DEFAULT_OPENAI_MODEL
from llama_index.llms.routed import RoutedLLM
from routed_llm import Catalog, CatalogError, Policy, Router
from routed_llm.tokens.vocabulary import o200k_encoding

openai.base.tiktoken.encoding_for_model = lambda name: o200k_encoding()
PACKAGED = Catalog.load()


def router_for(model):
    try:
        PACKAGED.get(model)
        return Router(catalog=PACKAGED)
    except CatalogError:
        return Router(catalog=PACKAGED.with_models({model: {"base": "gpt-4o-mini"}}))


class OpenAI(RoutedLLM):
    def __init__(self, model=DEFAULT_OPENAI_MODEL, temperature=DEFAULT_TEMPERATURE, **kwargs):
        pinned = os.environ["SWAPPED"] == "pinned"
        policy = Policy(models=[model], at_least=None) if pinned else None
        super().__init__(model, temperature, policy=policy, router=router_for(model), **kwargs)


if os.environ["SWAPPED"] != "plain":
    openai.OpenAI = openai.base.OpenAI = OpenAI
"""


def outcomes(folder: Path, mode: str, url: str) -> dict[str, tuple[str, str]]:
    """Run the tests in one mode.

    Args:
        folder: the tests, and nothing else.
        mode: ``plain``, ``pinned`` or ``routed``.
        url: where to find OpenAI.

    Returns:
        Test id to its outcome and the first line of what went wrong.
    """
    paths = os.pathsep.join([str(folder), *sys.path])
    settings = {"SWAPPED": mode, "PYTHONPATH": paths, "OPENAI_API_KEY": "simulated", "OPENAI_API_BASE": url}
    report = folder / f"{mode}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "swapped", "-o", "asyncio_mode=auto"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    subprocess.run(
        [*command, f"--junitxml={report}", *(name for name in FILES if (folder / name).exists())],
        cwd=folder,
        env={**environment, **settings},
        capture_output=True,
        timeout=600,
        check=False,
    )
    found = {}
    for case in ET.parse(report).iter("testcase"):
        problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcome = {"failure": "failed", "error": "failed", "skipped": "skipped"}.get(
            problem.tag if problem is not None else "", "passed"
        )
        text = (problem.get("message") or "").strip().splitlines() if problem is not None else []
        found[f"{case.get('classname')}::{case.get('name')}"] = (outcome, text[0] if text else "")
    return found


def main() -> None:
    """Print the counts of each mode and every test whose outcome differs from the plain class's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder of the upstream tests")
    source = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in FILES:
            if (source / name).exists():
                shutil.copy(source / name, folder)
        (folder / "swapped.py").write_text(PLUGIN)
        with serve() as sim:
            results = {mode: outcomes(folder, mode, sim.url) for mode in ("plain", "pinned", "routed")}
    for mode, found in results.items():
        values = [outcome for outcome, _ in found.values()]
        counts = ", ".join(f"{values.count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
        print(f"{mode:7} {counts}")
    for name, (before, text) in results["plain"].items():
        if before == "failed":
            print(f"plain: {name} fails: {text[:240]}")
        for mode in ("pinned", "routed"):
            after, text = results[mode].get(name, ("missing", ""))
            if after != before:
                print(f"{mode}: {name} {before} -> {after}: {text[:160]}")


if __name__ == "__main__":
    main()
