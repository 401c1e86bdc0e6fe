"""Pool: the models that a policy lets a call choose among. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from routed_llm.catalog.ended import held_to
from routed_llm.errors import PolicyError
from routed_llm.policy import BASELINE

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog
    from routed_llm.catalog.model import Model
    from routed_llm.facts import RequestFacts
    from routed_llm.policy import Policy

__all__ = ["Pool", "make_pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What may be chosen.

    Attributes:
        models: the models, those that live longest first, then the newest: ties go to the first.
        audio: the models that join when audio is asked for.
        floor: the model that the quality floor refers to, or None without a floor.
        stands_for: id of the retired model in whose place ``floor`` stands, as nothing is published on it; or
            None.
        baseline: the model that the program was written for, or for one from before the catalog the model
            that it is held to.
        incumbent: catalog id of the policy's incumbent, or None.
        send_as: catalog id to the id to send, where the policy names a snapshot of a model.
    """

    models: tuple[Model, ...]
    audio: tuple[Model, ...]
    floor: Model | None
    incumbent: str | None
    send_as: Mapping[str, str]
    baseline: Model
    stands_for: str | None = None

    def models_for(self, facts: RequestFacts) -> tuple[Model, ...]:
        """Return the models that one request may choose among."""
        if "audio" in facts.inputs or "audio" in facts.outputs:
            return self.models + self.audio
        return self.models


def make_pool(catalog: Catalog, policy: Policy, at: date) -> Pool:
    """Work out what a policy lets calls choose among.

    Raises:
        PolicyError: when a pattern matches no model.
        CatalogError: when the policy names a model that the catalog does not know.
    """
    entries = sorted(catalog, key=lambda model: _standing(model, at), reverse=True)
    legacy = None if policy.baseline in catalog else held_to(policy.baseline, catalog.root)
    baseline = catalog.get(policy.baseline if legacy is None else legacy)
    floor = None
    if policy.at_least is not None:
        floor = baseline if policy.at_least == BASELINE else catalog.get(policy.at_least)
    wanted, floor = floor, None if floor is None else _published(floor, catalog, at)
    stands_for = None if wanted is None or wanted is floor else wanted.id
    if legacy is not None and policy.at_least == BASELINE:
        stands_for = policy.baseline
    incumbent = None if policy.incumbent is None else catalog.get(policy.incumbent)
    by_name = (wanted, floor, incumbent) if policy.surface == "chat" else (incumbent,)
    named = {model.id: model for model in by_name if model is not None}
    if policy.models is not None:
        models = _matching(catalog, entries, policy)
        if incumbent is not None and incumbent not in models:
            models = (incumbent, *models)
        audio: tuple[Model, ...] = ()
    else:
        kinds = _kinds(policy)
        # A fine-tune is in nobody's list but its owner's.
        listed = {model.id for model in entries}
        own = [model for name, model in named.items() if name not in listed]
        models = (*own, *(model for model in entries if model.pool in kinds or model.id in named))
        models = tuple(model for model in models if _worth_listing(model, at))
        audio = tuple(model for model in entries if model.pool == "audio") if policy.surface == "chat" else ()
        audio = tuple(model for model in audio if model not in models and _worth_listing(model, at))
    models += tuple(model for model in _matching(catalog, entries, policy, "also") if model not in models)
    models, audio = (tuple(one for one in of if one.weight != 0) for of in (models, audio))
    send_as = {
        catalog.get(name).id: name
        for name in (*(policy.models or ()), *policy.also, policy.incumbent, policy.baseline)
        if name is not None and name in catalog and name in catalog.get(name).snapshots
    }
    return Pool(
        models=models,
        audio=audio,
        floor=floor,
        incumbent=None if incumbent is None else incumbent.id,
        send_as=send_as,
        stands_for=stands_for,
        baseline=baseline,
    )


def _published(floor: Model, catalog: Catalog, at: date) -> Model:
    """Return the model to compare with: a retired one of which nothing is published gives way to another.

    For a fine-tune that is the model it was made from, else the one that is published to be at least as good,
    else the one that the provider names in its place.
    While a model answers it is kept: it can serve the calls itself.
    """
    seen = {floor.id}
    while (
        not (floor.alive(at) and floor.endpoints) and not floor.verdicts and floor.id != catalog.reference.id
    ):
        name = floor.base or floor.lifecycle.held_to or floor.lifecycle.replacement
        if name is None or name in seen or name not in catalog:
            break
        floor = catalog.get(name)
        seen.add(name)
    return floor


def _standing(model: Model, at: date) -> tuple[date, date, str]:
    """Order by how long a model is known to live, then by its age: ties go to the first."""
    life = model.lifecycle
    announced = life.deprecated is None or life.deprecated <= at
    end = life.shutdown if life.shutdown is not None and announced else date.max
    return end, life.released or date.min, model.id


def _kinds(policy: Policy) -> frozenset[str]:
    if policy.surface == "realtime":
        return frozenset({"realtime"})
    return frozenset({"default", "quality"}) if policy.optimize == "quality" else frozenset({"default"})


def _worth_listing(model: Model, at: date) -> bool:
    # A model that is not out yet says nothing to the reader of a decision; a retired one does.
    released = model.lifecycle.released
    return released is None or released <= at


def _matching(
    catalog: Catalog, entries: list[Model], policy: Policy, key: str = "models"
) -> tuple[Model, ...]:
    wanted: dict[str, Model] = {}
    for pattern in getattr(policy, key) or ():
        found = [model for model in entries if _matches(model, pattern)]
        if not found and pattern in catalog:
            found = [catalog.get(pattern)]
        if not found:
            import difflib  # only an error needs it

            ids = [model.id for model in entries]
            near = difflib.get_close_matches(pattern.rstrip("*"), ids, n=3, cutoff=0.4)
            hint = f"The nearest ids are {', '.join(near)}." if near else "`routed models` lists the ids."
            raise PolicyError(f"{key}: the pattern {pattern!r} matches no model. {hint}", key=key)
        wanted.update((model.id, model) for model in found)
    surface = policy.surface == "realtime"
    chosen = tuple(model for model in entries if model.id in wanted) + tuple(
        model for model in wanted.values() if model not in entries
    )
    return tuple(model for model in chosen if ("realtime" in model.endpoints) == surface) or chosen


def _matches(model: Model, pattern: str) -> bool:
    names = (model.id, model.name, model.sent_as, *model.aliases)
    return any(fnmatchcase(name, pattern) for name in names)
