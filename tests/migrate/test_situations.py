# ruff: noqa: E501 - a program stands on a line
"""Programs as they are met: what becomes of each place, and that what is around it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from routed_llm.migrate import Migration, Options, migrate

LC = "from langchain_openai import ChatOpenAI\n"

SITUATIONS: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "a default of argparse": (
        {
            "a.py": LC + "import argparse\np = argparse.ArgumentParser()\n"
            "p.add_argument('--llm', default='gpt-4o', choices=['gpt-4o', 'gpt-4.1'], help='gpt-4o or another')\n"
            "o = p.parse_args()\nbot = ChatOpenAI(model=o.llm)\n"
        },
        ["a.py:4 trace", "a.py:4 report", "a.py:4 report", "a.py:4 keep"],
        ["a.py"],
    ),
    "a default of click": (
        {
            "a.py": LC + "import click\n@click.command()\n@click.option('--llm', default='gpt-4.1')\n"
            "def run(llm):\n    return ChatOpenAI(model=llm)\n"
        },
        ["a.py:4 trace"],
        ["a.py"],
    ),
    "addresses": (
        {
            "a.py": "import os\n"
            + LC
            + "a = ChatOpenAI(model='openai/gpt-4o', base_url='https://gate.example/v1')\n"
            "b = ChatOpenAI(model='gpt-4o', base_url=os.getenv('OPENAI_BASE_URL'))\n"
            "c = ChatOpenAI(model='gpt-4.1', base_url=None)\n"
        },
        ["a.py:3 keep", "a.py:4 rewrite", "a.py:5 rewrite"],
        ["a.py"],
    ),
    "lists inside of settings": (
        {
            "compose.yml": "services:\n  bot:\n    command: [run, --llm, gpt-4o]\n",
            "app.toml": "allowed = ['gpt-4.1', 'gpt-5.5']\n",
            "chart.yaml": "fallbacks: [gpt-4o-mini, openai/gpt-4.1]\n",
        },
        ["app.toml:1 report", "chart.yaml:1 report", "chart.yaml:1 report", "compose.yml:3 report"],
        [],
    ),
    "settings that are handed in": (
        {
            "a.py": LC
            + "import os\nclass Conf:\n    big: str = os.getenv('BIG', 'gpt-4o')\n    small = 'gpt-4o-mini'\n"
            "class Bot:\n    def __init__(self, conf: Conf):\n        self.conf = conf\n"
            "        self.a = ChatOpenAI(model=conf.big)\n        self.b = ChatOpenAI(model=self.conf.small)\n"
        },
        ["a.py:4 trace", "a.py:5 trace"],
        ["a.py"],
    ),
    "agents by a constant": (
        {
            "a.py": "from langchain.agents import create_agent\nNAME = 'openai:gpt-4.1'\n"
            "one = create_agent(NAME, [])\ntwo = create_agent('gpt-4o', tools=[])\n"
        },
        ["a.py:2 trace", "a.py:4 rewrite"],
        ["a.py"],
    ),
    "an import that may fail": (
        {
            "a.py": "try:\n    from langchain_openai import ChatOpenAI as Chat\nexcept ImportError:\n    Chat = None\n"
            "bot = Chat(model='gpt-4o') if Chat else None\n"
        },
        ["a.py:5 rewrite"],
        ["a.py"],
    ),
    "ids that are put together": (
        {
            "a.py": LC + "import os\nend = os.getenv('END', '')\na = ChatOpenAI(model=f'gpt-4o{end}')\n"
            "b = ChatOpenAI(model='gpt-4o' + end)\nc = ChatOpenAI(model='gpt-' '4.1')\n"
        },
        ["a.py:4 report", "a.py:5 report", "a.py:6 rewrite"],
        ["a.py"],
    ),
    "a helper's parameter": (
        {
            "a.py": LC + "def bot(name, heat=0):\n    return ChatOpenAI(model=name, temperature=heat)\n"
            "a = bot('gpt-4.1')\nb = bot(name='gpt-4o')\n"
        },
        ["a.py:4 trace", "a.py:5 trace"],
        ["a.py"],
    ),
    "libraries that call OpenAI themselves": (
        {
            "a.py": "import dspy, litellm\nfrom crewai import LLM\na = dspy.LM('openai/gpt-4.1')\n"
            "b = litellm.completion(model='azure/gpt-4o', messages=[])\nc = LLM(model='openai/gpt-4o')\n"
        },
        ["a.py:3 report", "a.py:4 report", "a.py:5 report"],
        [],
    ),
    "a class that a test patches": (
        {
            "a.py": LC + "def bot():\n    return ChatOpenAI(model='gpt-4o')\n",
            "test_a.py": "from unittest.mock import patch\nwith patch('a.ChatOpenAI') as made:\n    pass\n",
        },
        ["a.py:3 rewrite"],
        ["a.py"],
    ),
    "a table of tables": (
        {
            "a.py": LC + "TIERS = {'s': {'id': 'gpt-4o-mini'}, 'l': {'id': 'gpt-4o'}}\n"
            "def bot(tier):\n    row = TIERS[tier]\n    return ChatOpenAI(model=row['id'])\n"
        },
        ["a.py:2 trace", "a.py:2 trace"],
        ["a.py"],
    ),
    "a provider in a template": (
        {
            "a.py": "from dataclasses import dataclass, field\n@dataclass\nclass Context:\n"
            "    llm: str = field(default='openai/gpt-4.1')\n"
        },
        ["a.py:4 report"],
        [],
    ),
    "a class that is handed on": (
        {
            "h.py": LC + "__all__ = ['ChatOpenAI']\n",
            "a.py": "from h import ChatOpenAI\nx = ChatOpenAI(model='gpt-4o')\n",
        },
        ["a.py:2 rewrite"],
        ["a.py"],
    ),
    "a class that others import from here": (
        {
            "h.py": LC + "x = ChatOpenAI(model='gpt-4o')\n",
            "a.py": "from h import ChatOpenAI\ny = ChatOpenAI(model='gpt-5.5')\n",
        },
        ["h.py:2 rewrite"],
        ["h.py"],
    ),
    "everything imported from here": (
        {
            "h.py": LC + "x = ChatOpenAI(model='gpt-4o')\n",
            "a.py": "from h import *\ny = ChatOpenAI(model='gpt-5.5')\n",
        },
        ["h.py:2 rewrite"],
        ["h.py"],
    ),
    "an instance of settings": (
        {
            "conf.py": "class Conf:\n    llm: str = 'gpt-4.1'\nconf = Conf()\n",
            "a.py": "from conf import conf\n" + LC + "x = ChatOpenAI(model=conf.llm)\n",
        },
        ["conf.py:2 trace"],
        ["a.py"],
    ),
    "an import on a line with others": (
        {"a.py": "import os; from langchain_openai import ChatOpenAI\nx = ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:2 report"],
        [],
    ),
    "everything of a library": (
        {"a.py": "from langchain_openai import *\nx = ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:2 rewrite"],
        ["a.py"],
    ),
    "one import after another": (
        {
            "a.py": "try:\n    from langchain_openai import ChatOpenAI\nexcept ImportError:\n"
            "    from langchain.chat_models import ChatOpenAI\nx = ChatOpenAI(model='gpt-4o')\n"
        },
        ["a.py:5 rewrite"],
        ["a.py"],
    ),
}
"""Files, then each place with its class, then the files that change. Notebooks' install lines and folders that
cannot be read have tables of their own (test_trees.py, test_hostile.py)."""


def search(folder: Path, files: dict[str, str]) -> Migration:
    """Write files and search them."""
    for name, content in files.items():
        (folder / name).write_text(content)
    return migrate(folder, Options(at="2026-11-22"), workers=1)


@pytest.mark.parametrize(("files", "places", "changed"), SITUATIONS.values(), ids=SITUATIONS)
def test_situations(files: dict[str, str], places: list[str], changed: list[str], tmp_path: Path) -> None:
    """Each place has its class, what changes compiles, and a second run changes nothing."""
    found = search(tmp_path, files)
    assert [f"{item.place} {item.kind}" for item in found.occurrences] == places
    assert sorted(found.changes) == changed
    for path in found.write():
        compile((tmp_path / path).read_text(), path, "exec")
    assert not migrate(tmp_path, Options(at="2026-11-22"), workers=1).changes


REASONS = {
    "ids that are put together": (
        "the id is put together ('gpt-4o' + end). Write the ids out, then run this again."
    ),
    "an import on a line with others": (
        "its import shares a line with other code. Put the import on a line of its own."
    ),
    "a provider in a template": (
        "it is the default of a setting that reaches no constructor known here. "
        "openai before the name means OpenAI itself, where it stops, too. Look at what reads it."
    ),
}


@pytest.mark.parametrize(("name", "why"), REASONS.items(), ids=REASONS)
def test_reasons(name: str, why: str, tmp_path: Path) -> None:
    """What is left to a person says why, truly."""
    assert why in [item.why for item in search(tmp_path, SITUATIONS[name][0]).occurrences]


@pytest.mark.parametrize("name", ["a class that others import from here", "everything imported from here"])
def test_names_that_others_take_stay(name: str, tmp_path: Path) -> None:
    """The old import stays beside the new one where another module takes its name from here."""
    assert search(tmp_path, SITUATIONS[name][0]).changes["h.py"].decode().startswith(LC)
