"""Catalog: every model there is, by every name it has. Immutable, thread safe, hashable by version."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routed_llm.catalog.build import build, fine_tune, retired, snapshot
from routed_llm.catalog.entry_types import Endpoint
from routed_llm.catalog.frozen import FrozenDict
from routed_llm.catalog.sources import COMPILED, ROOT, made_from
from routed_llm.catalog.vocabulary import did_you_mean, problem

if TYPE_CHECKING:
    from routed_llm.catalog.live import PriceDifference
    from routed_llm.catalog.model import Model

__all__ = ["Catalog"]

_DATED = re.compile(r"(?P<base>.+)-\d{4}-\d{2}-\d{2}")
_lock = threading.Lock()
_packaged: Catalog | None = None
_loaded: Catalog | None = None


class Catalog:
    """The models, their prices, limits, rules, lifecycles and published quality.

    Make one with :meth:`load`, and another from it with :meth:`with_models`; neither ever changes.

    Attributes:
        version: sixteen hexadecimal digits; equal versions mean equal catalogs.
        margins: measure to the difference that counts, negative where lower is better.
        day: the last day on which one of its facts was compared with the source.
        root: the folder of the files that it begins with: the package's, or those of routed-llm-catalog.
        has_homes: whether any model is served at several places.
        searching: how the names begin, in small letters, of the models that search the web at every call.
    """

    __slots__ = (
        "_built",
        "_data",
        "_endpoints",
        "_homes",
        "_names",
        "_specs",
        "day",
        "has_homes",
        "margins",
        "root",
        "searching",
        "version",
    )

    def __init__(
        self, data: Mapping[str, Any], *, specs: Mapping[str, Any] | None = None, root: Path = ROOT
    ) -> None:
        """Take resolved data; use :meth:`load` instead."""
        self._data = data
        self.root = root
        self.day = date.fromisoformat(data["day"])
        self._specs = dict(specs or {})
        self._built: dict[str, Model] = {}
        self.version: str = data["digest"][:16]
        self.margins: Mapping[str, float] = FrozenDict(data["margins"])
        self._endpoints = {name: _endpoint(spec) for name, spec in data["endpoints"].items()}
        self._homes: dict[str, list[str]] = {}
        for name, model in data["models"].items():
            if model.get("is_home"):
                self._homes.setdefault(model["base"], [model["base"]]).append(name)
        self.has_homes = bool(self._homes)
        self._names: dict[str, str] = {}
        for key in ("snapshots", "aliases"):
            for name, model in data["models"].items():
                self._names.update(dict.fromkeys(model[key], name))
        self._names.update({name: name for name in data["models"]})
        for name in list(self._names):
            self._names.setdefault(name.lower(), self._names[name])
        found = [name.lower() for name, model in self._names.items() if _searches(data["models"][model])]
        self.searching = (*found, *(f"ft:{name}" for name in found))

    @classmethod
    def load(cls) -> Catalog:
        """Give the catalog that is installed: the package's, or a newer one of routed-llm-catalog.

        It is read once a process. A routed-llm-catalog that this version cannot read is left, with a warning.

        Raises:
            CatalogError: when the package's own files are damaged.
        """
        global _loaded
        if _loaded is None:
            packaged = cls.packaged()
            with _lock:
                if _loaded is None:
                    from routed_llm.catalog.installed import newer_than

                    found = newer_than(packaged.day)
                    _loaded = packaged if found is None else cls(found[1], root=found[0])
        return _loaded

    @classmethod
    def packaged(cls) -> Catalog:
        """Give the catalog that came with this version of routed-llm, whatever else is installed.

        Raises:
            CatalogError: when the package's own files are damaged.
        """
        global _packaged
        if _packaged is None:
            with _lock:
                if _packaged is None:
                    _packaged = cls(read_root(ROOT))
        return _packaged

    @classmethod
    def from_folder(cls, root: str | Path) -> Catalog:
        """Read a whole catalog, such as the folder of an unpacked routed-llm-catalog.

        Args:
            root: a folder with ``models/``, ``families/``, ``endpoints/`` and the files beside them.

        Raises:
            CatalogError: for the first file that is wrong.
        """
        return cls(read_root(Path(root)), root=Path(root))

    def get(self, name: str) -> Model:
        """Find a model by id, alias, snapshot, dated id or fine-tune id (``ft:<model>:<org>:...``).

        An alias or a listed snapshot gives the model itself. A fine-tune has its base's limits and rules,
        its own prices and no published quality; a dated id that is not listed has its model's facts and a
        note. A name from before the catalog begins (``gpt-4``) gives what its successor can stand for; it is
        not ``in`` the catalog, and no call is sent to it. Case does not matter.

        Raises:
            CatalogError: when nothing has the name.
        """
        found = self.find(name) or _retired(self, name)
        if found is None:
            raise problem(
                None,
                None,
                f"no model is called {name!r}. {_known_of(name, list(self._data['models']))} "
                "For a model of your own, add it with Catalog.with_models.",
            )
        return found

    def find(self, name: str) -> Model | None:
        """Find a model as :meth:`get` does; None where the name is not in the catalog."""
        return self._built.get(name) or self._find(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._built or self._find(name) is not None)

    def __iter__(self) -> Iterator[Model]:
        return (self._model(name) for name in self._data["models"])

    def __len__(self) -> int:
        return len(self._data["models"])

    def alive(self, at: date) -> tuple[Model, ...]:
        """List the models that can be called on a day, whatever their pool."""
        return tuple(model for model in self if model.alive(at))

    def endpoint(self, name: str) -> Endpoint:
        """Give the facts of an endpoint.

        Raises:
            CatalogError: when there is no such endpoint.
        """
        if name not in self._endpoints:
            raise problem(
                None, None, f"no endpoint is called {name!r}. {did_you_mean(name, self._endpoints)}"
            )
        return self._endpoints[name]

    def homes(self, model: str) -> tuple[Model, ...]:
        """List the places where a model is served, the caller's own address first; one for most models.

        Args:
            model: catalog id of the model, or of one of its homes.

        Raises:
            CatalogError: when nothing has the name.
        """
        found = self.get(model)
        return (
            tuple(self._model(name) for name in self._homes[found.name])
            if found.name in self._homes
            else (found,)
        )

    @property
    def resolved(self) -> Mapping[str, Mapping[str, Any]]:
        """Each model's facts as plain data, with what its family and base give."""
        return FrozenDict(self._data["models"])

    @property
    def reference(self) -> Model:
        """The model with which all verdicts compare."""
        return self._model(self._data["reference"])

    def with_models(
        self, models: str | Path | Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]]
    ) -> Catalog:
        """Make a catalog with more models, or with other facts about some.

        Args:
            models: a folder of TOML files or one such file; a folder of records, of which the current one
                counts; or ``{id: entry}``; or entries with an ``id``.
                An entry has the keys of a packaged model's file. One with ``base`` takes over the facts of
                that model; one whose ``id`` the catalog has lays its keys over that model's; any other is a
                model of its own, of the family ``compatible`` unless it names another.

        Raises:
            CatalogError: naming file and key, for the first thing that is wrong.
        """
        if isinstance(models, Mapping) and not models:
            return self  # and nothing is imported that only checks entries
        import hashlib

        from routed_llm.catalog.custom import extend, read_entries

        entries = read_entries(models)
        if not entries:
            return self
        data, specs = extend(self._data, self._specs, entries, self.root)
        before = self._data["models"]
        new = {name: model for name, model in data["models"].items() if model is not before.get(name)}
        total = hashlib.blake2b(digest_size=16)
        total.update(json.dumps([self._data["digest"], new], sort_keys=True).encode())
        made = Catalog({**data, "digest": total.hexdigest()}, specs=specs, root=self.root)
        made._built.update((name, model) for name, model in self._built.copy().items() if name not in new)
        return made

    def with_deployments(self, deployments: Mapping[str, str]) -> tuple[Catalog, list[str]]:
        """Make a catalog in which models are called by the names under which they are deployed, as on Azure.

        Args:
            deployments: deployment to the model that it runs.

        Returns:
            The catalog, and the ids of the deployed models in it.

        Raises:
            CatalogError: when there is no deployment, or one runs a model that the catalog does not know.
        """
        if not deployments:
            from routed_llm.errors import CatalogError

            raise CatalogError("deployments is empty. Map at least one deployment to its model.")
        entries: dict[str, dict[str, Any]] = {}
        for deployment, model in deployments.items():
            name = self.get(model).id
            named: dict[str, Any] = {"sent_as": deployment}
            if deployment not in self:
                # Calls, baselines and answers may name the deployment, too.
                named["aliases"] = [*self.get(model).aliases, deployment]
            if name not in entries:
                entries[name] = named
            else:
                entries[f"{name}@{deployment}"] = {
                    "base": name,
                    **named,
                    "aliases": named.get("aliases", [])[-1:],
                }
        return self.with_models(entries), list(entries)

    def check_prices(self, at: date) -> tuple[PriceDifference, ...]:
        """List the prices of a day on which the catalog and genai-prices do not agree.

        Raises:
            CatalogError: when genai-prices is not installed.
        """
        from routed_llm.catalog.live import differences

        return tuple(differences(self, at))

    def with_live_prices(self, at: date) -> Catalog:
        """Make a catalog whose prices from a day on are those that genai-prices has for that day.

        The prices of the days before stay, and so do those of models that genai-prices does not know.

        Raises:
            CatalogError: when genai-prices is not installed.
        """
        from routed_llm.catalog.live import live_rows

        return self.with_models(live_rows(self, at))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalog) and self._data["digest"] == other._data["digest"]

    def __hash__(self) -> int:
        return hash(self._data["digest"])

    def __repr__(self) -> str:
        return f"Catalog({len(self)} models, version {self.version})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self._data, self._specs, self.root))

    def __copy__(self) -> Catalog:
        return self

    def __deepcopy__(self, memo: Any) -> Catalog:
        return self

    def _model(self, name: str) -> Model:
        found = self._built.get(name)
        if found is None:
            # Two threads may build the same model at once; setdefault lets both have the first.
            found = self._built.setdefault(name, build(self._data["models"][name]))
        return found

    def _find(self, name: str) -> Model | None:
        known = self._names.get(name) or self._names.get(name.lower())
        if known is not None:
            return self._model(known)
        if name.lower().startswith("ft:"):
            base = self._find(name.split(":")[1])
            return (
                None
                if base is None
                else fine_tune(base, name, self._data["models"].get(base.id, {}).get("fine_tuned"))
            )
        dated = _DATED.fullmatch(name.lower())
        known = None if dated is None else self._names.get(dated["base"])
        return None if known is None else snapshot(self._model(known), name, listed=False)


