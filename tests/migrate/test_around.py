# ruff: noqa: E501 - a program stands on a line
"""Around the situations that migration was built for: further programs of each kind, as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from routed_llm.migrate import Migration, Options, migrate

LC = "from langchain_openai import ChatOpenAI\n"

AROUND: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "argparse dest": (
        {
            "a.py": LC
            + "import argparse\ndef main():\n    ap = argparse.ArgumentParser()\n    ap.add_argument('-m', '--model-name', dest='llm', type=str, default='gpt-4o')\n    args = ap.parse_args()\n    run(args)\n\ndef run(args):\n    return ChatOpenAI(model=args.llm)\nmain()\n"
        },
        ["a.py:5 trace"],
        ["a.py"],
    ),
    "argparse function returns": (
        {
            "a.py": LC
            + "from argparse import ArgumentParser\ndef parse():\n    p = ArgumentParser()\n    g = p.add_argument_group('x')\n    g.add_argument('--model', default='gpt-4o')\n    return p.parse_args()\nargs = parse()\nllm = ChatOpenAI(model=args.model)\n"
        },
        ["a.py:6 trace"],
        ["a.py"],
    ),
    "argparse vars": (
        {
            "a.py": LC
            + "import argparse\np = argparse.ArgumentParser()\np.add_argument('--model', default='gpt-4o')\nargs = vars(p.parse_args())\nllm = ChatOpenAI(model=args['model'])\n"
        },
        ["a.py:4 trace"],
        ["a.py"],
    ),
    "argparse other module": (
        {
            "cli.py": "import argparse\ndef get_args():\n    p = argparse.ArgumentParser()\n    p.add_argument('--model', default='gpt-4o')\n    return p.parse_args()\n",
            "a.py": LC + "from cli import get_args\nargs = get_args()\nllm = ChatOpenAI(model=args.model)\n",
        },
        ["cli.py:4 trace"],
        ["a.py"],
    ),
    "argparse set_defaults": (
        {
            "a.py": LC
            + "import argparse\np = argparse.ArgumentParser()\np.add_argument('--model')\np.set_defaults(model='gpt-4o')\nllm = ChatOpenAI(model=p.parse_args().model)\n"
        },
        ["a.py:5 trace"],
        ["a.py"],
    ),
    "argparse constant default": (
        {
            "a.py": LC
            + "import argparse\nDEFAULT = 'gpt-4o'\np = argparse.ArgumentParser()\np.add_argument('model', nargs='?', default=DEFAULT)\nopts, _ = p.parse_known_args()\nllm = ChatOpenAI(model=opts.model)\n"
        },
        ["a.py:3 trace"],
        ["a.py"],
    ),
    "base_url constant None": (
        {
            "a.py": LC
            + "import os\nURL = os.getenv('OPENAI_API_BASE', 'https://api.openai.com/v1')\na = ChatOpenAI(model='gpt-4o', openai_api_base=URL)\n"
        },
        ["a.py:4 rewrite"],
        ["a.py"],
    ),
    "base_url deepseek env": (
        {"a.py": LC + "import os\na = ChatOpenAI(model='gpt-4o', base_url=os.getenv('PROXY_URL'))\n"},
        ["a.py:3 report"],
        [],
    ),
    "base_url settings": (
        {
            "a.py": LC
            + "class S:\n    base_url: str = 'https://openrouter.ai/api/v1'\ns = S()\na = ChatOpenAI(model='openai/gpt-4o', base_url=s.base_url)\nb = ChatOpenAI(model='gpt-4o', base_url='https://api.openai.com/v1')\n"
        },
        ["a.py:5 keep", "a.py:6 rewrite"],
        ["a.py"],
    ),
    "typer Option": (
        {
            "a.py": LC
            + "import typer\napp = typer.Typer()\n@app.command()\ndef run(model: str = typer.Option('gpt-4o', '--model', help='gpt-4o')):\n    ChatOpenAI(model=model)\n"
        },
        ["a.py:5 trace", "a.py:5 report"],
        ["a.py"],
    ),
    "click short name": (
        {
            "a.py": LC
            + "import click\n@click.group()\ndef cli():\n    pass\n@cli.command()\n@click.option('-m', '--llm-model', 'name', default='gpt-4o', type=click.Choice(['gpt-4o', 'gpt-4.1']))\n@click.argument('q')\ndef run(q, name):\n    ChatOpenAI(model=name)\n"
        },
        ["a.py:7 trace", "a.py:7 report", "a.py:7 report"],
        ["a.py"],
    ),
    "click obj": (
        {
            "a.py": LC
            + "import click\n@click.command()\n@click.option('--model', default='gpt-4o')\n@click.pass_context\ndef run(ctx, **kwargs):\n    ChatOpenAI(model=kwargs['model'])\n"
        },
        ["a.py:4 trace"],
        ["a.py"],
    ),
    "config json list": (
        {
            "c.json": '{"models": ["gpt-4o", "gpt-4o-mini"], "agent": {"model": "openai/gpt-4o", "args": ["--model", "gpt-4o"]}}\n'
        },
        ["c.json:1 report", "c.json:1 report", "c.json:1 report", "c.json:1 report"],
        [],
    ),
    "config yaml flow": (
        {
            "c.yaml": "agents: [{name: a, model: gpt-4o}, {name: b, model: 'openai:gpt-4o'}]\nargs: ['--model=gpt-4o', '--x']\ncmd: run --model gpt-4o --y\nfallback: [[gpt-4o], [gpt-4o-mini]]\n"
        },
        [
            "c.yaml:1 report",
            "c.yaml:1 report",
            "c.yaml:2 report",
            "c.yaml:3 report",
            "c.yaml:4 report",
            "c.yaml:4 report",
        ],
        [],
    ),
    "config compose str": (
        {
            "docker-compose.yaml": "services:\n  a:\n    command: python app.py --model gpt-4o\n    entrypoint: ['app', '-m', 'azure/gpt-4o']\n    environment: {MODEL: gpt-4o, LLM: openai/gpt-4o}\n    labels:\n      - traefik.gpt-4o\n"
        },
        [
            "docker-compose.yaml:3 report",
            "docker-compose.yaml:4 report",
            "docker-compose.yaml:5 report",
            "docker-compose.yaml:5 report",
            "docker-compose.yaml:7 never",
        ],
        [],
    ),
    "config toml inline": (
        {
            "pyproject.toml": "[tool.app]\nllms = [{name = 'gpt-4o'}, {name = 'gpt-4o-mini'}]\nmodel = {id = 'gpt-4o', temperature = 0}\nlist = [\n  'gpt-4o',\n  'gpt-4.1', # old gpt-4o\n]\n"
        },
        [
            "pyproject.toml:2 report",
            "pyproject.toml:2 report",
            "pyproject.toml:3 report",
            "pyproject.toml:5 report",
            "pyproject.toml:6 report",
            "pyproject.toml:6 keep",
        ],
        [],
    ),
    "param optional annotation": (
        {
            "a.py": LC
            + "from typing import Optional\nfrom dataclasses import dataclass\n@dataclass\nclass Cfg:\n    model: str = 'gpt-4o'\ndef make(cfg: Optional[Cfg] = None):\n    cfg = cfg or Cfg()\n    return ChatOpenAI(model=cfg.model)\n"
        },
        ["a.py:6 trace"],
        ["a.py"],
    ),
    "param annotation other module": (
        {
            "conf.py": "from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    llm: str = 'gpt-4o'\n",
            "a.py": LC
            + "from conf import Settings\nclass A:\n    def __init__(self, s: Settings):\n        self.s = s\n    def make(self):\n        return ChatOpenAI(model=self.s.llm)\n",
        },
        ["conf.py:3 trace"],
        ["a.py"],
    ),
    "settings lazily": (
        {
            "a.py": LC
            + "from pydantic import BaseModel, Field\nclass LLM(BaseModel):\n    name: str = Field('gpt-4o', description='gpt-4o')\nclass Settings(BaseModel):\n    llm: LLM = Field(default_factory=LLM)\ns = Settings()\nx = ChatOpenAI(model=s.llm.name)\n"
        },
        ["a.py:4 trace", "a.py:4 report"],
        ["a.py"],
    ),
    "namedtuple config": (
        {
            "a.py": LC
            + "from typing import NamedTuple\nclass C(NamedTuple):\n    model: str = 'gpt-4o'\ndef f(c: 'C'):\n    return ChatOpenAI(model=c.model, temperature=0.1)\n"
        },
        ["a.py:4 trace"],
        ["a.py"],
    ),
    "create_react_agent constant": (
        {
            "a.py": "from langgraph.prebuilt import create_react_agent\nM = 'openai:gpt-4o'\na = create_react_agent(M, tools=[])\nb = create_react_agent(model=f'openai:gpt-4o', tools=[])\n"
        },
        ["a.py:2 trace", "a.py:4 rewrite"],
        ["a.py"],
    ),
    "create_agent param": (
        {
            "a.py": "from langchain.agents import create_agent\ndef build(model: str = 'openai:gpt-4o-mini'):\n    return create_agent(model=model, tools=[])\nbuild()\n"
        },
        ["a.py:2 trace"],
        ["a.py"],
    ),
    "create_agent env": (
        {
            "a.py": "import os\nfrom langchain.agents import create_agent\nagent = create_agent(os.environ.get('M', 'openai:gpt-4o'), tools=[])\n"
        },
        ["a.py:3 rewrite"],
        ["a.py"],
    ),
    "create_deep_agent": (
        {
            "a.py": "from deepagents import create_deep_agent\na = create_deep_agent(model='openai:gpt-4o', tools=[])\nb = create_deep_agent(tools=[], model='gpt-4o', subagents=[{'name': 'x', 'model': 'openai:gpt-4o'}])\n"
        },
        ["a.py:2 rewrite", "a.py:3 rewrite", "a.py:3 report"],
        ["a.py"],
    ),
    "supervisor": (
        {
            "a.py": "from langgraph_supervisor import create_supervisor\nfrom langchain.chat_models import init_chat_model\nm = 'gpt-4o'\ns = create_supervisor([], model=init_chat_model(m))\nt = create_supervisor([], model=init_chat_model('openai:' + m))\n"
        },
        ["a.py:3 trace"],
        ["a.py"],
    ),
    "try none module": (
        {
            "a.py": "try:\n    import langchain_openai\nexcept ImportError:\n    langchain_openai = None\ndef f():\n    if langchain_openai is None:\n        raise ImportError\n    return langchain_openai.ChatOpenAI(model='gpt-4o')\n"
        },
        ["a.py:8 rewrite"],
        ["a.py"],
    ),
    "try flag": (
        {
            "a.py": "try:\n    from langchain_openai import ChatOpenAI\n    HAS = True\nexcept ImportError:\n    HAS = False\ndef f():\n    return ChatOpenAI(model='gpt-4o')\n"
        },
        ["a.py:7 rewrite"],
        ["a.py"],
    ),
    "try class stub": (
        {
            "a.py": "try:\n    from langchain_openai import ChatOpenAI\nexcept ImportError:\n    class ChatOpenAI:\n        pass\nx = ChatOpenAI(model='gpt-4o')\n"
        },
        ["a.py:6 report"],
        [],
    ),
    "try except exc none typed": (
        {
            "a.py": "try:\n    from langchain_openai import ChatOpenAI\nexcept Exception:  # noqa\n    ChatOpenAI: object = None\nx = ChatOpenAI(model='gpt-4o')\n"
        },
        ["a.py:5 report"],
        [],
    ),
    "try three": (
        {
            "a.py": "try:\n    from langchain_openai import ChatOpenAI\nexcept ImportError:\n    try:\n        from langchain_community.chat_models import ChatOpenAI\n    except ImportError:\n        from langchain.chat_models import ChatOpenAI\nx = ChatOpenAI(model='gpt-4o')\n"
        },
        ["a.py:8 rewrite"],
        ["a.py"],
    ),
    "try openai": (
        {
            "a.py": "try:\n    from openai import OpenAI\nexcept ImportError:\n    OpenAI = None\nc = OpenAI() if OpenAI else None\nr = c.chat.completions.create(model='gpt-4o', messages=[])\n"
        },
        ["a.py:6 trace"],
        ["a.py"],
    ),
    "format": (
        {
            "a.py": LC
            + "import os\na = ChatOpenAI(model='gpt-4o{}'.format(os.getenv('X')))\nb = ChatOpenAI(model='gpt-4o%s' % os.getenv('X'))\nc = ChatOpenAI(model='-'.join(['gpt', '4o']))\nd = ChatOpenAI(model='gpt-' + '4o')\n"
        },
        ["a.py:3 report", "a.py:4 report", "a.py:6 rewrite"],
        ["a.py"],
    ),
    "concat var": (
        {
            "a.py": LC
            + "SIZE = '-mini'\nBASE = 'gpt-4o'\nNAME = BASE + SIZE\na = ChatOpenAI(model=NAME)\nb = ChatOpenAI(model=f'{BASE}-mini')\n"
        },
        ["a.py:3 trace"],
        ["a.py"],
    ),
    "multi-line concat": (
        {
            "a.py": LC
            + "x = ChatOpenAI(\n    model=(\n        'gpt-'\n        '4o-'\n        'mini'\n    )\n)\ny = ChatOpenAI(model='gpt-4o' '-mini')\n"
        },
        ["a.py:4 rewrite", "a.py:9 rewrite", "a.py:9 keep"],
        ["a.py"],
    ),
    "fstring no vars": ({"a.py": LC + "x = ChatOpenAI(model=f'gpt-4o')\n"}, ["a.py:2 rewrite"], ["a.py"]),
    "helper kw only": (
        {
            "a.py": LC
            + "def make(*, model, **kw):\n    return ChatOpenAI(model=model, **kw)\nx = make(model='gpt-4o', temperature=0)\n"
        },
        ["a.py:4 trace"],
        ["a.py"],
    ),
    "helper other module": (
        {
            "llms.py": LC + "def make(name):\n    return ChatOpenAI(model=name)\n",
            "a.py": "from llms import make\nx = make('gpt-4o')\ny = make(name='gpt-4o-mini')\n",
        },
        ["a.py:2 trace", "a.py:3 trace"],
        ["llms.py"],
    ),
    "helper method": (
        {
            "a.py": LC
            + "class F:\n    def make(self, name):\n        return ChatOpenAI(model=name)\n    def run(self):\n        return self.make('gpt-4o')\nF().make('gpt-4o-mini')\nf = F()\nf.make(name='gpt-4.1')\n"
        },
        ["a.py:6 trace", "a.py:7 trace", "a.py:9 trace"],
        ["a.py"],
    ),
    "helper static": (
        {
            "a.py": LC
            + "class F:\n    @staticmethod\n    def make(name):\n        return ChatOpenAI(model=name)\nx = F.make('gpt-4o')\n"
        },
        ["a.py:6 trace"],
        ["a.py"],
    ),
    "helper partial": (
        {
            "a.py": LC
            + "from functools import partial\ndef make(name, t):\n    return ChatOpenAI(model=name, temperature=t)\nfast = partial(make, 'gpt-4o-mini')\nfast(0)\n"
        },
        ["a.py:5 trace"],
        ["a.py"],
    ),
    "helper two levels": (
        {
            "a.py": LC
            + "def inner(m):\n    return ChatOpenAI(model=m)\ndef outer(m='gpt-4o-mini'):\n    return inner(m)\nouter('gpt-4o')\n"
        },
        ["a.py:4 trace", "a.py:6 trace"],
        ["a.py"],
    ),
    "helper lambda": (
        {"a.py": LC + "make = lambda name: ChatOpenAI(model=name)\nx = make('gpt-4o')\n"},
        ["a.py:3 trace"],
        ["a.py"],
    ),
    "helper loop": (
        {
            "a.py": LC
            + "llms = [ChatOpenAI(model=m) for m in ['gpt-4o', 'gpt-4o-mini']]\nd = {m: ChatOpenAI(model=m) for m in ('gpt-4.1',)}\nfor name in ['gpt-4.1-mini', 'gpt-4o']:\n    ChatOpenAI(model=name)\n"
        },
        ["a.py:2 trace", "a.py:2 trace", "a.py:3 trace", "a.py:4 trace", "a.py:4 trace"],
        ["a.py"],
    ),
    "helper decorated": (
        {
            "a.py": LC
            + "from functools import cache\n@cache\ndef make(name):\n    return ChatOpenAI(model=name)\nmake('gpt-4o')\n"
        },
        ["a.py:6 trace"],
        ["a.py"],
    ),
    "litellm async": (
        {
            "a.py": "from litellm import acompletion, Router\nMODEL = 'openai/gpt-4o'\nasync def f():\n    return await acompletion(model=MODEL, messages=[])\nr = Router(model_list=[{'model_name': 'x', 'litellm_params': {'model': 'azure/gpt-4o', 'api_key': ''}}])\n"
        },
        ["a.py:2 report", "a.py:5 report"],
        [],
    ),
    "dspy configure": (
        {
            "a.py": "import dspy\ndspy.configure(lm=dspy.LM(model='openai/gpt-4o', temperature=0))\ndspy.settings.configure(lm=dspy.OpenAI(model='gpt-4o'))\n"
        },
        ["a.py:2 report", "a.py:3 report"],
        [],
    ),
    "smolagents": (
        {
            "a.py": "from smolagents import LiteLLMModel, OpenAIServerModel\na = LiteLLMModel(model_id='openai/gpt-4o')\nb = OpenAIServerModel(model_id='gpt-4o')\nc = LiteLLMModel('gpt-4o')\n"
        },
        ["a.py:2 report", "a.py:3 report", "a.py:4 report"],
        [],
    ),
    "instructor provider": (
        {
            "a.py": "import instructor\nc = instructor.from_provider('openai/gpt-4o')\nd = instructor.from_provider('openai/gpt-4o-mini', async_client=True)\n"
        },
        ["a.py:2 report", "a.py:3 report"],
        [],
    ),
    "langchain litellm": (
        {
            "a.py": "from langchain_litellm import ChatLiteLLM\nfrom langchain_community.chat_models import ChatLiteLLM as C\na = ChatLiteLLM(model='openai/gpt-4o')\nb = C(model='azure/gpt-4o')\n"
        },
        ["a.py:3 report", "a.py:4 report"],
        [],
    ),
    "openrouter": (
        {
            "a.py": "import litellm\nfrom langchain_openai import ChatOpenAI\na = litellm.completion(model='openrouter/openai/gpt-4o', messages=[])\nb = ChatOpenAI(model='openai/gpt-4o', base_url='https://openrouter.ai/api/v1')\nc = litellm.completion('github/gpt-4o')\nd = litellm.completion('azure_ai/gpt-4o')\n"
        },
        ["a.py:3 keep", "a.py:4 keep", "a.py:5 keep", "a.py:6 keep"],
        [],
    ),
    "patch object": (
        {
            "app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "test_app.py": "import app\ndef test(monkeypatch):\n    monkeypatch.setattr(app, 'ChatOpenAI', object)\n    app.make()\n",
        },
        ["app.py:3 rewrite"],
        ["app.py"],
    ),
    "patch string monkeypatch": (
        {
            "pkg/__init__.py": "",
            "pkg/app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "tests/test_app.py": "import pytest\ndef test(monkeypatch):\n    monkeypatch.setattr('pkg.app.ChatOpenAI', object)\n",
        },
        ["pkg/app.py:3 rewrite"],
        ["pkg/app.py"],
    ),
    "patch decorator mocker": (
        {
            "src/app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "tests/test_app.py": "from unittest import mock\nimport src.app as app\n@mock.patch.object(app, 'ChatOpenAI')\ndef test(m):\n    app.make()\n@mock.patch('src.app.ChatOpenAI')\ndef test2(m):\n    pass\ndef test3(mocker):\n    mocker.patch('app.ChatOpenAI')\n",
        },
        ["src/app.py:3 rewrite"],
        ["src/app.py"],
    ),
    "patch fstring": (
        {
            "app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "test_app.py": "from unittest.mock import patch\nM = 'app'\ndef test():\n    with patch(f'{M}.ChatOpenAI'):\n        pass\n    with patch(__name__ + '.x', create=True): pass\n    with patch.multiple('app', ChatOpenAI=object): pass\n    with patch.multiple(M, ChatOpenAI=object): pass\n",
        },
        ["app.py:3 rewrite"],
        ["app.py"],
    ),
    "patch attribute": (
        {
            "app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "test_app.py": "import app\ndef test():\n    app.ChatOpenAI = lambda **k: None\n    assert getattr(app, 'ChatOpenAI')\n",
        },
        ["app.py:3 rewrite"],
        ["app.py"],
    ),
    "registry list": (
        {
            "a.py": LC
            + "MODELS = [{'id': 'gpt-4o'}, {'id': 'gpt-4o-mini'}]\nllms = [ChatOpenAI(model=m['id']) for m in MODELS]\n"
        },
        ["a.py:2 trace", "a.py:2 trace"],
        ["a.py"],
    ),
    "registry imported": (
        {
            "reg.py": "MODELS = {'fast': {'name': 'gpt-4o-mini'}, 'strong': {'name': 'gpt-4o'}}\n",
            "a.py": LC
            + "from reg import MODELS\ndef get(t):\n    return ChatOpenAI(model=MODELS[t]['name'])\ndef get2(t):\n    cfg = MODELS.get(t, MODELS['fast'])\n    return ChatOpenAI(model=cfg['name'])\n",
        },
        ["reg.py:1 trace", "reg.py:1 trace"],
        ["a.py"],
    ),
    "registry dataclass": (
        {
            "a.py": LC
            + "from dataclasses import dataclass\n@dataclass\nclass M:\n    name: str\n    t: float = 0\nREG = {'a': M('gpt-4o'), 'b': M(name='gpt-4o-mini')}\ndef get(k):\n    m = REG[k]\n    return ChatOpenAI(model=m.name)\n"
        },
        ["a.py:7 trace", "a.py:7 trace"],
        ["a.py"],
    ),
    "registry kwargs": (
        {
            "a.py": LC
            + "REG = {'a': dict(model='gpt-4o', temperature=0), 'b': dict(model='gpt-4o-mini')}\ndef get(k):\n    return ChatOpenAI(**REG[k])\n"
        },
        ["a.py:2 trace", "a.py:2 trace"],
        ["a.py"],
    ),
    "registry enum": (
        {
            "a.py": LC
            + "from enum import Enum\nclass M(str, Enum):\n    A = 'gpt-4o'\n    B = 'gpt-4o-mini'\nx = ChatOpenAI(model=M.A.value)\ny = ChatOpenAI(model=M.B)\ndef f(m: M):\n    return ChatOpenAI(model=m.value)\n"
        },
        ["a.py:4 trace", "a.py:5 trace"],
        ["a.py"],
    ),
    "slash split partial": (
        {
            "a.py": "from langchain.chat_models import init_chat_model\nM = 'openai/gpt-4o'\np, m = M.split('/')\nx = init_chat_model(m, model_provider=p)\n",
            "langgraph.json": '{"env": {"M": "openai/gpt-4o"}}',
        },
        ["a.py:2 report", "langgraph.json:1 report"],
        [],
    ),
    "slash configurable": (
        {
            "a.py": "class Configuration:\n    query_model: str = 'openai/gpt-4o-mini'\n    other: str = 'anthropic/claude'\n    research = 'openai:gpt-4.1'\n"
        },
        ["a.py:2 report", "a.py:4 report"],
        [],
    ),
    "reexport pkg init": (
        {
            "llm/__init__.py": "from langchain_openai import ChatOpenAI as ChatOpenAI\n",
            "a.py": "from llm import ChatOpenAI\nx = ChatOpenAI(model='gpt-4o')\n",
        },
        ["a.py:2 rewrite"],
        ["a.py"],
    ),
    "reexport alias": (
        {
            "helpers.py": "from langchain_openai import ChatOpenAI as LLM\n",
            "a.py": "from helpers import LLM\nx = LLM(model='gpt-4o')\nimport helpers\ny = helpers.LLM(model='gpt-4o')\n",
        },
        ["a.py:2 rewrite", "a.py:4 rewrite"],
        ["a.py"],
    ),
    "reexport assign": (
        {
            "helpers.py": LC + "Chat = ChatOpenAI\n",
            "a.py": "from helpers import Chat\nx = Chat(model='gpt-4o')\n",
        },
        ["a.py:2 rewrite"],
        ["a.py"],
    ),
    "reexport local alias": (
        {"a.py": LC + "Chat = ChatOpenAI\nx = Chat(model='gpt-4o')\n"},
        ["a.py:3 rewrite"],
        ["a.py"],
    ),
    "reexport two hops relative": (
        {
            "p/__init__.py": "from .base import *\n",
            "p/base.py": "from ._x import ChatOpenAI\n",
            "p/_x.py": LC,
            "p/a.py": "from . import ChatOpenAI\nx = ChatOpenAI(model='gpt-4o')\n",
        },
        ["p/a.py:2 rewrite"],
        ["p/a.py"],
    ),
    "reexport breaks attr": (
        {
            "helper.py": LC + "d = ChatOpenAI(model='gpt-4o')\n",
            "a.py": "import helper as h\ny = h.ChatOpenAI(model='gpt-5.5')\n",
            "b.py": "import importlib\nm = importlib.import_module('helper')\nz = getattr(m, 'ChatOpenAI')\n",
        },
        ["helper.py:2 rewrite"],
        ["helper.py"],
    ),
    "settings singleton fn": (
        {
            "config.py": "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    model: str = 'gpt-4o'\ndef get_settings() -> S:\n    return S()\n",
            "a.py": LC
            + "from config import get_settings\nx = ChatOpenAI(model=get_settings().model)\ns = get_settings()\ny = ChatOpenAI(model=s.model)\n",
        },
        ["config.py:3 trace"],
        ["a.py"],
    ),
    "settings module attr": (
        {
            "core/config.py": "MODEL = 'gpt-4o'\nclass Config:\n    LLM = 'gpt-4o-mini'\nconfig = Config()\n",
            "core/__init__.py": "",
            "a.py": LC
            + "from core import config\nimport core.config as cc\nx = ChatOpenAI(model=config.MODEL)\ny = ChatOpenAI(model=cc.config.LLM)\nz = ChatOpenAI(model=config.Config.LLM)\n",
        },
        ["core/config.py:1 trace", "core/config.py:3 trace"],
        ["a.py"],
    ),
    "settings nested instance": (
        {
            "config.py": "from dataclasses import dataclass, field\n@dataclass\nclass L:\n    name: str = 'gpt-4o'\n@dataclass\nclass S:\n    llm: L = field(default_factory=L)\nsettings = S()\n",
            "a.py": LC + "from config import settings\nx = ChatOpenAI(model=settings.llm.name)\n",
        },
        ["config.py:4 trace"],
        ["a.py"],
    ),
    "settings dict": (
        {
            "settings.py": "SETTINGS = {'llm': {'model': 'gpt-4o'}}\nSETTINGS['small'] = 'gpt-4o-mini'\n",
            "a.py": LC
            + "from settings import SETTINGS\nx = ChatOpenAI(model=SETTINGS['llm']['model'])\ny = ChatOpenAI(model=SETTINGS['small'])\n",
        },
        ["settings.py:1 trace", "settings.py:2 trace"],
        ["a.py"],
    ),
    "settings init self": (
        {
            "config.py": "import os\nclass Config:\n    def __init__(self, model='gpt-4o'):\n        self.model = model\n        self.small = os.environ.get('S', 'gpt-4o-mini')\nCFG = Config()\n",
            "a.py": LC
            + "from config import CFG\nx = ChatOpenAI(model=CFG.model)\ny = ChatOpenAI(model=CFG.small)\n",
        },
        ["config.py:3 trace", "config.py:5 trace"],
        ["a.py"],
    ),
    "settings property": (
        {
            "a.py": LC
            + "class C:\n    @property\n    def model(self):\n        return 'gpt-4o'\nx = ChatOpenAI(model=C().model)\n"
        },
        ["a.py:5 trace"],
        ["a.py"],
    ),
    "shared 1": (
        {"a.py": "import os, langchain_openai; x = langchain_openai.ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:1 report"],
        [],
    ),
    "shared 2": (
        {"a.py": "if True: from langchain_openai import ChatOpenAI\nx = ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:2 report"],
        [],
    ),
    "shared 3": (
        {"a.py": "from langchain_openai import ChatOpenAI; x = ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:1 report"],
        [],
    ),
    "shared 5 multi": (
        {
            "a.py": "import os, langchain_openai as lo\nx = lo.ChatOpenAI(model='gpt-4o')\nprint(lo.OpenAIEmbeddings, os)\n"
        },
        ["a.py:2 rewrite"],
        ["a.py"],
    ),
    "star two": (
        {
            "a.py": "from langchain_core.messages import *\nfrom langchain_openai import *\nfrom os import *\nx = ChatOpenAI(model='gpt-4o')\n"
        },
        ["a.py:4 report"],
        [],
    ),
    "star community": (
        {"a.py": "from langchain_community.chat_models import *\nx = ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:2 report"],
        [],
    ),
    "star unknown": (
        {"a.py": "from mystery import *\nx = ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:2 report"],
        [],
    ),
    "star own module": (
        {"common.py": LC + "import os\n", "a.py": "from common import *\nx = ChatOpenAI(model='gpt-4o')\n"},
        ["a.py:2 rewrite"],
        ["a.py"],
    ),
    "star llama": (
        {"a.py": "from llama_index.llms.openai import *\nx = OpenAI(model='gpt-4o')\n"},
        ["a.py:2 rewrite"],
        ["a.py"],
    ),
    "patch importlib": (
        {
            "pkg/__init__.py": "",
            "pkg/app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "tests/test_app.py": "import importlib\nm = importlib.import_module('pkg.app')\nz = getattr(m, 'ChatOpenAI')\n",
        },
        ["pkg/app.py:3 rewrite"],
        ["pkg/app.py"],
    ),
    "patch lazy getattr": (
        {
            "pkg/__init__.py": "_LAZY = {'ChatOpenAI': '.llm'}\ndef __getattr__(name):\n    import importlib\n    return getattr(importlib.import_module(_LAZY[name], __name__), name)\n",
            "pkg/llm.py": LC + "d = ChatOpenAI(model='gpt-4o')\n",
        },
        ["pkg/llm.py:2 rewrite"],
        ["pkg/llm.py"],
    ),
    "patch from pkg": (
        {
            "pkg/__init__.py": "",
            "pkg/app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "tests/test_app.py": "from pkg import app\nfrom unittest import mock\n@mock.patch.object(app, attribute='ChatOpenAI')\ndef test(m):\n    pass\n",
        },
        ["pkg/app.py:3 rewrite"],
        ["pkg/app.py"],
    ),
    "patch unrelated": (
        {
            "app.py": LC + "def make():\n    return ChatOpenAI(model='gpt-4o')\n",
            "b.py": "NAMES = {'ChatOpenAI': 1}\nprint('ChatOpenAI')\n",
        },
        ["app.py:3 rewrite"],
        ["app.py"],
    ),
    "environment only": (
        {
            ".env": "MODEL=gpt-4o\nOTHER=gpt-4o-mini\n",
            "src/a.py": LC
            + "import os\nfrom langchain.agents import create_agent\nx = ChatOpenAI(model=os.environ['MODEL'])\ny = ChatOpenAI(model=os.getenv('UNSET'))\nz = create_agent(os.environ['OTHER'], [])\n",
        },
        [".env:1 trace", ".env:2 trace"],
        ["src/a.py"],
    ),
    "environment compose": (
        {
            "docker-compose.yml": "services:\n  a:\n    environment:\n      - LLM=gpt-4o\n      SMALL: gpt-4o-mini\n",
            "a.py": "import os\nfrom openai import OpenAI\nc = OpenAI()\nc.responses.create(model=os.environ['LLM'], input='x')\n",
        },
        ["docker-compose.yml:4 trace", "docker-compose.yml:5 report"],
        ["a.py"],
    ),
    "openrouter class": (
        {"a.py": "from agno.models.openrouter import OpenRouter\na = OpenRouter(id='openai/gpt-4o')\n"},
        ["a.py:2 keep"],
        [],
    ),
    "init spread": (
        {
            "a.py": "from langchain.chat_models import init_chat_model\ncfg = {'model': 'openai:gpt-4o', 'temperature': 0}\nx = init_chat_model(**cfg)\n"
        },
        ["a.py:2 report"],
        [],
    ),
    "init spread provider": (
        {
            "a.py": "from langchain.chat_models import init_chat_model\ncfg = {'model': 'gpt-4o', 'model_provider': 'openai'}\nx = init_chat_model(**cfg)\n"
        },
        ["a.py:2 report"],
        [],
    ),
    "init spread registry": (
        {
            "a.py": "from langchain.chat_models import init_chat_model\nR = {'a': {'model': 'openai:gpt-4o'}, 'b': {'model': 'gpt-4o-mini'}}\ndef f(k):\n    return init_chat_model(**R[k])\n"
        },
        ["a.py:2 report", "a.py:2 report"],
        [],
    ),
    "mixed providers registry": (
        {
            "a.py": LC
            + "R = {'a': {'model': 'gpt-4o'}, 'b': {'model': 'deepseek-chat', 'base_url': 'https://api.deepseek.com'}}\ndef f(k):\n    return ChatOpenAI(**R[k])\n"
        },
        ["a.py:2 report"],
        [],
    ),
    "fold provider": (
        {
            "a.py": "from langchain.chat_models import init_chat_model\nP = 'anthropic'\nM = 'gpt-4o'\nx = init_chat_model(f'{P}:{M}')\nQ = 'openai'\ny = init_chat_model(f'{Q}:{M}')\n"
        },
        ["a.py:3 trace"],
        ["a.py"],
    ),
    "alias twice": (
        {
            "a.py": LC
            + "from langchain_anthropic import ChatAnthropic\nChat = ChatOpenAI\nif 1:\n    Chat = ChatAnthropic\nx = Chat(model='gpt-4o')\n"
        },
        ["a.py:6 report"],
        [],
    ),
    "alias azure": (
        {
            "a.py": "from langchain_openai import AzureChatOpenAI\nChat = AzureChatOpenAI\nx = Chat(model='gpt-4o', azure_deployment='gpt-4o')\n"
        },
        ["a.py:3 report", "a.py:3 report"],
        [],
    ),
    "alias llamaindex": (
        {
            "a.py": "from llama_index.llms.openai import OpenAI as LIO\nfrom llama_index.core import Settings\nLLM = LIO\nSettings.llm = LLM(model='gpt-4o')\n"
        },
        ["a.py:4 rewrite"],
        ["a.py"],
    ),
    "env other vendor": (
        {
            ".env": "MODEL=gpt-4o\n",
            "a.py": LC
            + "import os\nx = ChatOpenAI(model=os.getenv('MODEL', 'deepseek-chat'), base_url='https://api.deepseek.com')\n",
        },
        [".env:1 report"],
        [],
    ),
    "env prefix": (
        {
            ".env": "MODEL=openai:gpt-4o\n",
            "a.py": "from langchain.chat_models import init_chat_model\nimport os\nx = init_chat_model(os.getenv('MODEL'))\nfrom langchain_openai import ChatOpenAI\ny = ChatOpenAI(model=os.environ['MODEL'])\n",
        },
        [".env:1 trace"],
        ["a.py"],
    ),
    "static in other": (
        {
            "h.py": LC
            + "class F:\n    @staticmethod\n    def make(name):\n        return ChatOpenAI(model=name)\n    @classmethod\n    def make2(cls, name='gpt-4.1'):\n        return ChatOpenAI(model=name)\n",
            "a.py": "from h import F\nx = F.make('gpt-4o')\ny = F().make('gpt-4o-mini')\n",
        },
        ["a.py:2 trace", "a.py:3 trace", "h.py:7 trace"],
        ["h.py"],
    ),
    "dataclass subclass": (
        {
            "a.py": LC
            + "from dataclasses import dataclass\n@dataclass\nclass B:\n    model: str = 'gpt-4o'\n@dataclass\nclass D(B):\n    t: int = 0\nd = D('gpt-4o-mini', 1)\nx = ChatOpenAI(model=d.model)\n"
        },
        ["a.py:5 trace", "a.py:9 trace"],
        ["a.py"],
    ),
    "property other": (
        {
            "c.py": "class S:\n    @property\n    def model(self):\n        return 'gpt-4o'\ns = S()\n",
            "a.py": LC + "from c import s\nx = ChatOpenAI(model=s.model)\n",
        },
        ["c.py:4 trace"],
        ["a.py"],
    ),
    "pydantic kwargs": (
        {
            "a.py": LC
            + "from pydantic import BaseModel\nclass S(BaseModel):\n    model: str = 'gpt-4o'\n    temperature: float = 0\ns = S()\nx = ChatOpenAI(**s.model_dump())\n"
        },
        ["a.py:4 trace"],
        ["a.py"],
    ),
    "global": (
        {
            "a.py": LC
            + "M = 'gpt-4o'\ndef set_model(m):\n    global M\n    M = m\ndef f():\n    return ChatOpenAI(model=M)\nset_model('gpt-4o-mini')\n"
        },
        ["a.py:2 trace", "a.py:8 trace"],
        ["a.py"],
    ),
    "getattr": (
        {
            "conf.py": "MODEL = 'gpt-4o'\n",
            "a.py": LC + "import conf\nx = ChatOpenAI(model=getattr(conf, 'MODEL', 'gpt-4.1'))\n",
        },
        ["a.py:3 rewrite", "conf.py:1 trace"],
        ["a.py"],
    ),
    "a table that is looked up in itself": (
        {
            "a.py": LC
            + "M = 'gpt-4o'\ndef f():\n    reply = ask()\n    reply = reply.get('a', {}).get('b')\n    reply = reply['c'].get('d')\n    return reply.get('e')\nx = ChatOpenAI(model=M)\n"
        },
        ["a.py:2 trace"],
        ["a.py"],
    ),
    "a loop through what it binds": (
        {
            "a.py": LC
            + "M = 'gpt-4o'\nfor node in node.children.values():\n    ChatOpenAI(model=node.m)\nx = ChatOpenAI(model=M)\n"
        },
        ["a.py:2 trace"],
        ["a.py"],
    ),
    "a name that a module of its own compares": (
        {
            "names.py": "Names = str\nclass Kinds(str):\n    pass\n",
            "a.py": "from names import Kinds\ndef f(model: Kinds):\n    if model.startswith('gpt-4o'):\n        return 2.5\n",
        },
        ["a.py:3 keep"],
        [],
    ),
}
"""Files, then each place with its class, then the files that change."""


def search(folder: Path, files: dict[str, str], **options: object) -> Migration:
    """Write files and search them."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return migrate(folder, Options(at="2026-11-22", **options), workers=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("files", "places", "changed"), AROUND.values(), ids=AROUND)
