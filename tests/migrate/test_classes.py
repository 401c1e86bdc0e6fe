"""What an occurrence is there for, in Python, configuration, texts and other languages."""

from __future__ import annotations

import pytest

from routed_llm.migrate.found import Occurrence, Options
from routed_llm.migrate.ids import shared
from routed_llm.migrate.scan import Scanner, is_test

PYTHON = [
    (
        "report",
        "client.chat.completions.create() calls",
        "def f(client):\n    " + "client.chat.completions.create(model='gpt-4o')",
    ),
    (
        "report",
        "client.beta.chat.completions.parse() calls",
        "def f(client):\n    " + "client.beta.chat.completions.parse(model='gpt-4o')",
    ),
    (
        "report",
        "client.responses.create() calls",
        "def f(client):\n    " + "client.responses.create(model='gpt-4.1', input='x')",
    ),
    (
        "report",
        "is of openai before 1.0",
        "import openai\nopenai.ChatCompletion.create(model='gpt-4o', messages=[])",
    ),
    (
        "report",
        "a client that asks several providers",
        "import aisuite\naisuite.Client().chat.completions.create(model='openai:gpt-4o', messages=[])",
    ),
    ("report", "gateway (`routed serve`)", "from crewai import LLM\nLLM(model='gpt-4o')"),
    (
        "report",
        "ImageBlock",
        "from llama_index.multi_modal_llms.openai import OpenAIMultiModal\nOpenAIMultiModal('gpt-4o')",
    ),
    (
        "report",
        "RoutedChatModel.from_azure(deployments={...})",
        "from langchain_openai import AzureChatOpenAI\nAzureChatOpenAI(deployment_name='gpt-4o')",
    ),
    ("report", "model of a request's body", "body = {'model': 'gpt-4o', 'messages': []}"),
    ("report", "assigned to MODEL", "MODEL = 'gpt-4o'"),
    ("report", "default of name", "def f(name='gpt-4o'): ..."),
    ("report", "list of models", "st.selectbox('Model', ['gpt-4o', 'gpt-4.1'])"),
    ("report", "a function returns it", "def f():\n    return 'gpt-4o'"),
    ("report", "f-string", "size = ''\nx = f'gpt-4o{size}'"),
    ("keep", "key of a table", "PRICES = {'gpt-4o': 2.5}"),
    ("keep", "compared", "if name == 'gpt-4o': ..."),
    ("keep", "compared", "if name in ('gpt-4o', 'gpt-4.1'): ..."),
    ("keep", "compared", "name.startswith('gpt-4o')"),
    ("keep", "compared", "match name:\n    case 'gpt-4o': ..."),
    ("keep", "type allows", "from typing import Literal\nM = Literal['gpt-4o', 'gpt-4.1']"),
    ("keep", "looked up", "p = PRICES['gpt-4o']"),
    ("keep", "comment", "x = 1  # gpt-4o is fine"),
    ("keep", "docstring", '"""Uses gpt-4o."""'),
    ("keep", "longer text", "x = 'we use gpt-4o here'"),
    ("keep", "shows it to a reader", "print('gpt-4o')"),
    ("keep", "counts tokens", "import tiktoken\ntiktoken.encoding_for_model('gpt-4o')"),
    ("keep", "gateway's name", "x = 'openrouter/openai/gpt-4o'"),
    ("keep", "routed: keep", "MODEL = 'gpt-4o'  # routed: keep"),
    ("never", "gpt-4o-transcribe is another", "x = 'gpt-4o-transcribe'"),
    ("never", "my-gpt-4o-team is another", "x = 'my-gpt-4o-team'"),
    ("never", "gpt-5.9 is another", "x = 'gpt-5.9'"),
]
FILES = [
    ("config.yaml", "report", "configuration key 'model'", "llm:\n  model: gpt-4o\n"),
    ("config.yaml", "report", "list of models", "models:\n  - gpt-4o\n"),
    ("config.yaml", "keep", "key of a table", "prices:\n  gpt-4o: 2.5\n"),
    ("config.yaml", "keep", "comment", "# gpt-4o\nx: 1\n"),
    ("config.yaml", "keep", "longer text", "note: we use gpt-4o here\n"),
    ("config.yaml", "keep", "gateway", "model: openrouter/openai/gpt-4o\n"),
    ("config.json", "report", "configuration key 'model'", '{"llm": {"model": "gpt-4o"}}'),
    ("config.json", "keep", "key of a table", '{"gpt-4o": 1}'),
    ("config.json", "report", "deployment of Azure", '{"azure_deployment": "gpt-4o"}'),
    ("settings.toml", "report", "configuration key 'model'", '[llm]\nmodel = "gpt-4o"\n'),
    (".env", "report", "configuration key 'OPENAI_MODEL'", "OPENAI_MODEL=gpt-4o\n"),
    ("compose.yml", "report", "default of the variable MODEL", "environment:\n  MODEL: ${MODEL:-gpt-4o}\n"),
    ("config.yaml", "report", "list of models", "llm:\n  fallbacks: [a, gpt-4o, b]\n"),
    ("config.yaml", "report", "list of models", "fallbacks: gpt-5.5, gpt-4o\n"),
    ("config.yaml", "report", "'name'", "models:\n  - {name: gpt-4o, cost: 2.5}\n"),
    ("config.yaml", "report", "'model'", "{{ if .x }}\nmodel: gpt-4o\n{{ end }}\n"),
    ("config.yaml", "keep", "longer text", "prompt: |\n  Answer as\n  gpt-4o would, in a word.\n"),
    ("config.yaml", "report", "'provider_model'", "llm:\n  provider_model: openai/gpt-4o\n"),
    ("config.yaml", "report", "'model'", "é: ü\nmodel: 'gpt-4o'\n"),
    ("docker-compose.yml", "report", "'MODEL'", "environment:\n  - MODEL=gpt-4o\n"),
    ("docker-compose.yml", "report", "variable MODEL", "environment:\n  - M=${MODEL:-gpt-4o}\n"),
    ("docker-compose.yml", "report", "an item of", 'command: ["python", "--model", "gpt-4o"]\n'),
    ("docker-compose.yml", "report", "given by --model", "command: python a.py --model gpt-4o\n"),
    ("values.json", "report", "list of models", '{"allowed": ["gpt-5.5", "gpt-4o"]}'),
    ("values.json", "report", "given by -m", '{"scripts": {"ask": "llm -m gpt-4o hello"}}'),
    ("values.json", "keep", "longer text", '{"note": "we use gpt-4o here"}'),
    ("cache.json", "keep", "has left behind", '{"a1": {"model": "gpt-4o", "usage": {"total_tokens": 3}}}'),
    ("run.json", "keep", "longer text", '{"said": "ask `gpt-4o`, or \'gpt-4.1\', for it"}'),
    ("run.yaml", "keep", "longer text", "said: ask `gpt-4o` for it\n"),
    (
        "cache.json",
        "keep",
        "has left behind",
        '{"rows": [{"query": "q", "query_by": {"model_name": "gpt-4o"}}]}',
    ),
    ("settings.toml", "report", "list of models", 'allowed = ["gpt-5.5", "gpt-4o"]\n'),
    ("settings.toml", "report", "list of models", 'allowed = [\n  "gpt-5.5",\n  "gpt-4o",\n]\n'),
    ("settings.toml", "report", "'model'", 'llm = { model = "gpt-4o", temperature = 0 }\n'),
    ("settings.toml", "keep", "longer text", 'note = "we use gpt-4o here"\n'),
    ("settings.toml", "keep", "key of a table", '"gpt-4o" = 2.5\n'),
    ("setup.cfg", "report", "'models'", "models = gpt-4o, gpt-5.5\n"),
    (".env", "report", "'LITELLM'", "LITELLM=openai/gpt-4o\n"),
    (".env", "report", "'JUDGE'", "export JUDGE='gpt-4o-mini'  # small\n"),
    (".env", "keep", "comment", "# JUDGE=gpt-4o-mini\n"),
    ("Dockerfile", "report", "not rewritten", "ENV MODEL=gpt-4o\n"),
    ("Dockerfile", "report", "not rewritten", 'CMD ["python", "a.py", "--model", "gpt-4o"]\n'),
    ("main.tf", "report", "not rewritten", 'default = "gpt-4o"\n'),
    ("run.sh", "report", "not rewritten", "python a.py --judge=gpt-4o-mini\n"),
    ("run.sh", "report", "not rewritten", 'MODEL="${MODEL:-gpt-4o}"\n'),
    ("page.tsx", "report", "JavaScript or TypeScript", 'const model = openai("gpt-4o");\n'),
    ("README.md", "keep", "a text", "We use gpt-4o.\n"),
    ("README.md", "keep", "--docs rewrites", "```python\nM = 'gpt-4o'\n```\n"),
    ("README.md", "keep", "part of an address", "See https://platform.openai.com/docs/models/gpt-4o.\n"),
    ("test_it.ipynb", "report", "could not be parsed", "gpt-4o"),
    (
        "app.ts",
        "report",
        "JavaScript or TypeScript, which is not rewritten",
        'new ChatOpenAI({ model: "gpt-4o" })\n',
    ),
    ("run.sh", "report", "language that is not rewritten", "llm --model gpt-4o\n"),
    ("data.csv", "keep", "recorded data", "gpt-4o,1\n"),
    ("a.json", "keep", "recorded data", '{"model": "gpt-4o", "original_prompt": "x", "return": "y"}'),
    ("task.json", "report", "the configuration key 'model'", '{"query": "Is it so?", "model": "gpt-4o"}'),
    ("a.json", "keep", "longer text", '{"text": "GPT-5.2, GPT-5 or GPT-4.1 end: GPT-5, GPT-4.1"}'),
    ("a.json", "report", "a list of models", '{"models": "gpt-5.5, gpt-4o, gpt-4.1"}'),
    ("tests/test_app.py", "keep", "a test", "M = 'gpt-4o'\n"),
    ("tests/cassettes/a.yaml", "keep", "a test", "model: gpt-4o\n"),
    ("broken.py", "report", "could not be parsed", "def (:\n    'gpt-4o'\n"),
]


