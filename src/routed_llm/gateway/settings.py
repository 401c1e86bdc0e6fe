"""Settings: where the gateway listens, what is behind it, what it allows."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from routed_llm.errors import PolicyError

__all__ = ["OPENAI", "Settings"]

OPENAI: Final = "https://api.openai.com/v1"

_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "port": (0, 65_535),
    "workers": (1, 1_024),
    "retries": (0, 100),
    "largest": (1, 2**40),
}


def _is_address(url: str) -> bool:
    try:
        place = urlsplit(url)
        return place.scheme in ("http", "https") and bool(place.hostname) and " " not in place.netloc
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a gateway is made from: plain data, so that every one of its processes can be.

    Attributes:
        host: the address to listen at.
        port: the port; 0 picks a free one.
        workers: processes.
        upstream: base URL of the API behind it.
        upstream_key: its key; None passes on the caller's own, where the gateway has no keys.
        keys: the file of the gateway's own keys, or None.
        ledger: where calls are booked, as :func:`routed_llm.open_ledger` takes it, or None.
        policy: keywords of Policy.
        budgets: keywords of Budget, for each.
        retries: how often a failed request is tried again.
        largest: bytes of the largest body that is taken.
        patience: seconds in which the body of a request must have come.
        grace: seconds that running requests are given when the gateway stops.
        shared: a folder that the workers of this gateway share while they live, or None.
        at: the day to decide for, as an ISO date; None for each day's own.
    """

    host: str = "127.0.0.1"
    port: int = 4000
    workers: int = 1
    upstream: str = OPENAI
    upstream_key: str | None = field(default=None, repr=False)
    keys: str | None = None
    ledger: str | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    budgets: tuple[Mapping[str, Any], ...] = ()
    retries: int = 2
    largest: int = 64 * 1024 * 1024
    patience: float = 60.0
    grace: float = 30.0
    shared: str | None = None
    at: str | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                hint = f"Give a whole number from {least} to {most:,}."
                raise PolicyError(f"{name}={value} is out of range. {hint}", key=name)
        if not _is_address(self.upstream):
            what = f"upstream={self.upstream!r} is no address of an API. Give one such as {OPENAI}."
            raise PolicyError(what, key="upstream")
        if not self.is_local and self.keys is None:
            raise PolicyError(
                f"host={self.host!r} can be reached from elsewhere, and there are no keys: anybody could "
                "spend your money. Make some with `routed keys add` and give their file with --keys.",
                key="host",
            )
        if self.keys is not None and self.upstream_key is None:
            raise PolicyError(
                "The gateway has keys of its own, so it needs the provider's. Set OPENAI_API_KEY.",
                key="upstream_key",
            )
        if self.workers > 1 and self.ledger is None and (self.budgets or self.keys is not None):
            raise PolicyError(
                f"{self.workers} workers would each keep budgets of their own. Share a ledger: "
                "--ledger FILE, or a redis:// URL.",
                key="workers",
            )

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def to_json(self) -> str:
        """Return the settings as text, for another process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what :meth:`to_json` wrote."""
        kept = json.loads(text)
        return cls(**{**kept, "budgets": tuple(kept["budgets"])})
