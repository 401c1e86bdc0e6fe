"""The packaged facts against literals copied from the sources by hand, not through the catalog's files."""

from __future__ import annotations

from datetime import date

import pytest

from routed_llm.catalog import Catalog

CATALOG = Catalog.load()
TODAY = date(2026, 11, 22)

LIMITS = [
    # id, window, largest input, largest output
    ("gpt-4.1", 1_047_576, 1_047_576, 32_768),
    ("gpt-4.1-mini", 1_047_576, 1_047_576, 32_768),
    ("gpt-4.1-nano", 1_047_576, 1_047_576, 32_768),
    ("gpt-4o", 128_000, 128_000, 16_384),
    ("gpt-4o-2024-05-13", 128_000, 128_000, 4_096),
    ("gpt-4o-mini", 128_000, 128_000, 16_384),
    ("gpt-5", 400_000, 272_000, 128_000),
    ("gpt-5-mini", 400_000, 272_000, 128_000),
    ("gpt-5-pro", 400_000, 272_000, 272_000),
    ("gpt-5.1", 400_000, 272_000, 128_000),
    ("gpt-5.2", 400_000, 272_000, 128_000),
    ("gpt-5.3-codex", 400_000, 272_000, 128_000),
    ("gpt-5.4", 1_050_000, 922_000, 128_000),
    ("gpt-5.4-mini", 400_000, 272_000, 128_000),
    ("gpt-5.4-nano", 400_000, 272_000, 128_000),
    ("gpt-5.5", 1_050_000, 922_000, 128_000),
    ("gpt-5.6-luna", 1_050_000, 922_000, 128_000),
    ("gpt-6-astra", 1_050_000, 922_000, 128_000),
    ("gpt-audio", 128_000, 128_000, 16_384),
    ("gpt-realtime", 32_000, 32_000, 4_096),
]

PRICES = [
    # id, day, tier, input tokens, dollars per million: input, cached, cache write, output
    ("gpt-4.1", TODAY, "standard", 900_000, (2, 0.5, None, 8)),
    ("gpt-4.1", TODAY, "priority", 0, (3.5, 0.875, None, 14)),
    ("gpt-4.1-mini", TODAY, "standard", 0, (0.4, 0.1, None, 1.6)),
    ("gpt-4.1-nano", date(2026, 4, 22), "standard", 0, (0.1, 0.025, None, 0.4)),
    ("gpt-4o", TODAY, "standard", 0, (2.5, 1.25, None, 10)),
    ("gpt-4o", TODAY, "batch", 0, (1.25, None, None, 5)),
    ("gpt-4o", TODAY, "flex", 0, None),
    ("gpt-4o", date(2024, 6, 1), "standard", 0, None),
    ("gpt-4o-mini", TODAY, "standard", 0, (0.15, 0.075, None, 0.6)),
    ("gpt-5", TODAY, "flex", 0, (0.625, 0.0625, None, 5)),
    ("gpt-5-nano", TODAY, "priority", 0, None),
    ("gpt-5.2", TODAY, "standard", 0, (1.75, 0.175, None, 14)),
    ("gpt-5.4", TODAY, "standard", 272_000, (2.5, 0.25, None, 15)),
    ("gpt-5.4", TODAY, "standard", 272_001, (5, 0.5, None, 22.5)),
    ("gpt-5.4", TODAY, "priority", 272_000, (5, 0.5, None, 30)),
    ("gpt-5.4", TODAY, "priority", 272_001, (5, 0.5, None, 22.5)),
    ("gpt-5.4-nano", TODAY, "standard", 0, (0.2, 0.02, None, 1.25)),
    ("gpt-5.5", TODAY, "standard", 300_000, (10, 1, None, 45)),
    ("gpt-5.6-luna", date(2026, 7, 29), "standard", 0, (1, 0.1, 1.25, 6)),
    ("gpt-5.6-luna", date(2026, 7, 30), "standard", 0, (0.2, 0.02, 0.25, 1.2)),
    ("gpt-5.6-luna", TODAY, "standard", 300_000, (0.4, 0.04, 0.5, 1.8)),
    ("gpt-5.6-luna", TODAY, "batch", 300_000, (0.2, 0.02, 0.25, 0.9)),
    ("gpt-5.6-terra", date(2026, 7, 9), "standard", 0, (2.5, 0.25, 3.125, 15)),
    ("gpt-5.6-terra", TODAY, "standard", 0, (2, 0.2, 2.5, 12)),
    ("gpt-5.6-sol", date(2026, 8, 20), "standard", 0, (5, 0.5, 6.25, 30)),
    ("gpt-5.6-sol", date(2026, 8, 21), "standard", 0, (4, 0.4, 5, 20)),
    ("gpt-6-luna", TODAY, "standard", 300_000, (0.2, 0.02, 0.25, 0.75)),
    ("gpt-6.1-terra", TODAY, "standard", 0, (1, 0.05, 1.25, 5)),
    ("gpt-5.5-pro", TODAY, "standard", 0, (30, None, None, 180)),
]

