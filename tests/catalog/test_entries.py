"""Malformed entries: each gives a CatalogError that names file and key and says what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from routed_llm.catalog import Catalog
from routed_llm.catalog.sources import ROOT, files
from routed_llm.errors import CatalogError

CATALOG = Catalog.load()
LIMITS = "[limits]\ncontext_window = 8192\nmax_input = 8192\nmax_output = 4096\n"

# The file's text, the key at fault, and what the error says of it.
MALFORMED = {
    "unknown key": (
        'pol = "default"\n' + LIMITS,
        "pol",
        "unknown key. Did you mean pool or tools?",
    ),
    "unknown nested key": (
        LIMITS + "max_inptu = 1\n",
        "limits.max_inptu",
        "unknown key. Did you mean max_input or max_output?",
    ),
    "unknown key of a price row": (
        LIMITS + '[prices]\nrows = [{ input = "1", output = "1", cached = "0.1" }]\n',
        "prices.rows[0].cached",
        "unknown key. Did you mean cached_input or cache_write or audio_cached_input?",
    ),
    "missing limit": (
        "[limits]\ncontext_window = 8192\nmax_input = 8192\n",
        "limits.max_output",
        "missing. Add it.",
    ),
    "input above the window": (
        "[limits]\ncontext_window = 8000\nmax_input = 9000\nmax_output = 1\n",
        "limits.max_input",
        "9,000 is more than the context window of 8,000. Correct one of them.",
    ),
    "output above the window": (
        "[limits]\ncontext_window = 8000\nmax_input = 8000\nmax_output = 9000\n",
        "limits.max_output",
        "9,000 is more than the context window of 8,000. Correct one of them.",
    ),
    "no window at all": (
        "[limits]\ncontext_window = 0\nmax_input = 1\nmax_output = 1\n",
        "limits.context_window",
        "input should be greater than or equal to 1, got 0. Correct it.",
    ),
    "a limit as text": (
        '[limits]\ncontext_window = "8k"\nmax_input = 1\nmax_output = 1\n',
        "limits.context_window",
        "input should be a valid integer, got '8k'. Correct it.",
    ),
    "shutdown before release": (
        LIMITS + "[lifecycle]\nreleased = 2026-05-01\nshutdown = 2026-04-01\n",
        "lifecycle.shutdown",
        "2026-04-01 is before the day it was released, 2026-05-01. Correct one of them.",
    ),
    "shutdown before deprecation": (
        LIMITS + "[lifecycle]\ndeprecated = 2026-05-01\nshutdown = 2026-04-01\n",
        "lifecycle.shutdown",
        "2026-04-01 is before the day it was deprecated, 2026-05-01. Correct one of them.",
    ),
    "a day as text": (
        LIMITS + '[lifecycle]\nshutdown = "2026-04-01"\n',
        "lifecycle.shutdown",
        "input should be a valid date, got '2026-04-01'. Correct it.",
    ),
    "unknown effort": (
        'efforts = ["low", "huge"]\n' + LIMITS,
        "efforts[1]",
        "'huge' is not allowed. Use one of: none, minimal, low, medium, high, xhigh, max.",
    ),
    "default effort that is not offered": (
        'efforts = ["low", "high"]\ndefault_effort = "medium"\n' + LIMITS,
        "default_effort",
        "'medium' is not among the efforts. Use one of: low, high.",
    ),
    "default effort without efforts": (
        'default_effort = "medium"\n' + LIMITS,
        "default_effort",
        "'medium' is not among the efforts. Remove it, or name the efforts.",
    ),
    "negative price": (
        LIMITS + '[prices]\nrows = [{ input = "-1.00", output = "1.00" }]\n',
        "prices.rows[0].input",
        '-1.00 cannot be a price; write zero or more US dollars per million tokens as "2.50".',
    ),
    "price in words": (
        LIMITS + '[prices]\nrows = [{ input = "two", output = "1.00" }]\n',
        "prices.rows[0].input",
        "'two' is not an amount; write US dollars per million tokens as \"2.50\".",
    ),
    "price as a flag": (
        LIMITS + "[prices]\nrows = [{ input = true, output = 1 }]\n",
        "prices.rows[0].input",
        'must be US dollars per million tokens; write it as a string such as "2.50".',
    ),
    "price too fine": (
        LIMITS + '[prices]\nrows = [{ input = "0.0000001", output = "1.00" }]\n',
        "prices.rows[0].input",
        "0.0000001 is finer than a millionth of a dollar; round it to six decimals.",
    ),
    "price without output": (
        LIMITS + '[prices]\nrows = [{ input = "1.00" }]\n',
        "prices.rows[0].output",
        "missing. Add it.",
    ),
    "unknown tier": (
        LIMITS + '[prices]\nrows = [{ tier = "fast", input = "1", output = "1" }]\n',
        "prices.rows[0].tier",
        "'fast' is not allowed. Use one of: standard, batch, flex, priority, ultrafast, background_2h, "
        "background_8h.",
    ),
    "two rows for one day": (
        LIMITS + '[prices]\nrows = [{ input = "1", output = "1" }, { input = "2", output = "2" }]\n',
        "prices.rows",
        "two standard rows since 2020-01-01 above 0; keep one of them.",
    ),
    "long row alone": (
        LIMITS + '[prices]\nrows = [{ above = 272_000, input = "1", output = "1" }]\n',
        "prices.rows[0].above",
        "no row of the same day and tier prices shorter requests. Add one.",
    ),
    "unknown dimension": (
        LIMITS + '[verdicts.plain]\nmath = { verdict = "tie", on = [] }\n',
        "verdicts.plain.math",
        "unknown name. Use one of: overall, science, maths, coding, instructions, tools, knowledge, "
        "multilingual, restraint, faithful_summary, vision, long_context, language, preference.",
    ),
    "verdict against its signs": (
        LIMITS
        + '[verdicts.plain]\nmaths = { verdict = "above", on = ["+ AIME 2025 (AA)", "- MATH level 5"] }\n',
        "verdicts.plain.maths",
        "the signs amount to 'mixed', not 'above'; correct one of them.",
    ),
    "evidence without a sign": (
        LIMITS + '[verdicts.plain]\nmaths = { verdict = "above", on = ["AIME 2025 (AA)"] }\n',
        "verdicts.plain.maths",
        '\'AIME 2025 (AA)\' is not evidence; write "<sign> <measure>" or "<sign> <measure>: <value> against '
        '<reference>" with a sign of +, =, -, (+).',
    ),
    "verdict for an effort it lacks": (
        LIMITS + '[verdicts.low]\noverall = { verdict = "tie", on = [] }\n',
        "verdicts.low",
        "'low' is not an effort of this model. Use one of: plain.",
    ),
    "ratio out of range": (
        LIMITS + "[output_ratio]\nplain = -1.0\n",
        "output_ratio.plain",
        "-1.0 cannot be a ratio of tokens; write one between 0 and 1000.",
    ),
    "recall above 100 percent": (
        LIMITS + '[recall]\nrows = [{ test = "MRCR", up_to = 128_000, value = 101.0 }]\n',
        "recall.rows[0].value",
        "input should be less than or equal to 100, got 101.0. Correct it.",
    ),
    "unknown acceptance": (
        LIMITS + '[parameters.any]\nstop = "maybe"\n',
        "parameters.any.stop.accept",
        "'maybe' is not allowed. Use one of: yes, no, effort_none.",
    ),
    "unknown key of a rule": (
        LIMITS + "[parameters.any]\nstop = { max_item = 4 }\n",
        "parameters.any.stop.max_item",
        "unknown key. Did you mean max_items?",
    ),
    "unknown endpoint": (
        'endpoints = ["completions"]\n' + LIMITS,
        "endpoints[0]",
        "'completions' is not allowed. Use one of: chat_completions, responses, realtime.",
    ),
    "no endpoint": (
        "endpoints = []\n" + LIMITS,
        "endpoints",
        "empty. Name at least one.",
    ),
    "tools on an unknown endpoint": (
        LIMITS + '[tools]\nchat = "yes"\n',
        "tools.chat",
        "unknown name. Use one of: chat_completions, responses, realtime.",
    ),
    "unknown family": (
        'family = "gpt-5.7"\n' + LIMITS,
        "family",
        "no family is called 'gpt-5.7'. Did you mean gpt-5.6 or gpt-5.5 or gpt-5.4?",
    ),
    "unknown base": (
        'base = "gpt-4oo"\n',
        "base",
        "no model is called 'gpt-4oo'. Did you mean gpt-4o or gpt-5.4 or gpt-4.1?",
    ),
    "unknown image rule": (
        'image = "tile_85_171"\n' + LIMITS,
        "image",
        "no image rule is called 'tile_85_171'. Did you mean tile_85_170 or tile_2833_5667 or tile_70_140?",
    ),
    "not a web address": (
        'base_url = "gateway.example"\n' + LIMITS,
        "base_url",
        "string should match pattern '^https?://[^/@\\s]+(/|$)', got 'gateway.example'. Correct it.",
    ),
    "an alias that is taken": (
        'aliases = ["gpt-4o-2024-08-06"]\n' + LIMITS,
        "aliases",
        "'gpt-4o-2024-08-06' is already a name of 'gpt-4o'. Choose another.",
    ),
}


@pytest.mark.parametrize(("text", "key", "what"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_files(tmp_path: Path, text: str, key: str, what: str) -> None:
    """The error names the file and the dotted key, and ends with what to do."""
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        CATALOG.with_models(path)
    assert str(caught.value) == f"{path}: {key}: {what}"
    assert (caught.value.path, caught.value.key) == (str(path), key)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"limits": {}}], "id: missing. Add it."),
        (
            {"own": {"pool": "all"}},
            "pool: 'all' is not allowed. Use one of: default, audio, quality, realtime, named.",
        ),
        ({"own": {}}, "models['own']: limits.context_window: missing. Add it."),
        (["gpt-4o"], "'gpt-4o' is not an entry. Give mappings with the keys of a model's file."),
        (
            {"gpt-5.6": {"base": "gpt-4o"}},
            "models['gpt-5.6']: id: 'gpt-5.6' is already a name of 'gpt-5.6-sol'. Choose another.",
        ),
    ],
    ids=["no id", "unknown pool", "no limits", "not a mapping", "name taken"],
)
def test_malformed_mappings(entries: Any, message: str) -> None:
    """Entries given in code have the same errors, without a file."""
    with pytest.raises(CatalogError) as caught:
        CATALOG.with_models(entries)
    assert str(caught.value) == message


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """A path without files is an error, not an empty catalog."""
    with pytest.raises(CatalogError) as missing:
        CATALOG.with_models(tmp_path / "none")
    assert str(missing.value) == f"{tmp_path / 'none'}: there is no such file or folder. Check the path."
    with pytest.raises(CatalogError) as empty:
        CATALOG.with_models(tmp_path)
    assert str(empty.value) == f"{tmp_path}: holds no .toml file. Put one file per model there."


def test_not_toml(tmp_path: Path) -> None:
    """A file that is not TOML is named together with the place of the mistake."""
    path = tmp_path / "own.toml"
    path.write_text("limits = {\n")
    with pytest.raises(CatalogError) as caught:
        CATALOG.with_models(path)
    assert str(caught.value).startswith(f"{path}: not valid TOML: ")
    assert str(caught.value).endswith("Correct the file.")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "models/gpt-4o.toml",
            'id = "gpt-4o"',
            'id = "gpt-4"',
            "models/gpt-4o.toml: id: 'gpt-4' is not the file's name. Rename one of them.",
        ),
        (
            "families/gpt-5.toml",
            'name = "gpt-5"',
            'name = "gpt5"',
            "families/gpt-5.toml: name: 'gpt5' is not the file's name. Rename one of them.",
        ),
        (
            "models/gpt-4.1.toml",
            "+ MMMU-Pro (AA v4.0)",
            "+ MMMU-Pro (AA v4.9)",
            "models/gpt-4.1.toml: verdicts.plain.vision.on[0]: measures.toml has no measure "
            "'MMMU-Pro (AA v4.9)' of vision. "
            "Did you mean MMMU-Pro (AA v4.1) or MMMU-Pro (AA v4.0) or MMMU-Pro (AA v4.3.2)?",
        ),
        (
            "models/gpt-4.1.toml",
            'snapshots = ["gpt-4.1-2025-04-14"]',
            'snapshots = ["gpt-4o"]',
            "models/gpt-4.1.toml: snapshots: 'gpt-4o' is already a name of 'gpt-4o'. Remove one of them.",
        ),
        (
            "quality_order.toml",
            '"gpt-4.1-nano"',
            '"gpt-4.1-pico"',
            "quality_order.toml: order: no model is called 'gpt-4.1-pico'. "
            "Did you mean gpt-4.1-nano or gpt-4.1-mini or gpt-4.1?",
        ),
    ],
    ids=["file name", "family name", "unknown measure", "name taken", "unknown rank"],
)
def test_packaged_files(tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
    """Compiling refuses packaged files that contradict one another."""
    from routed_llm.catalog.compile import compile_catalog

    for file in files():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(CatalogError) as caught:
        compile_catalog(tmp_path)
    assert str(caught.value) == message
