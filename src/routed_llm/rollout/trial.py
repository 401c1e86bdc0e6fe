"""Trials: the baseline's Decision beside the routed one, and who answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from routed_llm.decision import Call, Candidate, Decision
from routed_llm.errors import PolicyError
from routed_llm.events import WARNING, emit_once
from routed_llm.facts import thaw
from routed_llm.ledger.base import SharedStates
from routed_llm.rollout.entries import ENTRY_VERSION, Entries
from routed_llm.rollout.log import DecisionLog
from routed_llm.rollout.outputs import Outputs, configuration
from routed_llm.rollout.second import Sampler, repeatable
from routed_llm.rollout.share import in_share, key_of, mark_of

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog, Model
    from routed_llm.facts import RequestFacts
    from routed_llm.ledger import Ledger
    from routed_llm.ledger.scoped import Scope
    from routed_llm.request import Request
    from routed_llm.rollout.stage import Stage
    from routed_llm.usage import Usage

__all__ = ["Trial", "Trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one call was part of.

    Attributes:
        mode: one of :data:`routed_llm.rollout.stage.MODES`.
        arm: who answers: ``baseline``, ``routed`` or ``pinned``.
        key: a mark of the key that distinguished the caller.
        tags: the call's tags.
        baseline: what the baseline would be sent; its ``chosen`` is None when it cannot serve.
        routed: what routing chose; its ``chosen`` is None when nothing fits.
        texts: the request's texts where the log is to keep them, or a judge to see them; else None.
    """

    mode: str
    arm: str
    key: str
    tags: Mapping[str, str]
    baseline: Decision
    routed: Decision
    texts: tuple[str, ...] | None = None

    @property
    def other(self) -> Decision:
        """The Decision of the one of the two that did not answer."""
        return self.baseline if self.arm == "routed" else self.routed

    @property
    def why(self) -> str | None:
        """Why this Decision answers, where that was not routing's choice; else None."""
        if self.arm == "routed":
            return None
        said = "the pinned configuration answers" if self.arm == "pinned" else "the baseline's model answers"
        return f"{said}: the mode is {self.mode!r}"


