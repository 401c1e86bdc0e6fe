"""Reading: one Python text to the class of each occurrence, the constructors, and the edits."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import libcst as cst

from routed_llm.migrate.found import Edit, Handed, Kind, Literal, Options, Origin, Site
from routed_llm.migrate.ids import Hit, RetiringIds
from routed_llm.migrate.python import contexts
from routed_llm.migrate.python.clients import MODULE_CALLS, Clients
from routed_llm.migrate.python.exports import asked_elsewhere, exports, handed
from routed_llm.migrate.python.imports import Wanted, collision, import_modules, rebind, shadowed, tidy
from routed_llm.migrate.python.origins import Known, Sources, trace
from routed_llm.migrate.python.tree import Tree, dotted, text_of
from routed_llm.migrate.rules import CLASSES, LANGCHAIN, LLAMA_INDEX, OPENAI, RULES, NewName, Swap
from routed_llm.migrate.rules.base import arguments

__all__ = ["SETTERS", "Judged", "PythonFindings", "read"]

Effect = Callable[[Site], Mapping[str, Any]]
"""Works out what routing does at a site; ``unfit`` says why nothing can serve it."""

_CLIENTS = frozenset(f"{new.module}.{name}{how}" for name, new in OPENAI.items() for how in ("", ".deferred"))
_ROUTED = frozenset(
    {
        f"{LANGCHAIN.module}.{LANGCHAIN.name}",
        f"{LANGCHAIN.module}.chat_models.{LANGCHAIN.name}",
        f"{LLAMA_INDEX.module}.{LLAMA_INDEX.name}",
        *_CLIENTS,
        *(name.replace("openai.", "openai_routed.", 1) for name in MODULE_CALLS),
        "routed_llm.Policy",
        "routed_llm.policy.Policy",
    }
)
_RECOGNISED = CLASSES | _ROUTED
SETTERS = re.compile(
    r"(?:from|import) (?:openai|agents|pydantic_ai)\b|OpenAI(?:\b|Responses|MultiModal|Chat|Model)|"
    r"init_chat_model|create_\w{0,30}(?:agent|judge|extractor|manager|optimizer|searcher|supervisor)\b|Middleware\b|LLMTool|"
    r"Routed|routed_"
)
"""What a text must name for anything in it to be rewritten or to be routed already."""

_BEFORE = len('f"""openai:')
"""The most that stands in a literal before an id."""

_BASELINES = ("model", "model_name", "baseline", "at_least")
_BINDS = {
    "bind_tools": "tools",
    "with_structured_output": "structured",
    "as_structured_llm": "structured",
    "structured_predict": "structured",
}
_CREWAI = re.compile(r"^[ \t]*(?:from|import)\s+crewai\b", re.MULTILINE)
"""CrewAI makes an LLM of its own from ``model_name``, ``temperature``, ... (crewai.utilities.llm_utils)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An occurrence with its class."""

    hit: Hit
    kind: Kind
    why: str
    rule: str | None = None


@dataclass(slots=True)
class PythonFindings:
    """What a Python text holds.

    Attributes:
        judged: every occurrence, in order.
        sites: the constructors that take a retiring id.
        edits: the edits of the text.
        exports: what other modules can take that holds a retiring id, with the literals and their offsets.
        imports: the names that imports bind, to what they are.
        hands: literals that calls hand to something imported.
        drops: imported names that the edits take out.
        needs: the distributions that the edits need.
        baselines: where routed constructors take their baseline from, as FileFindings has it.
        compared: lists of other modules in which something is looked up, and no more.
    """

    judged: list[Judged] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    exports: dict[str, list[Literal]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    hands: list[Handed] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    baselines: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)


def read(
    text: str,
    ids: RetiringIds,
    options: Options,
    *,
    path: str,
    effect: Effect,
    known: Known,
    where: Callable[[int], str] | None = None,
) -> PythonFindings:
    """Read a Python text.

    Args:
        text: the text.
        ids: the ids that retire.
        options: what to rewrite.
        path: the file it stands in.
        effect: works out what routing does at a site.
        known: what other modules say.
        where: says in words where a character of the text stands; ``line 8`` when left out.

    Raises:
        ValueError: when the text is not Python.
    """
    return _Reader(Tree(text, known.same), ids, options, path, effect, known, where).run()


