"""Generated conversations and parameter sets through every adapter, against the simulator's rules.

A call is well when it was answered without one request that the simulator refused, or when nothing could
have served it: a refusal, and a NoModelFits, is held against the simulator's own data (see judge.py).
Anything that is raised has to be an error of routed_llm or of the SDK. With ``--every-field`` any field of
the API may be set; then what was sent is held against what was written, too: what is lost or changed has to
stand in the record, or be lost by the framework's own class (see meaning.py). No network and no key::

    python -m benchmarks.recovery.fuzz 50000            # cases; --seed and --workers, --adapter
    python -m benchmarks.recovery.fuzz 5000 --every-field
    python -m benchmarks.recovery.fuzz 2000 --every-field --responses   # all of them served there
    python -m benchmarks.recovery.fuzz --replay 1/4711  # one case again, with all that it says
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import multiprocessing
import sys
import time
import traceback
from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

import openai

from benchmarks.recovery import judge
from benchmarks.recovery.conversations import Case, make
from benchmarks.recovery.every_field import ONLY_CHAT
from benchmarks.recovery.meaning import losses, meaning
from benchmarks.recovery.speakers import LangChain, LlamaIndex, OpenAIClient, Speaker
from routed_llm import NoModelFits, RoutedError, Router
from routed_llm.simulator import Simulator, serve

__all__ = ["Finding", "Fuzz", "main"]

MOVED = ("gpt-4.1-mini", "gpt-5", "gpt-5.4", "gpt-6-luna")
"""Models that serve the cases that are all moved to Responses, where they are alive."""
SPEAKERS: dict[str, type[Speaker]] = {
    "langchain": LangChain,
    "llama_index": LlamaIndex,
    "openai": OpenAIClient,
}
TYPED = (RoutedError, openai.OpenAIError)
KEPT = 40
"""Findings printed in full; the rest is only counted."""
POLICY = frozenset({"floor_below", "floor_unknown", "floor_inferred", "excluded"})
"""Reasons that are the policy's own and nothing that the simulator could know."""


LOOP = asyncio.new_event_loop()
"""The connections of both frameworks belong to the loop that opened them, and are shared."""
LATE = ("gpt-5.5", "gpt-5.6", "gpt-6")
AUDIO = frozenset({"structured", "input", "endpoint", "endpoint_forced"})
SAMPLING = frozenset({"temperature", "top_p", "logprobs", "top_logprobs"})
DIFFER = {
    "service_tier": "the catalog goes by the price list: what is not sold at a tier is not asked for it",
    "tools_effort": "the catalog takes gpt-5.1 for what is reported of gpt-5.2",
    "parameter_conflict": "the catalog counts a parameter that stands at its default as given",
}
"""Where the catalog says no and the simulator has no rule against it: the code of the Reason, and why."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What went wrong with a case.

    Attributes:
        adapter: ``langchain``, ``llama_index`` or ``openai``.
        case: its name, for ``--replay``.
        kind: ``untyped``, ``refused``, ``denied`` or ``dropped``.
        text: what happened.
    """

    adapter: str
    case: str
    kind: str
    text: str


