# ruff: noqa: E501 - a program stands on a line
"""Where a model's name comes from and who else needs what is rewritten, within a module and across a tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from routed_llm.migrate import Migration, Options, migrate

LC = "from langchain_openai import ChatOpenAI\n"
NEW = "from langchain_routed import RoutedChatModel\n"

VALUES = {
    "argparse": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--chat-model', default='gpt-4o')\n"
        "a = p.parse_args()\nChatOpenAI(model=a.chat_model)\n"
    ),
    "argparse, named by dest": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('-m', dest='m', default='gpt-4o')\n"
        "def main(a):\n    ChatOpenAI(model=a.m)\nmain(p.parse_args())\n"
    ),
    "click": (
        "import click\n@click.option('--model-name', '-m', default='gpt-4o')\n"
        "def main(model_name):\n    ChatOpenAI(model=model_name)\n"
    ),
    "click, named": (
        "import click\n@click.option('--model', 'name', default='gpt-4o')\n"
        "def main(name):\n    ChatOpenAI(model=name)\n"
    ),
    "typer": "import typer\ndef main(m: str = typer.Option('gpt-4o', '--model')):\n    ChatOpenAI(model=m)\n",
    "an annotated settings object": (
        "class S:\n    model: str = 'gpt-4o'\ndef f(s: S):\n    ChatOpenAI(model=s.model)\n"
    ),
    "an optional settings object": (
        "from typing import Optional\nclass S:\n    model = 'gpt-4o'\n"
        "def f(s: Optional[S] = None):\n    ChatOpenAI(model=s.model)\n"
    ),
    "a settings object kept in self": (
        "class S:\n    model = 'gpt-4o'\nclass A:\n    def __init__(self, s: S):\n        self.s = s\n"
        "    def f(self):\n        ChatOpenAI(model=self.s.model)\n"
    ),
    "a settings object that a function makes": (
        "class S:\n    model = 'gpt-4o'\ndef settings() -> S:\n    return S()\n"
        "ChatOpenAI(model=settings().model)\n"
    ),
    "a field of a parent": "class A:\n    m = 'gpt-4o'\nclass B(A): ...\nChatOpenAI(model=B().m)\n",
    "a field given where it is made": ("class S:\n    m: str\ns = S(m='gpt-4o')\nChatOpenAI(model=s.m)\n"),
    "a pydantic field": (
        "from pydantic import BaseModel, Field\nclass S(BaseModel):\n    m: str = Field('gpt-4o', description='x')\n"
        "ChatOpenAI(model=S().m)\n"
    ),
    "an Enum's value": (
        "from enum import Enum\nclass M(Enum):\n    BIG = 'gpt-4o'\nChatOpenAI(model=M.BIG.value)\n"
    ),
    "a StrEnum": "from enum import StrEnum\nclass M(StrEnum):\n    BIG = 'gpt-4o'\nChatOpenAI(model=M.BIG)\n",
    "a parameter filled at a call": "def make(name):\n    return ChatOpenAI(model=name)\nmake('gpt-4o')\n",
    "a parameter filled by keyword": "def make(*, name):\n    return ChatOpenAI(model=name)\nmake(name='gpt-4o')\n",
    "a constructor's parameter": (
        "class A:\n    def __init__(self, m):\n        self.llm = ChatOpenAI(model=m)\nA('gpt-4o')\n"
    ),
    "a method's parameter": (
        "class A:\n    def make(self, m):\n        return ChatOpenAI(model=m)\n"
        "    def both(self):\n        self.make('gpt-4o')\n"
    ),
    "a registry": "M = {'a': 'gpt-4o'}\ndef f(t):\n    ChatOpenAI(model=M[t])\n",
    "a registry of registries": (
        "M = {'a': {'name': 'gpt-4o', 't': 0}}\ndef f(t):\n    c = M[t]\n    ChatOpenAI(model=c['name'])\n"
    ),
    "a registry's default": "M = {'a': 'gpt-4o'}\ndef f(t):\n    ChatOpenAI(model=M.get(t))\n",
    "a registry gone through": (
        "M = {'a': {'id': 'gpt-4o'}}\nfor k, c in M.items():\n    ChatOpenAI(model=c['id'])\n"
    ),
    "rows gone through": "for n, m in [('a', 'gpt-4o')]:\n    ChatOpenAI(model=m)\n",
    "keywords of a dictionary": "kw = {'model': 'gpt-4o', 'temperature': 0}\nChatOpenAI(**kw)\n",
    "keywords of dict()": "kw = dict(model='gpt-4o')\nChatOpenAI(**kw, temperature=0)\n",
    "a table made by dict()": "c = dict(model='gpt-4o')\nChatOpenAI(model=c['model'])\n",
    "what a function returns": "def name():\n    return 'gpt-4o'\nChatOpenAI(model=name())\n",
    "two names at once": "a, b = 'gpt-4o', 0\nChatOpenAI(model=a)\n",
    "one of two things that a function returns": (
        "def both():\n    return 0, 'gpt-4o'\nn, m = both()\nChatOpenAI(model=m)\n"
    ),
    "a choice of a form": (
        "import streamlit as st\nm = st.selectbox('Model', ['gpt-4o'])\nChatOpenAI(model=m)\n"
    ),
    "a walrus": "ChatOpenAI(model=(m := 'gpt-4o'))\n",
}


def tree(folder: Path, files: dict[str, str], **options: object) -> Migration:
    """Write files and search them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return migrate(folder, Options(at="2026-11-22", **options), workers=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("program", VALUES.values(), ids=VALUES)
def test_a_value_is_followed(program: str, tmp_path: Path) -> None:
    """A name that reaches a constructor is traced to it, the constructor is rewritten, nothing else is."""
    found = tree(tmp_path, {"a.py": LC + program})
    assert [str(item.kind) for item in found.occurrences] in (["trace"], ["rewrite"])
    after = (NEW + program).replace("ChatOpenAI(", "RoutedChatModel(")
    assert found.changes["a.py"].decode() == after
    found.write()
    again = migrate(tmp_path, Options(at="2026-11-22"), workers=1)
    assert not again.changes
    assert [str(item.kind) for item in again.occurrences] == ["keep"]


UNSURE = {
    "a dictionary that is changed later": (
        "kw = {'model': 'gpt-4o'}\nkw['model'] = pick()\nChatOpenAI(**kw)\n",
        "it is the value of 'model' in a dictionary. Look at what reads it.",
    ),
    "one of another vendor": (
        "for m in ['gpt-4o', 'claude-3-opus']:\n    ChatOpenAI(model=m)\n",
        "'claude-3-opus' may reach it, too, and is no model of the catalog. Split the two.",
    ),
    "put together": (
        "M = 'gpt-4o' + size\nChatOpenAI(model=M)\n",
        "the id is put together ('gpt-4o' + size). Write the ids out, then run this again.",
    ),
    "a call that is not known": (
        "ChatOpenAI(model=pick() or 'gpt-4o')\n",
        "its model may also come from pick(), which is not known here. Check it by hand.",
    ),
}


@pytest.mark.parametrize(("program", "why"), UNSURE.values(), ids=UNSURE)
def test_what_is_not_certain_is_reported(program: str, why: str, tmp_path: Path) -> None:
    """Where something else may reach a constructor, nothing is rewritten and the reason is the true one."""
    found = tree(tmp_path, {"a.py": LC + program})
    assert not found.changes
    assert found.occurrences[0].why.endswith(why)


USED = {
    "a constant": (
        "import litellm\nM = 'openai/gpt-4o'\nlitellm.completion(model=M)\n",
        "constant that reaches line 3: it is the model of litellm.completion(), which has no routed counterpart. "
        "openai before the name means OpenAI itself, where it stops, too. "
        "Set OPENAI_BASE_URL to a gateway (`routed serve`), or name a model that stays.",
    ),
    "a field": (
        "import dspy\nclass A:\n    m = 'gpt-4o'\n    def f(self):\n        dspy.LM(model=self.m)\n",
        "field that reaches line 5: it is the model of dspy.LM(), which has no routed counterpart. "
        "Set OPENAI_BASE_URL to a gateway (`routed serve`), or name a model that stays.",
    ),
    "part of a text": (
        "import crewai\nM = 'gpt-4o'\ncrewai.LLM(model=f'openai/{M}')\n",
        "constant that reaches line 3: it is the model of crewai.LLM(), which has no routed counterpart. "
        "openai before the name means OpenAI itself, where it stops, too. "
        "Set OPENAI_BASE_URL to a gateway (`routed serve`), or name a model that stays.",
    ),
    "a default of a method": (
        "class A:\n    def f(self, model='gpt-4o'):\n        self.client.chat.completions.create(model=model)\n",
        "default argument that reaches line 3: self.client.chat.completions.create() calls OpenAI's SDK itself. "
        "Ask Router().decide(read_openai(body)) what to send, or name a model that stays.",
    ),
}


@pytest.mark.parametrize(("program", "why"), USED.values(), ids=USED)
def test_a_value_is_followed_to_what_cannot_be_rewritten(program: str, why: str, tmp_path: Path) -> None:
    """The report says where a value is used, and what to do there."""
    found = tree(tmp_path, {"a.py": program})
    assert [(str(item.kind), item.why) for item in found.occurrences] == [("report", why)]
    assert not found.changes


def test_a_value_is_followed_into_a_file_that_names_no_model(tmp_path: Path) -> None:
    """What is handed to a function of another file is followed there."""
    files = {
        "b.py": "import litellm\ndef ask(model):\n    litellm.completion(model=model)\n",
        "a.py": "from b import ask\nask(model='gpt-4o')\n",
    }
    assert [item.why for item in tree(tmp_path, files).occurrences] == [
        "it reaches litellm.completion() at b.py:3, which is not rewritten: it is the model of "
        "litellm.completion(), which has no routed counterpart. "
        "Set OPENAI_BASE_URL to a gateway (`routed serve`), or name a model that stays."
    ]


COUNTED = {
    "tokens": "import tiktoken\ndef f(m='gpt-4o'):\n    tiktoken.encoding_for_model(m)\n",
    "looked up in a list": "M = ['gpt-4o']\ndef f(m):\n    return m in M\n",
    "looked up in a set": "M = frozenset({'gpt-4o'})\ndef f(m):\n    return m not in M\n",
    "a row of prices": "P = ((('gpt-4o',), 2.5, 10.0),)\n",
}


@pytest.mark.parametrize("program", COUNTED.values(), ids=COUNTED)
def test_what_calls_no_model_is_kept(program: str, tmp_path: Path) -> None:
    """A name that only counts, or is only looked up, is no choice."""
    assert [str(item.kind) for item in tree(tmp_path, {"a.py": program}).occurrences] == ["keep"]


LISTS = {
    "looked up only": ("def f(m):\n    return m in OLD\n", "keep"),
    "offered, too": ("def f(m):\n    show(OLD)\n    return m in OLD\n", "report"),
}


@pytest.mark.parametrize(("program", "kind"), LISTS.values(), ids=LISTS)
def test_a_list_that_another_module_looks_things_up_in(program: str, kind: str, tmp_path: Path) -> None:
    """A list is no choice where another module only compares with it."""
    files = {"lists.py": "OLD = ['gpt-4o']\n", "a.py": "from lists import OLD  # gpt-4o\n" + program}
    found = tree(tmp_path, files)
    assert [str(item.kind) for item in found.occurrences if item.path == "lists.py"] == [kind]


def test_a_value_that_is_handed_to_a_function_of_the_tree_says_to_which(tmp_path: Path) -> None:
    """A function of the tree that no constructor is behind is named as what it is."""
    files = {
        "b.py": "def ask(model):\n    print(model)\n",
        "a.py": "from b import ask\nask(model='gpt-4o')\n",
    }
    assert [item.why for item in tree(tmp_path, files).occurrences] == [
        "it is handed to ask() of b.py, which hands it to no constructor known here. "
        "Look at what is done with it there."
    ]


CIRCLES = {
    "names": "a = b\nb = a\nChatOpenAI(model=a)\n",
    "loops": "for x in y:\n    y = [x]\n    for y in x.items():\n        ChatOpenAI(model=x[y])\n",
    "tables": "t = {'a': t}\nt = t['a']\nChatOpenAI(model=t['a'])\n",
    "fields": "class A:\n    a = A.b\n    b = A.a\nChatOpenAI(model=A.a)\n",
    "calls": "def f(x=g()): return g(x)\ndef g(x=f()): return f(x)\nChatOpenAI(model=f(g))\n",
    "parents": "class A(B): ...\nclass B(A): ...\nChatOpenAI(model=A().m)\n",
    "clients": "from openai import OpenAI\na = b\nb = a or a.copy()\na.responses.create(model='gpt-4o')\n",
}


@pytest.mark.parametrize("program", CIRCLES.values(), ids=CIRCLES)
def test_circles_end(program: str, tmp_path: Path) -> None:
    """What leads back to itself is given up, and the rest of the file is read."""
    found = tree(tmp_path, {"a.py": LC + program + "ChatOpenAI(model='gpt-4o')\n"})
    assert found.files[0].problem is None
    assert b"\nRoutedChatModel(model='gpt-4o')\n" in found.changes["a.py"]


ACROSS = {
    "a settings instance": (
        {"conf.py": "class S:\n    model: str = 'gpt-4o'\ns = S()\n"},
        "from conf import s\nChatOpenAI(model=s.model)\n",
    ),
    "a settings class": (
        {"conf.py": "class S:\n    model: str = 'gpt-4o'\n"},
        "from conf import S\nclass A:\n    def __init__(self, s: S):\n        ChatOpenAI(model=s.model)\n",
    ),
    "a module": ({"conf.py": "MODEL = 'gpt-4o'\n"}, "import conf\nChatOpenAI(model=conf.MODEL)\n"),
    "everything of a module": (
        {"conf.py": "MODEL = 'gpt-4o'\n"},
        "from conf import *\nChatOpenAI(model=MODEL)\n",
    ),
    "an entry of a table": (
        {"conf.py": "M = {'fast': 'gpt-4o'}\n"},
        "from conf import M\nChatOpenAI(model=M['fast'])\n",
    ),
    "a function": (
        {"conf.py": "def m():\n    return 'gpt-4o'\n"},
        "from conf import m\nChatOpenAI(model=m())\n",
    ),
    "through a package": (
        {"pkg/__init__.py": "from .conf import MODEL\n", "pkg/conf.py": "MODEL = 'gpt-4o'\n"},
        "from pkg import MODEL\nChatOpenAI(model=MODEL)\n",
    ),
    "in a folder of sources": (
        {"src/pkg/conf.py": "MODEL = 'gpt-4o'\n", "src/pkg/__init__.py": ""},
        "from pkg.conf import MODEL\nChatOpenAI(model=MODEL)\n",
    ),
    "a caller": (
        {"run.py": "from a import make\nmake('gpt-4o')\n"},
        "def make(name):\n    return ChatOpenAI(model=name)\n",
    ),
    "a caller of a class": (
        {"run.py": "import a\na.A(m='gpt-4o')\n"},
        "class A:\n    def __init__(self, m):\n        self.llm = ChatOpenAI(model=m)\n",
    ),
}


@pytest.mark.parametrize(("others", "program"), ACROSS.values(), ids=ACROSS)
def test_a_value_is_followed_across_files(others: dict[str, str], program: str, tmp_path: Path) -> None:
    """What another module holds or hands over is traced to the constructor that it reaches."""
    found = tree(tmp_path, {**others, "a.py": LC + program})
    assert [(item.path != "a.py", str(item.kind)) for item in found.occurrences] == [(True, "trace")]
    assert list(found.changes) == ["a.py"]
    assert b"RoutedChatModel(model=" in found.changes["a.py"]
    found.write()
    again = migrate(tmp_path, Options(at="2026-11-22"), workers=1)
    assert not again.changes
    assert [str(item.kind) for item in again.occurrences] == ["keep"]


REEXPORTS = {
    "by name": {"h.py": LC},
    "by another name": {"h.py": "from langchain_openai import ChatOpenAI as Chat\nChatOpenAI = Chat\n"},
    "through two modules": {"h.py": "from deep import ChatOpenAI\n", "deep.py": LC},
    "through a package": {"h/__init__.py": "from .deep import ChatOpenAI\n", "h/deep.py": LC},
    "everything": {"h.py": "from langchain_openai import *\n"},
}


@pytest.mark.parametrize("name", [name for name in REEXPORTS if name != "by another name"])
def test_a_class_that_another_module_hands_on(name: str, tmp_path: Path) -> None:
    """A class that is imported from a module of the program is what that module imports."""
    found = tree(
        tmp_path, {**REEXPORTS[name], "a.py": "from h import ChatOpenAI\nChatOpenAI(model='gpt-4o')\n"}
    )
    assert found.changes["a.py"].decode() == NEW + "RoutedChatModel(model='gpt-4o')\n"


STUBS = {
    "langchain_openai.py": "class ChatOpenAI:\n    def __init__(self, model): pass\n",
    "langchain_routed.py": "class RoutedChatModel:\n    def __init__(self, model): pass\n",
}
HELPER = LC + "default = ChatOpenAI(model='gpt-4o')\n"
USERS = {
    "by name": "from helper import ChatOpenAI\nChatOpenAI(model='gpt-5.5')\n",
    "by another name": "from helper import ChatOpenAI as C\nC(model='gpt-5.5')\n",
    "everything": "from helper import *\nChatOpenAI(model='gpt-5.5')\n",
    "as an attribute": "import helper\nhelper.ChatOpenAI(model='gpt-5.5')\n",
    "in a function": "def f():\n    from helper import ChatOpenAI\n    return ChatOpenAI(model='gpt-5.5')\nf()\n",
    "where it is mocked": "from unittest.mock import patch\nwith patch('helper.ChatOpenAI'): ...\n",
    "as a type": "import helper\ndef f(x: helper.ChatOpenAI): ...\nassert f.__annotations__\n",
    "through a third module": "from third import ChatOpenAI\nChatOpenAI(model='gpt-5.5')\n",
    "through everything of a third": "from third_all import ChatOpenAI\nChatOpenAI(model='gpt-5.5')\n",
}


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
@pytest.mark.parametrize("folder", ["", "tests/"], ids=["beside it", "in a test"])
def test_a_rewrite_breaks_no_other_file(user: str, folder: str, tmp_path: Path) -> None:
    """A name that another file takes from a rewritten module is still there, and that file still runs."""
    files = {
        "helper.py": HELPER,
        "third.py": "from helper import ChatOpenAI, default\n",
        "third_all.py": "from helper import *\n",
        f"{folder}user.py": user,
    }
    found = tree(tmp_path, files)
    found.write()
    assert (tmp_path / "helper.py").read_text() == LC + NEW + "default = RoutedChatModel(model='gpt-4o')\n"
    for name, content in STUBS.items():
        (tmp_path / name).write_text(content)
    run = [sys.executable, str(tmp_path / folder / "user.py")]
    done = subprocess.run(run, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_nobody_takes_is_removed(tmp_path: Path) -> None:
    """Another module of the same name, and the program's own import, keep nothing."""
    found = tree(tmp_path, {"helper.py": HELPER, "other.py": LC + "ChatOpenAI(model='gpt-5.5')\n"})
    assert found.changes["helper.py"].decode() == NEW + "default = RoutedChatModel(model='gpt-4o')\n"


def test_a_string_that_names_what_is_rewritten_is_noted(tmp_path: Path) -> None:
    """Whoever patches a class by its name in a string learns the file and line."""
    test = "from unittest.mock import patch\n\n\ndef test():\n    with patch('app.main.ChatOpenAI'): ...\n"
    found = tree(tmp_path, {"app/main.py": HELPER, "app/__init__.py": "", "tests/test_main.py": test})
    assert found.notes[0] == (
        'tests/test_main.py:5 names "app.main.ChatOpenAI" in a string. app/main.py keeps that import, but calls '
        "the routed class now: change the string where it replaces what is called."
    )


SILENT = {
    "litellm": "import litellm\nlitellm.completion(model='openai/gpt-4o', messages=[])\n",
    "dspy": "import dspy\nlm = dspy.LM('openai/gpt-4o-mini')\n",
    "crewai": "from crewai import LLM\nllm = LLM(model='openai/gpt-4o')\n",
    "azure": "import litellm\nlitellm.completion(model='azure/gpt-4o', messages=[])\n",
    "a template's field": (
        "from dataclasses import dataclass, field\n@dataclass\nclass C:\n"
        "    model: str = field(default='openai/gpt-4o')\n"
    ),
    "a constant": "MODEL = 'openai/gpt-4o'\n",
    "a list": "MODELS = ['openai/gpt-4o', 'anthropic/claude']\n",
}


@pytest.mark.parametrize("program", SILENT.values(), ids=SILENT)
def test_a_name_with_its_provider_is_reported(program: str, tmp_path: Path) -> None:
    """A name under which a library calls OpenAI itself stops on the same day: nobody misses it in silence."""
    found = tree(tmp_path, {"a.py": program})
    assert [str(item.kind) for item in found.occurrences] == ["report"]


def test_a_gateways_name_is_kept_where_the_gateway_is_named(tmp_path: Path) -> None:
    """The same name at a gateway's address is the gateway's."""
    program = LC + "ChatOpenAI(model='openai/gpt-4o', base_url='https://openrouter.ai/api/v1')\n"
    found = tree(tmp_path, {"a.py": program})
    assert [str(item.kind) for item in found.occurrences] == ["keep"]
