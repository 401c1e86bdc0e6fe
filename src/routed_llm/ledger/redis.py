"""RedisLedger: the book of a fleet. Every step is one Lua script, so it happens at once or not at all.

Redis counts in doubles inside a script, which are exact only to 2**53 picodollars (nine thousand
dollars). Amounts are therefore kept as two whole numbers: microdollars and the rest in picodollars.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from routed_llm.budget import Account
from routed_llm.errors import LedgerError, PolicyError
from routed_llm.ledger.base import HOLD_FOR, KEPT_AFTER, Change, Entry, Hold, Shortage, read_rows

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisLedger"]

_MICRO = 10**6
_WAIT = 2.0
"""Seconds to wait for a server, where its URL says nothing else (``?socket_timeout=5``)."""
_SETTLED_KEPT = 24 * 3600

# Fields of a counter: sh, sl spent; hh, hl held. A hold is the member "id|high|low" of a sorted set, by
# the second at which it expires.
_SHARED = """
local MICRO = 1000000
local function add(key, h, l, dh, dl)
  local high = tonumber(redis.call('HGET', key, h) or '0') + dh
  local low = tonumber(redis.call('HGET', key, l) or '0') + dl
  local carry = math.floor(low / MICRO)
  redis.call('HSET', key, h, string.format('%.0f', high + carry),
             l, string.format('%.0f', low - carry * MICRO))
end
local function used(key)
  local f = redis.call('HMGET', key, 'sh', 'sl', 'hh', 'hl')
  local low = tonumber(f[2] or '0') + tonumber(f[4] or '0')
  local carry = math.floor(low / MICRO)
  return tonumber(f[1] or '0') + tonumber(f[3] or '0') + carry, low - carry * MICRO
end
local function release(key, holds, member)
  if redis.call('ZREM', holds, member) == 1 then
    local _, high, low = string.match(member, '^([^|]*)|(-?%d+)|(%d+)$')
    if high then add(key, 'hh', 'hl', -tonumber(high), -tonumber(low)) end
  end
end
local function expire(key, holds, now)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
    release(key, holds, member)
  end
end
local function keep(key, holds, seconds)
  if tonumber(seconds) > 0 then
    redis.call('EXPIRE', key, seconds)
    redis.call('EXPIRE', holds, seconds)
  end
end
"""

# KEYS: counter, holds for each account. ARGV: member, high, low, now, expires,
# then for each account: hard, limit high, limit low, seconds to keep.
_RESERVE = (
    _SHARED
    + """
local high, low = tonumber(ARGV[2]), tonumber(ARGV[3])
local n = #KEYS / 2
for i = 1, n do
  used(KEYS[2 * i - 1])
  if redis.call('ZSCORE', KEYS[2 * i], ARGV[1]) then return {0} end
end
for i = 1, n do
  local key, holds, a = KEYS[2 * i - 1], KEYS[2 * i], 5 + 4 * (i - 1)
  expire(key, holds, ARGV[4])
  if ARGV[a + 1] == '1' then
    local uh, ul = used(key)
    local th, tl = uh + high, ul + low
    if tl >= MICRO then th, tl = th + 1, tl - MICRO end
    local lh, ll = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
    if th > lh or (th == lh and tl > ll) then
      return {i, string.format('%.0f', uh), string.format('%.0f', ul)}
    end
  end
end
for i = 1, n do
  local key, holds = KEYS[2 * i - 1], KEYS[2 * i]
  if redis.call('ZADD', holds, 'NX', ARGV[5], ARGV[1]) == 1 then
    add(key, 'hh', 'hl', high, low)
  end
  keep(key, holds, ARGV[5 + 4 * i])
end
return {0}
"""
)

# KEYS: settled mark, entries, then counter, holds for each account. ARGV: member, booked high, low, line,
# seconds to keep the mark, seconds to keep the entries, then for each account the seconds to keep it.
_SETTLE = (
    _SHARED
    + """
local n = (#KEYS - 2) / 2
-- A script that fails midway is not undone: what may fail comes before anything is written.
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'none' and kind ~= 'list' then
  return redis.error_reply('WRONGTYPE ' .. KEYS[2] .. ' is a ' .. kind)
end
for i = 1, n do
  used(KEYS[1 + 2 * i])
  redis.call('ZSCORE', KEYS[2 + 2 * i], ARGV[1])
end
if redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[5]) then
  redis.call('RPUSH', KEYS[2], ARGV[4])
  if tonumber(ARGV[6]) > 0 then redis.call('EXPIRE', KEYS[2], ARGV[6]) end
  local done = {}
  for i = 1, n do
    local key, holds = KEYS[1 + 2 * i], KEYS[2 + 2 * i]
    if not done[key] then
      release(key, holds, ARGV[1])
      add(key, 'sh', 'sl', tonumber(ARGV[2]), tonumber(ARGV[3]))
      keep(key, holds, ARGV[6 + i])
      done[key] = true
    end
  end