def test_around(files: dict[str, str], places: list[str], changed: list[str], tmp_path: Path) -> None:
    """Each place has its class, what changes compiles, and a second run changes nothing."""
    found = search(tmp_path, files)
    assert [f"{item.place} {item.kind}" for item in found.occurrences] == places
    assert sorted(found.changes) == changed
    for path in found.write():
        compile((tmp_path / path).read_text(), path, "exec")
    assert not migrate(tmp_path, Options(at="2026-11-22"), workers=1).changes


PATCHED = {
    "patch object": ["test_app.py:3"],
    "patch string monkeypatch": ["tests/test_app.py:3"],
    "patch decorator mocker": ["tests/test_app.py:6", "tests/test_app.py:10", "tests/test_app.py:3"],
    "patch fstring": ["test_app.py:4", "test_app.py:7", "test_app.py:8"],
    "patch attribute": ["test_app.py:4"],
    "patch importlib": ["tests/test_app.py:3"],
    "patch lazy getattr": ["pkg/__init__.py:1"],
    "patch from pkg": ["tests/test_app.py:3"],
    "patch unrelated": [],
}
"""The lines that name a class by a string, and are told."""


@pytest.mark.parametrize(("name", "lines"), PATCHED.items(), ids=PATCHED)
def test_a_name_in_a_string_stays(name: str, lines: list[str], tmp_path: Path) -> None:
    """What a test patches or a module looks up by a string is still there, and the line is told."""
    found = search(tmp_path, AROUND[name][0])
    told = [
        note.split(" names ")[0] for note in found.notes if " names " in note and "dependency" not in note
    ]
    assert told == lines
    (changed,) = found.changes.values()
    assert (LC.encode() in changed) is bool(lines)


