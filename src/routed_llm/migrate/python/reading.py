"""Reading: one Python text to the class of each occurrence, the constructors, and the edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import libcst as cst

from routed_llm.migrate.found import Edit, Kind, Options, Site
from routed_llm.migrate.ids import Hit, RetiringIds
from routed_llm.migrate.python import contexts
from routed_llm.migrate.python.imports import Wanted, collision, tidy
from routed_llm.migrate.python.origins import Sources, trace
from routed_llm.migrate.python.tree import Tree, text_of
from routed_llm.migrate.rules import LANGCHAIN, LLAMA_INDEX, RULES, Swap

__all__ = ["Judged", "PythonFindings", "read"]

Effect = Callable[[Site], Mapping[str, Any]]
"""Works out what routing does at a site; ``unfit`` says why nothing can serve it."""

_ROUTED = frozenset(
    {
        f"{LANGCHAIN.module}.{LANGCHAIN.name}",
        f"{LANGCHAIN.module}.chat_models.{LANGCHAIN.name}",
        f"{LLAMA_INDEX.module}.{LLAMA_INDEX.name}",
        "routed_llm.Policy",
        "routed_llm.policy.Policy",
    }
)
_SETTERS = re.compile(
    r"ChatOpenAI|init_chat_model|create_\w*agent|RoutedChatModel|RoutedLLM|routed_llm|llama_index[\w.]*llms"
)
"""What a text must name for anything in it to be rewritten or to be routed already."""

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
        exports: module-level names that hold a retiring id: the id and the offset of its literal.
        wants: names of other modules that constructors take as model.
        baselines: where routed constructors take their baseline from, as FileFindings has it.
    """

    judged: list[Judged] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    exports: dict[str, tuple[str, int]] = field(default_factory=dict)
    wants: list[str] = field(default_factory=list)
    baselines: list[str] = field(default_factory=list)


def read(
    text: str,
    ids: RetiringIds,
    options: Options,
    *,
    path: str,
    effect: Effect,
    known: Mapping[str, str],
) -> PythonFindings:
    """Read a Python text.

    Args:
        text: the text.
        ids: the ids that retire.
        options: what to rewrite.
        path: the file it stands in.
        effect: works out what routing does at a site.
        known: values of names of other modules.

    Raises:
        ValueError: when the text is not Python.
    """
    return _Reader(Tree(text), ids, options, path, effect, known).run()