end
local found = {}
for i = 1, n do
  local f = redis.call('HMGET', KEYS[1 + 2 * i], 'sh', 'sl')
  found[2 * i - 1], found[2 * i] = f[1] or '0', f[2] or '0'
end
return found
"""
)

_CANCEL = (
    _SHARED
    + """
for i = 1, #KEYS, 2 do
  used(KEYS[i])
  redis.call('ZSCORE', KEYS[i + 1], ARGV[1])
end
for i = 1, #KEYS, 2 do release(KEYS[i], KEYS[i + 1], ARGV[1]) end
"""
)

_REMAINING = (
    _SHARED
    + """
local found = {}
for i = 1, #KEYS, 2 do
  expire(KEYS[i], KEYS[i + 1], ARGV[1])
  local high, low = used(KEYS[i])
  found[i], found[i + 1] = string.format('%.0f', high), string.format('%.0f', low)
end
return found
"""
)


_SCRIPTS = {"reserve": _RESERVE, "settle": _SETTLE, "cancel": _CANCEL, "remaining": _REMAINING}


_STUMBLES: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What its client and we stumble over in the replies of a server that is something else."""


class RedisLedger:
    """Keeps the book in Redis (or Valkey) 6 or later, for many processes on many machines.

    Counters and holds expire with their period, entries after ``keep_days``. All keys share one hash
    slot, so a cluster works as well as a single server.

    Args:
        client: a ``redis.Redis``, or a URL such as ``redis://localhost:6379/0``.
        prefix: begins every key.
        keep_days: days for which entries are kept; 0 keeps them for good.

    Raises:
        PolicyError: when a URL is given and the ``redis`` package is not installed.
        LedgerError: by every other method, when the server cannot be reached or refuses.
    """

    blocks = True

    def __init__(self, client: Redis | str, *, prefix: str = "routed", keep_days: int = 400) -> None:
        self._client: Any = _connect(client) if isinstance(client, str) else client
        self._name = prefix
        self._prefix = "{" + prefix + "}"
        self._keep = keep_days * 86_400

    def reserve(
        self, id: str, amount: int, accounts: Sequence[Account], *, at: datetime, hold: timedelta = HOLD_FOR
    ) -> Hold | Shortage:
        """Hold an amount in all of the accounts, or in none; see :class:`Ledger`."""
        made = Hold(id=id, amount=amount, accounts=tuple(accounts), expires=at + hold)
        if not accounts:
            return made
        arguments: list[Any] = [
            _member(made),
            *divmod(amount, _MICRO),
            at.timestamp(),
            made.expires.timestamp(),
        ]
        for account in accounts:
            arguments += [int(account.hard), *divmod(account.limit, _MICRO), _seconds(account, at)]
        with self._told():
            found = self._run("reserve", keys=self._keys(accounts), args=arguments)
            if found[0] == 0:
                return made
            account = accounts[found[0] - 1]
            return Shortage(account=account, remaining=account.limit - _joined(found[1], found[2]))

    def settle(self, hold: Hold, entry: Entry) -> tuple[int, ...]:
        """Charge an entry and release its hold; see :class:`Ledger`."""
        line = json.dumps(entry.to_dict(), ensure_ascii=False, separators=(",", ":"))
        day = entry.at.astimezone(UTC).date()
        keys = [f"{self._prefix}:settled:{entry.id}", self._day(day), *self._keys(hold.accounts)]
        arguments = [_member(hold), *divmod(entry.booked, _MICRO), line, _SETTLED_KEPT, self._keep]
        arguments += [_seconds(account, entry.at) for account in hold.accounts]
        with self._told():
            found = self._run("settle", keys=keys, args=arguments)
            return tuple(_joined(found[i], found[i + 1]) for i in range(0, len(found), 2))

    def cancel(self, hold: Hold) -> None:
        """Release what was held; nothing is charged."""
        if hold.accounts:
            self._run("cancel", keys=self._keys(hold.accounts), args=[_member(hold)])

    def remaining(self, accounts: Sequence[Account], *, at: datetime) -> tuple[int, ...]:
        """Return limit minus spent minus held for each account."""
        if not accounts:
            return ()
        with self._told():
            found = self._run("remaining", keys=self._keys(accounts), args=[at.timestamp()])
            return tuple(
                account.limit - _joined(found[2 * i], found[2 * i + 1]) for i, account in enumerate(accounts)
            )

    def entries(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[Entry]:
        """Give the entries from ``since`` to before ``until``, by day, oldest first."""
        head = f"{self._prefix}:entries:"
        with self._told():
            names = sorted(_text(name) for name in self._client.scan_iter(match=head + "*", count=1000))
        first = "" if since is None else since.astimezone(UTC).date().isoformat()
        last = "9" if until is None else until.astimezone(UTC).date().isoformat()
        for name in names:
            if not first <= name.removeprefix(head) <= last:
                continue
            with self._told():
                found = self._client.lrange(name, 0, -1)
            lines = read_rows(found, f"{_place(self._client)} {name}")
            for entry in sorted(lines, key=lambda entry: entry.at):
                if (since is None or entry.at >= since) and (until is None or entry.at < until):
                    yield entry

    def recent(self, count: int) -> list[Entry]:
        """Return the latest entries, as many as asked for, oldest first."""
        lines: list[Any] = []
        with self._told():
            head = f"{self._prefix}:entries:*"
            for name in sorted(self._client.scan_iter(match=head, count=1000), reverse=True):
                lines = [*self._client.lrange(name, len(lines) - count, -1), *lines]
                if len(lines) >= count:
                    break
        return list(read_rows(lines, _place(self._client)))

    def amend(self, key: str, change: Change, *, keep: int = 0) -> dict[str, Any]:
        """Change a shared state: it is tried again while others change it; see :class:`SharedStates`."""
        name = f"{self._prefix}:state:{key}"
        made: list[dict[str, Any]] = []

        def attempt(pipe: Any) -> None:
            found = pipe.get(name)
            made.append(change(None if found is None else json.loads(found)))
            pipe.multi()
            pipe.set(name, json.dumps(made[-1], separators=(",", ":")), ex=keep or None)

        with self._told():
            self._client.transaction(attempt, name)
        return made[-1]

    def shared(self) -> tuple[Any, str]:
        """Return the client and the prefix, for what else a fleet shares."""
        return self._client, self._name

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @cached_property
    def _scripts(self) -> dict[str, Any]:
        return {name: self._client.register_script(text) for name, text in _SCRIPTS.items()}

    def _run(self, script: str, **arguments: Any) -> Any:
        with self._told():
            return self._scripts[script](**arguments)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what is wrong with the server where something is."""
        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, *_STUMBLES) as error:
            where = _place(self._client)
            junk = isinstance(error, _STUMBLES)
            said = "it does not answer as Redis does" if junk else str(error).rstrip(".")
            raise LedgerError(
                f"The ledger on {where} cannot be used: {said}. See that the server runs and that this "
                "process may reach it.",
                where=where,
            ) from error

    def _keys(self, accounts: Sequence[Account]) -> list[str]:
        return [f"{self._prefix}:{kind}:{account.key}" for account in accounts for kind in ("spent", "holds")]

    def _day(self, day: date) -> str:
        return f"{self._prefix}:entries:{day.isoformat()}"


def _connect(url: str) -> Any:
    try:
        import redis
    except ImportError as error:
        raise PolicyError(
            "A RedisLedger needs the redis package. Install it with pip install 'routed-llm[redis]'.",
            key="ledger",
        ) from error
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

    # A connection that the server closed meanwhile is made again; silence is not asked again.
    again = Retry(ExponentialBackoff(cap=0.2, base=0.05), 2, supported_errors=(redis.ConnectionError,))
    return redis.Redis.from_url(url, socket_timeout=_WAIT, socket_connect_timeout=_WAIT, retry=again)


def _place(client: Any) -> str:
    """Name a server without its password."""
    pool = getattr(client, "connection_pool", None)
    known = getattr(pool, "connection_kwargs", {})
    return f"redis://{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db', 0)}"


def _member(hold: Hold) -> str:
    high, low = divmod(hold.amount, _MICRO)
    return f"{hold.id}|{high}|{low}"


def _seconds(account: Account, at: datetime) -> int:
    """Seconds for which the account can still matter: to the end of its window, and for late answers."""
    if account.until is None:
        return 0
    return max(int((account.until - at + KEPT_AFTER).total_seconds()), 1)


def _joined(high: Any, low: Any) -> int:
    return int(high) * _MICRO + int(low)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
