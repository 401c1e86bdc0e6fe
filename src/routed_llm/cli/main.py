"""The parser of `routed` and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import Any, NoReturn

from routed_llm.cli.visible import visible
from routed_llm.errors import RoutedError

__all__ = ["main"]

NOTHING_FITS = 1
BAD_INPUT = 2
INTERRUPTED = 130

_FULL = (errno.ENOSPC, errno.EDQUOT)
_EPILOG = "exit codes: 0 done, 1 nothing fits (explain) or a routed request failed (demo), 2 bad input"


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line, as all others of this command are."""

    def error(self, message: str) -> NoReturn:
        text = message[:1].upper() + message[1:]
        self.exit(BAD_INPUT, f"{self.prog}: {text.rstrip('.')}. Run `{self.prog} --help`.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `routed` and return its exit code.

    Args:
        arguments: the words after the command's name; those of the process when left out.

    Raises:
        SystemExit: for `--help`, `--version` and arguments that do not parse.
    """
    with visible():
        words = sys.argv[1:] if arguments is None else arguments
        return _run(_parser(words).parse_args(words))


def _run(asked: argparse.Namespace) -> int:
    try:
        # A command's module is imported when it is run: none of them pays for another one's imports.
        run: Callable[[argparse.Namespace], int] = import_module(f"routed_llm.cli.{asked.command}").run
        return run(asked)
    except RoutedError as error:
        print(f"routed {asked.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has seen enough. What is still buffered must go nowhere at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("ROUTED_DEBUG"):
            raise
        is_full = isinstance(error, OSError) and error.errno in _FULL
        print(f"routed {asked.command}: {(_full if is_full else _unforeseen)(error)}", file=sys.stderr)
        return BAD_INPUT


def _full(error: Any) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}. Make room, or write elsewhere."


def _unforeseen(error: Exception) -> str:
    """Tell an error that nobody thought of: what, where, and how to see more."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" in {trace.tb_frame.f_globals.get('__name__')}, line {trace.tb_lineno}"
    said = " ".join(str(error)[:300].split())
    return (
        f"this input was not foreseen: {type(error).__name__}{where}: {said}. Correct the input if you see "
        "what is wrong with it; else report this, with what ROUTED_DEBUG=1 shows."
    )


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; only the command that is named has its arguments, whose modules take time."""
    parser = _Parser(prog="routed", description="Which OpenAI model serves a call, and why.", epilog=_EPILOG)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, text, arguments in (
        ("models", "list the models, their limits, prices and shutdown dates", _models),
        ("catalog", "how old the facts are, what changes, what others say, and the way back", _catalog),
        ("explain", "say which model would serve a request in a file, and why", _explain),
        ("simulate", "run a simulated OpenAI API on this machine", _simulate),
        ("migrate", "find what names a model that stops, and rewrite it", _migrate),
        ("compare", "send examples of yours to models and say who is as good", _compare),
        ("report", "add up a decision log: calls, models, dollars against the baseline", _report),
        ("demo", "send every kind of request to a simulated OpenAI API, beside plain gpt-4o", _demo),
        ("spend", "say what has been spent, by scope, model, day", _spend),
        ("serve", "serve OpenAI's endpoints, routed, to programs in any language", _serve),
        ("keys", "manage the keys of `routed serve`", _keys),
        ("batch", "send a file of requests that may wait, each at the least price in time", _batch),
    ):
        said = f"{text[:1].upper()}{text[1:]}."
        command = commands.add_parser(name, help=text, description=said, epilog=_EPILOG)
        if name in words:
            arguments(command)
    return parser


def _models(parser: argparse.ArgumentParser) -> None:
    _at(parser)
    _json(parser)
    parser.add_argument("--all", action="store_true", help="also list retired and unreleased models")


def _catalog(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.catalog import arguments

    arguments(parser)


def _explain(parser: argparse.ArgumentParser) -> None:
    from routed_llm.policy import OPTIMIZE

    parser.add_argument(
        "file", metavar="FILE", help="the JSON body of a Chat Completions or Responses call; - reads stdin"
    )
    parser.add_argument("--url", metavar="URL", help="ask a running `routed serve` (its key: OPENAI_API_KEY)")
    parser.add_argument("--policy", metavar="FILE", help="a policy in TOML")
    parser.add_argument("--baseline", metavar="MODEL", help="the quality floor; the body's model if left out")
    parser.add_argument("--optimize", choices=OPTIMIZE, help="what to optimize")
    parser.add_argument(
        "--max-cost", type=_dollars, metavar="DOLLARS", help="the most that this call may be expected to cost"
    )
    _at(parser)
    _json(parser)
    parser.add_argument("--all", action="store_true", help="name the measures, and list every configuration")
    parser.add_argument(
        "--exact", action="store_true", help="count long texts, too, though the choice need not know"
    )


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=8000, help="0 picks a free one (default: 8000)")
    _at(parser, "the day to simulate, which says what models are served (default: today)")
    parser.add_argument("--key", help="the only API key accepted (default: any)")


def _demo(parser: argparse.ArgumentParser) -> None:
    _at(parser, "the day to send them on (default: 2026-11-22, when gpt-4o is still served)")
    _json(parser)
    parser.add_argument("--why", action="store_true", help="say why below each case, and what was refused")


def _migrate(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.migrate import arguments

    arguments(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.report import arguments

    arguments(parser)


def _spend(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.spend import arguments

    arguments(parser)


def _serve(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.serve import arguments

    arguments(parser)


def _keys(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.keys import arguments

    arguments(parser)


def _batch(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.batch import arguments

    arguments(parser)


def _compare(parser: argparse.ArgumentParser) -> None:
    from routed_llm.cli.compare import arguments

    arguments(parser)
    _at(parser)


def _at(parser: argparse.ArgumentParser, text: str = "the day to decide for (default: today)") -> None:
    parser.add_argument("--at", type=_day, metavar="DATE", help=text)


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-22") from None


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if amount.is_finite() and amount >= 0:
        return amount
    raise argparse.ArgumentTypeError(f"{text!r} is not an amount of US dollars such as 0.05")


class _Version(argparse.Action):
    """Prints the version without importing the package for every other use."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from routed_llm import __version__

        print(f"routed-llm {__version__}")
        parser.exit(0)
