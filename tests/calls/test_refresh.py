"""What the account and the publishers say now: laid over the catalog as a whole, on record, or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Catalog, CatalogError, RequestBuilder, RoutedError, Router
from routed_llm.calls import refresh as module
from routed_llm.calls import router as routers
from routed_llm.calls import switches
from routed_llm.calls.refresh import Listing, Refresh, listing, look
from routed_llm.catalog.records import NONE, PACKAGED, current, names, read, set_current
from routed_llm.simulator import serve

CATALOG = Catalog.load()
DAY = date(2026, 11, 29)
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def ids(**other: Any) -> dict[str, Any]:
    """Return what an account's list has, with other days for some."""
    found: dict[str, Any] = {
        name: model.lifecycle.shutdown for model in CATALOG.alive(DAY) for name in (model.id, *model.aliases)
    }
    return {
        **found,
        **{name.replace("_", "-").replace("gpt-4-1", "gpt-4.1"): day for name, day in other.items()},
    }


def listed(ends: dict[str, Any], *, dated: bool = True, ahead: timedelta = timedelta()) -> Listing:
    """Return a list of models."""
    return Listing(ends, dated, ahead, "https://api.example/v1/models")


def without(name: str) -> dict[str, Any]:
    """Return the list without a model."""
    return {key: day for key, day in ids().items() if CATALOG.get(key).id != name}


SOURCE = {"source": "https://api.example/v1/models on 2026-11-29", "verified": DAY}
SEEN: list[Any] = [
    pytest.param(listed(ids()), {}, (), (), id="nothing new"),
    pytest.param(
        listed(ids(gpt_4_1=date(2027, 2, 1))),
        {"gpt-4.1": {"lifecycle": {"shutdown": date(2027, 2, 1), **SOURCE}}},
        ("gpt-4.1 ends on 2027-02-01 (before: 2027-01-14)",),
        (),
        id="a later end",
    ),
    pytest.param(
        listed({**ids(), "gpt-5.2": date(2027, 6, 1)}),
        {"gpt-5.2": {"lifecycle": {"shutdown": date(2027, 6, 1), **SOURCE}}},
        ("gpt-5.2 ends on 2027-06-01 (before: no day)",),
        (),
        id="an end that nobody knew",
    ),
    pytest.param(
        listed(ids(gpt_4_1=None)),
        {},
        (),
        ("gpt-4.1 has no shutdown any more, the catalog says 2027-01-14: the earlier day is kept",),
        id="an end less",
    ),
    pytest.param(listed(dict.fromkeys(ids()), dated=False), {}, (), (), id="a list without days"),
    pytest.param(
        listed(without("gpt-5.2")),
        {"gpt-5.2": {"pool": "named"}},
        ("gpt-5.2 is not listed for this key: it is not chosen any more",),
        (),
        id="a model that the key cannot call",
    ),
    pytest.param(
        listed({**ids(), "gpt-7": None, "gpt-image-9": None, "whisper-1": None, "gpt-4": None}),
        {},
        (),
        (
            "not in the catalog: gpt-7. Update routed-llm-catalog, or name what each is like: "
            "ROUTED_MODELS=gpt-7=<a model>.",
        ),
        id="a new model",
    ),
    pytest.param(
        listed(ids(), ahead=timedelta(days=2)),
        {},
        (),
        ("this machine's clock is 48 hours behind the provider's. Set the clock.",),
        id="a slow clock",
    ),
    pytest.param(
        listed(ids(), ahead=-timedelta(hours=30)),
        {},
        (),
        ("this machine's clock is 30 hours ahead of the provider's. Set the clock.",),
        id="a fast clock",
    ),
]


@pytest.mark.parametrize(("told", "entries", "changes", "notes"), SEEN)
def test_what_a_list_says(told: Listing, entries: Any, changes: Any, notes: Any) -> None:
    """What it says of known models is laid over the catalog; what it cannot tell is only named."""
    seen = look(CATALOG, NOON, listed=told)
    assert (seen.entries, seen.changes, seen.notes) == (entries, changes, notes)
    CATALOG.with_models(seen.entries)


