"""What a string that holds a retiring id is there for, when no known constructor takes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from routed_llm.migrate.found import Kind
from routed_llm.migrate.ids import Hit
from routed_llm.migrate.python.tree import Tree, dotted, named_arguments, targets, text_of

__all__ = ["by_use", "models_given", "of_call", "of_string", "of_word", "short"]

Verdict = tuple[Kind, str]

_RAW_CHAT = re.compile(
    r"(chat\.completions|(^|\.)completions|ChatCompletion|chat_completion)\.(create|parse|stream|acreate)$"
)
_RAW_RESPONSES = re.compile(r"(^|\.)responses\.(create|parse|stream|connect)$")
_RAW_OTHER = re.compile(
    r"(fine_tuning\.jobs|batches|assistants|threads\.runs|images|audio\.\w+|realtime\.\w+)\.\w+$"
)
_SPEAKS = re.compile(
    r"(^|\.)(print|log|debug|info|warning|warn|error|exception|critical|write|echo|markdown|caption|fail|skip|"
    r"add_argument|title|header|subheader|success|format)$"
)
_MODEL_KEY = re.compile(
    r"(^|[_\-.])(model|models|llm|engine|deployment|model_?name|model_?id|id)($|[_\-.])", re.IGNORECASE
)
_MODEL_KEYWORD = re.compile(r"^(\w+_)?(model|llm|engine|deployment)(_?(name|id))?$")
_COUNTS = re.compile(
    r"(encoding_for_model|num_tokens|get_encoding|Tokenizer|tokenizer|count_tokens|from_tiktoken_encoder)"
)

_GATEWAYS = re.compile(r"OpenRouter|Requesty|Portkey|AIGateway|AIMLAPI|CometAPI", re.IGNORECASE)
"""Classes of servers that have names of their own for what others make."""

_GATEWAY = "Set OPENAI_BASE_URL to a gateway (`routed serve`), or name a model that stays."
_HANDED = {
    "agents": "Call set_default_openai_client(openai_routed.AsyncOpenAI()), or name a model that stays.",
    "pydantic_ai": "Hand its provider openai_client=openai_routed.AsyncOpenAI(), or name a model that stays.",
    **dict.fromkeys(
        ("crewai", "litellm", "dspy", "smolagents", "haystack", "deepeval", "autogen", "ragas", "instructor"),
        _GATEWAY,
    ),
}
"""What to do where another package calls OpenAI: by the package's name."""

_SETTINGS = frozenset({"get", "getenv", "Field", "field", "Option", "Argument", "option", "add_argument"})
_CLASS_NAMES = frozenset(
    {"ChatOpenAI", "AzureChatOpenAI", "OpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAIResponses"}
)
_OUT = "Write the ids out, then run this again."
RESPONSES_ADVICE = "Ask Router().decide(read_openai(body)) what to send, or name a model that stays"


def of_word(hit: Hit) -> Verdict | None:
    """Classify by the word alone: another identifier, or another vendor's name."""
    if "." in hit.vendor.split("/")[0]:
        return Kind.KEEP, "it is part of an address"
    if hit.gateway:
        return _gateways(hit, hit.vendor[:-1])
    if not hit.exact and not hit.provider and not hit.vendor:
        return Kind.NEVER, f"{hit.word} is another identifier that contains the id"
    return None


def _gateways(hit: Hit, who: str) -> Verdict:
    return Kind.KEEP, f"{hit.word} is a gateway's name for it; when it stops there is for {who} to say"


def of_string(tree: Tree, node: cst.SimpleString | cst.FormattedStringText, hit: Hit) -> Verdict:
    """Classify an occurrence inside a string literal."""
    outer = tree.parent(node)
    if isinstance(node, cst.FormattedStringText):
        if not isinstance(outer, cst.FormattedString) or text_of(outer) != hit.word:
            return _formatted(node, hit)
        return of_word(hit) or by_use(tree, outer, hit)
    value = text_of(node)
    if isinstance(outer, cst.Expr):
        return Kind.KEEP, "it stands in a docstring or a bare text"
    if value is None or value.strip() != hit.word:
        return of_word(hit) or (Kind.KEEP, "it stands in a longer text") if _prose(value) else _embedded(hit)
    return of_word(hit) or by_use(tree, node, hit)


def _prose(value: str | None) -> bool:
    return value is None or bool(re.search(r"\s", value.strip()))


def _embedded(hit: Hit) -> Verdict:
    return of_word(hit) or (
        Kind.REPORT,
        f"{hit.word} stands in a longer value. Look at what reads it, and name a model that stays.",
    )


def _formatted(node: cst.FormattedStringText, hit: Hit) -> Verdict:
    if _prose(node.value):
        return Kind.KEEP, "it stands in a longer text"
    verdict = of_word(hit)
    if verdict is not None and verdict[0] is Kind.KEEP:
        return verdict
    return Kind.REPORT, f"the id is put together in an f-string. {_OUT}"


