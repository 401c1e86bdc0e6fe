"""Refresh: what the account and the publishers of prices say now, put on record and laid over the catalog.

OpenAI's ``GET /v1/models`` lists what a key can call, and since 2026 when each stops (``shutdown_date``);
genai-prices publishes prices as they change. Neither says what a new model can do, so an id that the catalog
does not have is only named. What was read becomes a record (:mod:`routed_llm.catalog.records`), which every
process that uses its folder takes up as a whole; where nothing could be read, the last record stays.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from routed_llm.catalog import Catalog
from routed_llm.catalog.records import NONE, PACKAGED, current, read, set_current, write
from routed_llm.errors import CatalogError, RoutedError
from routed_llm.events import INFO, WARNING, emit

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from routed_llm.catalog.model import Model

__all__ = ["Listing", "Refresh", "Seen", "listing", "look"]

DAY: Final = 86_400.0
_SKEW: Final = timedelta(hours=1)
"""How far two clocks may be apart before it is said: decisions go by days, budgets by hours."""
_LARGEST: Final = 16 * 1024 * 1024
_OPENAI: Final = "https://api.openai.com/v1"
_FIRST: Final = 10.0
"""Seconds that a process waits before it looks again where it could not read anything."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What an account's list of models says.

    Attributes:
        ends: each id, and the day from which it refuses; None where the list names none.
        dated: whether the list has such days at all: other servers' lists have not.
        ahead: how far the provider's clock is ahead of this machine's.
        url: the address that was asked.
    """

    ends: Mapping[str, date | None]
    dated: bool
    ahead: timedelta
    url: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen at one look, beside the catalog.

    Attributes:
        entries: what is to be laid over the catalog; see :meth:`Catalog.with_models`.
        changes: what that changes, a sentence each.
        notes: what was seen and is not laid over, a sentence each.
    """

    entries: dict[str, dict[str, Any]]
    changes: tuple[str, ...]
    notes: tuple[str, ...]


