"""Read, validate and resolve the TOML files; what comes out is kept in ``compiled.json``.

Parsing and validating takes a good part of a second, reading what is kept takes milliseconds. Nobody has to
do anything for it: :meth:`Catalog.load` makes the file again whenever a TOML file (or the code here) has
changed, and a wheel brings it along. It is no source, so it is not committed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from routed_llm.catalog.entry import (
    EndpointEntry,
    FamilyEntry,
    FeesEntry,
    FramingsEntry,
    ImagesEntry,
    MeasuresEntry,
    ModelEntry,
    QualityOrderEntry,
)
from routed_llm.catalog.resolve import Context, Spec, resolve
from routed_llm.catalog.sources import COMPILED, ROOT, digest, made_from, newest, read_toml
from routed_llm.catalog.validate import validate
from routed_llm.catalog.vocabulary import PLAIN, did_you_mean, parse_evidence, problem

__all__ = ["compile_catalog", "load_context", "load_spec", "write_compiled"]

# Which model the verdicts compare with; gpt-4o, because that is what programs to be routed were written for.
REFERENCE = "gpt-4o"


def compile_catalog(root: Path = ROOT) -> dict[str, Any]:
    """Read, validate and resolve every file below a catalog's root.

    Raises:
        CatalogError: for the first file that is wrong.
    """
    measures = _read(MeasuresEntry, root, "measures.toml")["measures"]
    context = load_context(root)
    specs = {path.stem: load_spec(path.stem, root) for path in sorted((root / "models").glob("*.toml"))}
    models = {name: resolve(spec, context, f"models/{name}.toml") for name, spec in specs.items()}
    known = {measure["name"]: measure["dimension"] for measure in measures}
    for name, model in models.items():
        _check_measures(model, known, f"models/{name}.toml")
    _check_names(models)
    _check_compared(models, known)
    _check_ranks(context.ranks, models)
    return {
        "digest": digest(root),
        "day": newest(root).isoformat(),
        "reference": REFERENCE,
        "endpoints": {
            name: {k: v for k, v in spec.items() if k != "parameters"}
            for name, spec in context.endpoints.items()
        },
        "margins": {
            measure["name"]: measure["margin"] * (1 if measure.get("higher_is_better", True) else -1)
            for measure in measures
        },
        "models": models,
    }


def write_compiled(root: Path = ROOT) -> dict[str, Any]:
    """Compile the files below a root and keep the outcome beside them, where that folder can be written.

    Raises:
        CatalogError: for the first file that is wrong.
    """
    made = {"made_from": made_from(root), "catalog": compile_catalog(root)}
    text = json.dumps(made, separators=(",", ":"), sort_keys=True)
    # Put in place as a whole: other processes may be reading, or making the same file.
    path = root / f"{COMPILED}.{os.getpid()}"
    try:
        path.write_text(text, encoding="utf-8")
        path.replace(root / COMPILED)
    except OSError:
        path.unlink(missing_ok=True)  # an installation that may not be written: it is compiled each time
    catalog: dict[str, Any] = json.loads(text)["catalog"]
    return catalog


def load_context(root: Path = ROOT) -> Context:
    """Read the files that models share."""
    order = _read(QualityOrderEntry, root, "quality_order.toml")["order"]
    ranks: dict[str, dict[str, int]] = {}
    for place, name in enumerate(order, start=1):
        model, _, effort = name.partition("@")
        ranks.setdefault(model, {})[effort or PLAIN] = place * 10
    return Context(
        endpoints=_folder(EndpointEntry, root, "endpoints"),
        families=_folder(FamilyEntry, root, "families"),
        framings=_read(FramingsEntry, root, "framing.toml")["rules"],
        fees=_read(FeesEntry, root, "fees.toml")["tools"],
        images=_read(ImagesEntry, root, "images.toml")["rules"],
        ranks=ranks,
    )


def load_spec(name: str, root: Path = ROOT) -> Spec:
    """Read one model's file as validated plain data."""
    shown = f"models/{name}.toml"
    spec = _read(ModelEntry, root, shown)
    if spec["id"] != name:
        raise problem(shown, "id", f"{spec['id']!r} is not the file's name. Rename one of them.")
    return spec


def to_spec(kind: type[BaseModel], data: Mapping[str, Any], path: str | None) -> Spec:
    """Validate a mapping and give it back as plain, JSON-able data: only what was said in it."""
    return validate(kind, data, path).model_dump(mode="json", exclude_unset=True)


def _read(kind: type[BaseModel], root: Path, name: str) -> Spec:
    return to_spec(kind, read_toml(root / name, name), name)


def _folder(kind: type[BaseModel], root: Path, folder: str) -> dict[str, Spec]:
    found = {}
    for path in sorted((root / folder).glob("*.toml")):
        shown = f"{folder}/{path.name}"
        spec = _read(kind, root, shown)
        if spec["name"] != path.stem:
            raise problem(shown, "name", f"{spec['name']!r} is not the file's name. Rename one of them.")
        found[path.stem] = spec
    return found


def _check_measures(model: Spec, known: Mapping[str, str], path: str) -> None:
    for row, table in model["verdicts"].items():
        for dimension, (_, on) in table.items():
            for index, text in enumerate(on):
                name = parse_evidence(text)[1]
                if known.get(name) != dimension:
                    same = [measure for measure, of in known.items() if of == dimension]
                    raise problem(
                        path,
                        f"verdicts.{row}.{dimension}.on[{index}]",
                        f"measures.toml has no measure {name!r} of {dimension}. {did_you_mean(name, same)}",
                    )


def _check_names(models: Mapping[str, Spec]) -> None:
    owner: dict[str, str] = {}
    for name, model in models.items():
        for key in ("aliases", "snapshots"):
            for other in model[key]:
                if other in models or other in owner:
                    raise problem(
                        f"models/{name}.toml",
                        key,
                        f"{other!r} is already a name of {owner.get(other, other)!r}. Remove one of them.",
                    )
                owner[other] = name


def _check_compared(models: Mapping[str, Spec], known: Mapping[str, str]) -> None:
    for name, model in models.items():
        for index, row in enumerate(model["compared"]):
            where = f"compared[{index}]"
            if known.get(row["measure"]) != row["dimension"]:
                what = f"measures.toml has no measure {row['measure']!r} of {row['dimension']}. Add it there."
                raise problem(f"models/{name}.toml", f"{where}.measure", what)
            for other in (*row.get("above", ()), *row.get("tie", ()), *row.get("below", ())):
                if other.partition("@")[0] not in models:
                    raise problem(f"models/{name}.toml", where, f"no model is called {other!r}. Correct it.")


def _check_ranks(ranks: Mapping[str, Mapping[str, int]], models: Mapping[str, Spec]) -> None:
    for name in ranks:
        if name not in models:
            raise problem(
                "quality_order.toml", "order", f"no model is called {name!r}. {did_you_mean(name, models)}"
            )