class _Reader:
    def __init__(
        self,
        tree: Tree,
        ids: RetiringIds,
        options: Options,
        path: str,
        effect: Effect,
        known: Mapping[str, str],
    ) -> None:
        self.tree, self.ids, self.options, self.path = tree, ids, options, path
        self.effect, self.known = effect, known
        self.found = PythonFindings()
        self.by_offset: dict[int, tuple[Kind, str, str | None]] = {}
        self.wanted: list[Wanted] = []
        self.swapped: list[cst.BaseExpression] = []

    def run(self) -> PythonFindings:
        # Where no rule can apply, the scopes that they ask for are not worth their time.
        wanted = _SETTERS.search(self.tree.text)
        nodes: list[cst.Call | cst.ClassDef] = [*self.tree.nodes.calls, *self.tree.nodes.classes]
        for node in nodes if wanted else ():
            self._routed(node)
            for rule in RULES:
                swap = rule.match(self.tree, node)
                if swap is not None:
                    self._swap(swap)
                    break
        self.found.edits.extend(tidy(self.tree, self.wanted, self.swapped))
        self._exports()
        self._judge()
        self.found.edits.sort(key=lambda edit: (edit.start, edit.end))
        return self.found

    def _routed(self, node: cst.Call | cst.ClassDef) -> None:
        """Note the ids that routed constructors take: their baseline, which may well have retired."""
        if not isinstance(node, cst.Call) or not self.tree.names(node.func) & _ROUTED:
            return
        for item in node.args:
            if item.keyword is None or item.keyword.value in ("model", "model_name", "baseline", "at_least"):
                sources = trace(self.tree, item.value, self.known)
                self.found.baselines += [*sources.wants, *(f"${name}" for name in sources.environment)]
                self.found.wants += sources.wants
                for origin in sources.origins:
                    self._mark(origin.offset, Kind.KEEP, "it is the baseline of a routed model", None)

    def _swap(self, swap: Swap) -> None:
        if swap.model is None:
            return
        sources = trace(self.tree, swap.model, self.known)
        self.found.wants.extend(sources.wants)
        retiring = [item for item in sources.origins if self._id(item.value) is not None]
        if not retiring:
            return
        line = self.tree.text.count("\n", 0, self.tree.span(swap.node)[0]) + 1
        site = Site(
            path=self.path,
            line=line,
            rule=swap.rule,
            name=swap.name,
            becomes=swap.new.name,
            model=self._id(retiring[0].value) or "",
            models=tuple(dict.fromkeys(item.value for item in sources.origins)),
            parameters=swap.parameters,
            uses=swap.uses or self._uses(swap.node),
            environment=tuple(sources.environment),
        )
        site = replace(site, effect=self.effect(site))
        kept, why = self._blocked(swap, sources, site)
        site = replace(site, blocked=why)
        self.found.sites.append(site)
        self._classify(swap, sources, site, kept=kept)
        if why is None:
            self._edit(swap, sources)

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
        for value in dict.fromkeys(item.value.removeprefix("openai:") for item in sources.origins):
            ending = self.ids.ending(value)
            if ending is not None and not ending.known and value not in self.options.models:
                return (
                    f"{value} stops on {ending.shutdown}, and the catalog knows no more of it. "
                    f"Name a baseline in its place: --map {value}=gpt-4o-mini."
                )
        strangers = [
            item.value
            for item in sources.origins
            if not self.ids.knows(item.value.removeprefix("openai:"))
            and item.value.removeprefix("openai:") not in self.options.models
        ]
        if strangers:
            return f"{strangers[0]!r} may reach it, too, and is no model of the catalog. Split the two."
        if sources.unknown is not None:
            other = _short(sources.unknown)
            return f"its model may also come from {other}, which is not known here. Check it by hand."
        prefixed = [item for item in sources.origins if item.value.startswith("openai:")]
        if prefixed and not (len(sources.origins) == 1 and text_of(swap.model) is not None):
            return "its model has the prefix openai: where it is defined. Take the prefix off there first."
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
        unfit = (site.effect or {}).get("unfit")
        if unfit:
            return f"nothing routed can stand in for {site.model} here: {unfit}"
        anchor = self._anchor(swap)
        return (
            "it is not called by a name. Rewrite it by hand."
            if anchor is None
            else collision(self.tree, anchor, swap.new)
        )

    def _anchor(self, swap: Swap) -> cst.BaseExpression | None:
        if swap.replaced:
            return swap.replaced[0]
        return swap.node.func if isinstance(swap.node, cst.Call) else None

    def _classify(self, swap: Swap, sources: Sources, site: Site, *, kept: bool) -> None:
        start, end = self.tree.span(swap.node)
        what = f"{swap.name} at line {site.line}"
        for origin in sources.origins:
            if self._id(origin.value) is None or origin.offset < 0:
                continue
            inside = start <= origin.offset < end
            if site.blocked is None and inside:
                self._mark(origin.offset, Kind.REWRITE, f"{swap.name} becomes {swap.new.name}", swap.rule)
            elif site.blocked is None:
                why = f"{origin.how} that reaches {what}, which becomes {swap.new.name}"
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
        for node in swap.replaced:
            self.found.edits.append(Edit(*self.tree.span(node), swap.new.name))
        self.found.edits.extend(swap.edits)
        self.swapped.extend(swap.replaced)
        anchor = self._anchor(swap)
        if anchor is not None:
            self.wanted.append((anchor, swap.new))
        if self.options.applies("RM021"):
            for origin in sources.origins:
                self._rename(origin.offset, origin.value.removeprefix("openai:"))

    def _rename(self, offset: int, value: str) -> None:
        new = self.options.models.get(value)
        if new is None or offset < 0:
            return
        place = self.tree.text.index(value, offset)
        edit = Edit(place, place + len(value), new)
        if edit not in self.found.edits:
            self.found.edits.append(edit)

    def _uses(self, node: cst.CSTNode) -> tuple[str, ...]:
        """Say what the file binds to the variable that the object is assigned to."""
        holder = self.tree.around(node, cst.Assign)
        if holder is None:
            return ()
        name = re.escape(self.tree.source(holder.targets[0].target))
        return tuple(
            use
            for use, method in (
                ("tools", "bind_tools"),
                ("structured", r"(?:with_structured_output|as_structured_llm|structured_predict)"),
                ("stop", r"bind\([^)]*stop"),
            )
            if re.search(rf"(?<![\w.]){name}\s*\.\s*{method}", self.tree.text)
        )

    def _exports(self) -> None:
        for line in self.tree.module.body:
            for item in line.body if isinstance(line, cst.SimpleStatementLine) else ():
                if not isinstance(item, (cst.Assign, cst.AnnAssign)) or item.value is None:
                    continue
                target = item.targets[0].target if isinstance(item, cst.Assign) else item.target
                if isinstance(target, cst.Name):
                    for origin in trace(self.tree, item.value, {}).origins:
                        if self._id(origin.value) is not None:
                            self.found.exports[target.value] = (origin.value, origin.offset)

    def _judge(self) -> None:
        """Give every occurrence its class."""
        strings = sorted(
            ((*self.tree.span(node), node) for node in self._strings()), key=lambda item: item[0]
        )
        place = 0
        for hit in self.ids.find(self.tree.text):
            while place < len(strings) and strings[place][1] <= hit.start:
                place += 1
            inside = place < len(strings) and strings[place][0] <= hit.start
            self.found.judged.append(self._judge_one(hit, strings[place] if inside else None))

    def _strings(self) -> list[cst.SimpleString | cst.FormattedStringText]:
        return [
            node for node in self.tree.nodes.strings if self.ids.within(node.value.encode(errors="replace"))
        ]

    def _judge_one(
        self, hit: Hit, string: tuple[int, int, cst.SimpleString | cst.FormattedStringText] | None
    ) -> Judged:
        if string is None:
            return Judged(hit, *(contexts.of_word(hit) or (Kind.KEEP, "it stands in a comment")))
        known = self.by_offset.get(string[0])
        if known is not None:
            return Judged(hit, *known)
        kind, why = contexts.of_string(self.tree, string[2], hit)
        if kind is Kind.REPORT and self.tree.kept(hit.start, hit.end):
            return Judged(hit, Kind.KEEP, "a comment says `routed: keep`")
        return Judged(hit, kind, why)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
