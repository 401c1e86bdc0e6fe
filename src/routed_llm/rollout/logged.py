"""LoggedRun: a Run whose end is noted in the decision log, and the second call that may follow it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from routed_llm.ledger.base import new_id
from routed_llm.ledger.run import Run
from routed_llm.rollout.second import SECONDS, log

if TYPE_CHECKING:
    from routed_llm.ledger.run import Send
    from routed_llm.record import Record
    from routed_llm.rollout.trial import Trial, Trials
    from routed_llm.usage import Usage

__all__ = ["LoggedRun"]


class LoggedRun(Run):
    """A Run whose end is noted in the decision log."""

    offers = True

    __slots__ = ("_entry", "_own_id", "_parts", "_trials")

    def __init__(self, trials: Trials, *arguments: Any, **options: Any) -> None:
        """Take what a Run takes."""
        super().__init__(*arguments, **options)
        self._trials = trials
        self._parts = arguments[:5]
        self._entry: dict[str, Any] | None = None
        self._own_id = new_id()

    def settle(self, usage: Usage | None, *, served: str | None = None) -> Record:
        """Settle as a Run does; the record says in ``trial`` what the other one would have done."""
        record = super().settle(usage, served=served)
        if self._trials.climb is not None and self.decision.trial is not None:
            # Whoever scores the answer later need not know who gave it.
            record["id"] = f"{record.get('id') or self._own_id}-{self.decision.trial.arm}"
        if self._entry is None:
            entry = self._entry = self._trials.note(self.decision, record, usage)
            if self.decision.trial is not None:
                record["trial"] = {name: entry[name] for name in ("mode", "arm", "key", "baseline", "routed")}
        return record

    def cancel(self) -> None:
        """Cancel as a Run does."""
        super().cancel()
        self._note_failure()

    def fail(self, outcome: str, usage: Usage | None = None, **more: Any) -> None:
        """Fail as a Run does."""
        super().fail(outcome, usage, **more)
        self._note_failure()

    def _note_failure(self) -> None:
        if self._entry is None:
            self._entry = self._trials.note(self.decision, None, None)

    def offer(self, send: Send, answer: str = "") -> None:
        """Check the answer, and send a sampled request to the other one, too; later, elsewhere."""
        trial, entry = self.decision.trial, self._entry
        if trial is None or entry is None or entry["outcome"] != "answered":
            return
        if self._trials.checks:
            SECONDS.submit(partial(self._trials.heard, trial, answer))
        if not self._trials.samples(trial, entry):
            return
        if not SECONDS.submit(partial(self._second, trial, entry, send, answer)):
            self._trials.note_second(trial, entry, None, outcome="skipped", why="too many were waiting")

    def _second(self, trial: Trial, entry: dict[str, Any], send: Send, answer: str) -> None:
        run = Run(*(*self._parts, trial.other))
        try:
            run.open()
        except Exception as error:  # noqa: BLE001 - no budget, no ledger: there is no second call then
            self._trials.note_second(trial, entry, None, outcome="skipped", why=type(error).__name__)
            return
        try:
            with run.exchange.current():
                got = send(trial.other)
        except Exception as error:  # noqa: BLE001 - shown to whoever looks; no caller waits for this answer
            log.warning("a sampled second call to %s failed: %s", trial.other.model, type(error).__name__)
            from routed_llm.recovery.attempts import end  # only a failure needs it
            from routed_llm.recovery.classify import classify_error

            end(run, classify_error(error, answered=run.exchange.answered))
            self._trials.note_second(trial, entry, None, outcome="failed", why=type(error).__name__)
            return
        record = run.settle(got.usage, served=got.served)
        self._trials.note_second(trial, entry, record, outcome="answered", answers=(answer, got.text))
