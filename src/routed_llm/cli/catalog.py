"""`routed catalog`: how old the facts are, what changes, what others say, and the way back."""

from __future__ import annotations

import argparse
import atexit
import shutil
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from routed_llm.catalog import Catalog
from routed_llm.catalog.differences import differences
from routed_llm.catalog.installed import ABOUT, PACKAGE, about, find
from routed_llm.catalog.records import NONE, PACKAGED, current, is_folder, names, read, set_current
from routed_llm.cli.errors import CommandError
from routed_llm.cli.screen import money, print_json, working
from routed_llm.errors import CatalogError

__all__ = ["arguments", "run"]

STALE: Final = timedelta(days=45)
SOON: Final = timedelta(days=60)
INSTALLED: Final = "installed"

DIFFERENT = 1
"""Exit code of `check` where something is to be looked at."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's own subcommands and arguments."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = commands.add_parser("status", help="what is used, and how old its facts are, by source")
    status.add_argument("folder", nargs="?", metavar="FOLDER", help="a folder of records, laid over it")
    diff = commands.add_parser("diff", help="what changes from one catalog to another")
    what = "packaged, installed, a wheel or its folder, a folder or file of models, or FOLDER:RECORD"
    diff.add_argument("before", metavar="A", help=what)
    diff.add_argument("after", metavar="B", help="likewise")
    diff.add_argument("--log", metavar="FILE", help="a decision log: which of its decisions would be others")
    diff.add_argument("--policy", metavar="FILE", help="decide by this policy; each call's own if left out")
    check = commands.add_parser("check", help="what genai-prices, litellm and the account say otherwise")
    check.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="with --live: put what is new on record here"
    )
    check.add_argument("--live", action="store_true", help="read the account's models and prices of now")
    check.add_argument(
        "--url", metavar="URL", help="the account's address (default: OPENAI_BASE_URL or OpenAI's)"
    )
    check.add_argument("--prices-url", metavar="URL", help="where genai-prices' data is read")
    check.add_argument("--no-prices", action="store_true", help="with --live: read no prices")
    check.add_argument("--apply", action="store_true", help="let it count although somebody has gone back")
    back = commands.add_parser("rollback", help="go back to an earlier record, or to what is packaged")
    back.add_argument("folder", metavar="FOLDER", help="the folder of records")
    back.add_argument(
        "--to", metavar="RECORD", help=f"a record, {NONE} or {PACKAGED}; the one before if left out"
    )
    for one in (status, diff, check, back):
        one.add_argument(
            "--at", type=_day, metavar="DATE", help="the day to look at it from (default: today)"
        )
        one.add_argument("--json", action="store_true", help="print JSON for programs")


def run(asked: argparse.Namespace) -> int:
    """Do what is asked."""
    return {"status": _status, "diff": _diff, "check": _check, "rollback": _rollback}[asked.action](asked)


def _status(asked: argparse.Namespace) -> int:
    at = asked.at or _today()
    packaged, used, wheel = Catalog.packaged(), Catalog.load(), find()
    catalog = used if asked.folder is None else _opened(asked.folder)
    ages = _ages(catalog, at)
    ending = [
        {
            "model": model.id,
            "shutdown": str(model.lifecycle.shutdown),
            "replacement": model.lifecycle.replacement,
        }
        for model in sorted(catalog.alive(at), key=lambda one: str(one.lifecycle.shutdown))
        if model.lifecycle.shutdown is not None and model.lifecycle.shutdown - at <= SOON
    ]
    data: dict[str, Any] = {
        "at": str(at),
        "packaged": {"day": str(packaged.day), "version": packaged.version},
        "wheel": None
        if wheel is None
        else {"day": None if wheel.day is None else str(wheel.day), "problem": wheel.problem},
        "used": {
            "from": "packaged" if used == packaged else "routed-llm-catalog",
            "day": str(used.day),
            "version": used.version,
            "models": len(used),
        },
        "sources": ages,
        "ending": ending,
    }
    if asked.folder is not None:
        which = current(asked.folder)
        data["record"] = {"name": which.name, "held": which.held, "records": len(names(asked.folder))}
        data["record"]["version"] = catalog.version
    if asked.json:
        print_json(data)
        return 0
    _say(_status_lines(data, at))
    return 0


def _status_lines(data: dict[str, Any], at: date) -> Iterator[str]:
    used, wheel = data["used"], data["wheel"]
    version = f"{used['models']} models, version {used['version']}"
    yield f"used: {used['from']}, facts up to {used['day']}, {version}"
    yield f"packaged: facts up to {data['packaged']['day']}"
    if wheel is None:
        yield "routed-llm-catalog: not installed. For newer facts: pip install routed-llm-catalog"
    elif wheel["problem"]:
        yield f"routed-llm-catalog of {wheel['day']}: not used, {wheel['problem']}"
    else:
        yield f"routed-llm-catalog: facts up to {wheel['day']}"
    if "record" in data:
        record = data["record"]
        held = (
            ", and newer ones do not count until `routed catalog check --live --apply`"
            if record["held"]
            else ""
        )
        yield f"record: {record['name']} of {record['records']}{held}"
    yield ""
    yield "source, facts, oldest and newest day on which they were compared with it:"
    for row in data["sources"]:
        old = f"  ! {row['old']} older than {STALE.days} days" if row["old"] else ""
        yield f"  {row['source']}: {row['facts']}, {row['oldest']} to {row['newest']}{old}"
    if data["ending"]:
        yield ""
        yield f"ending within {SOON.days} days of {at}:"
        for row in data["ending"]:
            yield f"  {row['shutdown']} {row['model']}, the provider names {row['replacement'] or 'nothing'}"


def _ages(catalog: Catalog, at: date) -> list[dict[str, Any]]:
    """Group the facts of living models by source."""
    found: dict[str, list[date]] = defaultdict(list)
    for model in catalog.alive(at):
        for part in (model.limits, model.lifecycle, model.speed, *model.prices):
            if part is not None and part.verified is not None:
                for source in {_bare(one) for one in part.source.split(";")}:
                    found[source].append(part.verified)
    return [
        {
            "source": source,
            "facts": len(days),
            "oldest": str(min(days)),
            "newest": str(max(days)),
            "old": sum(at - day > STALE for day in days),
        }
        for source, days in sorted(found.items(), key=lambda item: (min(item[1]), item[0]))
    ]


def _bare(source: str) -> str:
    """Return a source without what it was asked about: the page of one model is a page."""
    bare = source.partition("(")[0].partition(",")[0].strip()
    return bare.partition(":")[0] if bare.startswith("openai-page") else bare


def _diff(asked: argparse.Namespace) -> int:
    before, after = _opened(asked.before), _opened(asked.after)
    rows = list(differences(before, after))
    found = None
    if asked.log is not None:
        from routed_llm.policy import Policy
        from routed_llm.replay import changed  # needs pydantic: for those who ask

        policy = None if asked.policy is None else Policy.from_toml(asked.policy)
        found = changed(asked.log, before, after, policy=policy, at=asked.at)
    if asked.json:
        data: dict[str, Any] = {
            "before": {"version": before.version, "day": str(before.day)},
            "after": {"version": after.version, "day": str(after.day)},
            "differences": [row._asdict() for row in rows],
        }
        if found is not None:
            data["decisions"] = {
                "calls": found.calls,
                "changed": found.number,
                "without_facts": found.without_facts,
                "before": str(found.before),
                "after": str(found.after),
                "moves": [
                    {"before": first, "after": second, "calls": calls}
                    for (first, second), calls in found.moves.most_common()
                ],
            }
        print_json(data)
        return 0
    _say(map(str, rows))
    _say([f"{len(rows)} facts differ between {before.version} and {after.version}."])
    if found is not None:
        _say(
            f"  {first} -> {second}: {calls:,} calls" for (first, second), calls in found.moves.most_common()
        )
        _say(
            [
                f"{found.number:,} of {found.calls:,} decisions would be others; all are expected to cost "
                f"{money(found.after)} instead of {money(found.before)}."
            ]
        )
        if found.without_facts:
            _say(
                [f"{found.without_facts:,} calls were noted by an older version and cannot be decided again."]
            )
    return 0


def _check(asked: argparse.Namespace) -> int:
    from routed_llm.catalog import others

    at = asked.at or _today()
    catalog = Catalog.load()
    data: dict[str, Any] = {"at": str(at), "publishers": {}, "live": None}
    mine, known = others.from_catalog(catalog, at), others.explanations(catalog.root)
    news = 0
    for name, reader in others.PUBLISHERS.items():
        theirs = reader(catalog, at)
        if theirs is None:
            data["publishers"][name] = None
            continue
        found = others.report(others.compare(name, theirs, mine), known, {name})
        news += len(found.unexplained)
        data["publishers"][name] = {
            "facts": len(theirs),
            "explained": len(found.explained),
            "new": [str(one) for one in found.unexplained],
        }
    if asked.live:
        with working("Asking the provider"):
            data["live"] = _live(asked, catalog)
        news += len(data["live"]["changes"]) + len(data["live"]["notes"])
    if asked.json:
        print_json(data)
    else:
        _say(_check_lines(data))
    return DIFFERENT if news else 0


def _check_lines(data: dict[str, Any]) -> Iterator[str]:
    for name, found in data["publishers"].items():
        if found is None:
            yield f"{name}: not installed"
            continue
        known, new = found["explained"], len(found["new"])
        yield f"{name}: {found['facts']} facts, {known} known differences, {new} new"
        yield from (f"  {line}" for line in found["new"])
    if data["live"] is not None:
        live = data["live"]
        yield f"live: {len(live['changes'])} changes"
        yield from (f"  {line}" for line in (*live["changes"], *live["notes"]))
        if live["record"]:
            yield f"  on record as {live['record']}" + (
                "" if live["counts"] else ", which does not count: --apply"
            )


def _live(asked: argparse.Namespace, catalog: Catalog) -> dict[str, Any]:
    from routed_llm.calls.refresh import Refresh

    folder = asked.folder
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        refresh = Refresh(
            folder,
            base_url=asked.url,
            prices=not asked.no_prices,
            prices_url=asked.prices_url,
            clock=None if asked.at is None else lambda: datetime.combine(asked.at, _now().timetz()),
        )
        try:
            seen = refresh.once(catalog, release=asked.apply)
        except OSError as error:
            raise CommandError(
                f"{folder} cannot be written ({error.strerror}). Name another folder."
            ) from None
        which = current(folder)
        last = (names(folder) or [NONE])[-1]
    return {
        "changes": list(seen.changes),
        "notes": list(seen.notes),
        "record": None if asked.folder is None else last,
        "counts": which.name == last,
    }


def _rollback(asked: argparse.Namespace) -> int:
    folder = asked.folder
    if not Path(folder).is_dir() or not (is_folder(folder) or names(folder)):
        raise CommandError(f"{folder} holds no records. `routed catalog check --live {folder}` makes one.")
    known = [NONE, PACKAGED, *names(folder)]
    target = asked.to or _before(folder)
    if target not in known:
        raise CommandError(f"{folder} has no record {target!r}. It has {', '.join(known)}.")
    try:
        set_current(folder, target, held=True)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written ({error.strerror}). Check its owner.") from None
    if asked.json:
        print_json({"record": target, "held": True})
    else:
        _say(
            [
                f"{target} counts from now on, in every program that uses {folder}. Newer records do not "
                f"count until `routed catalog check --live {folder} --apply`."
            ]
        )
    return 0


def _before(folder: str) -> str:
    """Return what counted before what counts now; where that cannot be read, the last record that can be."""
    with suppress(CatalogError):
        name = current(folder).name
        return NONE if name in (NONE, PACKAGED) else str(read(folder, name).get("before", NONE))
    for name in reversed(names(folder)):
        with suppress(CatalogError):
            read(folder, name)
            return name
    return NONE


def _opened(name: str) -> Catalog:
    """Return the catalog that a word of the command line means.

    Raises:
        CommandError: when it means none.
    """
    if name in (PACKAGED, INSTALLED):
        return Catalog.packaged() if name == PACKAGED else Catalog.load()
    path = Path(name)
    if name.endswith(".whl") and path.is_file():
        return _of_wheel(path)
    folder, _, record = name.rpartition(":")
    if record and is_folder(folder):
        return Catalog.load().with_models(read(folder, record)["entries"])
    root = path / PACKAGE if (path / PACKAGE / ABOUT).is_file() else path
    if (root / ABOUT).is_file() or (root / "families").is_dir():
        return _whole(root)
    base = Catalog.packaged() if is_folder(path) and current(path).name == PACKAGED else Catalog.load()
    return base.with_models(path)


def _whole(root: Path) -> Catalog:
    problem = about(root).problem if (root / ABOUT).is_file() else None
    if problem is not None:
        raise CommandError(f"{root}: {problem}")
    return Catalog.from_folder(root)


def _of_wheel(path: Path) -> Catalog:
    folder = Path(tempfile.mkdtemp(prefix="routed-catalog-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # its files are read for as long as it is used
    try:
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(folder)  # zipfile keeps names inside the folder
    except (zipfile.BadZipFile, OSError) as error:
        raise CommandError(f"{path} is not a wheel ({error}). Download it again.") from None
    if not (folder / PACKAGE).is_dir():
        raise CommandError(f"{path} is not a wheel of routed-llm-catalog. Name one.")
    return _whole(folder / PACKAGE)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _now() -> datetime:
    return datetime.now(UTC)


def _today() -> date:
    return _now().date()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-22") from None
