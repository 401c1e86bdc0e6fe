"""The closed sets of words that catalog files may use, and the error for everything else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from routed_llm.errors import CatalogError

__all__ = [
    "ACCEPTS",
    "DIMENSIONS",
    "EFFORTS",
    "ENDPOINTS",
    "INPUTS",
    "OUTPUTS",
    "PLAIN",
    "POOLS",
    "SIGNS",
    "TIERS",
    "VERDICTS",
    "did_you_mean",
    "parse_evidence",
    "problem",
    "verdict_of",
]

ENDPOINTS = ("chat_completions", "responses", "realtime")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# In files, the row of a model without reasoning efforts; "" in the Model.
PLAIN = "plain"
TIERS = ("standard", "batch", "flex", "priority", "ultrafast", "background_2h", "background_8h")
POOLS = ("default", "audio", "quality", "realtime", "named")
INPUTS = ("text", "image", "audio", "pdf", "file")
OUTPUTS = ("text", "audio")
ACCEPTS = ("yes", "no", "effort_none")
VERDICTS = ("above", "above (inferred)", "tie", "mixed", "below")
SIGNS = ("+", "=", "-", "(+)")
DIMENSIONS = (
    "overall",
    "science",
    "maths",
    "coding",
    "instructions",
    "tools",
    "knowledge",
    "multilingual",
    "restraint",
    "faithful_summary",
    "vision",
    "long_context",
    "language",
    "preference",
)


def verdict_of(signs: Iterable[str]) -> str:
    """Say which verdict a set of signs amounts to.

    ===================  ==================
    signs                verdict
    ===================  ==================
    a + and a -          mixed
    a -, no +            below
    a +, no -            above
    nothing but (+)      above (inferred)
    anything else        tie
    ===================  ==================
    """
    found = set(signs)
    if "-" in found:
        return "mixed" if "+" in found else "below"
    if "+" in found:
        return "above"
    return "above (inferred)" if found == {"(+)"} else "tie"


_EVIDENCE = re.compile(r"(\(\+\)|[+=-]) (.+?)(?:: (-?[\d.]+) against (-?[\d.]+))?")


def parse_evidence(text: str) -> tuple[str, str, float | None, float | None]:
    """Split ``"+ GPQA Diamond (Epoch): 66.9 against 49.2"`` into sign, measure, value and reference."""
    match = _EVIDENCE.fullmatch(text)
    if match is None:
        raise ValueError(
            f'{text!r} is not evidence; write "<sign> <measure>" or "<sign> <measure>: <value> against '
            f'<reference>" with a sign of {", ".join(SIGNS)}'
        )
    sign, name, value, reference = match.groups()
    return sign, name, float(value) if value else None, float(reference) if reference else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the nearest known words, as the sentence that ends an error."""
    names = sorted(known)
    import difflib  # only an error needs it

    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Use one of: {', '.join(names)}."


def problem(path: str | None, key: str | None, what: str) -> CatalogError:
    """Make the error for one key of one file; ``what`` ends with what to do."""
    where = ": ".join(part for part in (path, key) if part)
    return CatalogError(f"{where}: {what}" if where else what, path=path, key=key)
