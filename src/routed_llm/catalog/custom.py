"""Models of the user's own: entries from files or code, laid over what the catalog has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from routed_llm.catalog.compile import load_context, load_spec, to_spec
from routed_llm.catalog.entry import ModelEntry
from routed_llm.catalog.records import NONE, PACKAGED, current, is_folder, read
from routed_llm.catalog.resolve import HOME, Spec, inherit, overlay, resolve
from routed_llm.catalog.sources import ROOT, read_toml
from routed_llm.catalog.vocabulary import did_you_mean, problem

__all__ = ["extend", "read_entries"]

Named = tuple[str | None, Spec]


def read_entries(
    models: str | Path | Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]],
) -> list[Named]:
    """Validate entries wherever they come from, as pairs of the file (None for code) and the plain spec.

    Raises:
        CatalogError: for the first entry that is wrong.
    """
    if isinstance(models, (str, Path)):
        path = Path(models)
        if is_folder(path):
            name = current(path).name
            models = {} if name in (NONE, PACKAGED) else read(path, name)["entries"]
            return [
                (f"{path / name}.json", to_spec(ModelEntry, {"id": id, **entry}, f"{path / name}.json"))
                for id, entry in models.items()
            ]
        if not path.exists():
            raise problem(str(path), None, "there is no such file or folder. Check the path.")
        paths = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not paths:
            raise problem(str(path), None, "holds no .toml file. Put one file per model there.")
        return [
            (str(file), to_spec(ModelEntry, {"id": file.stem, **read_toml(file)}, str(file)))
            for file in paths
        ]
    if isinstance(models, Mapping):
        models = [{"id": name, **entry} for name, entry in models.items()]
    entries: list[Named] = []
    for entry in models:
        if not isinstance(entry, Mapping):
            raise problem(
                None, None, f"{entry!r} is not an entry. Give mappings with the keys of a model's file."
            )
        entries.append((None, to_spec(ModelEntry, entry, None)))
    return entries


def extend(
    data: Mapping[str, Any], specs: Mapping[str, Spec], entries: list[Named], root: Path = ROOT
) -> tuple[dict[str, Any], dict[str, Spec]]:
    """Lay entries over a catalog's resolved data.

    Args:
        data: the catalog's resolved data.
        specs: the unresolved specs of models that earlier calls added or changed.
        entries: what :func:`read_entries` gave.
        root: the folder of the catalog's files.

    Returns:
        The new data and specs.

    Raises:
        CatalogError: when a base is unknown, a name is taken or the parts contradict each other.
    """
    context = load_context(root)
    models, own = dict(data["models"]), dict(specs)
    for path, entry in _with_homes(entries):
        name, base = entry["id"], entry.get("base")
        where = path if path is not None else f"models[{name!r}]"
        if base is not None and base != name:
            spec = inherit(_at_home(_spec_of(base, models, own, where, root), entry), entry)
        elif name in models:
            spec = overlay(
                _spec_of(name, models, own, where, root), {k: v for k, v in entry.items() if k != "base"}
            )
        else:
            spec = dict(entry)
        resolved = resolve(spec, context, where)
        _check_free(resolved, models, where)
        models[name], own[name] = resolved, spec
    return {**data, "models": models}, own


def _with_homes(entries: Iterable[Named]) -> Iterator[Named]:
    """Give each home of a model an entry of its own, based on the model: ``gpt-4.1@azure-eu``.

    A home without an address is the model itself, at the caller's own.
    """
    for path, entry in entries:
        homes = entry.get("homes") or {}
        own = [home for home in homes.values() if "base_url" not in home]
        bare = {key: value for key, value in entry.items() if key != "homes"}
        yield path, {**bare, **{key: value for home in own for key, value in home.items()}}
        for name, home in homes.items():
            if "base_url" in home:
                sent = {"sent_as": bare.get("sent_as", entry["id"])}
                yield path, {**sent, **home, "id": f"{entry['id']}@{name}", "base": entry["id"], HOME: True}


def _at_home(spec: Spec, entry: Spec) -> Spec:
    """Leave out of what a home takes over what only the model's own address sells."""
    if entry.get(HOME) and "prices" not in entry and "prices" in spec:
        rows = [row for row in spec["prices"]["rows"] if row.get("tier", "standard") == "standard"]
        return {**spec, "prices": {**spec["prices"], "rows": rows}}
    return spec


def _spec_of(name: str, models: Mapping[str, Spec], own: Mapping[str, Spec], path: str, root: Path) -> Spec:
    if name in own:
        return own[name]
    if (root / "models" / f"{name}.toml").is_file() and name in models:
        return load_spec(name, root)
    raise problem(path, "base", f"no model is called {name!r}. {did_you_mean(name, models)}")


def _check_free(model: Spec, models: Mapping[str, Spec], path: str) -> None:
    """Refuse a name that another model has."""
    for other, data in models.items():
        if other == model["id"]:
            continue
        taken = {other, *data["aliases"], *data["snapshots"]}
        for key in ("id", "aliases", "snapshots"):
            for name in [model["id"]] if key == "id" else model[key]:
                if name in taken:
                    raise problem(path, key, f"{name!r} is already a name of {other!r}. Choose another.")
