"""Sends the demo's cases over HTTP, routed and plain, and notes what happened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from routed_llm.calls.router import Router
from routed_llm.cli.demo.cases import DAY, Case
from routed_llm.cli.needs import required
from routed_llm.errors import NoModelFits

if TYPE_CHECKING:
    from routed_llm.simulator import Simulator

__all__ = ["Outcome", "Pair", "run_case", "settings"]

BASELINE = "gpt-4o"
NO_MODEL = "NoModelFits"
_FOREIGN = ("OPENAI_", "LANGCHAIN_", "LANGSMITH_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one column made of a case.

    Attributes:
        answered: whether every turn was answered.
        records: the routing record of each answer; empty in the plain column.
        served: the model that answered each turn.
        sent: requests that reached the simulator.
        refused: those of them that broke a rule of the API.
        billed: US dollars in the simulator's journal.
        seconds: how long the answers would have taken, by the simulator's data; it does not wait for them.
        code: the error's code, or None.
        error: the error's message, or None.
    """

    answered: bool
    records: tuple[dict[str, Any], ...] = ()
    served: tuple[str, ...] = ()
    sent: int = 0
    refused: int = 0
    billed: Decimal = Decimal(0)
    seconds: float = 0.0
    code: str | None = None
    error: str | None = None

    @property
    def estimated(self) -> Decimal | None:
        """US dollars that routing expected, or None where there is no estimate."""
        costs = [record["estimated_cost"] for record in self.records]
        return None if not costs or None in costs else sum(map(Decimal, costs), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A case and its two outcomes.

    Attributes:
        at: the day that the demo was asked for.
    """

    case: Case
    at: date
    routed: Outcome
    plain: Outcome

    @property
    def as_it_should(self) -> bool:
        """Whether the routed column did what the case is there to show."""
        if self.routed.refused:
            return False
        if self.routed.answered:
            return not self.case.refused
        # On other days than the one they are written for, some cases have no model yet, or no more.
        elsewhere = self.case.at is None and self.at != DAY
        return self.routed.code == NO_MODEL and (self.case.refused or elsewhere)


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """Keep the user's keys, proxies and tracing out of the demo while it runs."""
    saved = dict(os.environ)
    for name in saved:
        if name.upper().startswith(_FOREIGN):
            del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def run_case(case: Case, simulator: Simulator, at: date) -> Pair:
    """Send a case through both models; each finds the simulator's caches empty.

    Raises:
        CommandError: when langchain-routed is not installed.
    """
    day = case.at or at
    simulator.at = day
    access = {"base_url": simulator.url, "api_key": "simulated", **case.made}
    router = Router(clock=lambda: day)
    routed = required("langchain_routed", extra="langchain-routed").RoutedChatModel
    plain = required("langchain_openai", extra="langchain-openai").ChatOpenAI
    return Pair(
        case=case,
        at=at,
        routed=_send(
            case, simulator, lambda: routed(model=BASELINE, policy=case.policy, router=router, **access)
        ),
        plain=_send(case, simulator, lambda: plain(model=BASELINE, **access)),
    )


def _send(case: Case, simulator: Simulator, make: Callable[[], Any]) -> Outcome:
    simulator.reset()
    answers: list[Any] = []
    code = error = None
    try:
        _converse(case, make(), answers)
    except NoModelFits as refusal:
        code, error = NO_MODEL, str(refusal)
    except required("openai", extra="langchain-openai").APIStatusError as refusal:
        code = f"{refusal.status_code} {refusal.code or refusal.type or ''}".strip()
        body = refusal.body if isinstance(refusal.body, dict) else {}
        error = str(body.get("message") or refusal)
    journal = simulator.journal
    return Outcome(
        answered=error is None,
        records=tuple(
            answer.response_metadata["routing"] for answer in answers if "routing" in answer.response_metadata
        ),
        served=tuple(answer.response_metadata["model_name"] for answer in answers),
        sent=len(journal),
        refused=len(simulator.refused),
        billed=simulator.billed,
        seconds=sum(entry.taken.whole for entry in journal if entry.taken is not None),
        code=code,
        error=error,
    )


def _converse(case: Case, model: Any, answers: list[Any]) -> None:
    """Hold the case's conversation, adding each answer to a list as it comes."""
    if case.tools:
        model = model.bind_tools(list(case.tools))
    if case.schema is not None:
        model = model.with_structured_output(dict(case.schema), method="json_schema", include_raw=True)
    messages: list[Any] = [] if case.system is None else [{"role": "system", "content": case.system()}]
    for turn in case.turns:
        messages.append({"role": "user", "content": turn()})
        answer = model.invoke(messages, **case.call)
        if case.schema is not None:
            # Raised by langchain-openai when the answer does not conform to the schema.
            if answer["parsing_error"] is not None:
                raise answer["parsing_error"]
            answer = answer["raw"]
        answers.append(answer)
        messages.append(answer)
