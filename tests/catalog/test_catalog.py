"""Catalog: names, custom models, immutability, and that what is kept of it fits its files."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from routed_llm.catalog import Catalog, Model
from routed_llm.catalog import catalog as module
from routed_llm.catalog.sources import ROOT, files
from routed_llm.errors import CatalogError

CATALOG = Catalog.load()
TODAY = date(2026, 11, 22)
IDS = sorted(path.stem for path in (ROOT / "models").glob("*.toml"))


@pytest.mark.parametrize("name", IDS)
def test_every_model_loads(name: str) -> None:
    """Every file in models/ gives a Model with its source, limits and at least one price row."""
    model = CATALOG.get(name)
    assert model.id == name == model.sent_as
    assert model.source
    assert model.limits.verified is not None
    assert model.prices
    assert all(row.source and row.verified for row in model.prices)
    assert model.endpoints == set(model.parameters)


def copy_of_the_catalog(folder: Path) -> Path:
    """Copy the catalog's files into a folder, without what was compiled from them."""
    for name in files():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def test_a_changed_price_needs_no_other_file(tmp_path: Path) -> None:
    """What was compiled is made anew, without a word, when a TOML file says something else."""
    root = copy_of_the_catalog(tmp_path)
    before = Catalog(module.read_root(root))
    assert before == CATALOG
    path = root / "models" / "gpt-4o.toml"
    path.write_text(path.read_text().replace('input = "2.50"', 'input = "2.00"'))
    after = Catalog(module.read_root(root))
    assert after.get("gpt-4o").prices[0].input == 2_000_000
    assert after != CATALOG
    kept = (root / "compiled.json").stat().st_mtime_ns
    assert Catalog(module.read_root(root)) == after
    assert (root / "compiled.json").stat().st_mtime_ns == kept, "what fits is read, not made again"


@pytest.mark.parametrize("kept", ["", "{", "[]", "{}", '{"made_from": 1}', "null"])
def test_a_damaged_compiled_file_is_made_anew(tmp_path: Path, kept: str) -> None:
    """A file that was cut, or is something else, is no error."""
    root = copy_of_the_catalog(tmp_path)
    (root / "compiled.json").write_text(kept)
    assert Catalog(module.read_root(root)) == CATALOG
    assert Catalog(module.read_root(root)) == CATALOG


def test_an_installation_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file cannot be kept, the catalog is compiled for this process, and nothing is left behind."""
    root = copy_of_the_catalog(tmp_path)

    def full(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert Catalog(module.read_root(root)) == CATALOG
    assert sorted(path.name for path in root.glob("compiled*")) == []


def test_pydantic_stays_out_of_the_way() -> None:
    """Loading the catalog and building every model imports no pydantic."""
    code = (
        "import sys; from routed_llm.catalog import Catalog; list(Catalog.load());"
        "assert 'pydantic' not in sys.modules, 'pydantic was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-5.6", "gpt-5.6-sol"),
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("gpt-realtime-mini-2025-12-15", "gpt-realtime-mini"),
    ],
)
def test_names(name: str, found: str) -> None:
    """An id, an alias and a listed snapshot, in any case, give the model itself."""
    assert name in CATALOG
    assert CATALOG.get(name) is CATALOG.get(found)


def test_a_dated_id_that_is_not_listed() -> None:
    """Such an id has its model's facts, is sent as it is, and carries a note."""
    model = CATALOG.get("gpt-5.6-luna-2026-07-09")
    assert (model.id, model.sent_as, model.base) == ("gpt-5.6-luna-2026-07-09",) * 2 + ("gpt-5.6-luna",)
    assert model.prices == CATALOG.get("gpt-5.6-luna").prices
    assert model.unverified[-1] == "The catalog does not list this snapshot; its model's facts are assumed."


@pytest.mark.parametrize(
    ("name", "base", "dollars"),
    [
        ("ft:gpt-4o-2024-08-06:acme::abc123", "gpt-4o", (3.75, 1.875, 15)),
        ("ft:gpt-4o-mini-2024-07-18:acme:tickets:abc", "gpt-4o-mini", (0.3, 0.15, 1.2)),
        ("ft:gpt-4.1-2025-04-14:acme::x:ckpt-step-100", "gpt-4.1", (3, 0.75, 12)),
        ("ft:gpt-4.1-mini-2025-04-14:acme::x", "gpt-4.1-mini", (0.8, 0.2, 3.2)),
    ],
)
def test_fine_tunes(name: str, base: str, dollars: tuple[float, float, float]) -> None:
    """A fine-tune has its base's limits and shutdown, its own prices and no published quality."""
    model, other = CATALOG.get(name), CATALOG.get(base)
    row = model.price(TODAY)
    assert row is not None
    assert (row.input, row.cached_input, row.output) == tuple(round(d * 1_000_000) for d in dollars)
    assert (model.sent_as, model.base, model.pool) == (name, base, "named")
    assert (model.limits, model.lifecycle, model.parameters) == (
        other.limits,
        other.lifecycle,
        other.parameters,
    )
    assert not model.verdicts
    assert not model.quality_rank


