"""Keys and settings: what is kept of a key, and what a gateway refuses to start with."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from routed_llm.cli import main
from routed_llm.errors import LedgerError, PolicyError
from routed_llm.gateway import KeyStore, Settings
from routed_llm.policy import Policy

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_secret_is_kept_nowhere(store: KeyStore) -> None:
    """The file holds a hash; nobody but its owner can read it."""
    key, secret = store.add("ann", at=NOW)
    assert secret.startswith(f"rk-{key.id}-")
    assert store.find(secret) == key
    store.close()
    assert secret.encode() not in store.path.read_bytes()
    assert secret.partition("-")[2].encode() not in store.path.read_bytes()
    assert store.path.stat().st_mode & 0o077 == 0
    assert secret not in repr(key)


def test_other_processes_see_changes_at_once(store: KeyStore) -> None:
    """A key that was made or revoked elsewhere is known at the next call."""
    other = KeyStore(store.path)
    _, secret = other.add("ann")
    assert store.find(secret) is not None
    other.revoke("ann")
    assert store.find(secret) is None
    assert [key.revoked_at is not None for key in store.list()] == [True]
    other.close()


@pytest.mark.parametrize("secret", [None, "", "rk", "rk-", "rk--", "rk-x-y", "sk-1", "rk-ü-ü", "\x00"])
def test_what_is_no_key_is_nobodys(store: KeyStore, secret: str | None) -> None:
    """Whatever is given, the answer is None."""
    store.add("ann")
    assert store.find(secret) is None


def test_every_comparison_hashes_and_compares(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown id costs what a wrong secret does: one hash, and one comparison in constant time."""
    seen: list[tuple[int, int]] = []
    key, _ = store.add("ann")

    def compare(one: bytes, other: bytes) -> bool:
        seen.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("routed_llm.gateway.keys.hmac.compare_digest", compare)
    for secret in (None, "rk-unknown-x", f"rk-{key.id}-wrong"):
        store.find(secret)
    assert seen == [(32, 32)] * 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": ""}, "no name of a key"),
        ({"name": "a=b"}, "no name of a key"),
        ({"name": "taken"}, "There is a key named 'taken'"),
        ({"name": "x", "policy": {"optimise": "cost"}}, "optimise"),
        ({"name": "x", "budgets": {"per_year": 1}}, "per_year"),
    ],
    ids=["empty", "a tag", "taken", "wrong policy", "wrong budget"],
)
def test_a_wrong_key_is_not_made(store: KeyStore, given: dict[str, Any], said: str) -> None:
    """What would fail at the first call is refused when the key is made."""
    store.add("taken")
    with pytest.raises(PolicyError, match=re.escape(said)):
        store.add(**given)
    assert len(store.list()) == 1


def test_a_name_is_free_again_once_its_key_is_revoked(store: KeyStore) -> None:
    """A key is replaced by revoking it and making another one."""
    _, first = store.add("ann")
    store.revoke("ann")
    _, second = store.add("ann")
    assert (store.find(first), store.find(second) is not None) == (None, True)
    with pytest.raises(PolicyError, match="No key is called 'bob'"):
        store.revoke("bob")


def test_a_keys_options_cannot_be_changed_from_below(store: KeyStore) -> None:
    """Its policy is a whole one, laid over the gateway's; its budget is its own."""
    key, _ = store.add("ann", scope="team=a", policy={"models": ["gpt-4.1"]}, budgets=[{"per_day": 1}])
    options = key.options(Policy(optimize="quality"))
    assert options.policy == Policy(optimize="quality", models=["gpt-4.1"])
    assert [budget.scope for budget in options.budgets] == ["key=ann"]
    assert options.tags == {"team": "a", "key": "ann"}


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """The error names the file and says what to do."""
    (tmp_path / "broken").write_bytes(b"no database, but some text that is long enough")
    for path in (tmp_path / "broken", tmp_path, tmp_path / "no" / "such"):
        with pytest.raises(LedgerError, match="Name a file of keys that can be written"):
            KeyStore(path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "0.0.0.0"}, "routed keys add"),
        ({"host": "example.org"}, "routed keys add"),
        ({"host": "::"}, "routed keys add"),
        ({"keys": "k.db"}, "Set OPENAI_API_KEY."),
        ({"workers": 2, "budgets": ({"total": 1},)}, "--ledger FILE"),
        ({"workers": 2, "keys": "k.db", "upstream_key": "k"}, "--ledger FILE"),
    ],
)
def test_what_would_be_unsafe_does_not_start(given: dict[str, Any], said: str) -> None:
    """No open door without keys, no keys without one to the provider, no budget that each worker has anew."""
    with pytest.raises(PolicyError, match=re.escape(said)):
        Settings(**given)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_needs_no_keys(host: str) -> None:
    """Only programs on this machine can reach it; settings survive the way to a worker."""
    settings = Settings(host=host, policy={"models": ["gpt-4.1"]}, budgets=({"total": "1"},))
    assert Settings.from_json(settings.to_json()) == settings
    assert "sk-up" not in repr(Settings(upstream_key="sk-up"))


def test_keys_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`routed keys` makes, lists and revokes; the secret is printed once."""
    file = ["--keys", str(tmp_path / "k.db")]
    made = ["add", "ann", "--scope", "team=a", "--models", "gpt-4.1*", "--per-day", "5"]
    assert main(["keys", *made, *file]) == 0
    secret = capsys.readouterr().out.strip()
    store = KeyStore(tmp_path / "k.db")
    key = store.find(secret)
    assert key is not None
    assert (key.passes, key.budgets, key.policy) == (False, ({"per_day": "5"},), {"models": ["gpt-4.1*"]})
    assert main(["keys", "list", *file]) == 0
    line = capsys.readouterr().out
    assert line.split()[:3] == [key.id, "ann", "active"]
    assert secret not in line
    assert main(["keys", "list", "--json", *file]) == 0
    assert '"team": "a"' in capsys.readouterr().out
    assert main(["keys", "revoke", "ann", *file]) == 0
    assert store.find(secret) is None
    capsys.readouterr()
    assert main(["keys", "revoke", "ann", *file]) == 2
    assert capsys.readouterr().err == "routed keys: No key is called 'ann'. See `routed keys list`.\n"
    store.close()


def test_the_file_is_an_ordinary_database(store: KeyStore) -> None:
    """It can be read with any tool."""
    store.add("ann")
    with closing(sqlite3.connect(store.path)) as plain, plain:
        assert plain.execute("SELECT name FROM keys").fetchall() == [("ann",)]
    plain.close()