class Refresh:
    """Looks from time to time, in a thread of its own, and keeps what it saw in a folder.

    Args:
        folder: where records are kept; routers and processes may share it, and one of them looks for all.
        every: seconds from one look to the next.
        base_url: the address whose list of models is read; ``OPENAI_BASE_URL`` or OpenAI's when left out.
        api_key: its key, or a function that gives it; ``OPENAI_API_KEY`` when left out.
        prices: whether prices are read, too; it takes ``pip install 'routed-llm[live-prices]'``.
        prices_url: where from; genai-prices' own address when left out.
        clock: returns the moment; the system's UTC clock when left out.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every: float = DAY,
        base_url: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        prices: bool = True,
        prices_url: str | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.folder = os.fspath(folder)
        self.every = every
        self.base_url = base_url
        self.api_key = api_key
        self.prices = prices
        self.prices_url = prices_url
        self._clock = clock or _now
        self._worker: tuple[int, threading.Event] | None = None
        self._lock = threading.Lock()

    def once(self, catalog: Catalog, *, release: bool = False) -> Seen:
        """Look now; what is new is put on record, and counts unless somebody has gone back to another record.

        Args:
            catalog: what the records are laid over.
            release: whether it counts even then.

        Raises:
            RoutedError: when nothing could be read; the last record stays.
            CatalogError: when what was read cannot be laid over the catalog; the last record stays.
            OSError: when the folder cannot be written.
        """
        moment = self._clock()
        listed = listing(self.base_url, self.api_key, moment)
        snapshot = _snapshot(self.prices_url) if self.prices else None
        before = current(self.folder)
        known = {} if before.name in (NONE, PACKAGED) else read(self.folder, before.name)
        kept = _kept(known, catalog, listed)
        seen = look(catalog.with_models(kept), moment, listed=listed, snapshot=snapshot)
        entries = {
            id: {**kept.get(id, {}), **seen.entries.get(id, {})} for id in sorted({*kept, *seen.entries})
        }
        if entries == known.get("entries", {}):
            self._touch()
            return seen
        made = catalog.with_models(entries)  # as a whole or not at all
        record = {
            "read_at": moment.isoformat(),
            "url": self.base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI,
            "before": before.name,
            "catalog": {"before": catalog.version, "after": made.version},
            "changes": seen.changes,
            "notes": seen.notes,
            "entries": entries,
        }
        name = write(self.folder, record, moment)
        if release or not before.held:
            set_current(self.folder, name)
        self._touch()
        return seen

    def ensure(self, catalog: Catalog) -> None:
        """Let a thread of this process look from time to time; a process that was forked has its own."""
        worker = self._worker
        if worker is not None and worker[0] == os.getpid():
            return
        with self._lock:
            if self._worker is not None and self._worker[0] == os.getpid():
                return
            stop = threading.Event()
            self._worker = (os.getpid(), stop)
            weakref.finalize(self, stop.set)
            arguments = (weakref.ref(self), catalog, stop)
            threading.Thread(target=_watch, args=arguments, name="routed-refresh", daemon=True).start()

    def wait(self) -> float:
        """Return the seconds until the next look is due, whoever made the last one."""
        try:
            last = self._mark.stat().st_mtime
        except OSError:
            return 0.0
        since = self._clock().timestamp() - last
        # A mark of the future is one of a clock that was wrong.
        return max(self.every - since, 0.0) if since >= 0 else 0.0

    @property
    def _mark(self) -> Path:
        return Path(self.folder) / ".looked"

    def _touch(self) -> None:
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.touch()
        moment = self._clock().timestamp()
        os.utime(self._mark, (moment, moment))


def _watch(which: weakref.ref[Refresh], catalog: Catalog, stop: threading.Event) -> None:
    """Look whenever it is time, until the Refresh is gone; what goes wrong is logged and changes nothing."""
    pause = _FIRST
    while (refresh := which()) is not None:
        wait = refresh.wait()
        if wait <= 0:
            wait, pause = _looked(refresh, catalog, pause)
        del refresh
        if stop.wait(min(wait, 60.0)):
            return


def _looked(refresh: Refresh, catalog: Catalog, pause: float) -> tuple[float, float]:
    try:
        seen = refresh.once(catalog)
    except (RoutedError, OSError) as error:
        emit(
            WARNING,
            "refresh_failed",
            "the account's models and prices could not be read, the catalog of {day} stays: {error}",
            loud=True,
            day=catalog.day.isoformat(),
            error=str(error),
        )
        return pause, min(pause * 2, refresh.every)
    for sentence in (*seen.changes, *seen.notes):
        emit(INFO, "refresh", "{what}", what=sentence)
    return refresh.every, _FIRST


def look(catalog: Catalog, moment: datetime, *, listed: Listing | None, snapshot: Any = None) -> Seen:
    """Compare what was read with the catalog. Pure: what it returns is all that happens.

    Args:
        catalog: what is known.
        moment: now.
        listed: the account's models, or None where they were not read.
        snapshot: a data snapshot of genai-prices, or None where prices were not read.

    Raises:
        CatalogError: when the list has none of the catalog's models, so that it is no account's with OpenAI.
    """
    day = moment.date()
    entries: dict[str, dict[str, Any]] = {}
    changes: list[str] = []
    notes: list[str] = []
    if listed is not None:
        for model in catalog.alive(day):
            _of_model(model, listed, moment, entries, changes, notes)
        if not any(_named(model, listed) for model in catalog.alive(day)):
            raise CatalogError(
                f"{listed.url} lists none of the catalog's models. Give the address and the key of an "
                "account with OpenAI."
            )
        if new := sorted(_new(catalog, listed)):
            notes.append(
                f"not in the catalog: {', '.join(new)}. Update routed-llm-catalog, or name what each is "
                f"like: ROUTED_MODELS={new[0]}=<a model>."
            )
        if abs(listed.ahead) > _SKEW:
            hours = round(abs(listed.ahead).total_seconds() / 3600)
            side = "behind" if listed.ahead > timedelta() else "ahead of"
            notes.append(f"this machine's clock is {hours} hours {side} the provider's. Set the clock.")
    if snapshot is not None:
        from routed_llm.catalog.live import newer_prices

        for id, prices, sentence in newer_prices(catalog, day, snapshot):
            entries.setdefault(id, {})["prices"] = prices
            changes.append(sentence)
    return Seen(entries, tuple(changes), tuple(notes))


def _of_model(
    model: Model,
    listed: Listing,
    moment: datetime,
    entries: dict[str, dict[str, Any]],
    changes: list[str],
    notes: list[str],
) -> None:
    if model.base_url is not None:
        return  # it is called at another address
    known = _named(model, listed)
    if not known:
        if model.pool not in ("named", "realtime"):
            entries[model.id] = {"pool": "named"}
            changes.append(f"{model.id} is not listed for this key: it is not chosen any more")
        return
    if not listed.dated:
        return
    ours, theirs = model.lifecycle.shutdown, listed.ends[known]
    if theirs == ours:
        return
    if theirs is None:
        notes.append(f"{model.id} has no shutdown any more, the catalog says {ours}: the earlier day is kept")
        return
    life = {"shutdown": theirs, "source": f"{listed.url} on {moment.date()}", "verified": moment.date()}
    deprecated = model.lifecycle.deprecated
    if deprecated is not None and deprecated > theirs:
        life["deprecated"] = theirs
    entries[model.id] = {"lifecycle": life}
    changes.append(f"{model.id} ends on {theirs} (before: {ours or 'no day'})")


def _named(model: Model, listed: Listing) -> str | None:
    return next((name for name in (model.sent_as, *model.aliases) if name in listed.ends), None)


def _new(catalog: Catalog, listed: Listing) -> Iterable[str]:
    """Yield ids of chat models, by their names, that the catalog does not have."""
    from routed_llm.catalog.ended import ended

    families = tuple({f"{model.id.split('-')[0]}-" for model in catalog if model.base is None})
    others = ("image", "transcribe", "tts", "embedding", "moderation", "live", "translate", "instruct")
    for name in listed.ends:
        if name in catalog or name in ended(catalog.root) or not name.startswith(families):
            continue
        if not any(word in name for word in others):
            yield name


class _NoRedirect(HTTPRedirectHandler):
    """A key goes to its own address only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