class Trials:
    """Decides who answers each call of a router.

    Args:
        stage: the mode, the share, the key and the log.
        catalog: the models there are.
        ledger: where a fleet keeps how far a rollout has come.
        now: returns the moment.
    """

    def __init__(self, stage: Stage, catalog: Catalog, ledger: Ledger, now: Callable[[], date]) -> None:
        self.stage = stage
        self._catalog = catalog
        self._now = now
        self.climb = None
        if stage.mode == "rollout" and stage.ladder is not None:
            from routed_llm.rollout.ladder import Climb  # what few use is imported for them

            self.climb = Climb(ladder=stage.ladder, ledger=shared(ledger), note=self._note_step)
        self._log = None if stage.log is None else DecisionLog(stage.log)
        outputs = None if stage.observed is None else _observed(stage.observed)
        self._entries = Entries(catalog, outputs, prompts=stage.keep == "prompts")
        self._judge = None if self.climb is None else self.climb.ladder.judge
        self._sampler = Sampler(stage.sample)

    def turn(
        self,
        routed: Decision,
        request: Request,
        *,
        baseline: str,
        decide: Callable[[Request], Decision],
        said: Scope,
    ) -> Decision:
        """Return the Decision of whoever answers, with the other one in its ``trial``.

        A call that names its model itself is no trial: it is left alone.

        Args:
            routed: what routing chose.
            request: the request.
            baseline: the model that the program was written for.
            decide: decides for a request that is pinned to it.
            said: whom the call is for.
        """
        if request.facts.model is not None:
            return routed
        tags = dict(said.tags)
        opening = request.texts[: request.opening or None]
        key = key_of(self.stage.key, tags=tags, conversation=said.conversation, texts=opening)
        pinned = decide(_naming(request, baseline))
        arm, answering = self._answering(key, request, routed, pinned, baseline, decide)
        trial = Trial(
            mode=self.stage.mode,
            arm=arm,
            key=mark_of(key),
            tags=tags,
            baseline=pinned,
            routed=routed,
            texts=tuple(request.texts) if self.stage.keep == "prompts" or self._judge else None,
        )
        return replace(answering, trial=trial)

    def _answering(
        self,
        key: str,
        request: Request,
        routed: Decision,
        baseline: Decision,
        name: str,
        decide: Callable[[Request], Decision],
    ) -> tuple[str, Decision]:
        """Return the arm that answers, and its Decision."""
        stage = self.stage
        if stage.mode == "route":
            return "routed", routed
        if stage.mode == "pin" and stage.pin is not None:
            pinned = decide(_naming(request, *stage.pin))
            if pinned.chosen is not None:
                return "pinned", pinned
            emit_once(
                WARNING,
                "pin_does_not_fit",
                "{pin} cannot serve every call, so routing decides on those: {why}",
                stage.pin,
                loud=True,
                pin=_written(stage.pin),
                why=pinned.why,
            )
            return "routed", routed
        if stage.mode == "rollout":
            # Where the baseline would be refused there is nothing to compare with, and routing can help.
            share = stage.share
            if share is None:
                share = 0.0 if self.climb is None else self.climb.share
            served = baseline.chosen is not None and not in_share(key, share)
            return ("baseline", baseline) if served else ("routed", routed)
        if baseline.chosen is not None:
            return "baseline", baseline
        model = self._catalog.get(name)
        if model.alive(routed.at):
            return "baseline", _as_asked(baseline, request.facts, name, self._catalog)
        replaced = self._replaced(request, model, routed.at, decide) if stage.mode == "off" else None
        if replaced is None:
            text = "{model} was shut down, so routing answers in the mode {mode!r}, too"
            emit_once(
                WARNING, "baseline_ended", text, name, stage.mode, loud=True, model=name, mode=stage.mode
            )
            return "routed", routed
        text = "{model} was shut down, so {next}, which the provider names instead, answers"
        emit_once(
            WARNING, "baseline_ended", text, name, stage.mode, loud=True, model=name, next=replaced.model
        )
        return "baseline", replaced

    def _replaced(
        self, request: Request, model: Model, at: date, decide: Callable[[Request], Decision]
    ) -> Decision | None:
        """Return the Decision for what the provider names in a model's place; None when that cannot serve."""
        seen = {model.id}
        while (
            (name := model.lifecycle.replacement) is not None and name in self._catalog and name not in seen
        ):
            seen.add(name)
            model = self._catalog.get(name)
            if model.alive(at):
                found = decide(_naming(request, model.id))
                return None if found.chosen is None else found
        return None

    def note(
        self, decision: Decision, record: Mapping[str, Any] | None, usage: Usage | None
    ) -> dict[str, Any]:
        """Write the entry of a call that has ended; ``record`` is None when it failed."""
        entry = self._entries.of_call(decision, record, usage, mode=self.stage.mode)
        self._write(entry)
        if self.climb is not None and record is not None and decision.trial is not None:
            costs = [entry[side]["cost"] for side in ("routed", "baseline")]
            # Of the baseline's calls routing's cost is only estimated: they give the scale.
            if None not in costs and (decision.trial.arm == "routed" or self.climb.progress.scale is None):
                self.climb.cost(*map(float, costs))
        return entry

    def heard(self, trial: Trial, text: str) -> None:
        """Let the ladder's check score an answer."""
        check = None if self.climb is None else self.climb.ladder.check
        score = None if check is None else check(text)
        if self.climb is not None and score is not None:
            self.climb.checked(trial.arm, float(score))

    @property
    def checks(self) -> bool:
        """Whether answers are checked."""
        return self.climb is not None and self.climb.ladder.check is not None

    def _note_step(self, entry: dict[str, Any]) -> None:
        moment = self._now()
        at = moment.date() if isinstance(moment, datetime) else moment
        self._write({"version": ENTRY_VERSION, "time": moment.isoformat(), "at": at.isoformat(), **entry})

    def samples(self, trial: Trial, entry: Mapping[str, Any]) -> bool:
        """Say whether a call is also to be sent to the other one: in the shadow, and for a ladder's judge."""
        routed, baseline = trial.routed, trial.baseline
        wanted = trial.mode == "shadow" or self._judge is not None
        if not wanted or trial.other.chosen is None or not repeatable(routed.facts):
            return False
        if (routed.model, routed.effort) == (baseline.model, baseline.effort):
            return False  # it has just answered
        return self._sampler.picks((configuration(routed.model, routed.effort), entry["kind"]))

    def note_second(
        self,
        trial: Trial,
        first: Mapping[str, Any],
        record: Mapping[str, Any] | None,
        *,
        outcome: str,
        why: str | None = None,
        answers: tuple[str, str] | None = None,
    ) -> None:
        """Write the entry of a second call; the answers' texts only where they are to be kept."""
        entry = self._entries.of_second(trial, first, record, outcome=outcome, why=why)
        sides = ("baseline", "routed") if trial.arm == "baseline" else ("routed", "baseline")
        if answers is not None and self.stage.keep is not None:
            entry["answers"] = dict(zip(sides, answers, strict=True))
            if self.stage.keep == "prompts":
                entry["prompt"] = list(trial.texts or ())
        self._write(entry)
        if answers is not None and self.climb is not None and self._judge is not None:
            given = dict(zip(sides, answers, strict=True))
            self.climb.pair(float(self._judge(trial.texts or (), given["baseline"], given["routed"])))
            costs = entry["cost"], first["cost"]
            if trial.arm == "baseline" and None not in costs:
                self.climb.cost(*map(float, costs))

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._log is not None:
            self._log.write(entry)