class Fuzz:
    """Runs cases through one adapter and keeps count.

    Attributes:
        outcomes: how often a call ended in what.
        findings: what went wrong.
    """

    def __init__(self, adapter: str, sim: Simulator, *, every: bool = False) -> None:
        self.adapter = adapter
        self.every = every
        self.sim = sim
        self._judges: dict[date, judge.Judge] = {}
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.findings: list[Finding] = []
        self.loop = LOOP
        self._speakers: dict[tuple[date, str], Speaker] = {}
        self._routers: dict[date, Router] = {}

    def run(self, case: Case, *, loud: bool = False) -> None:
        """Run a case: one call or, where the case goes on, two."""
        self.sim.at = case.day
        speaker = self._speaker(case)
        answer = self._call(speaker, case, speaker.messages(case), case.parameters, loud=loud)
        if answer is not None and case.again is not None:
            more = speaker.followed(speaker.messages(case), answer, case.again)
            self._call(speaker, case, more, case.then, second=True, loud=loud)

    def _speaker(self, case: Case) -> Speaker:
        key = (case.day, case.baseline)
        if key not in self._speakers:
            day = case.day
            router = self._routers.setdefault(day, Router(clock=lambda: day, observe=False))
            self._speakers[key] = SPEAKERS[self.adapter](self.sim.url, case.baseline, router)
        return self._speakers[key]

    def _call(
        self,
        speaker: Speaker,
        case: Case,
        messages: list[Any],
        parameters: dict[str, Any],
        *,
        second: bool = False,
        loud: bool = False,
    ) -> Any:
        self.sim.reset() if not second else None
        before = len(self.sim.refused)
        error: Exception | None = None
        answer = None
        try:
            answer = speaker.call(case, messages, parameters, self.loop)
        except Exception as raised:  # noqa: BLE001  what is raised is the result
            error = raised
        refused = self.sim.refused[before:]
        outcome = "answered" if error is None else type(error).__name__
        self.outcomes[outcome] += 1
        if loud:
            _tell(self.sim, error)
        if error is not None and not isinstance(error, TYPED):
            if self._control(speaker, case, messages, parameters):
                self.outcomes["untyped, as from the framework's own class"] += 1
                return None
            trace = "".join(traceback.format_exception(error)[-3:])
            self._found(case, "untyped", f"second={second} {parameters} {trace}")
        elif refused:
            self._judge_refusal(speaker, case, parameters, refused, error, second=second)
        elif isinstance(error, NoModelFits) and not second:
            self._judge_denial(speaker, case, parameters, error)
        elif error is None and not second:
            self._judge_sent(speaker, case, messages, parameters, answer)
        return answer

    def _judge_sent(
        self, speaker: Speaker, case: Case, messages: list[Any], parameters: dict[str, Any], answer: Any
    ) -> None:
        """What was written and not sent has to be on record, or be lost by the framework's own class."""
        sent, changes = self.sim.journal[-1].body, speaker.record(answer)["changes"]
        written = {**speaker.defaults, **parameters, "messages": speaker.written(case)}
        written = {name: value for name, value in written.items() if name not in speaker.own}
        lost = losses(written, sent, changes)
        if not lost:
            return
        control = self._sent_by_control(speaker, case, messages, parameters)
        if control is not None:
            of_both = {text.partition(": ")[0] for text in losses(control, sent, changes)}
            lost = [text for text in lost if text.partition(": ")[0] in of_both]
        elif speaker.is_on_responses(parameters):  # whose defaults hold then: stored, and strict
            lost = [text for text in lost if not text.startswith(("store: ", "tools function "))]
        if lost:
            self._found(case, "dropped", f"{sent['model']}: {'; '.join(lost)}")
        else:
            self.outcomes["lost by the framework's own class, too"] += 1

    def _sent_by_control(
        self, speaker: Speaker, case: Case, messages: list[Any], parameters: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the body that the framework's own class sends, or None when it sends nothing."""
        before = len(self.sim.journal)  # what is stored there stays for the second call
        with contextlib.suppress(Exception):  # whether it is answered does not matter
            speaker.control(case, messages, parameters, self.loop)
        return self.sim.journal[before].body if len(self.sim.journal) > before else None

    def _control(self, speaker: Speaker, case: Case, messages: list[Any], parameters: dict[str, Any]) -> bool:
        """Say whether the framework's own class raises an untyped error, too, for the same call."""
        self.sim.reset()
        try:
            speaker.control(case, messages, parameters, self.loop)
        except TYPED:
            return False
        except Exception:  # noqa: BLE001  what is raised is the result
            return True
        return False

    def _judge_refusal(
        self,
        speaker: Speaker,
        case: Case,
        parameters: dict[str, Any],
        refused: list[Any],
        error: Any,
        *,
        second: bool,
    ) -> None:
        """A refusal is ours when the call was answered in the end, or another model would have taken it."""
        words = f"{refused[0].model} on {refused[0].path}: {refused[0].message}"
        if error is None:
            self._found(case, "refused", f"{words} (answered by another model)")
            return
        if self.every and not second:  # which the judge cannot say in Responses' form
            self._judge_against_control(speaker, case, parameters, "refused", words)
            return
        names = [case.pinned] if case.pinned else self._judge(case).alive()
        able = self._takers(case, dict.fromkeys(names, judge.EFFORTS), parameters)
        if able or second:
            self._found(case, "refused", f"second={second} {words}; would have served: {able}")
        else:
            self.outcomes["refused, and by every model"] += 1

    def _judge(self, case: Case) -> judge.Judge:
        if case.day not in self._judges:
            self._judges[case.day] = judge.Judge(case.day)
        return self._judges[case.day]

    def _takers(
        self,
        case: Case,
        models: dict[str, Collection[str | None]],
        parameters: dict[str, Any],
        paths: tuple[str, ...] = judge.PATHS,
    ) -> dict[str, str]:
        asked, taste = self._judge(case), case.policy.get("on_unsupported") == "raise"
        more: dict[str, Any] = {"stream": case.stream, "taste": taste, "paths": paths}
        return judge.takers(asked, models, case.messages, parameters, **more)

    def _judge_denial(
        self, speaker: Speaker, case: Case, parameters: dict[str, Any], error: NoModelFits
    ) -> None:
        """A denial is ours when a model that the policy admits would have taken the request."""
        if self.every:  # which the judge cannot say in Responses' form
            self._judge_against_control(speaker, case, parameters, "denied", str(error))
            return
        given = {**speaker.defaults, **parameters}
        able = self._takers(case, _admitted(error, case), given, paths=speaker.paths(parameters))
        able = {model: how for model, how in able.items() if not _is_known(error, model)}
        if able:
            first = next(iter(able))
            why = "; ".join(reason.text for reason in error.decision.reasons_against(first)[:3])
            self._found(case, "denied", f"{case.policy} {able} against {first}: {why}")
        else:
            self.outcomes["denied, and by every model"] += 1

    def _judge_against_control(
        self, speaker: Speaker, case: Case, parameters: dict[str, Any], kind: str, why: str
    ) -> None:
        """It is ours when the framework's own class is answered, and the policy asks for no more."""
        self.sim.reset()
        asked_more = case.pinned or case.policy.keys() - {"at_least", "optimize"}
        if not asked_more:
            with contextlib.suppress(Exception):  # then nobody serves it
                speaker.control(case, speaker.messages(case), parameters, self.loop)
                written = {"messages": speaker.written(case)}
                if _kinds(written) <= _kinds(self.sim.journal[-1].body):  # it answers the whole of it
                    self._found(case, kind, f"{parameters}: {why}")
                    return
        self.outcomes[f"{kind}, and by the framework's own class or by the policy"] += 1

    def _found(self, case: Case, kind: str, text: str) -> None:
        self.findings.append(Finding(self.adapter, case.name, kind, text))


def _kinds(body: dict[str, Any]) -> set[str]:
    """Return what kinds of things are said in a request: text, images, sound, calls, ..."""
    return {row[0] for row in meaning(body)["turns"]}


def _admitted(error: NoModelFits, case: Case) -> dict[str, Collection[str | None]]:
    """List the models and efforts that the policy would have had.

    Neither quality nor the pool speaks against them; what they take is left to the simulator to say.
    """
    found: dict[str, set[str | None]] = {}
    for one in error.decision.candidates:
        against = {reason.code for reason in one.reasons} & POLICY
        wanted = case.policy.get("effort")
        if (case.pinned in (None, one.model)) and not against and wanted in (None, one.effort):
            found.setdefault(one.model, set()).add(one.effort)
    return dict(found)


def _is_known(error: NoModelFits, model: str) -> bool:
    """Say whether catalog and simulator are known to differ on why a model was not taken.

    From gpt-5.5 on nothing that is published says that temperature, top_p and logprobs are taken with effort
    none, as they are before; nor that audio models take json_object, a PDF or a prediction, or stand on
    Responses.
    """
    against = error.decision.reasons_against(model)
    if any(reason.code in DIFFER for reason in against):
        return True
    unverified = {reason.data.get("parameter") for reason in against if reason.code.startswith("parameter")}
    if model.startswith("gpt-audio"):
        return "prediction" in unverified or bool(AUDIO & {one.code for one in against})
    return model.startswith(LATE) and bool(unverified & SAMPLING)


def _tell(sim: Simulator, error: Exception | None) -> None:
    for entry in sim.journal:
        print(entry.status, entry.path, entry.model, entry.by, entry.message, "\n  ", str(entry.body)[:3_000])
    if error is not None:
        traceback.print_exception(error)


@contextlib.contextmanager
def running(adapter: str, *, every: bool) -> Iterator[Fuzz]:
    """Run a simulator, and give what runs cases through an adapter."""
    with serve(at=date(2026, 11, 22)) as sim:
        yield Fuzz(adapter, sim, every=every)


def chunk(work: tuple[str, int, int, int, bool, bool]) -> tuple[collections.Counter[str], list[Finding]]:
    """Run the cases of one worker."""
    adapter, seed, first, last, every, moved = work
    with running(adapter, every=every) as fuzz:
        for number in range(first, last):
            case = make(seed, number, every=every)
            fuzz.run(on_responses(case) if moved else case)
        return fuzz.outcomes, fuzz.findings


def on_responses(case: Case) -> Case:
    """Return a case that Responses has to serve: without what no form there has."""
    messages = [{**message} for message in case.messages]
    for message in messages:
        if isinstance(message.get("content"), list):
            message["content"] = [part for part in message["content"] if part["type"] != "input_audio"]
    number = int(case.name.partition("/")[2])
    models = [MOVED[number % len(MOVED)], "gpt-5.6-luna"]
    return dataclasses.replace(
        case,
        messages=messages,
        parameters=_moved(case.parameters),
        then=_moved(case.then),
        pinned=None,
        policy={"endpoints": ["responses"], "at_least": None, "models": models},
    )


def _moved(parameters: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in parameters.items() if name not in ONLY_CHAT}
    if rest.get("reasoning_effort") in ("minimal", "max"):  # which only some models have
        rest["reasoning_effort"] = "high"
    return rest


def say(text: str) -> None:
    """Print a line at once: a long run is watched."""
    print(text, flush=True)


def report(seed: int, cases: int, adapters: list[str], results: Iterator[Any]) -> int:
    """Print what came out, as it comes, and return how much went wrong."""
    outcomes: collections.Counter[str] = collections.Counter()
    findings: list[Finding] = []
    for done, (found, wrong) in enumerate(results, 1):
        outcomes.update(found)
        for one in wrong[: max(0, KEPT - len(findings))]:
            say(f"{one.kind}: {one.adapter} --replay {one.case}: {one.text}")
        findings += wrong
        if done % 20 == 0:
            say(f"... {sum(outcomes.values())} calls, {len(findings)} findings")
    say(f"seed {seed}, {cases} cases through each of {', '.join(adapters)}")
    for name, count in outcomes.most_common():
        say(f"  {count:>8} {name}")
    kinds = collections.Counter(one.kind for one in findings)
    say(", ".join(f"{kind} {kinds[kind]}" for kind in ("untyped", "refused", "denied", "dropped")))
    return len(findings)


def main(arguments: list[str] | None = None) -> int:
    """Run the cases; 1 when something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", type=int, nargs="?", default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--adapter", choices=[*SPEAKERS, "all"], default="all")
    parser.add_argument("--every-field", action="store_true", help="any field of the API may be set")
    parser.add_argument("--responses", action="store_true", help="all are served there, by some model")
    parser.add_argument("--replay", help="run one case again: seed/number")
    chosen = parser.parse_args(arguments)
    adapters = list(SPEAKERS) if chosen.adapter == "all" else [chosen.adapter]
    if chosen.replay:
        seed, _, number = chosen.replay.partition("/")
        case = make(int(seed), int(number), every=chosen.every_field)
        case = on_responses(case) if chosen.responses else case
        print(case)
        for adapter in adapters:
            with running(adapter, every=chosen.every_field) as fuzz:
                fuzz.run(case, loud=True)
                print(adapter, dict(fuzz.outcomes), *fuzz.findings, sep="\n")
        return 0
    begun, step = time.perf_counter(), 100
    end = chosen.start + chosen.cases
    work = [
        (adapter, chosen.seed, first, min(first + step, end), chosen.every_field, chosen.responses)
        for first in range(chosen.start, end, step)
        for adapter in adapters
    ]
    with multiprocessing.get_context("spawn").Pool(chosen.workers) as pool:
        wrong = report(chosen.seed, chosen.cases, adapters, pool.imap_unordered(chunk, work))
    print(f"{time.perf_counter() - begun:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