def _searches(model: Mapping[str, Any]) -> bool:
    return "web_search_options" in model["builtin_tools"]


def _retired(catalog: Catalog, name: str) -> Model | None:
    """Return a model that stopped before the catalog begins, by its id or a dated one; or None."""
    from routed_llm.catalog.ended import ended  # only what the catalog does not know needs it

    dated = _DATED.fullmatch(name.lower())
    known = ended(catalog.root)
    gone = known.get(name.lower()) or (known.get(dated["base"]) if dated is not None else None)
    if gone is None or gone.replacement not in catalog:
        return None
    return retired(catalog.get(gone.replacement), name.lower(), gone.shutdown)


def _restore(data: Mapping[str, Any], specs: Mapping[str, Any], root: Path) -> Catalog:
    loaded = Catalog.load()
    if loaded._data["digest"] == data["digest"]:
        return loaded
    return Catalog(data, specs=specs, root=root if root.is_dir() else ROOT)


def read_root(root: Path) -> Mapping[str, Any]:
    """Read ``compiled.json`` if it fits the files it was made from; else make it again."""
    try:
        kept = json.loads((root / COMPILED).read_bytes())
        data: dict[str, Any] = kept["catalog"] if kept["made_from"] == made_from(root) else {}
    except (OSError, ValueError, LookupError, TypeError):
        data = {}
    if data:
        return data
    from routed_llm.catalog.compile import write_compiled  # parses and validates: half a second

    return write_compiled(root)


def _endpoint(spec: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        name=spec["name"],
        inputs=frozenset(spec["inputs"]),
        tool_inputs=frozenset(spec["tool_inputs"]),
        absent=frozenset(spec["absent"]),
        own=frozenset(spec.get("own_parameters", ())),
        names=FrozenDict(spec.get("names", {})),
        without_efforts=frozenset(spec["without_efforts"]),
        builtin_tools=spec["builtin_tools"],
        min_output=spec.get("min_output", 1),
        source=spec["source"],
        verified=date.fromisoformat(spec["verified"]),
    )


def _known_of(name: str, known: list[str]) -> str:
    import difflib

    from routed_llm.catalog.ended import ended  # only an error needs it

    bare = name.lower().rpartition("/")[2]
    if bare != name.lower() and (bare in known or bare in ended()):
        return f"Leave the provider out and name {bare!r}."
    near = difflib.get_close_matches(bare, known, n=3, cutoff=0.4)
    return f"The nearest ids are {', '.join(near)}." if near else "`routed models` lists the ids."