def test_a_fine_tune_without_a_published_price() -> None:
    """Where no price is published, there is none, and a note says so."""
    model = CATALOG.get("ft:gpt-4.1-nano-2025-04-14:acme::x")
    assert model.prices == ()
    assert model.unverified[-1] == "No price is published for fine-tunes of this model."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gpt-4oo",
            "no model is called 'gpt-4oo'. The nearest ids are gpt-4o, gpt-5.4, gpt-4.1. "
            "For a model of your own, add it with Catalog.with_models.",
        ),
        (
            "openai/gpt-5.6-luna",
            "no model is called 'openai/gpt-5.6-luna'. Leave the provider out and name 'gpt-5.6-luna'. "
            "For a model of your own, add it with Catalog.with_models.",
        ),
        (
            "openai/gpt-3.5-turbo",
            "no model is called 'openai/gpt-3.5-turbo'. Leave the provider out and name 'gpt-3.5-turbo'. "
            "For a model of your own, add it with Catalog.with_models.",
        ),
        (
            "zzzzzzzzzzzzzzzzzzz",
            "no model is called 'zzzzzzzzzzzzzzzzzzz'. `routed models` lists the ids. "
            "For a model of your own, add it with Catalog.with_models.",
        ),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    """An unknown name is an error that names the nearest ids."""
    assert name not in CATALOG
    with pytest.raises(CatalogError) as caught:
        CATALOG.get(name)
    assert str(caught.value) == message


def test_unknown_endpoint() -> None:
    """An unknown endpoint is an error that names the nearest one."""
    with pytest.raises(CatalogError) as caught:
        CATALOG.endpoint("response")
    assert str(caught.value) == "no endpoint is called 'response'. Did you mean responses?"


OWN = {"limits": {"context_window": 8192, "max_input": 8192, "max_output": 4096}}


def test_a_deployment() -> None:
    """A deployment has the facts of its base, under its own names."""
    entry = {
        "base": "gpt-4o",
        "sent_as": "prod-4o",
        "base_url": "https://gateway.example/v1",
        "aliases": ["prod"],
    }
    catalog = CATALOG.with_models({"azure-4o": entry})
    model, base = catalog.get("prod"), catalog.get("gpt-4o")
    assert (model.id, model.sent_as, model.base_url, model.base) == (
        "azure-4o", "prod-4o", "https://gateway.example/v1", "gpt-4o",
    )  # fmt: skip
    assert (model.limits, model.prices, model.verdicts) == (base.limits, base.prices, base.verdicts)
    assert model.quality_rank == base.quality_rank
    assert catalog.get("gpt-4o-2024-08-06") is base
    assert len(catalog) == len(CATALOG) + 1


def test_a_deployment_of_a_deployment() -> None:
    """A base may itself be a model that was added before."""
    first = CATALOG.with_models({"mine": {"base": "gpt-5.4", "regional_surcharge": 0}})
    second = first.with_models([{"id": "ours", "base": "mine", "efforts": ["none", "low"]}])
    model = second.get("ours")
    assert model.regional_surcharge == 0
    assert model.efforts == {"chat_completions": ("none", "low"), "responses": ("none", "low")}
    assert model.reasoning_room == {"none": 0, "low": 4096}


def test_a_model_of_ones_own() -> None:
    """Any OpenAI-compatible model can be added; nothing of OpenAI's is assumed of it."""
    prices = {"rows": [{"input": "0", "output": 0.25}]}
    catalog = CATALOG.with_models(
        {"llama": {**OWN, "base_url": "http://127.0.0.1:8000/v1", "prices": prices}}
    )
    model = catalog.get("LLAMA")
    assert (model.id, model.family, model.pool) == ("llama", "compatible", "default")
    assert (model.prices[0].input, model.prices[0].output) == (0, 250_000)
    assert model.parameters["chat_completions"]["max_completion_tokens"].rename == "max_tokens"
    assert model.endpoints == {"chat_completions"}
    assert model.alive(date(2030, 1, 1))


