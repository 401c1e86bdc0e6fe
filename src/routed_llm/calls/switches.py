"""Switches: what a team sets from outside a program, by the environment and by files, while it runs.

====================  ===================================================================================
``ROUTED_MODE``       who answers: :data:`routed_llm.rollout.stage.MODES`
``ROUTED_PIN``        the configuration that serves whatever it can, such as ``gpt-5.4-mini@low``
``ROUTED_POLICY``     a TOML file of Policy keywords, and of the switches in a table ``[switches]``
``ROUTED_CATALOG``    a folder (or file) of models, laid over the catalog's, or several in their order;
                      ``packaged`` for the catalog that came with routed-llm, though a newer one is there
``ROUTED_MODELS``     models that the catalog does not have, and what each is like: ``gpt-7=gpt-5.6-luna``
``ROUTED_SHARE`` ...  the other keywords of a rollout; see :func:`routed_llm.rollout.stage.stage_from`
====================  ===================================================================================

What these name wins over what the code says; a variable wins over the table in the file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from routed_llm.catalog.records import CURRENT, PACKAGED, current, is_folder
from routed_llm.errors import CatalogError, PolicyError
from routed_llm.events import INFO, WARNING, emit, emit_once
from routed_llm.measures import read_measures
from routed_llm.policy import EFFORTS, Policy, read_toml
from routed_llm.rollout.stage import Stage, stage_from

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog

__all__ = ["EVERY", "Setting", "Switches"]

EVERY: Final = 0.5
"""Seconds between two looks. What has changed counts once it is the same at two of them, so that neither a
file that is being written nor the first of two variables is taken for the whole."""

_PREFIX: Final = "ROUTED_"
_NAMES: Final = (
    "MODE",
    "PIN",
    "SHARE",
    "KEY",
    "LOG",
    "SAMPLE",
    "KEEP",
    "OBSERVED",
    "MODELS",
    "POLICY",
    "CATALOG",
)
_SWITCHES: Final = frozenset(name.lower() for name in _NAMES if name not in ("MODELS", "POLICY", "CATALOG"))

_Seen = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What holds at one moment.

    Attributes:
        stage: who answers.
        policy: keywords of Policy that win over those of the code.
        catalog: the models there are.
    """

    stage: Stage
    policy: Mapping[str, Any]
    catalog: Catalog