SHUTDOWNS = [
    ("gpt-4o", date(2027, 1, 14)),
    ("gpt-4o-mini", date(2027, 1, 14)),
    ("gpt-4.1", date(2027, 1, 14)),
    ("gpt-4.1-mini", date(2027, 1, 14)),
    ("gpt-4.1-nano", date(2026, 10, 23)),
    ("gpt-4o-2024-05-13", date(2026, 10, 23)),
    ("gpt-5", date(2026, 12, 11)),
    ("gpt-5-mini", date(2026, 12, 11)),
    ("gpt-5-nano", date(2026, 12, 11)),
    ("gpt-5-pro", date(2026, 12, 11)),
    ("gpt-5.1", date(2027, 4, 1)),
    ("gpt-5.4-nano", date(2027, 4, 1)),
    ("gpt-5.3-codex", date(2027, 4, 1)),
    ("gpt-audio", date(2027, 1, 20)),
    ("gpt-audio-mini", date(2027, 1, 20)),
    ("gpt-realtime", date(2027, 1, 20)),
    ("gpt-4o-realtime-preview", date(2026, 5, 7)),
    ("gpt-5-codex", date(2026, 7, 23)),
    ("gpt-5.2-chat-latest", date(2026, 8, 10)),
    ("gpt-5.6-luna", None),
    ("gpt-6-astra", None),
]

EFFORTS = [
    ("gpt-4o", (), (), None),
    ("gpt-5", ("minimal", "low", "medium", "high"), ("minimal", "low", "medium", "high"), "medium"),
    ("gpt-5.1", ("none", "low", "medium", "high"), ("none", "low", "medium", "high"), "none"),
    (
        "gpt-5.4",
        ("none", "low", "medium", "high", "xhigh"),
        ("none", "low", "medium", "high", "xhigh"),
        "none",
    ),
    (
        "gpt-5.6-luna",
        ("none", "low", "medium", "high", "xhigh"),
        ("none", "low", "medium", "high", "xhigh", "max"),
        "medium",
    ),
    ("gpt-6.1-sol", ("low", "medium", "high", "xhigh"), ("low", "medium", "high", "xhigh", "max"), None),
    ("gpt-5-pro", (), ("high",), "high"),
]

RULES = [
    # id, endpoint, parameter, accept, only
    ("gpt-4o", "chat_completions", "stop", "yes", None),
    ("gpt-4o", "chat_completions", "reasoning_effort", "no", None),
    ("gpt-4o", "responses", "verbosity", "yes", ("medium",)),
    ("gpt-5", "chat_completions", "temperature", "yes", (1,)),
    ("gpt-5", "chat_completions", "stop", "no", None),
    ("gpt-5.1", "chat_completions", "temperature", "effort_none", None),
    ("gpt-5.4", "responses", "top_p", "effort_none", None),
    ("gpt-5.5", "chat_completions", "top_p", "no", None),
    ("gpt-5.6-sol", "responses", "temperature", "effort_none", None),
    ("gpt-5.6-sol", "chat_completions", "prompt_cache_options", "yes", None),
    ("gpt-5.5", "responses", "prompt_cache_options", "no", None),
    ("gpt-6-luna", "chat_completions", "logprobs", "effort_none", None),
    ("gpt-6-sol", "chat_completions", "logprobs", "no", None),
    ("gpt-5.5", "chat_completions", "prompt_cache_breakpoint", "no", None),
    ("gpt-5.6-sol", "chat_completions", "prompt_cache_retention", "no", None),
    ("gpt-5.5", "responses", "prompt_cache_retention", "yes", ("24h",)),
    ("gpt-4.1", "responses", "service_tier", "yes", ("auto", "default", "priority", "fast")),
    ("gpt-5.4-nano", "responses", "service_tier", "yes", ("auto", "default", "flex")),
]