def test_a_list_of_somebody_else() -> None:
    """A server that has none of the models is no account with OpenAI: nothing becomes unknown by it."""
    with pytest.raises(CatalogError) as caught:
        look(CATALOG, NOON, listed=listed({"llama-4": None}))
    assert str(caught.value) == (
        "https://api.example/v1/models lists none of the catalog's models. Give the address and the key of "
        "an account with OpenAI."
    )


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """Run a server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


UNREADABLE: list[Any] = [
    pytest.param(
        401, b"{}", {}, "answered 401 Unauthorized. Check the address and the key.", id="a wrong key"
    ),
    pytest.param(503, b"", {}, "answered 503 Service Unavailable. Check the address and the key.", id="503"),
    pytest.param(
        302,
        b"",
        {"location": "http://127.0.0.1:9/elsewhere"},
        "answered 302 Found. Check the address and the key.",
        id="a redirect, which a key does not follow",
    ),
    pytest.param(200, b"<html>", {}, "could not be read (", id="no JSON"),
    pytest.param(200, b'{"data": 7}', {}, "could not be read (", id="no list"),
    pytest.param(200, b'{"data": [{"object": "model"}]}', {}, "could not be read ('id')", id="no ids"),
    pytest.param(
        200, b'{"data": [{"id": "x", "shutdown_date": "soon"}]}', {}, "could not be read (", id="no day"
    ),
]


@pytest.mark.parametrize(("status", "body", "headers", "message"), UNREADABLE)
def test_what_cannot_be_read(status: int, body: bytes, headers: dict[str, str], message: str) -> None:
    """It is said where, and what to do."""
    with answering(status, body, **headers) as url, pytest.raises(RoutedError) as caught:
        listing(url, "key", NOON)
    assert str(caught.value).startswith(f"{url}/models {message}")


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        pytest.param(
            None, None, "https://api.openai.com/v1/models needs a key. Set OPENAI_API_KEY.", id="no key"
        ),
        pytest.param(
            "file:///etc",
            "key",
            "file:///etc/models is no address of a server. Give one such as https://api.openai.com/v1.",
            id="no server",
        ),
        pytest.param(
            "http://127.0.0.1:9/v1",
            "key",
            "http://127.0.0.1:9/v1/models could not be read (<urlopen error [Errno 111] Connection refused>)"
            ". Try again later.",
            id="nobody there",
        ),
    ],
)
def test_where_nothing_is_read(url: str | None, key: str | None, message: str) -> None:
    """Without a key, or a server, nothing is asked."""
    with pytest.raises(RoutedError) as caught:
        listing(url, key, NOON)
    assert str(caught.value) == message


@pytest.fixture
def source() -> Iterator[Any]:
    """Run the simulated provider on the day."""
    with serve(at=DAY) as simulator:
        yield simulator


def older() -> Catalog:
    """Return a catalog that does not know yet when gpt-4o ends."""
    return CATALOG.with_models({"gpt-4o": {"lifecycle": {"shutdown": date(2027, 3, 1)}}})


def refresh(folder: Path, source: Any, **given: Any) -> Refresh:
    """Return what reads the simulated account."""
    given = {"prices": False, "clock": lambda: NOON, **given}
    return Refresh(folder, base_url=source.url, api_key="key", **given)


def test_what_is_new_is_on_record_and_can_be_gone_back_from(tmp_path: Path, source: Any) -> None:
    """The same record laid over the same catalog is the same catalog again; what is held back stays back."""
    folder, catalog = tmp_path / "records", older()
    assert refresh(folder, source).once(CATALOG).entries == {}
    assert names(folder) == []
    refresh(folder, source).once(catalog)
    (name,) = names(folder)
    assert current(folder) == (name, False)
    record = read(folder, name)
    after = catalog.with_models(folder)
    assert record["catalog"] == {"before": catalog.version, "after": after.version}
    assert catalog.with_models(record["entries"]) == after
    assert after.get("gpt-4o").lifecycle.shutdown == date(2027, 1, 14)
    refresh(folder, source).once(catalog)
    assert names(folder) == [name], "what is the same is not put on record again"
    set_current(folder, NONE, held=True)
    refresh(folder, source, clock=lambda: NOON + timedelta(days=1)).once(catalog)
    assert current(folder) == (NONE, True)
    assert catalog.with_models(folder) == catalog
    refresh(folder, source, clock=lambda: NOON + timedelta(days=2)).once(catalog, release=True)
    assert current(folder) == (names(folder)[-1], False)


def test_a_router_goes_by_the_records(
    tmp_path: Path, source: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A thread reads, calls go on meanwhile, and a change is one line of the log."""
    monkeypatch.setattr(switches, "EVERY", 0.005)
    made = refresh(tmp_path / "records", source)
    router = Router(catalog=older(), refresh=made, clock=lambda: NOON)
    text = RequestBuilder().message("user").text("Hello").build()
    with caplog.at_level("INFO", logger="routed_llm"):
        until = time.monotonic() + 20
        while router.catalog == older() and time.monotonic() < until:
            router.decide(text)
            time.sleep(0.005)
    assert router.catalog.get("gpt-4o").lifecycle.shutdown == date(2027, 1, 14)
    said = [record.getMessage() for record in caplog.records]
    assert "gpt-4o ends on 2027-01-14 (before: 2027-03-01)" in said
    assert f"catalog is now {router.catalog.version} (before: {older().version})" in said


