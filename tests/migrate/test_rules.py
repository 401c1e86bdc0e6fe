# ruff: noqa: E501 - a program before or after stands on one line
"""One table of cases before and after for each rule."""

from __future__ import annotations

import pytest

from routed_llm.migrate.found import Kind, Options
from routed_llm.migrate.ids import shared
from routed_llm.migrate.rules import CODES, RULES
from routed_llm.migrate.scan import Scanner

LC = "from langchain_openai import ChatOpenAI\n"
LC_NEW = "from langchain_routed import RoutedChatModel\n"
LI = "from llama_index.llms.openai import OpenAI\n"
LI_NEW = "from llama_index.llms.routed import RoutedLLM\n"

RM001 = {
    "literal": (
        LC + 'llm = ChatOpenAI(model="gpt-4o", temperature=0)  # fast\n',
        LC_NEW + 'llm = RoutedChatModel(model="gpt-4o", temperature=0)  # fast\n',
    ),
    "alias": (
        "from langchain_openai import ChatOpenAI as Chat\nllm = Chat(model_name='gpt-4o-mini')\n",
        LC_NEW + "llm = RoutedChatModel(model_name='gpt-4o-mini')\n",
    ),
    "other names stay in the import": (
        "from langchain_openai import ChatOpenAI, OpenAIEmbeddings\nllm = ChatOpenAI(model='gpt-4o')\n",
        "from langchain_openai import OpenAIEmbeddings\n"
        + LC_NEW
        + "llm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "last name leaves the import": (
        "from langchain_openai import (\n    OpenAIEmbeddings,\n    ChatOpenAI,  # chat\n)\nllm = ChatOpenAI(model='gpt-4o')\n",
        "from langchain_openai import (\n    OpenAIEmbeddings,  # chat\n)\n"
        + LC_NEW
        + "llm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "used elsewhere, too": (
        LC + "def f(x: ChatOpenAI): ...\nllm = ChatOpenAI(model='gpt-4o')\n",
        LC + LC_NEW + "def f(x: ChatOpenAI): ...\nllm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "module import": (
        "import langchain_openai\nllm = langchain_openai.ChatOpenAI(model='gpt-4o')\n",
        LC_NEW + "llm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "import inside a function, Windows line ends": (
        "def make():\r\n    from langchain_openai import ChatOpenAI\r\n    return ChatOpenAI(model='gpt-4o')\r\n",
        "def make():\r\n    from langchain_routed import RoutedChatModel\r\n    return RoutedChatModel(model='gpt-4o')\r\n",
    ),
    "constant": (
        LC + "MODEL = 'gpt-4o'\nllm = ChatOpenAI(model=MODEL)\n",
        LC_NEW + "MODEL = 'gpt-4o'\nllm = RoutedChatModel(model=MODEL)\n",
    ),
    "default argument": (
        LC + "def make(name='gpt-4o'):\n    return ChatOpenAI(model=name)\n",
        LC_NEW + "def make(name='gpt-4o'):\n    return RoutedChatModel(model=name)\n",
    ),
    "environment default": (
        LC + "import os\nllm = ChatOpenAI(model=os.getenv('MODEL', 'gpt-4o'))\n",
        LC_NEW + "import os\nllm = RoutedChatModel(model=os.getenv('MODEL', 'gpt-4o'))\n",
    ),
    "dictionary value": (
        LC + "cfg = {'model': 'gpt-4o'}\nllm = ChatOpenAI(model=cfg['model'])\n",
        LC_NEW + "cfg = {'model': 'gpt-4o'}\nllm = RoutedChatModel(model=cfg['model'])\n",
    ),
    "dataclass field": (
        LC
        + "class C:\n    model: str = 'gpt-4o'\n    def llm(self):\n        return ChatOpenAI(model=self.model)\n",
        LC_NEW
        + "class C:\n    model: str = 'gpt-4o'\n    def llm(self):\n        return RoutedChatModel(model=self.model)\n",
    ),
    "snapshot": (
        LC + "llm = ChatOpenAI(model='gpt-4o-2024-08-06')\n",
        LC_NEW + "llm = RoutedChatModel(model='gpt-4o-2024-08-06')\n",
    ),
    "the last assignment counts": (
        LC
        + "def f(c):\n    model = c.get('m', 'gpt-4o')\n    llm = ChatOpenAI(model=model)\n    model = llm.bind_tools([])\n",
        LC_NEW
        + "def f(c):\n    model = c.get('m', 'gpt-4o')\n    llm = RoutedChatModel(model=model)\n    model = llm.bind_tools([])\n",
    ),
    "not ASCII before it": (
        LC + "s = 'Zürich 🏔'; llm = ChatOpenAI(model='gpt-4o')\n",
        LC_NEW + "s = 'Zürich 🏔'; llm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "a model that stays": (LC + "llm = ChatOpenAI(model='gpt-5.5')\n", None),
    "another server": (LC + "llm = ChatOpenAI(model='gpt-4o', base_url='https://openrouter.ai/api')\n", None),
    "another class of the name": (
        "from browser_use import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')\n",
        None,
    ),
    "a comment keeps it": (LC + "llm = ChatOpenAI(model='gpt-4o')  # routed: keep\n", None),
    "the name is taken": (LC + "class RoutedChatModel: ...\nllm = ChatOpenAI(model='gpt-4o')\n", None),
    "bound to something else, too": (
        LC + "def ChatOpenAI(model): ...\nllm = ChatOpenAI(model='gpt-4o')\n",
        None,
    ),
    "None where the import fails": (
        "try:\n    from langchain_openai import ChatOpenAI\nexcept ImportError:\n    ChatOpenAI = None\n"
        "if ChatOpenAI is not None:\n    llm = ChatOpenAI(model='gpt-4o')\n",
        "try:\n    from langchain_openai import ChatOpenAI\n    from langchain_routed import RoutedChatModel\n"
        "except ImportError:\n    ChatOpenAI = None\n"
        "if ChatOpenAI is not None:\n    llm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "another import where the first fails": (
        "try:\n    from langchain_openai import ChatOpenAI\nexcept ImportError:\n"
        "    from langchain_community.chat_models import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')\n",
        "try:\n    from langchain_routed import RoutedChatModel\nexcept ImportError:\n"
        "    from langchain_community.chat_models import ChatOpenAI\nllm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "everything is imported": (
        "from langchain_openai import *\nllm = ChatOpenAI(model='gpt-4o')\n",
        "from langchain_openai import *\n" + LC_NEW + "llm = RoutedChatModel(model='gpt-4o')\n",
    ),
    "an import beside other code": (
        "from langchain_openai import ChatOpenAI; import os\nllm = ChatOpenAI(model='gpt-4o')\n",
        None,
    ),
    "the SDK's own variable": (
        LC + "import os\nllm = ChatOpenAI(model='gpt-4o', base_url=os.environ.get('OPENAI_BASE_URL'))\n",
        LC_NEW
        + "import os\nllm = RoutedChatModel(model='gpt-4o', base_url=os.environ.get('OPENAI_BASE_URL'))\n",
    ),
    "another variable": (
        LC + "import os\nllm = ChatOpenAI(model='gpt-4o', base_url=os.environ.get('PROXY'))\n",
        None,
    ),
    "pieces of a literal": (
        LC + "llm = ChatOpenAI(model='gpt-' '4o')\n",
        LC_NEW + "llm = RoutedChatModel(model='gpt-' '4o')\n",
    ),
    "a sum": (LC + "llm = ChatOpenAI(model='gpt-4o' + size)\n", None),
    "a fine-tune": (LC + "llm = ChatOpenAI(model='ft:gpt-4o-2024-08-06:acme::abc')\n", None),
    "an f-string": (LC + "d = '2024'\nllm = ChatOpenAI(model=f'gpt-4o-{d}')\n", None),
    "Azure": ("from langchain_openai import AzureChatOpenAI\nllm = AzureChatOpenAI(model='gpt-4o')\n", None),
    "community": (
        "from langchain_community.chat_models import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')\n",
        None,
    ),
    "for CrewAI, which takes its name only": (
        LC + "from crewai import Agent\nagent = Agent(llm=ChatOpenAI(model='gpt-4o'))\n",
        None,
    ),
    "a model of which nothing more is known": (LC + "llm = ChatOpenAI(model='gpt-4.5-preview')\n", None),
    "a model that another one of the catalog stands for": (
        LC + "llm = ChatOpenAI(model='gpt-3.5-turbo-0613')\n",
        LC_NEW + "llm = RoutedChatModel(model='gpt-3.5-turbo-0613')\n",
    ),
    "routed already": (LC_NEW + "llm = RoutedChatModel(model='gpt-4o')\n", None),
}
INIT = "from langchain.chat_models import init_chat_model\n"
RM002 = {
    "positional": (
        INIT + "m = init_chat_model('gpt-4o')\n",
        LC_NEW + "m = RoutedChatModel(model='gpt-4o')\n",
    ),
    "prefix": (
        INIT + "m = init_chat_model('openai:gpt-4o', temperature=0)\n",
        LC_NEW + "m = RoutedChatModel(model='gpt-4o', temperature=0)\n",
    ),
    "provider": (
        INIT + "m = init_chat_model('gpt-4o', model_provider='openai', temperature=0)\n",
        LC_NEW + "m = RoutedChatModel(model='gpt-4o', temperature=0)\n",
    ),
    "provider at the end": (
        INIT + "m = init_chat_model(model='gpt-4o', model_provider='openai')\n",
        LC_NEW + "m = RoutedChatModel(model='gpt-4o')\n",
    ),
    "a constant with its provider": (
        INIT + "M = 'openai:gpt-4o'\nm = init_chat_model(M)\n",
        LC_NEW + "M = 'openai:gpt-4o'\nm = RoutedChatModel(model=M.removeprefix(\"openai:\"))\n",
    ),
    "another provider": (INIT + "m = init_chat_model('gpt-4o', model_provider='azure_openai')\n", None),
    "configurable": (INIT + "m = init_chat_model('gpt-4o', configurable_fields='any')\n", None),
}
RM003 = {
    "keyword": (LI + "llm = OpenAI(model='gpt-4o')\n", LI_NEW + "llm = RoutedLLM(model='gpt-4o')\n"),
    "positional": (LI + "llm = OpenAI('gpt-4o', 0.1)\n", LI_NEW + "llm = RoutedLLM('gpt-4o', 0.1)\n"),
    "settings": (
        "from llama_index.core import Settings\n" + LI + "Settings.llm = OpenAI(model='gpt-4.1-mini')\n",
        "from llama_index.core import Settings\n"
        + LI_NEW
        + "Settings.llm = RoutedLLM(model='gpt-4.1-mini')\n",
    ),
    "Azure": (
        "from llama_index.llms.azure_openai import AzureOpenAI\nllm = AzureOpenAI(model='gpt-4o', engine='x')\n",
        None,
    ),
}
RESPONSES = "from llama_index.llms.openai import OpenAIResponses\n"
RM004 = {
    "shared arguments": (
        RESPONSES + "llm = OpenAIResponses(model='gpt-4o', max_output_tokens=99)\n",
        LI_NEW + "llm = RoutedLLM(model='gpt-4o', max_tokens=99)\n",
    ),
    "its own arguments": (RESPONSES + "llm = OpenAIResponses(model='gpt-4o', built_in_tools=[])\n", None),
}
RM005 = {
    "fields only": (
        LC + "class Mine(ChatOpenAI):\n    model_name: str = 'gpt-4o'\n",
        LC_NEW + "class Mine(RoutedChatModel):\n    model_name: str = 'gpt-4o'\n",
    ),
    "methods": (
        LC + "class Mine(ChatOpenAI):\n    model_name: str = 'gpt-4o'\n    def _generate(self): ...\n",
        None,
    ),
}
RM006 = {
    "partial": (
        LC + "from functools import partial\nmake = partial(ChatOpenAI, model='gpt-4o')\n",
        LC_NEW + "from functools import partial\nmake = partial(RoutedChatModel, model='gpt-4o')\n",
    ),
}
AGENT = "from langchain.agents import create_agent\n"
WARE = "from langchain.agents.middleware import SummarizationMiddleware, ModelFallbackMiddleware\n"
RM007 = {
    "a constant with its provider": (
        AGENT + "M = 'openai:gpt-4o'\na = create_agent(M, [])\n",
        AGENT
        + LC_NEW
        + "M = 'openai:gpt-4o'\na = create_agent(RoutedChatModel(model=M.removeprefix(\"openai:\")), [])\n",
    ),
    "one of two constants": (
        AGENT + "M = 'openai:gpt-4o'\nN = 'gpt-4o'\na = create_agent(M if x else N, [])\n",
        AGENT
        + LC_NEW
        + "M = 'openai:gpt-4o'\nN = 'gpt-4o'\n"
        + 'a = create_agent(RoutedChatModel(model=(M if x else N).removeprefix("openai:")), [])\n',
    ),
    "a model is a model": (AGENT + "a = create_agent(model=pick('gpt-4o'), tools=[])\n", None),
    "a middleware": (
        WARE + "m = SummarizationMiddleware(model='openai:gpt-4o-mini', trigger=('tokens', 9))\n",
        WARE
        + LC_NEW
        + "m = SummarizationMiddleware(model=RoutedChatModel(model='gpt-4o-mini'), trigger=('tokens', 9))\n",
    ),
    "a fallback": (
        WARE + "m = ModelFallbackMiddleware('openai:gpt-4o', 'gpt-4.1')\n",
        WARE
        + LC_NEW
        + "m = ModelFallbackMiddleware(RoutedChatModel(model='gpt-4o'), RoutedChatModel(model='gpt-4.1'))\n",
    ),
    "a memory": (
        "from langmem import create_memory_manager\nm = create_memory_manager('openai:gpt-4o')\n",
        "from langmem import create_memory_manager\n"
        + LC_NEW
        + "m = create_memory_manager(RoutedChatModel(model='gpt-4o'))\n",
    ),
    "a judge": (
        "from openevals.llm import create_llm_as_judge\nj = create_llm_as_judge(prompt=P, model='openai:gpt-4o')\n",
        "from openevals.llm import create_llm_as_judge\n"
        + LC_NEW
        + "j = create_llm_as_judge(prompt=P, judge=RoutedChatModel(model='gpt-4o'))\n",
    ),
    "an extractor": (
        "from trustcall import create_extractor\ne = create_extractor('gpt-4o', tools=[])\n",
        "from trustcall import create_extractor\n"
        + LC_NEW
        + "e = create_extractor(RoutedChatModel(model='gpt-4o'), tools=[])\n",
    ),
    "positional": (
        AGENT + "a = create_agent('openai:gpt-4o', tools=[])\n",
        AGENT + LC_NEW + "a = create_agent(RoutedChatModel(model='gpt-4o'), tools=[])\n",
    ),
    "keyword": (
        AGENT + "a = create_agent(model='gpt-4.1', tools=[])\n",
        AGENT + LC_NEW + "a = create_agent(model=RoutedChatModel(model='gpt-4.1'), tools=[])\n",
    ),
}
SDK = "from openai import OpenAI\n"
SDK_NEW = "from openai_routed import OpenAI\n"
ASK = ".chat.completions.create(model='gpt-4o', messages=[])\n"
RM008 = {
    "raw and streaming responses": (
        "from openai import OpenAI\nc = OpenAI()\n"
        "c.chat.completions.with_raw_response.create(model='gpt-4o', messages=[])\n"
        "c.responses.with_streaming_response.create(model='gpt-4o', input='Hi')\n",
        "from openai_routed import OpenAI\nc = OpenAI()\n"
        "c.chat.completions.with_raw_response.create(model='gpt-4o', messages=[])\n"
        "c.responses.with_streaming_response.create(model='gpt-4o', input='Hi')\n",
    ),
    "a client": (SDK + "c = OpenAI()\nc" + ASK, SDK_NEW + "c = OpenAI()\nc" + ASK),
    "Responses": (
        SDK + "c = OpenAI()\nc.responses.parse(model='gpt-4o', input='x')\n",
        SDK_NEW + "c = OpenAI()\nc.responses.parse(model='gpt-4o', input='x')\n",
    ),
    "beta": (
        SDK + "c = OpenAI()\nc.beta.chat.completions.parse(model='gpt-4o')\n",
        SDK_NEW + "c = OpenAI()\nc.beta.chat.completions.parse(model='gpt-4o')\n",
    ),
    "another name": (
        "from openai import AsyncOpenAI as Client\nc = Client()\nasync def f():\n    await c" + ASK,
        "from openai_routed import AsyncOpenAI as Client\nc = Client()\nasync def f():\n    await c" + ASK,
    ),
    "a name of it": (
        "from openai import AsyncClient\nc = AsyncClient()\nasync def f():\n    await c" + ASK,
        "from openai import AsyncClient\nimport openai_routed\nc = openai_routed.AsyncOpenAI()\n"
        "async def f():\n    await c" + ASK,
    ),
    "everything is imported": (
        "from openai import *\nc = OpenAI()\nc" + ASK,
        "from openai import *\n" + SDK_NEW + "c = OpenAI()\nc" + ASK,
    ),
    "keywords of a dictionary": (
        SDK
        + "kw = {'model': 'gpt-4o', 'n': 1}\nc = OpenAI()\nc.chat.completions.create(messages=[], **kw)\n",
        SDK_NEW
        + "kw = {'model': 'gpt-4o', 'n': 1}\nc = OpenAI()\nc.chat.completions.create(messages=[], **kw)\n",
    ),
    "the SDK's own address, spelled out": (
        "import os\n" + SDK + "u = os.getenv('OPENAI_BASE_URL', '').strip() or 'https://api.openai.com/v1'\n"
        "c = OpenAI(base_url=u)\nc" + ASK,
        "import os\n"
        + SDK_NEW
        + "u = os.getenv('OPENAI_BASE_URL', '').strip() or 'https://api.openai.com/v1'\n"
        "c = OpenAI(base_url=u)\nc" + ASK,
    ),
    "errors stay": (
        "from openai import OpenAI, RateLimitError\nc = OpenAI()\nc" + ASK,
        "from openai import RateLimitError\n" + SDK_NEW + "c = OpenAI()\nc" + ASK,
    ),
    "two clients": (
        "from openai import APIError, AsyncOpenAI, OpenAI\nc, d = OpenAI(), AsyncOpenAI()\nc"
        + ASK
        + "d"
        + ASK,
        "from openai import APIError\nfrom openai_routed import AsyncOpenAI, OpenAI\n"
        "c, d = OpenAI(), AsyncOpenAI()\nc" + ASK + "d" + ASK,
    ),
    "a type": (
        SDK + "def f(c: OpenAI):\n    c" + ASK + "f(OpenAI())\n",
        SDK_NEW + "def f(c: OpenAI):\n    c" + ASK + "f(OpenAI())\n",
    ),
    "the module": (
        "import openai\nc = openai.OpenAI()\nc" + ASK,
        "import openai\nimport openai_routed\nc = openai_routed.OpenAI()\nc" + ASK,
    ),
    "one of two": (
        SDK + "c = OpenAI()\nd = OpenAI(base_url='https://x')\nc" + ASK,
        SDK + "import openai_routed\nc = openai_routed.OpenAI()\nd = OpenAI(base_url='https://x')\nc" + ASK,
    ),
    "a field": (
        SDK
        + "class A:\n    def __init__(self):\n        self.c = OpenAI()\n    def f(self):\n        self.c"
        + ASK,
        SDK_NEW
        + "class A:\n    def __init__(self):\n        self.c = OpenAI()\n    def f(self):\n        self.c"
        + ASK,
    ),
    "a client or another": (
        SDK + "def f(c=None):\n    c = c or OpenAI()\n    c" + ASK,
        SDK_NEW + "def f(c=None):\n    c = c or OpenAI()\n    c" + ASK,
    ),
    "a context": (
        SDK + "with OpenAI() as c:\n    c.with_options(timeout=9)" + ASK,
        SDK_NEW + "with OpenAI() as c:\n    c.with_options(timeout=9)" + ASK,
    ),
    "a function": (
        SDK + "def c():\n    return OpenAI()\nc()" + ASK,
        SDK_NEW + "def c():\n    return OpenAI()\nc()" + ASK,
    ),
    "wrapped": (
        "import instructor\n" + SDK + "c = instructor.from_openai(OpenAI())\nc" + ASK,
        "import instructor\n" + SDK_NEW + "c = instructor.from_openai(OpenAI())\nc" + ASK,
    ),
    "handed over": (
        "from ragas.llms import llm_factory\n" + SDK + "c = OpenAI()\nllm_factory('gpt-4o', client=c)\n",
        "from ragas.llms import llm_factory\n" + SDK_NEW + "c = OpenAI()\nllm_factory('gpt-4o', client=c)\n",
    ),
    "a constant": (
        SDK + "M = 'gpt-4o'\nc = OpenAI()\nc.responses.create(model=M, input='x')\n",
        SDK_NEW + "M = 'gpt-4o'\nc = OpenAI()\nc.responses.create(model=M, input='x')\n",
    ),
    "another server": (SDK + "c = OpenAI(base_url='http://localhost:1234/v1')\nc" + ASK, None),
    "another service": (SDK + "c = OpenAI()\nc.beta.assistants.create(model='gpt-4o')\n", None),
    "a model that stays": (SDK + "c = OpenAI()\nc.responses.create(model='gpt-5.5', input='x')\n", None),
    "the module itself": (
        "import openai\nopenai.api_key = 'x'\nopenai.chat.completions.create(model='gpt-4o', messages=[])\n",
        "import openai\nimport openai_routed\nopenai.api_key = 'x'\n"
        + "openai_routed.chat.completions.create(model='gpt-4o', messages=[])\n",
    ),
    "the module by another name, and a constant": (
        "import openai as ai\nM = 'gpt-4o'\ndef f(q):\n    return ai.responses.create(model=M, input=q)\n",
        "import openai as ai\nimport openai_routed\nM = 'gpt-4o'\ndef f(q):\n    return "
        + "openai_routed.responses.create(model=M, input=q)\n",
    ),
    "the module at another server": (
        "import openai\nopenai.base_url = 'http://x'\nopenai.chat.completions.create(model='gpt-4o', messages=[])\n",
        None,
    ),
    "Azure": ("from openai import AzureOpenAI\nc = AzureOpenAI()\nc" + ASK, None),
    "a comment keeps it": (SDK + "c = OpenAI()  # routed: keep\nc" + ASK, None),
    "routed already": (SDK_NEW + "c = OpenAI()\nc" + ASK, None),
}
AGNO = "from agno.models.openai import OpenAIChat\n"
PYDANTIC = "from pydantic_ai.models.openai import OpenAIChatModel\n"
AGENTS = "from agents import Agent, set_default_openai_api, set_default_openai_client\n"
AGENTS_NEW = "import openai_routed\nfrom agents import OpenAIResponsesModel\n"
PROVIDER = "from pydantic_ai.providers.openai import OpenAIProvider\n"
IN_A_FUNCTION = "def {name}():\n    from agents import Agent\n    return Agent(name='a', model='gpt-4o')\n"
IN_A_FUNCTION_NEW = (
    "def {name}():\n    from agents import Agent\n    import openai_routed\n    from agents import OpenAIResponsesModel\n"
    "    return Agent(name='a', model=OpenAIResponsesModel("
    "'gpt-4o', openai_client=openai_routed.AsyncOpenAI.deferred()))\n"
)
RM009 = {
    "agno": (
        AGNO + "def f(key):\n    return OpenAIChat(id='gpt-4o', api_key=key)\n",
        AGNO
        + "import openai_routed\ndef f(key):\n    return OpenAIChat(id='gpt-4o', api_key=key, client="
        + "openai_routed.OpenAI.deferred(api_key=key), async_client=openai_routed.AsyncOpenAI.deferred(api_key=key))\n",
    ),
    "agno when the module is imported": (
        AGNO + "m = OpenAIChat(\n    'gpt-4o',\n)\n",
        AGNO
        + "import openai_routed\nm = OpenAIChat(\n    'gpt-4o', client=openai_routed.OpenAI.deferred(), "
        + "async_client=openai_routed.AsyncOpenAI.deferred(),\n)\n",
    ),
    "Pydantic AI": (
        PYDANTIC + "def f():\n    return OpenAIChatModel('gpt-4o')\n",
        PYDANTIC
        + "import openai_routed\n"
        + PROVIDER
        + "def f():\n    return OpenAIChatModel('gpt-4o', "
        + "provider=OpenAIProvider(openai_client=openai_routed.AsyncOpenAI()))\n",
    ),
    "Pydantic AI's agent": (
        "from pydantic_ai import Agent\na = Agent('openai:gpt-4o', retries=2)\n",
        "from pydantic_ai import Agent\nimport openai_routed\n"
        + PROVIDER
        + PYDANTIC
        + "a = Agent(OpenAIChatModel('gpt-4o', provider=OpenAIProvider(openai_client=openai_routed.AsyncOpenAI())), retries=2)\n",
    ),
    "Pydantic AI's agent by a constant": (
        "from pydantic_ai import Agent\nM = 'openai:gpt-4o'\na = Agent(model=M)\n",
        "from pydantic_ai import Agent\nimport openai_routed\n"
        + PROVIDER
        + PYDANTIC
        + "M = 'openai:gpt-4o'\na = Agent(model=OpenAIChatModel(M.removeprefix(\"openai:\"), "
        + "provider=OpenAIProvider(openai_client=openai_routed.AsyncOpenAI())))\n",
    ),
    "Pydantic AI's agent of one provider or another": (
        "from pydantic_ai import Agent\nM = 'openai:gpt-4o' if x else 'google-gla:gemini'\na = Agent(model=M)\n",
        None,
    ),
    "OpenAI's agents": (
        AGENTS + "a = Agent(name='a', model='gpt-4o')\n",
        AGENTS
        + AGENTS_NEW
        + "a = Agent(name='a', model=OpenAIResponsesModel("
        + "'gpt-4o', openai_client=openai_routed.AsyncOpenAI.deferred()))\n",
    ),
    "OpenAI's agents by a constant, on Chat Completions": (
        AGENTS + "set_default_openai_api('chat_completions')\nM = 'gpt-4o'\na = Agent(name='a', model=M)\n",
        AGENTS
        + AGENTS_NEW.replace("OpenAIResponsesModel", "OpenAIChatCompletionsModel")
        + "set_default_openai_api('chat_completions')\nM = 'gpt-4o'\n"
        + "a = Agent(name='a', model=OpenAIChatCompletionsModel("
        + "M, openai_client=openai_routed.AsyncOpenAI.deferred()))\n",
    ),
    "OpenAI's agents where the class is imported already": (
        "import agents\nfrom agents import OpenAIResponsesModel\na = agents.Agent(name='a', model='gpt-4o')\n",
        "import agents\nimport openai_routed\nfrom agents import OpenAIResponsesModel\n"
        + "a = agents.Agent(name='a', model=OpenAIResponsesModel("
        + "'gpt-4o', openai_client=openai_routed.AsyncOpenAI.deferred()))\n",
    ),
    "OpenAI's agents where a name is taken": (
        AGENTS + "OpenAIResponsesModel = None\na = Agent(name='a', model='gpt-4o')\n",
        None,
    ),
    "OpenAI's agents with a client that is set": (
        AGENTS + "def f(c):\n    set_default_openai_client(c)\n    return Agent(name='a', model='gpt-4o')\n",
        None,
    ),
    "two libraries, imported where they are needed": (
        "from pydantic_ai import Agent\na = Agent('openai:gpt-4o')\nfrom agents import Agent as B\n"
        "b = B(name='b', model='gpt-4o')\n",
        "from pydantic_ai import Agent\nimport openai_routed\n"
        + PROVIDER
        + PYDANTIC
        + "a = Agent(OpenAIChatModel('gpt-4o', provider=OpenAIProvider(openai_client=openai_routed.AsyncOpenAI())))\n"
        + "from agents import Agent as B\nfrom agents import OpenAIResponsesModel\n"
        + "b = B(name='b', model=OpenAIResponsesModel("
        + "'gpt-4o', openai_client=openai_routed.AsyncOpenAI.deferred()))\n",
    ),
    "two functions that import for themselves": (
        IN_A_FUNCTION.format(name="f") + IN_A_FUNCTION.format(name="g"),
        IN_A_FUNCTION_NEW.format(name="f") + IN_A_FUNCTION_NEW.format(name="g"),
    ),
    "another server": (AGNO + "def f():\n    return OpenAIChat(id='gpt-4o', base_url='http://x')\n", None),
    "a client of its own": (AGNO + "def f(c):\n    return OpenAIChat(id='gpt-4o', client=c)\n", None),
    "a provider of its own": (
        PYDANTIC + "def f(p):\n    return OpenAIChatModel('gpt-4o', provider=p)\n",
        None,
    ),
}
TABLES = {
    "RM001": RM001,
    "RM002": RM002,
    "RM003": RM003,
    "RM004": RM004,
    "RM005": RM005,
    "RM006": RM006,
    "RM007": RM007,
    "RM008": RM008,
    "RM009": RM009,
}
CASES = [
    pytest.param(code, before, after, id=f"{code} {name}")
    for code, table in TABLES.items()
    for name, (before, after) in table.items()
]


def rewritten(text: str, options: Options | None = None) -> str:
    """Return a module after the edits, or as it was."""
    data = text.encode()
    found = Scanner(shared(None), options or Options(at="2026-11-22")).scan_bytes(data, "app.py")
    return text if found is None or found.new is None else found.new.decode()


@pytest.mark.parametrize(("code", "before", "after"), CASES)
def test_before_and_after(code: str, before: str, after: str | None) -> None:
    """A rule changes what its table says and nothing else."""
    assert rewritten(before) == (before if after is None else after)


@pytest.mark.parametrize(("code", "before", "after"), CASES)
def test_twice_is_once(code: str, before: str, after: str | None) -> None:
    """What is rewritten is not rewritten again."""
    once = rewritten(before)
    assert rewritten(once) == once


@pytest.mark.parametrize("code", TABLES)
def test_ignored_rule_changes_nothing(code: str) -> None:
    """A rule that is ignored leaves its cases alone."""
    for before, _ in TABLES[code].values():
        assert rewritten(before, Options(ignore=(code,))) == before


def test_every_rule_has_a_table() -> None:
    """Each rule has a code of its own, a title and a table here."""
    assert [rule.code for rule in RULES] == sorted(TABLES)
    assert set(TABLES) <= set(CODES)


@pytest.mark.parametrize(("code", "before", "after"), CASES)
def test_one_class_each(code: str, before: str, after: str | None) -> None:
    """Every occurrence has one class and a reason; rewritten ones name their rule."""
    found = Scanner(shared(None), Options()).scan_bytes(before.encode(), "app.py")
    occurrences = () if found is None else found.occurrences
    hits = {hit.start for hit in shared(None).find(before)}
    offsets = [item.offset for item in occurrences]
    assert hits <= set(offsets)
    assert len(set(offsets)) == len(offsets)
    assert all(item.why for item in occurrences)
    if after is not None:
        assert {item.rule for item in occurrences if item.kind in (Kind.REWRITE, Kind.TRACE)} == {code}


def test_renamed_baseline() -> None:
    """An id that is mapped becomes the other one where its constructor is rewritten, and only there."""
    before = LC + "MINI = 'gpt-4o-mini'\nPRICES = {'gpt-4o-mini': 1}\nllm = ChatOpenAI(model=MINI)\n"
    after = LC_NEW + "MINI = 'gpt-4o'\nPRICES = {'gpt-4o-mini': 1}\nllm = RoutedChatModel(model=MINI)\n"
    assert rewritten(before, Options(models={"gpt-4o-mini": "gpt-4o"})) == after


def test_a_model_that_stopped_before_gets_a_baseline_by_name() -> None:
    """An id that the catalog knows no more of is reported, and rewritten once a baseline is named for it."""
    before = LC + "llm = ChatOpenAI(model='gpt-4.5-preview')\n"
    found = Scanner(shared(None), Options()).scan_bytes(before.encode(), "app.py")
    assert found is not None
    assert [(str(item.kind), item.why) for item in found.occurrences] == [
        (
            "report",
            "gpt-4.5-preview stops on 2025-07-14, and the catalog knows no more of it. "
            "Name a baseline in its place: --map gpt-4.5-preview=gpt-5.6-sol.",
        )
    ]
    after = LC_NEW + "llm = RoutedChatModel(model='gpt-4o-mini')\n"
    assert rewritten(before, Options(models={"gpt-4.5-preview": "gpt-4o-mini"})) == after


@pytest.mark.parametrize("name", ["gpt-3.5-turbo", "gpt-3.5-turbo-0125", "gpt-3.5-turbo-16k"])
def test_a_family_gets_a_baseline_by_its_form(name: str) -> None:
    """A pattern of ids renames each of them; an id that is named alone goes before its family."""
    before = LC + f"llm = ChatOpenAI(model='{name}')\n"
    family = {"gpt-3.5-turbo*": "gpt-4o", "gpt-3.5-turbo-16k": "gpt-4.1-mini"}
    new = "gpt-4.1-mini" if name.endswith("16k") else "gpt-4o"
    assert rewritten(before, Options(models=family)) == LC_NEW + f"llm = RoutedChatModel(model='{new}')\n"