@pytest.mark.parametrize(
    ("name", "window", "largest_input", "largest_output"), LIMITS, ids=[row[0] for row in LIMITS]
)
def test_limits(name: str, window: int, largest_input: int, largest_output: int) -> None:
    """Limits are those that OpenAI's pages print."""
    limits = CATALOG.get(name).limits
    assert (limits.context_window, limits.max_input, limits.max_output) == (
        window,
        largest_input,
        largest_output,
    )


@pytest.mark.parametrize(
    ("name", "at", "tier", "tokens", "dollars"),
    PRICES,
    ids=[f"{name}-{tier}-{tokens}-{at}" for name, at, tier, tokens, _ in PRICES],
)
def test_prices(
    name: str, at: date, tier: str, tokens: int, dollars: tuple[float | None, ...] | None
) -> None:
    """A price is that of its day, tier and input length; None where none is published."""
    row = CATALOG.get(name).price(at, tier=tier, input_tokens=tokens)
    if dollars is None:
        assert row is None
        return
    assert row is not None
    expected = tuple(None if amount is None else round(amount * 1_000_000) for amount in dollars)
    assert (row.input, row.cached_input, row.cache_write, row.output) == expected


def test_twelve_hour_cache_write() -> None:
    """From gpt-5.6 a cache write kept for 12 hours costs 2.5 times the input rate."""
    rows = [row for model in CATALOG for row in model.prices if row.cache_write is not None]
    assert len(rows) > 50
    assert all(row.cache_write_12h == row.input * 5 // 2 for row in rows)
    assert all(row.cache_write == row.input * 5 // 4 for row in rows)


@pytest.mark.parametrize(("name", "shutdown"), SHUTDOWNS, ids=[row[0] for row in SHUTDOWNS])
def test_shutdown(name: str, shutdown: date | None) -> None:
    """Shutdown days are those that OpenAI announced."""
    assert CATALOG.get(name).lifecycle.shutdown == shutdown


@pytest.mark.parametrize(("name", "chat", "responses", "default"), EFFORTS, ids=[row[0] for row in EFFORTS])
def test_efforts(name: str, chat: tuple[str, ...], responses: tuple[str, ...], default: str | None) -> None:
    """``max`` exists on Responses only, ``minimal`` on gpt-5 only."""
    model = CATALOG.get(name)
    assert model.efforts.get("chat_completions", ()) == chat
    assert model.efforts.get("responses", ()) == responses
    assert model.default_effort == default


@pytest.mark.parametrize(
    ("name", "endpoint", "parameter", "accept", "only"),
    RULES,
    ids=[f"{name}-{endpoint}-{parameter}" for name, endpoint, parameter, _, _ in RULES],
)
def test_parameter_rules(
    name: str, endpoint: str, parameter: str, accept: str, only: tuple[object, ...] | None
) -> None:
    """Parameter rules are those that error messages and guides show."""
    rule = CATALOG.get(name).parameters[endpoint][parameter]
    assert (rule.accept, rule.only) == (accept, only)


@pytest.mark.parametrize(
    ("endpoint", "name", "sent"),
    [
        ("chat_completions", "max_tokens", "max_completion_tokens"),
        ("responses", "max_tokens", "max_output_tokens"),
        ("responses", "reasoning_effort", "reasoning.effort"),
        ("responses", "verbosity", "text.verbosity"),
        ("responses", "response_format", "text.format"),
    ],
)
def test_names_of_parameters(endpoint: str, name: str, sent: str) -> None:
    """An endpoint says under what name it takes a parameter, and so does every model's rule."""
    assert CATALOG.endpoint(endpoint).names[name] == sent
    assert CATALOG.get("gpt-5.4").parameters[endpoint][name].rename == sent


def test_absent_parameters_have_no_rule() -> None:
    """No model can add a parameter that its endpoint does not have."""
    for model in CATALOG:
        for endpoint, rules in model.parameters.items():
            assert not CATALOG.endpoint(endpoint).absent & set(rules), (model.id, endpoint)


@pytest.mark.parametrize(
    ("name", "chat", "responses"),
    [
        ("gpt-4o", "yes", "yes"),
        ("gpt-5", "yes", "yes"),
        ("gpt-5.2", "effort_none", "yes"),
        ("gpt-5.4", "effort_none", "yes"),
        ("gpt-5.6-luna", "effort_none", "yes"),
        ("gpt-6-astra", "no", "yes"),
        ("gpt-5.4-pro", None, "yes"),
    ],
)
def test_tools(name: str, chat: str | None, responses: str) -> None:
    """Where tools are refused together with reasoning, the catalog says so."""
    model = CATALOG.get(name)
    assert (model.tools.get("chat_completions"), model.tools["responses"]) == (chat, responses)


@pytest.mark.parametrize(
    ("at", "gone", "there"),
    [
        (
            date(2026, 4, 22),
            ("gpt-5.5", "gpt-5.6-luna", "gpt-6-luna"),
            ("gpt-4.1-nano", "gpt-4o-realtime-preview"),
        ),
        (
            TODAY,
            ("gpt-4.1-nano", "gpt-5-codex", "gpt-4o-realtime-preview"),
            ("gpt-4o", "gpt-5", "gpt-6.2-sol"),
        ),
        (date(2026, 12, 11), ("gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-pro"), ("gpt-4o", "gpt-5.1")),
        (date(2027, 1, 13), ("gpt-5",), ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini")),
        (
            date(2027, 1, 14),
            ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini"),
            ("gpt-audio", "gpt-5.6-luna"),
        ),
        (date(2027, 1, 15), ("gpt-4o", "gpt-4.1"), ("gpt-realtime", "gpt-5.4-nano")),
        (
            date(2027, 4, 1),
            ("gpt-5.1", "gpt-5.4-nano", "gpt-5.3-codex", "gpt-audio"),
            ("gpt-5.2", "gpt-audio-1.5"),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, date) else "",
)
def test_alive(at: date, gone: tuple[str, ...], there: tuple[str, ...]) -> None:
    """On each of these days exactly the announced models are gone."""
    alive = {model.id for model in CATALOG.alive(at)}
    assert not alive & set(gone)
    assert alive >= set(there)


def test_default_pool_of_spring_2026() -> None:
    """On 2026-04-22, before gpt-5.5, the default pool is the one a review of that week knew."""
    names = {model.id for model in CATALOG.alive(date(2026, 4, 22)) if model.pool == "default"}
    assert names == {
        "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini",
        "gpt-5-nano", "gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano",
    }  # fmt: skip


def test_no_value_of_a_licensed_benchmark() -> None:
    """Values stand only beside measures that may be repeated: OpenAI's, Epoch's, Vectara's."""
    licensed = ("AA ", "(AA", "AA-", "GDPval-AA", "LMArena", "LiveBench", "NYT")
    measures = [
        measure
        for model in CATALOG
        for table in model.verdicts.values()
        for verdict in table.values()
        for measure in verdict.evidence
    ]
    assert len(measures) > 700
    for measure in measures:
        if any(mark in measure.name for mark in licensed):
            assert measure.value is None, measure
            assert measure.reference is None, measure


def test_signs_follow_from_the_values() -> None:
    """Where values are bundled, the sign is what the margin makes of their difference."""
    checked = 0
    for model in CATALOG:
        for table in model.verdicts.values():
            for verdict in table.values():
                for measure in verdict.evidence:
                    if measure.value is None or measure.reference is None:
                        continue
                    margin = CATALOG.margins[measure.name]
                    lead = (measure.value - measure.reference) * (1 if margin > 0 else -1)
                    sign = "=" if abs(lead) <= abs(margin) else "+" if lead > 0 else "-"
                    assert measure.sign == sign, (model.id, measure)
                    checked += 1
    assert checked > 90


def test_every_default_model_is_complete() -> None:
    """A default-pool model has rank, ratio and room for every effort, a price and an image rule."""
    for model in CATALOG:
        if model.pool != "default":
            continue
        efforts = set(model.efforts.get("responses", ())) or {""}
        assert set(model.quality_rank) == efforts, model.id
        assert set(model.output_ratio) == efforts, model.id
        assert set(model.reasoning_room) == efforts - {""}, model.id
        assert model.image is not None, model.id
        assert any(row.tier == "standard" for row in model.prices), model.id


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (("gpt-4.1-nano", ""), ("gpt-4o", "")),
        (("gpt-4o", ""), ("gpt-4.1", "")),
        (("gpt-4.1", ""), ("gpt-5", "high")),
        (("gpt-5", "high"), ("gpt-5.1", "high")),
        (("gpt-5.1", "high"), ("gpt-5.2", "xhigh")),
        (("gpt-5.2", "xhigh"), ("gpt-5.4", "xhigh")),
        *(
            (("gpt-5.4", effort), ("gpt-5.5", effort))
            for effort in ("none", "low", "medium", "high", "xhigh")
        ),
        (("gpt-5.6-terra", "medium"), ("gpt-5.6-luna", "high")),
        (("gpt-5.6-sol", "none"), ("gpt-5.6-terra", "medium")),
    ],
    ids=lambda pair: "@".join(pair),
)
def test_quality_order(worse: tuple[str, str], better: tuple[str, str]) -> None:
    """The order is the published one."""
    rank = {(model.id, effort): place for model in CATALOG for effort, place in model.quality_rank.items()}
    assert rank[worse] < rank[better]


def test_the_best_of_the_default_pool() -> None:
    """At the top of the default pool stands gpt-5.6-sol at max; more effort never ranks lower."""
    pool = [model for model in CATALOG if model.pool == "default"]
    best = max((rank, model.id, effort) for model in pool for effort, rank in model.quality_rank.items())
    assert best[1:] == ("gpt-5.6-sol", "max")
    for model in CATALOG:
        ranks = [model.quality_rank[e] for e in model.efforts.get("responses", ()) if e in model.quality_rank]
        assert ranks == sorted(ranks), model.id


@pytest.mark.parametrize(
    ("name", "effort", "dimension", "verdict"),
    [
        ("gpt-4.1", "", "overall", "above"),
        ("gpt-4.1", "", "knowledge", "tie"),
        ("gpt-4.1-mini", "", "knowledge", "below"),
        ("gpt-4.1-mini", "", "tools", "mixed"),
        ("gpt-5-mini", "medium", "knowledge", "below"),
        ("gpt-5.1", "none", "overall", "above"),
        ("gpt-5.6-luna", "none", "long_context", "below"),
        ("gpt-5.6-luna", "low", "overall", "above (inferred)"),
        ("gpt-5.6-luna", "low", "vision", "above"),
        ("gpt-5.6-luna", "low", "instructions", None),
        ("gpt-5.6-sol", "max", "overall", "above (inferred)"),
        ("gpt-5.6-sol", "max", "restraint", None),
        ("gpt-5.1", "low", "overall", None),
        ("gpt-4o", "", "multilingual", "tie"),
    ],
)
def test_verdicts(name: str, effort: str, dimension: str, verdict: str | None) -> None:
    """Verdicts against gpt-4o are the published ones; where nothing is published there is none."""
    found = CATALOG.get(name).verdicts[effort].get(dimension)
    assert (None if found is None else found.verdict) == verdict


@pytest.mark.parametrize(
    ("name", "effort", "ratio"),
    [
        ("gpt-4o", "", 1.0),
        ("gpt-4.1", "", 1.7),
        ("gpt-5", "high", 28.5),
        ("gpt-5.4-nano", "xhigh", 78.0),
        ("gpt-5.5", "medium", 8.4),
        ("gpt-5.6-luna", "none", 1.1),
        ("gpt-5.6-luna", "low", 2.7),
    ],
)
def test_output_ratios(name: str, effort: str, ratio: float) -> None:
    """Output tokens relative to gpt-4o are those of the published runs."""
    assert CATALOG.get(name).output_ratio[effort] == ratio


@pytest.mark.parametrize(
    ("name", "test", "up_to", "percent"),
    [
        ("gpt-4o", "MRCR 2-needle (OpenAI 2025)", 131_072, 31.9),
        ("gpt-4.1", "MRCR 2-needle (OpenAI 2025)", 1_048_576, 46.3),
        ("gpt-5.4", "MRCR v2 8-needle (OpenAI 2026)", 1_048_576, 36.6),
        ("gpt-5.6-luna", "MRCR v2 8-needle (OpenAI 2026)", 524_288, 41.3),
    ],
)
def test_recall(name: str, test: str, up_to: int, percent: float) -> None:
    """Recall figures are those that OpenAI published."""
    rows = {(row.test, row.up_to): row.value for row in CATALOG.get(name).recall}
    assert rows[test, up_to] == percent


def test_what_a_model_is_held_to_has_verdicts() -> None:
    """Others are compared with it, so something must be published of it."""
    held = {model.id: model.lifecycle.held_to for model in CATALOG if model.lifecycle.held_to}
    assert held == {"chatgpt-4o-latest": "gpt-4.1", "gpt-5-chat-latest": "gpt-4.1"}
    assert all(CATALOG.get(name).verdicts and CATALOG.get(name).compared for name in held.values())