def test_an_account_that_cannot_be_reached_changes_nothing(
    tmp_path: Path, source: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good record stays, with a line that says so, and it is tried again later."""
    folder = tmp_path / "records"
    refresh(folder, source).once(older())
    gone = Refresh(folder, base_url="http://127.0.0.1:9/v1", api_key="key", prices=False, every=0.0)
    router = Router(catalog=older(), refresh=gone, clock=lambda: NOON)
    text = RequestBuilder().message("user").text("Hello").build()
    until = time.monotonic() + 20
    while not (said := failures(caplog)) and time.monotonic() < until:
        router.decide(text)
        time.sleep(0.005)
    assert said[0].startswith(
        f"the account's models and prices could not be read, the catalog of {CATALOG.day} stays: "
        "http://127.0.0.1:9/v1/models could not be read ("
    )
    assert router.catalog.get("gpt-4o").lifecycle.shutdown == date(2027, 1, 14)


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log says of looks that failed."""
    return [one.getMessage() for one in caplog.records if getattr(one, "event", "") == "refresh_failed"]


def test_one_process_of_many_looks(tmp_path: Path, source: Any) -> None:
    """Who shares a folder waits for its last look; a look of the future is one of a wrong clock."""
    folder = tmp_path / "records"
    assert refresh(folder, source).wait() == 0
    refresh(folder, source).once(CATALOG)
    later = refresh(folder, source, clock=lambda: NOON + timedelta(hours=1))
    assert later.wait() == pytest.approx(module.DAY - 3600)
    earlier = refresh(folder, source, clock=lambda: NOON - timedelta(days=400))
    assert earlier.wait() == 0


DAMAGES: list[Any] = [
    pytest.param(lambda folder, name: (folder / "current.json").write_text("{"), id="current.json"),
    pytest.param(lambda folder, name: (folder / f"{name}.json").write_text("{"), id="the record"),
    pytest.param(lambda folder, name: (folder / f"{name}.json").unlink(), id="the record is gone"),
    pytest.param(
        lambda folder, name: (folder / f"{name}.json").write_text('{"schema": 99, "entries": {}}'),
        id="a newer schema",
    ),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_changes_nothing(
    damage: Callable[[Path, str], Any],
    tmp_path: Path,
    source: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A program that runs stays with what it has, and the command leads back."""
    folder, now = tmp_path / "records", [0.0]
    monkeypatch.setattr(routers, "monotonic", lambda: now[0])
    monkeypatch.setenv("ROUTED_CATALOG", str(folder))
    refresh(folder, source).once(older())
    (name,) = names(folder)
    router = Router(catalog=older(), clock=lambda: NOON)
    before = router.catalog
    damage(folder, name)
    (folder / "current.json").touch()
    text = RequestBuilder().message("user").text("Hello").build()
    for _ in range(3):
        now[0] += switches.EVERY
        router.decide(text)
    assert router.catalog == before
    refused = [one.getMessage() for one in caplog.records if getattr(one, "event", "") == "switch_refused"]
    assert [
        line.endswith(f"Go back to a good one: routed catalog rollback {folder}.") for line in refused
    ] in (
        [True],
        [],  # a record that is only read where current.json changed
    )


def test_several_layers_and_what_is_packaged(
    tmp_path: Path, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models of one's own go over the records; `packaged` leaves a newer wheel, not the code's catalog."""
    records, own = tmp_path / "records", tmp_path / "own"
    refresh(records, source).once(older())
    own.mkdir()
    (own / "mine.toml").write_text('base = "gpt-4o"\n')
    monkeypatch.setenv("ROUTED_CATALOG", f"{records}:{own}")
    router = Router(catalog=older(), clock=lambda: NOON)
    assert router.catalog.get("mine").lifecycle.shutdown == date(2027, 1, 14)
    monkeypatch.setenv("ROUTED_CATALOG", "packaged")
    assert Router().catalog == Catalog.packaged()
    assert Router(catalog=older()).catalog == older()
    set_current(records, PACKAGED, held=True)
    monkeypatch.setenv("ROUTED_CATALOG", str(records))
    assert Router().catalog == Catalog.packaged()


PRICES: list[Any] = [
    pytest.param("2.5", {}, id="the catalog's"),
    pytest.param("2.0", {"input": 2_000_000}, id="another"),
]


@pytest.mark.parametrize(("amount", "changed"), PRICES)
def test_prices_of_now(amount: str, changed: dict[str, int], tmp_path: Path, source: Any) -> None:
    """What genai-prices says today holds from today on; what was billed before stays."""
    pytest.importorskip("genai_prices", reason="Install it with: pip install 'routed-llm[live-prices]'")
    model = {
        "id": "gpt-5.2",
        "match": {"equals": "gpt-5.2"},
        "prices": {"input_mtok": float(amount) * 0.7, "cache_read_mtok": 0.175, "output_mtok": 14},
    }
    data = [{"id": "openai", "name": "OpenAI", "api_pattern": "openai", "models": [model]}]
    with answering(200, json.dumps(data).encode()) as url:
        seen = refresh(tmp_path / "records", source, prices=True, prices_url=url).once(CATALOG)
    after = CATALOG.with_models(tmp_path / "records") if seen.entries else CATALOG
    ours = CATALOG.get("gpt-5.2").price(DAY)
    assert ours is not None
    now, before = after.get("gpt-5.2").price(DAY), after.get("gpt-5.2").price(DAY - timedelta(days=1))
    assert now is not None
    assert before is not None
    assert before.input == ours.input
    assert now.input == (1_400_000 if changed else ours.input)
    assert (now.output, now.cached_input) == (ours.output, ours.cached_input)
    assert list(seen.entries) == (["gpt-5.2"] if changed else [])


def test_prices_have_a_history(tmp_path: Path, source: Any) -> None:
    """What is the same a day later is no news; what changes again leaves the days between as they were."""
    pytest.importorskip("genai_prices", reason="Install it with: pip install 'routed-llm[live-prices]'")
    folder = tmp_path / "records"
    for day, amount in enumerate((1.4, 1.4, 1.0)):
        model = {
            "id": "gpt-5.2",
            "match": {"equals": "gpt-5.2"},
            "prices": {"input_mtok": amount, "cache_read_mtok": 0.175, "output_mtok": 14},
        }
        data = [{"id": "openai", "name": "OpenAI", "api_pattern": "openai", "models": [model]}]
        moment = NOON + timedelta(days=day)
        with answering(200, json.dumps(data).encode()) as url:
            refresh(folder, source, prices=True, prices_url=url, clock=lambda moment=moment: moment).once(
                CATALOG
            )
        source.at = DAY + timedelta(days=day)
    assert len(names(folder)) == 2
    after = CATALOG.with_models(folder).get("gpt-5.2")
    prices = [after.price(DAY + timedelta(days=day)) for day in (-1, 0, 1, 2)]
    assert [price and price.input for price in prices] == [1_750_000, 1_400_000, 1_400_000, 1_000_000]


def test_who_has_ended_is_not_listed_any_more(tmp_path: Path, source: Any) -> None:
    """The day on which a model ends holds on when the list has it no more, over a newer catalog, too."""
    folder = tmp_path / "records"
    refresh(folder, source).once(older())
    source.at = date(2027, 1, 20)
    later = datetime(2027, 1, 20, 12, tzinfo=UTC)
    refresh(folder, source, clock=lambda: later).once(older())
    assert older().with_models(folder).get("gpt-4o").lifecycle.shutdown == date(2027, 1, 14)
    newer = older().with_models({"mine": {"base": "gpt-4.1"}})
    refresh(folder, source, clock=lambda: later + timedelta(days=1)).once(newer)
    assert newer.with_models(folder).get("gpt-4o").lifecycle.shutdown == date(2027, 1, 14)


def test_a_model_that_is_listed_again_is_chosen_again(tmp_path: Path) -> None:
    """What an account could not call for a while is what it was."""
    folder = tmp_path / "records"
    for day, ends in enumerate((ids(), without("gpt-5.2"), without("gpt-5.2"), ids())):
        data = {"data": [{"id": name, "shutdown_date": end and str(end)} for name, end in ends.items()]}
        with answering(200, json.dumps(data).encode()) as url:
            moment = NOON + timedelta(days=day)
            Refresh(folder, base_url=url, api_key="k", prices=False, clock=lambda moment=moment: moment).once(
                CATALOG
            )
        pool = CATALOG.with_models(folder).get("gpt-5.2").pool if names(folder) else None
        assert pool == [None, "named", "named", "default"][day]
    assert len(names(folder)) == 2


def test_prices_that_cannot_be_read(tmp_path: Path, source: Any) -> None:
    """Then nothing is put on record: half of what is new is not what is new."""
    pytest.importorskip("genai_prices", reason="Install it with: pip install 'routed-llm[live-prices]'")
    with pytest.raises(RoutedError) as caught:
        refresh(tmp_path, source, prices=True, prices_url="http://127.0.0.1:9/").once(older())
    assert str(caught.value) == "genai-prices' data could not be read (ConnectError). Try again later."
    assert names(tmp_path) == []
