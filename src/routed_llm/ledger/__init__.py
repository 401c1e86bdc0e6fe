"""The book: what calls reserve, what they cost, what is left. Memory, SQLite or Redis.

After any number of concurrent calls, what is spent in a hard account is at most its limit plus the
*settle difference*: the sum, over its calls, of what each cost above its reservation. With
``Budget(worst_case=True)`` no call costs more than its reservation, so that difference is zero.
"""

from typing import TYPE_CHECKING

from routed_llm.ledger.base import HOLD_FOR, Entry, Hold, Ledger, Shortage, new_id
from routed_llm.ledger.memory import MemoryLedger

if TYPE_CHECKING:
    from routed_llm.ledger.redis import RedisLedger
    from routed_llm.ledger.sqlite import SQLiteLedger

__all__ = [
    "HOLD_FOR",
    "Entry",
    "Hold",
    "Ledger",
    "MemoryLedger",
    "RedisLedger",
    "SQLiteLedger",
    "Shortage",
    "new_id",
    "open_ledger",
]


def open_ledger(where: str) -> Ledger:
    """Open a ledger by name: a ``redis://`` or ``rediss://`` URL, or the path of an SQLite file.

    Raises:
        PolicyError: for a Redis URL when the ``redis`` package is not installed.
    """
    if where.startswith(("redis://", "rediss://", "unix://")):
        from routed_llm.ledger.redis import RedisLedger

        return RedisLedger(where)
    from routed_llm.ledger.sqlite import SQLiteLedger

    return SQLiteLedger(where)


def __getattr__(name: str) -> object:
    # The stores are imported when they are used: importing routed_llm must stay quick.
    if name == "SQLiteLedger":
        from routed_llm.ledger.sqlite import SQLiteLedger

        return SQLiteLedger
    if name == "RedisLedger":
        from routed_llm.ledger.redis import RedisLedger

        return RedisLedger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