def listing(base_url: str | None, api_key: str | Callable[[], str] | None, moment: datetime) -> Listing:
    """Read an account's models.

    Args:
        base_url: the address, with its version; ``OPENAI_BASE_URL`` or OpenAI's when left out.
        api_key: its key, or a function that gives it; ``OPENAI_API_KEY`` when left out.
        moment: now, by this machine's clock.

    Raises:
        RoutedError: when it cannot be read, with what to do.
    """
    url = (base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI).rstrip("/") + "/models"
    if not url.startswith(("https://", "http://")):
        raise RoutedError(f"{url} is no address of a server. Give one such as {_OPENAI}.")
    key = (api_key() if callable(api_key) else api_key) or os.environ.get("OPENAI_API_KEY") or ""
    if not key:
        raise RoutedError(f"{url} needs a key. Set OPENAI_API_KEY.")
    asked = Request(url, headers={"authorization": f"Bearer {key}", "accept": "application/json"})  # noqa: S310 - as checked
    try:
        with build_opener(_NoRedirect).open(asked, timeout=20) as answer:
            return _listing(answer, url, moment)
    except HTTPError as error:
        error.close()
        raise RoutedError(
            f"{url} answered {error.code} {error.reason}. Check the address and the key."
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RoutedError(f"{url} could not be read ({error}). Try again later.") from None


def _listing(answer: HTTPResponse, url: str, moment: datetime) -> Listing:
    stamp = answer.headers.get("date")
    ahead = parsedate_to_datetime(stamp) - moment if stamp else timedelta()
    data = json.loads(answer.read(_LARGEST))["data"]
    ends = {str(one["id"]): _day(one.get("shutdown_date")) for one in data}
    return Listing(ends, any("shutdown_date" in one for one in data), ahead, url)


def _day(value: Any) -> date | None:
    """Read a day as text, or as seconds since 1970 (which of the two it is is not documented)."""
    if value is None:
        return None
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC).date()
    return date.fromisoformat(str(value)[:10])


def _snapshot(url: str | None) -> Any:
    """Fetch genai-prices' data of now; None where it is not installed.

    Raises:
        RoutedError: when it cannot be read.
    """
    try:
        from genai_prices import UpdatePrices
    except ImportError:
        return None
    try:
        return (UpdatePrices(url=url) if url else UpdatePrices()).fetch()
    except Exception as error:
        raise RoutedError(
            f"genai-prices' data could not be read ({type(error).__name__}). Try again later."
        ) from error


def _kept(record: Mapping[str, Any], catalog: Catalog, listed: Listing) -> dict[str, dict[str, Any]]:
    """Return what holds on of the last record: prices have a history, and who has ended is not listed.

    Of a record over another catalog only ends hold on, for that catalog may know better.
    """
    entries = {id: entry for id, entry in record.get("entries", {}).items() if id in catalog}
    if record and record["catalog"]["before"] != catalog.version:
        entries = {
            id: {"lifecycle": entry["lifecycle"]} for id, entry in entries.items() if "lifecycle" in entry
        }
    kept = {}
    for id, entry in entries.items():
        again = "pool" in entry and _named(catalog.get(id), listed)
        if left := {key: value for key, value in entry.items() if key != "pool" or not again}:
            kept[id] = left
    return kept


def _now() -> datetime:
    return datetime.now(UTC)
