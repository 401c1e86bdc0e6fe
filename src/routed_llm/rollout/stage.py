"""Stage: which of the two answers, the baseline or routing; read from keywords and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from routed_llm.errors import PolicyError

__all__ = ["MODES", "Stage", "stage_from"]

MODES: Final = ("route", "shadow", "rollout")
"""``route``: routing answers. ``shadow``: the baseline answers, and what routing would have done is noted.
``rollout``: routing answers the share of callers, the baseline the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Who answers.

    Attributes:
        mode: one of :data:`MODES`.
        share: the part of the callers, from 0 to 1, that ``rollout`` routes.
        key: the tag whose value tells callers apart, or None for the conversation.
        log: the path of the decision log, or None.
    """

    mode: str = "route"
    share: float = 0.0
    key: str | None = None
    log: str | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do besides routing."""
        return self.mode == "route" and self.log is None


def stage_from(
    environment: Mapping[str, str],
    *,
    mode: str | None = None,
    share: float | None = None,
    key: str | None = None,
    log: Any = None,
) -> Stage:
    """Read the stage; ``ROUTED_MODE``, ``ROUTED_SHARE``, ``ROUTED_KEY`` and ``ROUTED_LOG`` win over keywords.

    They win so that whoever operates a program can take it forward and back without touching its code.

    Raises:
        PolicyError: for a mode or a share that there is not.
    """
    mode = environment.get("ROUTED_MODE") or mode or "route"
    if mode not in MODES:
        raise PolicyError(f"mode={mode!r} is none of {', '.join(MODES)}. Use one of these.", key="mode")
    given: Any = environment.get("ROUTED_SHARE") or share
    if mode == "rollout" and given is None:
        raise PolicyError(
            "mode='rollout' needs a share. Give share=0.1 or set ROUTED_SHARE=0.1.", key="share"
        )
    return Stage(
        mode=mode,
        share=_share(given),
        key=environment.get("ROUTED_KEY") or key,
        log=environment.get("ROUTED_LOG") or (None if log is None else str(log)),
    )


def _share(given: Any) -> float:
    try:
        share = 0.0 if given is None else float(given)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1 or isinstance(given, bool):
        raise PolicyError(
            f"share={given!r} is no part of the callers. Give a number from 0 to 1.", key="share"
        )
    return share