class Switches:
    """Looks at the environment and the files that it names.

    Args:
        catalog: the models that a folder is laid over.
        given: the keywords of :func:`routed_llm.rollout.stage.stage_from` that the code gives.
        check: raises where calls could not be decided under a setting.
        records: a folder of records, laid over the catalog before all else, or None.
        environment: the variables; those of the process when left out.

    Raises:
        PolicyError: when something is wrong at the start, as there is no earlier state to stay with.
        CatalogError: likewise, for the catalog.
    """

    def __init__(
        self,
        catalog: Catalog,
        given: Mapping[str, Any],
        check: Callable[[Setting], object],
        records: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._base, self._records = catalog, records
        self._given = dict(given)
        self._check = check
        self._environment = os.environ if environment is None else environment
        self._lock = threading.Lock()
        self._seen = self._pending = self._state()
        self.setting = self._read()
        self.due = 0.0
        """When to look again, in seconds of a clock that only moves forward."""

    def look(self, now: float, take_up: Callable[[Setting], object]) -> None:
        """Look again, and take up what is new; it is logged once every call that begins is decided by it.

        What is wrong is logged once, with file and key, and the last good state stays.
        """
        if not self._lock.acquire(blocking=False):
            return  # another thread is looking
        try:
            self.due = now + EVERY
            seen = self._state()
            settled, self._pending = seen == self._pending, seen
            if seen == self._seen or not settled:
                return
            self._seen = seen
            try:
                new = self._read()
            except (PolicyError, CatalogError) as error:
                emit(
                    WARNING,
                    "switch_refused",
                    "A switch was not taken up, what held before stays: {error}",
                    loud=True,
                    error=str(error),
                    key=getattr(error, "key", None),
                )
                return
            old, self.setting = self.setting, new
            take_up(new)
            for name, before, after in _differences(old, new):
                emit(
                    INFO,
                    "switch",
                    "{name} is now {after} (before: {before})",
                    name=name,
                    before=before,
                    after=after,
                )
        finally:
            self._lock.release()

    def _state(self) -> _Seen:
        """Return what shows whether anything has changed: variables, and the files' times and sizes."""
        get = self._environment.get
        values = tuple(get(_PREFIX + name) for name in _NAMES)
        paths = (values[-2], *self._layers())
        return (*values, *(stamp for path in paths for stamp in _stamps(path)))

    def _layers(self) -> list[str]:
        """Return the folders and files that are laid over the catalog, in their order."""
        given = (self._environment.get(f"{_PREFIX}CATALOG") or "").split(os.pathsep)
        return [path for path in (self._records or "", *given) if path]

    def _read(self) -> Setting:
        policy, switches = self._policy(self._environment.get(f"{_PREFIX}POLICY"))
        named = {f"{_PREFIX}{name.upper()}": str(value) for name, value in switches.items()}
        catalog = self._laid_over()
        catalog = _with_relatives(catalog, self._environment.get(f"{_PREFIX}MODELS"))
        variables = self._variables()
        if f"{_PREFIX}PIN" in variables:
            named.pop(f"{_PREFIX}MODE", None)  # a pin alone means its mode, and a variable wins
        stage = stage_from({**named, **variables}, **self._given)
        if stage.pin is not None:
            _check_pin(catalog, *stage.pin)
        setting = Setting(stage=stage, policy=policy, catalog=catalog)
        self._check(setting)
        return setting

    def _laid_over(self) -> Catalog:
        layers = self._layers()
        catalog = self._base
        if any(path == PACKAGED or _current(path) == PACKAGED for path in layers):
            from routed_llm.catalog import Catalog

            # A catalog that the code gives is its own: only what is installed is gone back from.
            catalog = Catalog.packaged() if catalog == Catalog.load() else catalog
        for path in layers:
            if path != PACKAGED and (path != self._records or is_folder(path)):
                catalog = catalog.with_models(path)
        return catalog

    def _variables(self) -> dict[str, str]:
        found = ((f"{_PREFIX}{name}", self._environment.get(f"{_PREFIX}{name}")) for name in _NAMES)
        return {name: value for name, value in found if value}

    @staticmethod
    def _policy(path: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read a file's keywords of Policy and its switches."""
        if not path:
            return {}, {}
        data = read_toml(path)
        switches = data.pop("switches", {})
        wrong = sorted(set(switches) - _SWITCHES) if isinstance(switches, dict) else ["switches"]
        if wrong:
            raise PolicyError(
                f"{path}: {wrong[0]!r} is no switch. Valid ones are {', '.join(sorted(_SWITCHES))}.",
                key=wrong[0],
                path=path,
            )
        try:
            if "measures" in data:
                data["measures"] = read_measures(data["measures"], folder=Path(path).parent)
            Policy(**data)
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}", key=error.key, path=path) from error
        return data, switches


def _current(path: str) -> str | None:
    return current(path).name if is_folder(path) else None


def _with_relatives(catalog: Catalog, given: str | None) -> Catalog:
    """Add models that are taken to be like others, until the catalog has facts of their own."""
    entries: dict[str, dict[str, Any]] = {}
    for pair in filter(str.strip, (given or "").split(",")):
        name, _, like = (part.strip() for part in pair.partition("="))
        if not name or not like:
            raise PolicyError(
                f"{_PREFIX}MODELS has {pair.strip()!r}. Give a new model and what it is like, such as "
                "'gpt-7=gpt-5.6-luna'.",
                key="models",
            )
        if name not in catalog:  # a later release knows it, and better
            entries[name] = {"base": catalog.get(like).id}
            text = "{model} is not in the catalog: limits, prices and quality of {like} are taken for its own"
            emit_once(WARNING, "relative", text, name, like, loud=True, model=name, like=like)
    return catalog.with_models(entries)


def _check_pin(catalog: Catalog, name: str, effort: str | None) -> None:
    model = catalog.get(name)
    known = sorted({one for efforts in model.efforts.values() for one in efforts}, key=EFFORTS.index)
    if effort is not None and effort not in known:
        hint = f"It takes {', '.join(known)}." if known else f"{model.id} takes no effort. Name it alone."
        raise PolicyError(f"pin={name}@{effort}: {hint}", key="pin")


def _stamps(path: str | None) -> Iterator[tuple[str, int, int]]:
    """Yield what changes when a file, or the files of a folder, change."""
    if not path:
        return
    try:
        with os.scandir(path) as entries:
            files = sorted(Path(entry) for entry in entries if _counts(entry.name))
    except NotADirectoryError:
        files = [Path(path)]
    except OSError:
        files = []  # reading it says what is wrong
    for file in files:
        with suppress(OSError):
            found = file.stat()
            yield str(file), found.st_mtime_ns, found.st_size


def _counts(name: str) -> bool:
    return name.endswith(".toml") or name == CURRENT


def _differences(before: Setting, after: Setting) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each switch that changed, with what it said before and says now."""
    for name in Stage.__dataclass_fields__:
        old, new = getattr(before.stage, name), getattr(after.stage, name)
        if old != new:
            yield name, _written(old), _written(new)
    for name in sorted({*before.policy, *after.policy}):
        old, new = before.policy.get(name), after.policy.get(name)
        if old != new:
            yield f"policy.{name}", _written(old), _written(new)
    if before.catalog != after.catalog:
        yield "catalog", before.catalog.version, after.catalog.version


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return "@".join(str(one) for one in value if one is not None)
    return "unset" if value is None else str(value)