REASONS = {
    "star unknown": "ChatOpenAI comes from an import of *. Import it by name, then run this again.",
    "litellm async": (
        "constant that reaches line 4: it is the model of litellm.acompletion(), which has no routed counterpart. "
        "openai before the name means OpenAI itself, where it stops, too. "
        "Set OPENAI_BASE_URL to a gateway (`routed serve`), or name a model that stays."
    ),
    "langchain litellm": (
        "it is the model of langchain_community.chat_models.ChatLiteLLM(), which has no routed counterpart. "
        "azure before the name means a deployment of Azure, where it stops, too. "
        "Deploy a model that stays, and name that deployment."
    ),
    "try class stub": "its name is also bound to something that is not an import. Rewrite it by hand.",
}


@pytest.mark.parametrize(("name", "why"), REASONS.items(), ids=REASONS)
def test_reasons(name: str, why: str, tmp_path: Path) -> None:
    """What is left to a person says why, truly."""
    assert why in [item.why for item in search(tmp_path, AROUND[name][0]).occurrences]


def test_a_model_that_is_put_together_is_not_renamed(tmp_path: Path) -> None:
    """``--map`` changes a literal where it stands, and no other one in its place."""
    program = LC + "a = ChatOpenAI(model='gpt-' '4o')\nb = ChatOpenAI(model='gpt-4o')\n"
    found = search(tmp_path, {"a.py": program}, models={"gpt-4o": "gpt-4.1"})
    assert found.changes["a.py"].decode() == program.replace(
        "b = ChatOpenAI(model='gpt-4o')", "b = RoutedChatModel(model='gpt-4.1')"
    ).replace(LC, LC + "from langchain_routed import RoutedChatModel\n")
    assert found.occurrences[0].why == (
        "gpt-4o is put together, so --map cannot change it. Write it out, then run this again."
    )


def test_a_file_that_is_misread_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of the command costs the rewrite of one file, not the search of all others."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("a")

    monkeypatch.setattr("routed_llm.migrate.scan.read", broken)
    found = search(tmp_path, {"a.py": LC + "a = ChatOpenAI(model='gpt-4o')\n"})
    assert [item.why for item in found.occurrences] == [
        "the file could not be parsed (KeyError, which is a defect of this command). Fix it first."
    ]
