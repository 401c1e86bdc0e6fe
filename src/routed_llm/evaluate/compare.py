"""Comparing: examples through a baseline and others, judged, with a verdict on each of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from routed_llm.calls.endpoints import Endpoints
from routed_llm.calls.router import Router
from routed_llm.errors import PolicyError
from routed_llm.evaluate.asking import Asker, Forecast, Job, Kept
from routed_llm.evaluate.examples import Answer, Example
from routed_llm.evaluate.judges import CONTROLS, RUBRIC, Judge, ModelJudge, Trust, judge_of
from routed_llm.evaluate.statistics import Paired, compare
from routed_llm.measures import Measured
from routed_llm.policy import EFFORTS, Policy
from routed_llm.rollout.outputs import configuration

if TYPE_CHECKING:
    from routed_llm.calls.endpoint_call import Outgoing

__all__ = ["Comparison", "Verdict", "evaluate", "sender"]

_ANSWER: Final = Answer(text="word " * 200)
"""What stands for an answer where the cost of judging it is forecast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is found of one configuration or policy, on all examples or on those with a tag.

    Attributes:
        name: the configuration, or the policy's name.
        group: ``name=value`` of the tag, or None for all examples.
        paired: the difference in scores, its interval and the verdict.
        score: the mean score of the baseline and of this one, or None where pairs were judged.
        cost: the mean US dollars of an answer of the baseline's and of this one, where known.
        left_out: examples that one of the two did not answer, or that could not be judged.
        measured: the row for :class:`routed_llm.Policy`'s ``measures``; None for a policy, without a tag or
            a task, and where the judge is not trusted.
    """

    name: str
    group: str | None
    paired: Paired
    score: tuple[float, float] | None
    cost: tuple[Decimal | None, Decimal | None]
    left_out: int
    measured: Measured | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found.

    Attributes:
        baseline: what the others were compared with.
        verdicts: of each configuration and group.
        margin: points by which they may be worse.
        judge: its name.
        trust: how far a judge model can be trusted; None for other judges.
        spent: US dollars that all calls so far have cost, judging included.
        failed: why calls failed, to their number.
        examples: the examples, with the answers in them.
    """

    baseline: str
    verdicts: tuple[Verdict, ...]
    margin: float
    judge: str
    trust: Trust | None
    spent: Decimal
    failed: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every call was made that was to be made."""
        return not self.failed


def sender(
    base_url: str | None = None, api_key: str | None = None, timeout: float = 600.0
) -> Callable[..., Any]:
    """Return what sends the requests of a comparison over HTTP; ``send.client`` closes it.

    Args:
        base_url: the API; ``OPENAI_BASE_URL`` or OpenAI's own when left out.
        api_key: its key; ``OPENAI_API_KEY`` when left out.
        timeout: seconds without a byte after which a request has failed.
    """
    base = (base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1").rstrip("/")
    key = api_key or os.environ.get("OPENAI_API_KEY") or ""
    client = httpx.Client(timeout=timeout)

    def send(sent: Outgoing) -> httpx.Response:
        headers = (
            {"authorization": f"Bearer {key}"} if sent.credential is None else sent.credential.on_the_wire()
        )
        url = (base if sent.base_url is None else sent.base_url.rstrip("/")) + sent.path
        return client.send(
            client.build_request("POST", url, json=dict(sent.body), headers=headers), stream=True
        )

    send.client = client  # type: ignore[attr-defined] # closed by whoever made it
    return send


def evaluate(
    examples: Sequence[Example],
    configurations: Iterable[str | Path | Policy],
    *,
    judge: str,
    margin: float,
    store: str | Path,
    baseline: str = "gpt-4o",
    by: str | None = None,
    tag: str | None = None,
    task: str | None = None,
    rubric: str | None = None,
    judges_itself: bool = False,
    budget: Decimal | float | str | None = None,
    concurrency: int = 8,
    keep_days: int = 90,
    level: float = 0.95,
    at: date | None = None,
    send: Callable[[Outgoing], Any] | None = None,
    router: Router | None = None,
    confirm: Callable[[Forecast], bool] = lambda _: True,
    progress: Callable[[int], object] = lambda _: None,
    started: Callable[[Asker], object] = lambda _: None,
) -> Comparison | None:
    """Send examples to a baseline and to others, judge the answers and say who is as good.

    Args:
        examples: the requests; :func:`routed_llm.evaluate.read_examples` reads them.
        configurations: what to compare: models with an effort or without (``gpt-6-luna@low``), policies, or
            the paths of policies' files.
        judge: one of :data:`routed_llm.evaluate.JUDGES`, or ``model:CONFIGURATION``.
        margin: points (hundredths of a score) by which they may be worse.
        store: the SQLite file in which answers are kept; only its owner can read it.
        baseline: the configuration that must be matched.
        by: a tag whose values are compared one by one.
        tag: ``name=value`` of the calls that all examples stand for.
        task: their task.
        rubric: what makes an answer better, for a judge model.
        judges_itself: whether a judge model may judge its own answers.
        budget: US dollars that all calls in the store may cost.
        concurrency: calls under way at a time.
        keep_days: days for which the store keeps answers; 0 keeps them for good.
        level: of intervals.
        at: the day to decide for; today when left out.
        send: sends one request; :func:`sender` when left out.
        router: what decides; a plain one when left out.
        confirm: called with the forecast before anything is sent, and may refuse it.
        progress: called with how many more calls are done.
        started: is given what asks, so that a signal can stop it.

    Returns:
        The comparison, or None where the forecast was refused.

    Raises:
        PolicyError: for a wrong configuration, judge or margin, or a judge that would judge itself.
        LedgerError: when the store cannot be used.
    """
    moment = at or datetime.now(UTC).date()
    router = router or Router(clock=lambda: moment)
    if not 0 < margin < 100:
        raise PolicyError(f"margin={margin} is out of range. Give points between 0 and 100.", key="margin")
    named = dict(_policy(one, router) for one in configurations)
    base, base_policy = _policy(baseline, router)
    chosen = _judge(judge, rubric, router)
    if isinstance(chosen, ModelJudge) and not judges_itself:
        _refuse_itself(chosen, {base: base_policy, **named}, router, moment)
    kept, own_send = Kept(store, keep_days=keep_days), sender() if send is None else None
    try:
        asker = Asker(
            endpoints=Endpoints(router),
            send=send or own_send,  # type: ignore[arg-type] # one of the two is there
            kept=kept,
            budget=None if budget is None else Decimal(str(budget)),
            concurrency=concurrency,
        )
        started(asker)
        jobs = {
            (example.id, name): Job(example.body, name, policy, example.tags)
            for name, policy in {base: base_policy, **named}.items()
            for example in examples
            if name not in example.answers
        }
        later = _judging(chosen, examples, len(named)) if isinstance(chosen, ModelJudge) else []
        if not confirm(asker.forecast([*jobs.values(), *later])):
            return None
        answers = dict(zip(jobs, asker.ask(list(jobs.values()), progress), strict=True))
        full = [
            replace(example, answers={**example.answers, **_given(example, [base, *named], answers)})
            for example in examples
        ]
        groups = _groups(full, by, tag)
        verdicts = _verdicts(full, groups, base, list(named), chosen, asker, progress, margin, level)
        trust = chosen.trust if isinstance(chosen, ModelJudge) else None
        plain = {name for name, policy in named.items() if name.partition("@")[0] in router.catalog}
        if trust is None or trust.holds:
            verdicts = [
                replace(one, measured=_row(one, full, base, chosen.name, margin, moment, task))
                if one.name in plain and (one.group or task)
                else one
                for one in verdicts
            ]
        else:
            verdicts = [
                replace(one, paired=one.paired._replace(verdict="open", missing=None)) for one in verdicts
            ]
        return Comparison(
            baseline=base,
            verdicts=tuple(verdicts),
            margin=margin,
            judge=chosen.name,
            trust=trust,
            spent=Decimal(kept.spent) / 10**12,
            failed=dict(asker.failed),
            examples=tuple(full),
        )
    finally:
        kept.close()
        if own_send is not None:
            own_send.client.close()  # type: ignore[attr-defined]


def _policy(given: str | Path | Policy, router: Router) -> tuple[str, Policy]:
    """Return a name and the policy that sends every example to what is meant."""
    if isinstance(given, Policy):
        return f"policy {hashlib.sha256(repr(given).encode()).hexdigest()[:6]}", given
    if isinstance(given, Path) or given.endswith(".toml"):
        return Path(given).stem, Policy.from_toml(given)
    name, at_sign, effort = given.partition("@")
    model = router.catalog.get(name)
    known = {one for efforts in model.efforts.values() for one in efforts}
    if at_sign and effort not in known:
        have = ", ".join(sorted(known, key=EFFORTS.index)) or "none: name it alone"
        raise PolicyError(
            f"{given!r}: {model.id} has no effort {effort!r}. It has {have}.", key="configurations"
        )
    chosen = effort or (model.default_effort if known else None)
    return configuration(name, chosen), Policy(
        models=[name], at_least=None, effort=chosen, slower_than_baseline=None, horizon=0
    )


def _judge(name: str, rubric: str | None, router: Router) -> Judge | ModelJudge:
    kind, _, model = name.partition(":")
    if kind != "model":
        return judge_of(name)
    judged_by, policy = _policy(model, router)
    return ModelJudge(model=judged_by, policy=policy, rubric=rubric or RUBRIC)


def _refuse_itself(judge: ModelJudge, named: Mapping[str, Policy], router: Router, at: date) -> None:
    mine = router.catalog.get(judge.model.partition("@")[0]).id
    for name, policy in named.items():
        if mine in router.models(policy, at=at):
            raise PolicyError(
                f"{judge.model} would judge answers of its own, those of {name}. Name another judge, or "
                "allow it with judges_itself=True (--judges-itself).",
                key="judge",
            )


def _judging(judge: ModelJudge, examples: Sequence[Example], configurations: int) -> list[Job]:
    """Return calls that cost about what judging will: the answers are not known yet."""
    numbered = [replace(_ANSWER, text=f"{turn} {_ANSWER.text}") for turn in range(configurations + 1)]
    pairs = [(example, _ANSWER, one) for one in numbered[1:] for example in examples]
    return judge.jobs([*pairs, *((example, _ANSWER, numbered[0]) for example in examples[:CONTROLS])])


def _given(
    example: Example, names: Iterable[str], answers: Mapping[tuple[str, str], Answer | None]
) -> dict[str, Answer]:
    found = ((name, answers.get((example.id, name))) for name in names)
    return {name: answer for name, answer in found if answer is not None}


def _groups(examples: Sequence[Example], by: str | None, tag: str | None) -> dict[str | None, list[int]]:
    """Return the places of the examples of each group."""
    if by is None:
        return {tag: list(range(len(examples)))}
    found: dict[str | None, list[int]] = {}
    for place, example in enumerate(examples):
        if by in example.tags:
            found.setdefault(f"{by}={example.tags[by]}", []).append(place)
    if not found:
        raise PolicyError(f"No example has the tag {by!r}. Name one that they have.", key="by")
    return dict(sorted(found.items(), key=lambda item: str(item[0])))


def _verdicts(
    examples: Sequence[Example],
    groups: Mapping[str | None, Sequence[int]],
    base: str,
    names: Sequence[str],
    judge: Judge | ModelJudge,
    asker: Asker,
    progress: Callable[[int], object],
    margin: float,
    level: float,
) -> list[Verdict]:
    scored = _scores(examples, base, names, judge, asker, progress)
    places = [(name, group) for name in names for group in groups]
    columns = [
        [pair for place in groups[group] if (pair := scored[name][place]) is not None]
        for name, group in places
    ]
    tested = compare([([a for a, _ in rows], [b for _, b in rows]) for rows in columns], margin / 100, level)
    found = []
    for (name, group), rows, paired in zip(places, columns, tested, strict=True):
        means = None
        if rows and not isinstance(judge, ModelJudge):
            means = (sum(a for a, _ in rows) / len(rows), sum(b for _, b in rows) / len(rows))
        inside = [examples[place] for place in groups[group]]
        costs = (_mean_cost(inside, base), _mean_cost(inside, name))
        left_out = len(inside) - len(rows)
        verdict = Verdict(name=name, group=group, paired=paired, score=means, cost=costs, left_out=left_out)
        found.append(verdict)
    return found


def _scores(
    examples: Sequence[Example],
    base: str,
    names: Sequence[str],
    judge: Judge | ModelJudge,
    asker: Asker,
    progress: Callable[[int], object],
) -> dict[str, list[tuple[float, float] | None]]:
    """Return for each configuration the baseline's score and its own of each example, or None."""
    both = {name: [base in one.answers and name in one.answers for one in examples] for name in names}
    if isinstance(judge, Judge):
        return {
            name: [
                (judge.scores(one, one.answers[base]), judge.scores(one, one.answers[name]))
                if there
                else None
                for one, there in zip(examples, both[name], strict=True)
            ]
            for name in names
        }
    answered = [one for one in examples if base in one.answers]
    controls = judge.controls(answered, [one.answers[base] for one in answered])
    pairs = [
        (one, one.answers[base], one.answers[name])
        for name in names
        for one, there in zip(examples, both[name], strict=True)
        if there
    ]
    judged = iter(judge.judge(pairs, controls, asker, progress))
    # A preference of 1 is an answer that is worth 1 beside one that is worth 0.
    return {
        name: [
            None if not there or (value := next(judged)) is None else (0.5 - value / 2, 0.5 + value / 2)
            for there in both[name]
        ]
        for name in names
    }


def _mean_cost(examples: Iterable[Example], name: str) -> Decimal | None:
    known = [one.answers[name].cost for one in examples if name in one.answers]
    costs = [cost for cost in known if cost is not None]
    return sum(costs, Decimal(0)) / len(costs) if costs else None


def _row(
    verdict: Verdict,
    examples: Sequence[Example],
    base: str,
    judge: str,
    margin: float,
    at: date,
    task: str | None,
) -> Measured | None:
    paired = verdict.paired
    if not paired.n:
        return None
    return Measured(
        configuration=verdict.name,
        baseline=base.partition("@")[0],
        n=paired.n,
        difference=round(100 * paired.difference, 3),
        interval=(round(100 * paired.low, 3), round(100 * paired.high, 3)),
        margin=margin,
        judge=judge,
        date=at,
        tag=verdict.group,
        task=task,
        longest=max(one.answers[verdict.name].tokens for one in examples if verdict.name in one.answers),
    )