def one(path: str, text: str) -> Occurrence:
    """Return the first occurrence of a file."""
    found = Scanner(shared(None), Options()).scan_bytes(text.encode(), path)
    assert found is not None
    return found.occurrences[0]


@pytest.mark.parametrize(
    ("kind", "why", "code"), PYTHON, ids=[code.splitlines()[-1] for _, _, code in PYTHON]
)
def test_python(kind: str, why: str, code: str) -> None:
    """A string in Python is classified by what takes it."""
    found = one("app.py", code + "\n")
    assert (str(found.kind), why in found.why) == (kind, True), found.why


@pytest.mark.parametrize(("path", "kind", "why", "text"), FILES, ids=[f"{row[0]} {row[2]}" for row in FILES])
def test_other_files(path: str, kind: str, why: str, text: str) -> None:
    """Files that are not Python are classified by key, place and kind of file."""
    found = one(path, text)
    assert (str(found.kind), why in found.why) == (kind, True), found.why


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpt-4o and gpt-5.5", ["gpt-4o"]),
        ("gpt-4o-mini, gpt-4o.", ["gpt-4o-mini", "gpt-4o"]),
        ("GPT-4o", ["GPT-4o"]),
        ("ft:gpt-4o-2024-08-06:acme::b1", ["ft:gpt-4o-2024-08-06:acme::b1"]),
        ("gpt-4o-2024-12-31", ["gpt-4o-2024-12-31"]),
        ("chat-latest gpt-6-luna", []),
        ("gpt-3.5-turbo-0125, gpt-4 and o3-mini", ["gpt-3.5-turbo-0125", "gpt-4", "o3-mini"]),
        ("ft:gpt-3.5-turbo:acme::b1", ["ft:gpt-3.5-turbo:acme::b1"]),
        ("o1 = o3", []),
        ("İ SwayLogo32 o3", []),
        ("gpt-4-0125-preview gpt-4-32k", ["gpt-4-0125-preview", "gpt-4-32k"]),
        ("İ gpt-4o", ["gpt-4o"]),
    ],
)
def test_ids(text: str, words: list[str]) -> None:
    """Ids are found in any case, as snapshots and fine-tunes; those that stay are not."""
    assert [hit.word for hit in shared(None).find(text)] == words


def test_horizon() -> None:
    """With a horizon only what stops before it is found."""
    text = "gpt-5 gpt-4o gpt-5.1"
    assert [hit.word for hit in shared("2026-12-31").find(text)] == ["gpt-5"]
    assert [hit.word for hit in shared("2027-01-15").find(text)] == ["gpt-5", "gpt-4o"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/a.py", True),
        ("test_a.py", True),
        ("a_test.py", True),
        ("conftest.py", True),
        ("latest/a.py", False),
    ],
)
def test_what_a_test_is(path: str, expected: bool) -> None:
    """Tests are known by folder and name."""
    assert is_test(path) is expected
