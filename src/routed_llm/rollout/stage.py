"""Stage: which of the two answers, the baseline or routing; read from keywords and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from routed_llm.errors import PolicyError
from routed_llm.policy import EFFORTS

if TYPE_CHECKING:
    from routed_llm.rollout.ladder import Ladder

__all__ = ["MODES", "Stage", "stage_from"]

MODES: Final = ("route", "off", "pin", "shadow", "rollout")
"""``route``: routing answers. ``off``: the baseline answers, and nothing is compared. ``pin``: one
configuration answers whatever it can serve. ``shadow``: the baseline answers, and what routing would have
done is noted. ``rollout``: routing answers the share of callers, the baseline the others."""

KEPT: Final = ("answers", "prompts")
"""Texts that a log may hold when asked to: both answers of a sampled call; these and every call's prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Who answers.

    Attributes:
        mode: one of :data:`MODES`.
        pin: the model, and the effort or None for its own choice, that ``pin`` sends calls to; else None.
        share: the part of the callers, from 0 to 1, that ``rollout`` routes; None where the ladder says.
        key: the tag whose value distinguishes callers, or None for the conversation.
        log: the path of the decision log, or None.
        sample: the part of the calls, from 0 to 1, that ``shadow`` also sends to what routing chose.
        keep: one of :data:`KEPT`, or None for a log without texts.
        observed: the path of an earlier log, whose answers say what routed models write, or None.
        ladder: how ``rollout`` raises its share by itself, or None.
    """

    mode: str = "route"
    pin: tuple[str, str | None] | None = None
    share: float | None = 0.0
    key: str | None = None
    log: str | None = None
    sample: float = 0.0
    keep: str | None = None
    observed: str | None = None
    ladder: Ladder | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do besides routing."""
        return self.mode == "route" and self.log is None


def stage_from(
    environment: Mapping[str, str],
    *,
    mode: str | None = None,
    pin: str | None = None,
    share: float | None = None,
    key: str | None = None,
    log: Any = None,
    sample: float | None = None,
    keep: str | None = None,
    observed: Any = None,
    ladder: Ladder | None = None,
) -> Stage:
    """Read the stage; ``ROUTED_MODE``, ``ROUTED_SHARE``, ... (each keyword's name) win over keywords.

    They win so that whoever operates a program can take it forward and back without touching its code.
    ``ROUTED_PIN`` alone means the mode ``pin``.

    Raises:
        PolicyError: for a mode, a pin, a share, a sample or texts to keep that there are not.
    """
    named = environment.get("ROUTED_PIN")
    mode = environment.get("ROUTED_MODE") or ("pin" if named else mode) or ("pin" if pin else "route")
    if mode not in MODES:
        raise PolicyError(f"mode={mode!r} is none of {', '.join(MODES)}. Use one of these.", key="mode")
    pinned = _pin(named or pin) if mode == "pin" else None
    given: Any = environment.get("ROUTED_SHARE") or share
    if mode == "rollout" and given is None and ladder is None:
        raise PolicyError(
            "mode='rollout' needs a share. Give share=0.1 or set ROUTED_SHARE=0.1.", key="share"
        )
    keep = environment.get("ROUTED_KEEP") or keep
    if keep is not None and keep not in KEPT:
        raise PolicyError(f"keep={keep!r} is none of {', '.join(KEPT)}. Use one of these.", key="keep")
    return Stage(
        mode=mode,
        pin=pinned,
        share=None if given is None and ladder is not None else _share("share", given, "the callers"),
        key=environment.get("ROUTED_KEY") or key,
        log=_path(environment.get("ROUTED_LOG") or log),
        sample=_share("sample", environment.get("ROUTED_SAMPLE") or sample, "the calls"),
        keep=keep,
        observed=_path(environment.get("ROUTED_OBSERVED") or observed),
        ladder=ladder,
    )


def _pin(given: str | None) -> tuple[str, str | None]:
    model, at, effort = (given or "").partition("@")
    if not model.strip() or (at and effort not in EFFORTS):
        raise PolicyError(
            f"pin={given!r} names no configuration. Give a model, with an effort or without, such as "
            f"'gpt-5.4-mini@low' or 'gpt-4.1'. Efforts are {', '.join(EFFORTS)}.",
            key="pin",
        )
    return model.strip(), effort or None


def _path(given: Any) -> str | None:
    return None if given is None else str(given)


def _share(name: str, given: Any, whole: str) -> float:
    try:
        share = 0.0 if given is None else float(given)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1 or isinstance(given, bool):
        raise PolicyError(
            f"{name}={given!r} must be a number between 0 and 1: the part of {whole}.", key=name
        )
    return share
