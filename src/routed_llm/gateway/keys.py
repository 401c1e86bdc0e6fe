"""The gateway's own keys, in an SQLite file: who may call, for whom, by which policy, for how much."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from routed_llm.budget import budgets_from
from routed_llm.calls.options import CallOptions
from routed_llm.database import opened
from routed_llm.errors import LedgerError, PolicyError
from routed_llm.ledger.scoped import tags_from
from routed_llm.policy import Policy

__all__ = ["Key", "KeyStore"]

PREFIX: Final = "rk-"
_NOBODY: Final = hashlib.sha256(b"nobody's").digest()
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, settings TEXT NOT NULL,
    created_at TEXT NOT NULL, revoked_at TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS names ON keys (name) WHERE revoked_at IS NULL;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key, without its secret.

    Attributes:
        id: its public part.
        name: whose it is; calls are tagged ``key=NAME``.
        scope: further tags of its calls.
        policy: keywords of Policy, over the gateway's.
        budgets: keywords of Budget, for each; one without a scope is the key's own.
        passes: whether it may call what is not routed, such as embeddings, which no budget counts.
        created_at: when it was made.
        revoked_at: when it was revoked, or None.
    """

    id: str
    name: str
    scope: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    budgets: tuple[Mapping[str, Any], ...] = ()
    passes: bool = True
    created_at: datetime
    revoked_at: datetime | None = None

    def options(self, policy: Policy) -> CallOptions:
        """Return what holds for the key's calls, whatever they say themselves.

        Args:
            policy: the gateway's.

        Raises:
            PolicyError: when the key's own settings are wrong.
        """
        own = [{"scope": f"key={self.name}", **budget} for budget in self.budgets]
        return CallOptions(
            # A whole one, which no call can change.
            policy=policy.replace(**self.policy),
            tags={**self.scope, "key": self.name},
            budgets=budgets_from(own),
        )


class KeyStore:
    """The keys in a file; any number of processes may use it. A revoked key is refused at once.

    Args:
        path: the file, which is made where it is missing.

    Raises:
        LedgerError: when it cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[bytes, Key]] = {}
        self._seen_at: tuple[int, int] | None = None
        try:
            # Made before SQLite would make it, so that nobody else can read it.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = opened(self.path, wait=10)
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(
                f"{self.path}: {error}. Name a file of keys that can be written.", where=str(self.path)
            ) from error

    def add(
        self,
        name: str,
        *,
        scope: Mapping[str, str] | str | None = None,
        policy: Mapping[str, Any] | None = None,
        budgets: Any = (),
        passes: bool | None = None,
        at: datetime | None = None,
    ) -> tuple[Key, str]:
        """Make a key and return it with its secret, which is never shown again.

        Args:
            name: whose it is.
            scope: tags of its calls.
            policy: keywords of Policy.
            budgets: keywords of Budget, or several such dicts.
            passes: whether it may call what is not routed; when left out, only without budgets and models.
            at: when it is made; now when left out.

        Raises:
            PolicyError: when a setting is wrong, or the name is taken or empty.
        """
        if not name or any(sign in name for sign in ",=\n"):
            raise PolicyError(
                f"{name!r} is no name of a key. Give one without commas and equals signs.", key="name"
            )
        listed = (budgets,) if isinstance(budgets, Mapping) else tuple(budgets)
        wanted = dict(policy or {})
        key = Key(
            id=secrets.token_hex(6),
            name=name,
            scope=dict(tags_from(scope)) if scope else {},
            policy=wanted,
            budgets=listed,
            passes=not (listed or wanted.get("models")) if passes is None else passes,
            created_at=at or datetime.now(UTC),
        )
        key.options(Policy())  # a wrong setting is refused now and not at the first call
        secret = f"{PREFIX}{key.id}-{secrets.token_urlsafe(32)}"
        settings = {
            "scope": key.scope,
            "policy": wanted,
            "budgets": listed,
            "passes": key.passes,
        }
        row = (key.id, name, _hash(secret), json.dumps(settings, default=str), key.created_at.isoformat())
        try:
            with self._lock:
                self._connection.execute(
                    "INSERT INTO keys (id, name, hash, settings, created_at) VALUES (?, ?, ?, ?, ?)", row
                )
        except sqlite3.IntegrityError:
            raise PolicyError(
                f"There is a key named {name!r}. Revoke it first, or give another name.", key="name"
            ) from None
        return key, secret

    def revoke(self, name: str, *, at: datetime | None = None) -> Key:
        """Revoke a key by its name or id.

        Raises:
            PolicyError: when there is none.
        """
        found = [key for key in self.list() if key.revoked_at is None and name in (key.name, key.id)]
        if not found:
            raise PolicyError(f"No key is called {name!r}. See `routed keys list`.", key="name")
        with self._lock:
            moment = (at or datetime.now(UTC)).isoformat()
            self._connection.execute("UPDATE keys SET revoked_at = ? WHERE id = ?", (moment, found[0].id))
        return found[0]

    def list(self) -> list[Key]:
        """Return all keys, the revoked ones too, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, name, settings, created_at, revoked_at FROM keys ORDER BY created_at"
            ).fetchall()
        return [_key(*row) for row in rows]

    def find(self, secret: str | None) -> Key | None:
        """Return the key with a secret, or None; how long it takes says nothing of any secret."""
        given = secret or ""
        hashed, key = self._of(given.removeprefix(PREFIX).partition("-")[0]) or (_NOBODY, None)
        same = hmac.compare_digest(_hash(given), hashed)
        return key if same else None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, closing(self._connection):
            pass

    def _of(self, identity: str) -> tuple[bytes, Key] | None:
        """Return the hash and the key with an id, unless it is revoked or there is none."""
        with self._lock:
            # It changes with what other connections write, `total_changes` with what this one does.
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            state = (version, self._connection.total_changes)
            if self._seen_at != state:
                self._seen_at, self._seen = state, {}
            if identity not in self._seen:
                row = self._connection.execute(
                    "SELECT hash, id, name, settings, created_at, revoked_at FROM keys "
                    "WHERE revoked_at IS NULL AND id = ?",
                    (identity,),
                ).fetchone()
                if row is None:
                    return None  # not kept: of wrong ids there is no end
                self._seen[identity] = (row[0], _key(*row[1:]))
            return self._seen[identity]


def _hash(secret: str) -> bytes:
    # The secret has 256 random bits: there is nothing that a slow hash would keep from being guessed.
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _key(identity: str, name: str, settings: str, created_at: str, revoked_at: str | None) -> Key:
    kept = json.loads(settings)
    return Key(
        id=identity,
        name=name,
        scope=kept["scope"],
        policy=kept["policy"],
        budgets=tuple(kept["budgets"]),
        passes=kept["passes"],
        created_at=datetime.fromisoformat(created_at),
        revoked_at=None if revoked_at is None else datetime.fromisoformat(revoked_at),
    )