class _Reader:
    def __init__(
        self,
        tree: Tree,
        ids: RetiringIds,
        options: Options,
        path: str,
        effect: Effect,
        known: Known,
        where: Callable[[int], str] | None,
    ) -> None:
        self.tree, self.ids, self.options, self.path = tree, ids, options, path
        self.effect, self.known = effect, known
        self.where = where or (lambda place: f"line {tree.line(place)}")
        self.found = PythonFindings()
        self.by_offset: dict[int, tuple[Kind, str, str | None]] = {}
        self.wanted: list[Wanted] = []
        self.swapped: list[cst.BaseExpression] = []
        self.renamed: set[int] = set()
        self.beside: list[tuple[cst.BaseExpression, str]] = []
        self.rebound: list[tuple[cst.Call, NewName]] = []

    def run(self) -> PythonFindings:
        # Where no rule can apply, the scopes that they ask for are not worth their time.
        wanted = SETTERS.search(self.tree.text) or self.known
        nodes: list[cst.Call | cst.ClassDef] = [*self.tree.nodes.calls, *self.tree.nodes.classes]
        matched: set[cst.CSTNode] = set()
        for node in nodes if wanted else ():
            if isinstance(node, cst.Call) and not self.tree.names(node.func) & _RECOGNISED:
                continue
            if self._routed(node):
                matched.add(node)
            for rule in RULES:
                swap = rule.match(self.tree, node)
                if swap is not None:
                    matched.add(node)
                    self._swap(swap)
                    break
        self._follow(matched)
        edits, beside = rebind(self.tree, self.rebound)
        self.found.edits += [*edits, *import_modules(self.tree, [*beside, *self.beside])]
        edits, self.found.drops = tidy(self.tree, self.wanted, self.swapped, self.known.kept)
        self.found.edits.extend(edits)
        if any(True for _ in self.ids.find(self.tree.text)):
            places = sorted(self.tree.span(node)[0] for node in (*self._strings, *self.tree.nodes.joined))
            self.found.exports = exports(self.tree, self._is_retiring, places)
            self.found.hands = handed(self.tree, self._is_retiring, matched, places, self.found.exports)
            self.found.hands += asked_elsewhere(self.tree, self._is_retiring)
        self.found.imports = self.tree.bindings
        lists = [item.comparator for item in self.tree.nodes.compared] if self.known.values else []
        used = [node for node in lists if isinstance(node, cst.Name) and node.value in self.tree.tables]
        self.found.compared = [f"{name}[]" for node in used for name in self.tree.names(node)]
        self._judge()
        self.found.edits.sort(key=lambda edit: (edit.start, edit.end))
        return self.found

    def _is_retiring(self, value: str) -> bool:
        return self._id(value) is not None

    def _routed(self, node: cst.Call | cst.ClassDef) -> bool:
        """Note the ids that a routed constructor takes: its baseline, which may well have retired."""
        if not isinstance(node, cst.Call) or not self.tree.names(node.func) & _ROUTED:
            return False
        given, _ = arguments(self.tree, node, ("model",))
        models = [item.value for name, item in given.items() if name in _BASELINES]
        if self.tree.names(node.func) & _CLIENTS:
            models = list(Clients.of(self.tree).models_of(node))
            self.found.baselines += Clients.of(self.tree).keys_of(node)
        for model in models:
            sources = trace(self.tree, model, self.known)
            self.found.baselines += [*sources.wants, *sources.asks]
            self.found.baselines += [f"${name}" for name in sources.environment]
            for origin in sources.origins:
                self._mark(origin.offset, Kind.KEEP, "it is the baseline of a routed model", None)
        return True

    def _swap(self, swap: Swap) -> None:
        sources = self._sources(swap)
        retiring = [item for item in sources.origins if self._id(item.value) is not None]
        if not retiring:
            return
        line = self.tree.line(self.tree.span(swap.node)[0])
        site = Site(
            path=self.path,
            line=line,
            rule=swap.rule,
            name=swap.name,
            becomes=swap.new.label,
            model=self._id(retiring[0].value) or "",
            models=tuple(dict.fromkeys(item.value for item in sources.origins)),
            parameters=swap.parameters,
            uses=swap.uses or self._uses(swap.node),
            environment=tuple(sources.environment),
            takes=tuple(dict.fromkeys((*sources.wants, *sources.asks))),
        )
        site = replace(site, effect=self.effect(site))
        kept, why = self._blocked(swap, sources, site)
        site = replace(site, blocked=why)
        self.found.sites.append(site)
        self._classify(swap, sources, site, kept=kept)
        if why is None:
            self._edit(swap, sources)

    def _follow(self, matched: set[cst.CSTNode]) -> None:
        """Follow what calls that no rule knows are given, where there is a literal that may reach them."""
        if not self.known and all(self.tree.span(node)[0] in self.by_offset for node in self._strings):
            return
        for call in self.tree.nodes.calls:
            for what, value in contexts.models_given(self.tree, call) if call not in matched else ():
                sources = trace(self.tree, value, self.known)
                for origin in sources.origins:
                    hit = next((item for item in self.ids.find(origin.value)), None)
                    if hit is not None and hit.word == origin.value and contexts.of_word(hit) is None:
                        self._used(call, what, sources, origin, hit)

    def _used(self, call: cst.Call, what: str, sources: Sources, origin: Origin, hit: Hit) -> None:
        start, end = self.tree.span(call)
        name = next(iter(sorted(self.tree.names(call.func))), dotted(call.func))
        kind, why = contexts.of_call(self.tree, call, what, hit)
        if self.tree.kept(start, end):
            kind, why = Kind.KEEP, "a comment says `routed: keep`"
        if origin.offset >= 0:
            self._mark(origin.offset, kind, f"{origin.how} that reaches {self.where(start)}: {why}", None)
        elif kind is Kind.REPORT:
            self.found.sites.append(
                Site(
                    path=self.path,
                    line=self.tree.line(start),
                    rule="",
                    name=f"{name}()",
                    becomes="",
                    model=hit.model,
                    takes=tuple(dict.fromkeys((*sources.wants, *sources.asks))),
                    blocked=why,
                )
            )

    def _sources(self, swap: Swap) -> Sources:
        sources = Sources() if swap.model is None else trace(self.tree, swap.model, self.known, *swap.more)
        for key in swap.given:
            sources.asks.append(key)
            sources.origins += [
                Origin(offset=-1, value=value, how="call") for value in self.known.given.get(key, ())
            ]
        return sources

    def _id(self, value: str) -> str | None:
        name = value.removeprefix("openai:")
        return name if self.ids.ending(name) is not None else None

    def _blocked(self, swap: Swap, sources: Sources, site: Site) -> tuple[bool, str | None]:
        """Say whether a person wants the site kept, and why it is not rewritten."""
        start, end = self.tree.span(swap.node)
        head_end = self.tree.text.find("\n", start) if isinstance(swap.node, cst.ClassDef) else end
        if self.tree.kept(start, min(end, head_end) if head_end > 0 else end):
            return True, "a comment says `routed: keep`"
        if not self.options.applies(swap.rule):
            return True, f"{swap.rule} is not selected"
        return False, self._unsafe(swap, sources, site)

    def _unsafe(self, swap: Swap, sources: Sources, site: Site) -> str | None:
        if swap.blocked is not None:
            return f"{swap.name}: {swap.blocked}"
        unfit = (site.effect or {}).get("unfit")
        anchor = self._anchor(swap)
        return (
            self._unserved(sources)
            or (None if swap.lenient else self._uncertain(swap, sources))
            or self._untaken(swap, site)
            or shadowed(self.tree, swap.modules)
            or (f"nothing routed can stand in for {site.model} here: {unfit}" if unfit else None)
            or (
                "it is not called by a name. Rewrite it by hand."
                if anchor is None
                else collision(self.tree, anchor, swap.new)
            )
        )

    def _unserved(self, sources: Sources) -> str | None:
        """Say which of the models nothing can be held to."""
        for value in dict.fromkeys(item.value.removeprefix("openai:") for item in sources.origins):
            ending = self.ids.ending(value)
            if ending is not None and not ending.known and self.options.baseline(value) is None:
                return (
                    f"{value} stops on {ending.shutdown}, and the catalog knows no more of it. "
                    f"Name a baseline in its place: --map {value}={ending.replacement}."
                )
        return None

    def _uncertain(self, swap: Swap, sources: Sources) -> str | None:
        """Say what may reach the constructor that a routed one would not take."""
        if sources.built is not None:  # what it is put together from are no ids
            built = contexts.short(sources.built)
            return f"the id is put together ({built}). Write the ids out, then run this again."
        names = [item.value.removeprefix("openai:") for item in sources.origins]
        for name, origin in zip(names, sources.origins, strict=True):
            renamed = origin.offset >= 0 and self.options.baseline(name) is not None
            if renamed and self._written(name, origin.offset) < 0:
                return (
                    f"{name} is put together, so --map cannot change it. Write it out, then run this again."
                )
        strangers = [
            name for name in names if not self.ids.knows(name) and self.options.baseline(name) is None
        ]
        if strangers:
            return f"{strangers[0]!r} may reach it, too, and is no model of the catalog. Split the two."
        if sources.unknown is not None:
            other = contexts.short(sources.unknown)
            return f"its model may also come from {other}, which is not known here. Check it by hand."
        prefixed = any(item.value.startswith("openai:") for item in sources.origins)
        inside = swap.model is not None and self.tree.stands(swap.model, swap.node)
        if prefixed and not (inside and (swap.prefixed or text_of(swap.model) is not None)):
            return "its model has the prefix openai: where it is defined. Take the prefix off there first."
        return None

    def _untaken(self, swap: Swap, site: Site) -> str | None:
        if site.model.startswith("ft:"):
            return (
                "a fine-tune ends with the model it was made from, and no other model has its training. "
                "Choose a model that stays and test it with shadow mode."
            )
        if swap.new is LANGCHAIN and _CREWAI.search(self.tree.text):
            return (
                "CrewAI takes the model's name from the object and calls that model itself. "
                "Give its LLM(...) a model that stays."
            )
        return None

    def _anchor(self, swap: Swap) -> cst.BaseExpression | None:
        if swap.replaced:
            return swap.replaced[0]
        return swap.node.func if isinstance(swap.node, cst.Call) else None

    def _classify(self, swap: Swap, sources: Sources, site: Site, *, kept: bool) -> None:
        start, end = self.tree.span(swap.node)
        what = f"{swap.name} at {self.where(start)}"
        for origin in sources.origins:
            if self._id(origin.value) is None or origin.offset < 0:
                continue
            inside = start <= origin.offset < end
            if site.blocked is None and inside:
                self._mark(origin.offset, Kind.REWRITE, f"{swap.name} becomes {swap.new.label}", swap.rule)
            elif site.blocked is None:
                why = f"{origin.how} that reaches {what}, which becomes {swap.new.label}"
                self._mark(origin.offset, Kind.TRACE, why, swap.rule)
            elif kept:
                self._mark(origin.offset, Kind.KEEP, site.blocked, None)
            else:
                lead = "" if inside else f"{origin.how} that reaches {what}. "
                self._mark(origin.offset, Kind.REPORT, lead + site.blocked, None)

    def _mark(self, offset: int, kind: Kind, why: str, rule: str | None) -> None:
        order = list(Kind)
        before = self.by_offset.get(offset)
        # One literal may reach several constructors; what is rewritten outweighs what is only reported.
        if before is None or order.index(kind) < order.index(before[0]):
            self.by_offset[offset] = (kind, why, rule)

    def _edit(self, swap: Swap, sources: Sources) -> None:
        self.found.needs.add(swap.new.distribution)
        anchor = self._anchor(swap)
        self.beside += [(anchor, module) for module in swap.modules if anchor is not None]
        if swap.replaced and swap.new.name in OPENAI and isinstance(swap.node, cst.Call):
            self.rebound.append((swap.node, swap.new))
            return
        for node in swap.replaced:
            self.found.edits.append(Edit(*self.tree.span(node), swap.new.name))
        before, after = self._strip(swap, sources)
        # What is inserted at one place stands in the order in which it is given.
        self.found.edits += [*after, *swap.edits, *before]
        self.swapped.extend(swap.replaced)
        if anchor is not None and not swap.modules:
            self.wanted.append((anchor, swap.new))
        if self.options.applies("RM021"):
            for origin in sources.origins:
                self._rename(origin.offset, origin.value.removeprefix("openai:"))

    def _strip(self, swap: Swap, sources: Sources) -> tuple[list[Edit], list[Edit]]:
        """Take the provider off where the value is used: other code may want it where it is defined."""
        model = swap.model
        if not swap.prefixed or model is None or text_of(model) is not None:
            return [], []
        if not any(item.value.startswith("openai:") for item in sources.origins):
            return [], []
        start, end = self.tree.span(model)
        atom = isinstance(model, (cst.Name, cst.Attribute, cst.Call, cst.Subscript))
        close = "" if atom else ")"
        return [] if atom else [Edit(start, start, "(")], [Edit(end, end, f'{close}.removeprefix("openai:")')]

    def _rename(self, offset: int, value: str) -> None:
        new = self.options.baseline(value)
        if new is None or offset < 0 or offset in self.renamed:
            return
        self.renamed.add(offset)
        place = self._written(value, offset)
        self.found.edits.append(Edit(place, place + len(value), new))

    def _written(self, value: str, offset: int) -> int:
        """Return where a literal that begins at a place has an id; -1 where it is written in pieces."""
        return self.tree.text.find(value, offset, offset + len(value) + _BEFORE)

    def _uses(self, node: cst.CSTNode) -> tuple[str, ...]:
        """Say what the file binds to the variable that the object is assigned to."""
        holder = self.tree.around(node, cst.Assign)
        if holder is None:
            return ()
        return tuple(sorted(self._bindings.get(self.tree.source(holder.targets[0].target), ())))

    @cached_property
    def _bindings(self) -> dict[str, set[str]]:
        """What is bound to each object of the module."""
        found: dict[str, set[str]] = {}
        for call in self.tree.nodes.calls:
            if isinstance(call.func, cst.Attribute):
                method = call.func.attr.value
                stops = method == "bind" and any(
                    item.keyword and item.keyword.value == "stop" for item in call.args
                )
                use = "stop" if stops else _BINDS.get(method)
                if use is not None:
                    found.setdefault(self.tree.source(call.func.value), set()).add(use)
        return found

    def _judge(self) -> None:
        """Give every occurrence its class."""
        strings = sorted(((*self.tree.span(node), node) for node in self._strings), key=lambda item: item[0])
        joined = sorted(self._judge_joined())
        place = 0
        for hit in self.ids.find(self.tree.text):
            near = bisect_right(joined, (hit.start, len(self.tree.text))) - 1
            if near >= 0 and hit.start < joined[near][1]:
                self.found.judged.append(Judged(hit, Kind.KEEP, "it is a piece of an id, not one by itself"))
                continue
            while place < len(strings) and strings[place][1] <= hit.start:
                place += 1
            inside = place < len(strings) and strings[place][0] <= hit.start
            self.found.judged.append(self._judge_one(hit, strings[place] if inside else None))

    def _judge_joined(self) -> list[tuple[int, int]]:
        """Account for ids that are written in pieces (``"gpt-" "4o"``), and say where they stand."""
        spans = []
        for node in self.tree.nodes.joined:
            value, (start, end) = text_of(node), self.tree.span(node)
            if value is None or not self._is_retiring(value) or value in self.tree.source(node):
                continue
            hit = Hit(start, end, value, self._id(value) or value, exact=True)
            known = self.by_offset.get(start)
            self.found.judged.append(Judged(hit, *(known or contexts.by_use(self.tree, node, hit))))
            spans.append((start, end))
        return spans

    @cached_property
    def _strings(self) -> list[cst.SimpleString | cst.FormattedStringText]:
        """The strings in which an id may stand."""
        return [
            node for node in self.tree.nodes.strings if self.ids.within(node.value.encode(errors="replace"))
        ]

    def _judge_one(
        self, hit: Hit, string: tuple[int, int, cst.SimpleString | cst.FormattedStringText] | None
    ) -> Judged:
        if string is None:
            return Judged(hit, *(contexts.of_word(hit) or (Kind.KEEP, "it stands in a comment")))
        outer = self.tree.parent(string[2])
        whole = self.tree.span(outer)[0] if isinstance(outer, cst.FormattedString) else -1
        known = self.by_offset.get(string[0], self.by_offset.get(whole))
        if known is not None:
            return Judged(hit, *known)
        kind, why = contexts.of_string(self.tree, string[2], hit)
        if kind is Kind.REPORT and self.tree.kept(hit.start, hit.end):
            return Judged(hit, Kind.KEEP, "a comment says `routed: keep`")
        return Judged(hit, kind, why)