def by_use(tree: Tree, node: cst.BaseExpression, hit: Hit) -> Verdict:
    """Go outwards from the literal until something says what it is for."""
    inner: cst.CSTNode = node
    for outer in tree.ancestors(node):
        verdict = _step(tree, inner, outer, hit)
        if verdict is not None:
            return verdict
        if isinstance(outer, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            break
        inner = outer
    return (
        Kind.REPORT,
        "nothing here says what it is for. Look at it, and name a model that stays if it is called.",
    )


def _step(tree: Tree, inner: cst.CSTNode, outer: cst.CSTNode, hit: Hit) -> Verdict | None:
    if isinstance(outer, (cst.Comparison, cst.ComparisonTarget, cst.MatchValue, cst.Assert)):
        return Kind.KEEP, "it is compared with something"
    if isinstance(outer, cst.DictElement):
        return _entry(tree, inner, outer)
    if isinstance(outer, cst.SubscriptElement):
        return _index(tree, outer)
    if isinstance(outer, cst.Arg):
        return _argument(tree, outer, hit)
    if isinstance(outer, (cst.List, cst.Set, cst.Tuple)):
        return _collection(tree, outer)
    if isinstance(outer, (cst.Assign, cst.AnnAssign, cst.NamedExpr)):
        return _assigned(outer)
    return _of_function(tree, outer)


def _of_function(tree: Tree, outer: cst.CSTNode) -> Verdict | None:
    if isinstance(outer, cst.BinaryOperation):
        return Kind.REPORT, f"the id is put together ({short(tree.source(outer))}). {_OUT}"
    if isinstance(outer, cst.Param):
        return (
            Kind.REPORT,
            f"it is the default of {outer.name.value}, which reaches no constructor known here. "
            "Look at what is done with it.",
        )
    if isinstance(outer, cst.Return):
        return Kind.REPORT, "a function returns it. Look at what its callers do with it."
    return None


def _index(tree: Tree, outer: cst.SubscriptElement) -> Verdict:
    holder = tree.around(outer, cst.Subscript)
    if holder is not None and dotted(holder.value).split(".")[-1] == "Literal":
        return Kind.KEEP, "it is one of the values that a type allows"
    return Kind.KEEP, "it is looked up in a table"


def _entry(tree: Tree, inner: cst.CSTNode, outer: cst.DictElement) -> Verdict | None:
    if inner is outer.key:
        return Kind.KEEP, "it is a key of a table, such as one of prices or limits"
    table = tree.parent(outer)
    keys = (
        [text_of(item.key) for item in table.elements if isinstance(item, cst.DictElement)]
        if isinstance(table, cst.Dict)
        else []
    )
    key = text_of(outer.key)
    if key is not None and _MODEL_KEY.search(key):
        where = "messages" in keys or "input" in keys
        if where:
            return Kind.REPORT, f"it is the model of a request's body. {RESPONSES_ADVICE}."
        return Kind.REPORT, f"it is the value of {key!r} in a dictionary. Look at what reads it."
    return Kind.REPORT, "it is a value in a table. Look at what is done with it."


def _argument(tree: Tree, outer: cst.Arg, hit: Hit) -> Verdict | None:
    call = tree.parent(outer)
    if not isinstance(call, cst.Call):
        return None
    name = dotted(call.func)
    if name.endswith((".startswith", ".endswith", ".replace", ".count", ".index", ".find")):
        return Kind.KEEP, "it is compared with something"
    if _SPEAKS.search(name) and (outer.keyword is None or outer.keyword.value in ("help", "text")):
        return Kind.KEEP, f"{name}() shows it to a reader"
    return of_call(tree, call, outer.keyword.value if outer.keyword is not None else "argument", hit)


def models_given(tree: Tree, call: cst.Call) -> Iterator[tuple[str, cst.BaseExpression]]:
    """Give what a call of another module's function is given as a model, with the keyword."""
    if isinstance(call.func, cst.Name) and not tree.names(call.func) and call.func.value != "dict":
        return
    if (
        dotted(call.func).startswith(("self.", "cls.", "super()"))
        and _RAW_CHAT.search(dotted(call.func)) is None
    ):
        return
    if any(name.startswith(".") for name in tree.names(call.func)):
        return
    if _COUNTS.search(dotted(call.func)):
        yield from (("argument", item.value) for item in call.args[:1] if text_of(item.value) is None)
    for name, value in named_arguments(call).items():
        if _MODEL_KEYWORD.search(name) and text_of(value) is None:
            yield name, value


def of_call(tree: Tree, call: cst.Call, what: str, hit: Hit) -> Verdict:
    """Classify what a call that no rule knows is given.

    Args:
        tree: the module.
        call: the call.
        what: the keyword.
        hit: the id.
    """
    name = dotted(call.func)
    known = next(iter(sorted(tree.names(call.func))), name)
    if hit.vendor and (_elsewhere(tree, call) or _GATEWAYS.search(known)):
        return _gateways(hit, "that server")
    if _COUNTS.search(name):
        return Kind.KEEP, f"{name}() counts tokens by it and calls no model"
    if ".ChatCompletion." in f".{name}":
        return (
            Kind.REPORT,
            f"{name}() is of openai before 1.0. Take the program to a later one first.",
        )
    if hit.provider and _RAW_CHAT.search(name):
        return Kind.REPORT, f"{name}() is of a client that asks several providers. {_GATEWAY}"
    if _RAW_CHAT.search(name) or _RAW_RESPONSES.search(name):
        return Kind.REPORT, f"{name}() calls OpenAI's SDK itself. {RESPONSES_ADVICE}."
    if _RAW_OTHER.search(name):
        return Kind.REPORT, f"{name}() calls OpenAI's SDK itself. Name a model that stays."
    if known.rpartition(".")[2] in _CLASS_NAMES and any(known.startswith(f"{star}.") for star in tree.stars):
        return Kind.REPORT, f"{name} comes from an import of *. Import it by name, then run this again."
    return _of_other_call(tree, call, name, known, what, hit)


def _of_other_call(tree: Tree, call: cst.Call, name: str, known: str, what: str, hit: Hit) -> Verdict:
    if name == "dict":
        return Kind.REPORT, f"it is the value of {what!r} in a dictionary. Look at what reads it."
    if name.split(".")[-1] in _SETTINGS:
        return (
            Kind.REPORT,
            f"it is the default of a setting that reaches no constructor known here.{_direct(hit)} "
            "Look at what reads it.",
        )
    if isinstance(call.func, cst.Name) and not tree.names(call.func) and tree.assignments(call.func):
        return (
            Kind.REPORT,
            f"it is handed to {name}(), which hands it to no constructor known here.{_direct(hit)} "
            "Look at what is done with it there.",
        )
    return (
        Kind.REPORT,
        f"it is the {what} of {known or 'a call'}(), which has no routed counterpart.{_direct(hit)} "
        f"{_advice(known, hit)}",
    )


def _advice(called: str, hit: Hit) -> str:
    """Say what to do where another package calls OpenAI."""
    provider = hit.vendor.split("/")[0] or hit.provider
    if provider.startswith("azure"):
        return "Deploy a model that stays, and name that deployment."
    return _HANDED.get(called.split(".")[0], _GATEWAY if provider else "Name a model that stays.")


def _direct(hit: Hit) -> str:
    """Say what a name such as openai/gpt-4o means."""
    provider = hit.vendor.split("/")[0] or hit.provider
    if not provider:
        return ""
    where = "a deployment of Azure" if provider.startswith("azure") else "OpenAI itself"
    return f" {provider} before the name means {where}, where it stops, too."


def _elsewhere(tree: Tree, call: cst.Call) -> bool:
    """Say whether a call names the address of a gateway."""
    return any(
        item.keyword is not None
        and item.keyword.value in ("base_url", "openai_api_base", "api_base")
        and "api.openai.com" not in tree.source(item.value)
        for item in call.args
    )


def _collection(tree: Tree, outer: cst.List | cst.Set | cst.Tuple) -> Verdict | None:
    up = tree.parent(outer)
    if isinstance(up, (cst.ComparisonTarget, cst.Comparison)):
        return Kind.KEEP, "it is compared with something"
    row = tree.parent(up) if isinstance(up, cst.Element) else None
    if isinstance(row, (cst.Tuple, cst.List)) and len(row.elements) > 1:
        beside = [item.value for item in row.elements if item is not up]
        if all(isinstance(item, (cst.Integer, cst.Float)) for item in beside):
            return Kind.KEEP, "it names a row of a table, such as one of prices or limits"
    holder = tree.around(outer, cst.Subscript)
    if holder is not None and dotted(holder.value).split(".")[-1] == "Literal":
        return Kind.KEEP, "it is one of the values that a type allows"
    while isinstance(up, (cst.Arg, cst.Call)):  # frozenset({...})
        up = tree.parent(up)
    names = [dotted(target) for target in targets(up)] if isinstance(up, (cst.Assign, cst.AnnAssign)) else []
    if names and set(names) <= tree.tables:
        return Kind.KEEP, "it is compared with something"
    return (
        Kind.REPORT,
        "it is one of a list of models. Take it out when it stops, or offer a routed model in its place.",
    )


def _assigned(outer: cst.Assign | cst.AnnAssign | cst.NamedExpr) -> Verdict:
    target = outer.targets[0].target if isinstance(outer, cst.Assign) else outer.target
    name = dotted(target) or "a variable"
    return (
        Kind.REPORT,
        f"it is assigned to {name}, which reaches no constructor known here. Look at what is done with it.",
    )


def short(text: str) -> str:
    """Return a piece of code in one line of a sentence."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