def test_another_price_for_a_packaged_model() -> None:
    """An entry with a packaged id lays its keys over that model; its price rows replace the others."""
    prices = {"source": "our contract", "rows": [{"input": "2.00", "output": "8.00"}]}
    catalog = CATALOG.with_models({"gpt-4o": {"prices": prices}})
    (row,) = catalog.get("gpt-4o-2024-11-20").prices
    assert (row.input, row.output, row.cached_input, row.source) == (
        2_000_000,
        8_000_000,
        None,
        "our contract",
    )
    assert catalog.get("gpt-4o").limits == CATALOG.get("gpt-4o").limits
    assert CATALOG.get("gpt-4o").prices[0].input == 2_500_000
    assert [model.id for model in catalog] == [model.id for model in CATALOG]


def test_one_rule_for_a_packaged_model() -> None:
    """An entry that changes one parameter rule leaves the others alone."""
    rules = {"responses": {"temperature": "yes"}}
    changed = CATALOG.with_models({"gpt-5": {"parameters": rules}}).get("gpt-5").parameters
    before = CATALOG.get("gpt-5").parameters
    assert changed["responses"]["temperature"].accept == "yes"
    assert changed["chat_completions"] == before["chat_completions"]
    assert {**changed["responses"], "temperature": None} == {**before["responses"], "temperature": None}


def test_a_folder_of_files(tmp_path: Path) -> None:
    """A folder gives one model per file; the id is the file's name unless the file says otherwise."""
    (tmp_path / "mine.toml").write_text('base = "gpt-4o-mini"\nsent_as = "my-mini"\n')
    (tmp_path / "other.toml").write_text(
        'id = "own"\n[limits]\ncontext_window = 1000\nmax_input = 900\nmax_output = 100\n'
        '[prices]\nrows = [{ since = 2026-01-01, input = "1.00", output = "2.00" }]\n'
    )
    catalog = CATALOG.with_models(tmp_path)
    assert catalog.get("mine").sent_as == "my-mini"
    assert catalog.get("own").price(date(2025, 12, 31)) is None
    assert catalog.get("own").price(date(2026, 1, 1)) is not None
    assert CATALOG.with_models(str(tmp_path / "mine.toml")).get("mine") == catalog.get("mine")


def test_versions() -> None:
    """Equal contents have equal versions; another content has another."""
    one, two = (CATALOG.with_models({"mine": OWN}) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one.version == two.version != CATALOG.version
    assert len(CATALOG.version) == 16
    assert CATALOG.with_models({}) is CATALOG
    assert Catalog.load() is CATALOG


def _assign(model: Model) -> None:
    model.pool = "named"  # type: ignore[misc]


def _set(model: Model) -> None:
    model.tools["responses"] = "no"  # type: ignore[index]


def _update(model: Model) -> None:
    model.parameters["responses"].update(stop=None)  # type: ignore[attr-defined]


def _merge(model: Model) -> None:
    tools: Any = model.tools
    tools |= {"responses": "no"}


@pytest.mark.parametrize(
    ("change", "error"),
    [(_assign, FrozenInstanceError), (_set, TypeError), (_update, TypeError), (_merge, TypeError)],
)
def test_nothing_can_be_changed(change: Callable[[Model], None], error: type[Exception]) -> None:
    """Neither a Model nor a mapping in it can be changed."""
    model = CATALOG.get("gpt-5.4")
    with pytest.raises(error):
        change(model)
    assert CATALOG.get("gpt-5.4").tools["responses"] == "yes"


def test_copies_and_pickles() -> None:
    """Catalogs and models survive copying and pickling; the packaged catalog stays one object."""
    own = CATALOG.with_models({"mine": OWN})
    model = own.get("mine")
    assert copy.deepcopy(model) == model == pickle.loads(pickle.dumps(model))
    assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
    assert pickle.loads(pickle.dumps(own)) == own
    assert pickle.loads(pickle.dumps(own)).get("mine") == model
    assert pickle.loads(pickle.dumps(CATALOG)) is CATALOG
    assert copy.deepcopy(own) is copy.copy(own) is own


def test_threads_share_one_model() -> None:
    """Threads that ask for a model at once all get the same object."""
    catalog = Catalog(module.read_root(ROOT))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: catalog.get("gpt-5.6-luna"), range(200)))
    assert len({id(model) for model in found}) == 1


def test_repr() -> None:
    """The repr says how many models there are, and which version."""
    assert repr(CATALOG) == f"Catalog({len(IDS)} models, version {CATALOG.version})"