def shared(ledger: Any) -> SharedStates:
    """Return a ledger that can keep what a fleet shares.

    Raises:
        PolicyError: when it cannot.
    """
    if not isinstance(ledger, SharedStates):
        raise PolicyError(
            f"A ladder keeps its progress in the ledger, and a {type(ledger).__name__} has no `amend`. Use "
            "one of routed_llm's ledgers, or add the method.",
            key="ladder",
        )
    return ledger


def _naming(request: Request, model: str, effort: str | None = None) -> Request:
    """Return a request that names the model that is to serve it, and perhaps the effort."""
    named = replace(request.facts, model=model, effort=effort or request.facts.effort)
    return replace(request, facts=named)


def _written(pin: tuple[str, str | None]) -> str:
    return pin[0] if pin[1] is None else f"{pin[0]}@{pin[1]}"


def _observed(path: str) -> Outputs:
    outputs = Outputs()
    try:
        outputs.learn_from(path)
    except OSError as error:
        raise PolicyError(
            f"observed={path!r}: {error.strerror or error}. Name a decision log.", key="observed"
        ) from error
    return outputs


def _as_asked(decision: Decision, facts: RequestFacts, baseline: str, catalog: Catalog) -> Decision:
    """Send the baseline what the program asks for, though it should be refused: so it was before."""
    parameters = {name: thaw(value) for name, value in facts.parameters}
    endpoint = facts.endpoint or "chat_completions"
    model = catalog.get(baseline)
    call = Call(
        model=model.sent_as,
        base_url=model.base_url,
        endpoint=endpoint,
        effort=facts.effort,
        cap=facts.cap,
        parameters=parameters,
        stream=facts.stream,
    )
    chosen = Candidate(
        model=model.id,
        effort=facts.effort,
        endpoint=endpoint,
        input_tokens=facts.tokens.likely,
        sent_as=model.sent_as,
        base_url=model.base_url,
    )
    return replace(decision, chosen=chosen, call=call, changes=())
