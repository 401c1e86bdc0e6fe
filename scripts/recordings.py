"""Compare what we say with what OpenAI answered: python scripts/recordings.py [SOURCE ...].

A maintainer's command. A SOURCE is what `scripts/recorded.py` reads: a file of exchanges, a folder of
cassettes or a git repository whose test suite recorded exchanges with api.openai.com. Without one the
repositories named in it are fetched, at the commits given there, into --keep (a folder outside this
repository). Nothing that is read ends up in git: only figures, and cases in words of our own, go into tests.

Prints four tables: input tokens as we count them beside LangChain's and LiteLLM's counters, where these are
installed; what the router and the simulator refuse of what was accepted, and answer where it was refused; the
keys and events that the simulator lacks or makes up; output, reasoning and time by model. Requests that share
model, tools and schema weigh one together. Repositories on which nothing was fitted are given apart: the
`JUDGES` of `scripts/recorded.py`, or those of --judge.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import itertools
import json
import logging
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import tiktoken
from recorded import CHAT, JUDGES, RESPONSES, Exchange, exchanges, fetched, sound

from routed_llm import Catalog, NoModelFits, RequestError, RoutedError, Router, read_openai
from routed_llm.decide.speed import Seconds, expected_seconds, pace_of
from routed_llm.media import tokens_for
from routed_llm.request.counts import counting_of
from routed_llm.simulator import Simulator, serve
from routed_llm.simulator.models import names
from routed_llm.simulator.responses_request import seal
from routed_llm.tokens.vocabulary import o200k_encoding
from routed_llm.usage import Usage

# Others' counters ask for the vocabulary by name, and would fetch it.
tiktoken.registry.ENCODINGS["o200k_base"] = o200k_encoding()
ENDPOINTS = {CHAT: "chat_completions", RESPONSES: "responses"}
OLDER = ("gpt-3.5", "gpt-4-", "gpt-4.5", "o1", "o3", "o4", "computer")
MASKED = "_REDACTED_"
"""What stands for ids in some repositories, with a number, by file."""

ANSWERED = {"message", "reasoning", "function_call", "custom_tool_call"}
KEY = {"authorization": "Bearer key"}
NEW = date(2026, 1, 1)
FROM = date(2025, 5, 1)
"""Before, Responses added a tool of its own (some 215 tokens) and was not settled yet."""

HALVED = (date(2025, 10, 1), date(2026, 2, 1))
"""Between, Responses reported the input divided by the calls of functions that the answer makes: 25 of 25
answers with several, from 2025-10-17 to 2026-01-30; none of 4 before, and of 28 since 2026-02-10."""

PAGES = date(2026, 3, 1)
"""Before, Chat Completions billed a page of a PDF some 780 tokens less."""


# Counts.

CATALOG = Catalog.load()


def released(name: str) -> date | None:
    """Say when a model came out, where that is known."""
    return CATALOG.get(name).lifecycle.released if name in CATALOG else None


_STORED = (
    *("previous_response_id", "conversation", "prompt", "prediction", "web_search_options"),
    *("context_management", "audio"),
)
_KNOWN = {"message", "function_call", "function_call_output", "reasoning"}


def kinds_of(row: Exchange) -> str:
    """Say what is hardest to count in a request."""
    body = row.request
    items = body.get("messages") or body.get("input") or []
    items = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    types = {item.get("type", "message") for item in items}
    hosted = {tool.get("type") for tool in body.get("tools") or ()} - {"function"}
    by_id = any(item.get("type") == "reasoning" and not item.get("encrypted_content") for item in items)
    stored = any(body.get(key) for key in _STORED) or (body.get("reasoning") or {}).get("mode")
    if hosted or types - _KNOWN or stored or by_id or "search" in row.asked:
        return "hosted or stored"
    if "reasoning" in types:
        return "reasoning items"
    media = _media(row, items)
    if media:
        return media
    if _is_halved(row):
        return "calls then"
    if types & {"function_call"} or any(item.get("tool_calls") for item in items):
        return "tool history"
    form = (body.get("response_format") or (body.get("text") or {}).get("format") or {}).get("type")
    if form == "json_schema":
        return "schema"
    return "tools" if body.get("tools") or body.get("functions") else "text"


def _is_halved(row: Exchange) -> bool:
    calls = sum(item.get("type") == "function_call" for item in (row.response or {}).get("output") or ())
    first, end = map(date.isoformat, HALVED)
    return row.endpoint == RESPONSES and calls > 1 and first <= (row.day or "") < end


def _media(row: Exchange, items: list[dict[str, Any]]) -> str:
    parts = {
        part.get("type", "")
        for item in items
        for held in (item.get("content"), item.get("output"))
        if isinstance(held, list)
        for part in held
        if isinstance(part, dict)
    }
    given = json.dumps(items)
    if {"file", "input_file"} & parts:
        if re.search(r'"(file_id|file_url)": "', given):
            return "files by reference"
        return "files" if row.endpoint == RESPONSES or (row.day or "9") >= PAGES.isoformat() else "files then"
    if {"image_url", "input_image"} & parts:
        inline = '"data:image' in given and "http" not in re.sub(r"data:image[^\"]*", "", given)
        return "images" if inline else "images by URL"
    return "audio" if {"input_audio"} & parts else ""


def series(row: Exchange) -> str:
    """Say to which generation the model belongs."""
    name = row.model or row.asked
    return (
        "4x"
        if re.match(r"(gpt-4o|gpt-4\.1|chatgpt-4o)", name)
        else "5.x"
        if re.match(r"gpt-[56]", name)
        else "other"
    )


@dataclasses.dataclass
class Count:
    """What we say of one request: estimate and bounds, which may be said not to be certain."""

    likely: int
    low: int
    high: int
    bounded: bool

    def holds(self, billed: int) -> bool:
        """Say whether a bill lies within the bounds, where any are promised."""
        return not self.bounded or self.low <= billed <= self.high


def ours(row: Exchange) -> Count | None:
    """Count a request as the router does, for the model and endpoint that answered."""
    name = row.model or row.asked
    model = CATALOG.get(name) if name in CATALOG else CATALOG.get(row.asked) if row.asked in CATALOG else None
    if model is None:
        return None
    try:
        request = read_openai(row.request)
    except RequestError:
        return None
    text = counting_of(request).exact()
    found = tokens_for(request.facts, model, ENDPOINTS[row.endpoint]).plus(text)
    return Count(found.likely, found.low, found.high, found.bounded)


def langchain(row: Exchange) -> int | None:
    """Count with ChatOpenAI; of text and tools of Chat Completions only."""
    try:
        from langchain_core.messages import convert_to_messages
        from langchain_openai import ChatOpenAI
    except ImportError:
        return None
    if row.endpoint != CHAT:
        return None
    try:
        llm = ChatOpenAI(model=row.model or row.asked, api_key="none")
        return llm.get_num_tokens_from_messages(
            convert_to_messages(row.request["messages"]), tools=row.request.get("tools")
        )
    except Exception:  # noqa: BLE001 - what it cannot count it does not count
        return None


def litellm(row: Exchange) -> int | None:
    """Count with LiteLLM's token_counter; of Chat Completions only."""
    try:
        from litellm import token_counter
    except ImportError:
        return None
    if row.endpoint != CHAT:
        return None
    try:
        return int(
            token_counter(
                model=row.model or row.asked, messages=row.request["messages"], tools=row.request.get("tools")
            )
        )
    except Exception:  # noqa: BLE001 - as above
        return None


def simulated(rows: list[Exchange]) -> list[int | None]:
    """Count with the simulator: the usage that it reports; None for what it refuses."""
    found: list[int | None] = []
    with serve() as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        for row in rows:
            _remember(server, row)
            server.at = _day(row)
            body = {key: item for key, item in _sealed(row).items() if not key.startswith("stream")}
            usage = client.post(f"/{row.endpoint}", json=body, headers=KEY).json().get("usage") or {}
            found.append(usage.get("prompt_tokens", usage.get("input_tokens")))
    return found


def counted(rows: list[Exchange]) -> list[Exchange]:
    """Return the exchanges whose input counts: answered, with a usage, by models of ours."""
    asked = [row for row in rows if row.status == 200 and row.input_tokens and series(row) != "other"]
    return [row for row in asked if row.endpoint == CHAT or (row.day or "9") >= FROM.isoformat()]


def counts(rows: list[Exchange], judges: set[str]) -> None:
    """Print how far counts are from what was billed."""
    table: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    asked = counted(rows)
    shares = Counter(row.weight_key for row in asked)
    for row, theirs in zip(asked, simulated(asked), strict=True):
        group = "judged" if row.repo in judges else "fitted"
        weight = 1 / shares[row.weight_key]
        entry = (weight, row.input_tokens, ours(row), theirs, langchain(row), litellm(row))
        for key in ((group, series(row), row.endpoint, kinds_of(row)), (group, "all", "", "")):
            table[key].append(entry)
    _heading("Input tokens: exact %, within 2 %, bias in tokens (mean) and %, bounds hold %")
    print(f"{'':64}{'n':>5} {'w':>5}  ours{'':38}  simulator (n)       langchain (n)       litellm (n)")
    for key in sorted(table):
        found = table[key]
        mine = [(w, billed, count) for w, billed, count, *_ in found if count is not None]
        text = _scores([(w, billed, count.likely) for w, billed, count in mine])
        held = sum(w * count.holds(billed) for w, billed, count in mine)
        weight = sum(w for w, _, _ in mine) or 1
        others = "".join(
            f"  {_short([(e[0], e[1], e[at]) for e in found if e[at] is not None])}" for at in (3, 4, 5)
        )
        print(f"{'  '.join(key):64}{len(found):5} {weight:5.0f}  {text} {100 * held / weight:6.1f}{others}")


def candidates(rows: list[Exchange], judges: set[str]) -> None:
    """Print how far `Candidate.input_tokens`, by which money is reckoned, is from what was billed."""
    table: dict[tuple[str, str, str], list[tuple[float, int, int]]] = defaultdict(list)
    asked = counted(rows)
    shares = Counter(row.weight_key for row in asked)
    for row, way in itertools.product(asked, ("decided", "explained")):
        kind, tokens = kinds_of(row), _candidate(row, way)
        if tokens is None:
            continue
        group = "judged" if row.repo in judges else "fitted", way
        for key in (kind, *(["all but hosted, stored, by reference"] if kind in OURS else [])):
            table[*group, key].append((1 / shares[row.weight_key], row.input_tokens, tokens))
    _heading("Candidate.input_tokens: exact %, within 2 %, bias (mean, in tokens and %), median error %")
    for (group, way, kind), found in sorted(table.items()):
        print(f"{group}  {way:10}  {kind:40}{len(found):5}  {_scores(found)}")


OURS = ("text", "tools", "tool history", "schema", "images", "files", "audio", "reasoning items")


def _candidate(row: Exchange, way: str) -> int | None:
    """Return the input tokens of the configuration that served a request, as a decision has them.

    Args:
        row: the exchange.
        way: explained, which counts all texts that are not long, or decided, which counts only as far as the
            choice depends on it, and here it does on little: the model is named.
    """
    try:
        request = read_openai(row.request, pin=True, endpoint=ENDPOINTS[row.endpoint])
        router = Router(clock=lambda: _day(row), policy=None)
        decision = router.explain(request) if way == "explained" else router.decide(request)
    except (RequestError, NoModelFits, RoutedError):
        return None
    return None if decision.chosen is None else decision.chosen.input_tokens


def _scores(rows: list[tuple[float, int, int]]) -> str:
    weight = sum(w for w, _, _ in rows) or 1
    exact = sum(w * (billed == count) for w, billed, count in rows) / weight
    near = sum(w * (abs(billed - count) <= 2) for w, billed, count in rows) / weight
    bias = sum(w * (count - billed) for w, billed, count in rows) / weight
    share = sum(w * (count - billed) / billed for w, billed, count in rows) / weight
    middle = statistics.median([abs(count - billed) / billed for _, billed, count in rows] or [0])
    return f"{100 * exact:5.1f} {100 * near:5.1f} {bias:+8.1f} {100 * share:+6.1f}% med {100 * middle:4.1f}%"


def _short(rows: list[tuple[float, int, Any]]) -> str:
    if not rows:
        return f"{'-':>18}"
    weight = sum(w for w, _, _ in rows)
    exact = sum(w * (billed == count) for w, billed, count in rows) / weight
    near = sum(w * (abs(billed - count) <= 2) for w, billed, count in rows) / weight
    return f"{100 * exact:5.1f} {100 * near:5.1f} ({len(rows):4})"


# Rules.


def rules(rows: list[Exchange]) -> None:
    """Print what router and simulator refuse of what was accepted, and how they answer what was not."""
    refused: Counter[str] = Counter()
    router: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    accepted = 0
    with serve() as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        file, begun = "", set[str]()
        for row in rows:
            if row.file != file and MASKED in json.dumps(row.response):
                server.reset()  # the same masks stand for other ids in another file
            file = row.file
            # Older models, and keys, are not simulated.
            if row.status == 401 or row.asked == "gpt-4" or row.asked.startswith(OLDER):
                continue
            day = server.at = _day(row)
            _begin(server, row, begun)
            answer = client.post(f"/{row.endpoint}", json=_sealed(row), headers=KEY)
            error = {} if answer.status_code == 200 else answer.json().get("error") or {}
            if row.status == 200:
                accepted += 1
                _remember(server, row)
                if answer.status_code != 200:
                    refused[f"{answer.status_code} {error.get('message', '')[:120]}"] += 1
                why = _feasible(row, day)
                if why:
                    router[why[:150]] += 1
                continue
            theirs = (row.response or {}).get("error") or {}
            same = (answer.status_code, error.get("code"), error.get("param"), error.get("message"))
            real = (row.status, theirs.get("code"), theirs.get("param"), theirs.get("message"))
            answered["equal" if same == real else f"{real} but {same}"] += 1
    _heading(f"Rules: {accepted} accepted requests replayed")
    for title, found in (
        ("simulator refuses", refused),
        ("router refuses", router),
        ("answers to refused", answered),
    ):
        print(f"{title}: {sum(found.values())}")
        for text, count in found.most_common(25):
            print(f"  {count:4} {text}")


def _begin(server: Simulator, row: Exchange, begun: set[str]) -> None:
    """Begin the conversation that a request goes on with: what made it is no exchange of these endpoints."""
    asked = row.request.get("conversation")
    name = str(asked.get("id")) if isinstance(asked, dict) else asked
    if name and name not in begun:
        begun.add(name)
        server.remember({"id": f"resp_{name}", "output": [], "conversation": {"id": name}}, [])


def _remember(server: Simulator, row: Exchange) -> None:
    """Tell the simulator what was stored then, so that later requests can refer to it."""
    given = row.request.get("input") or []
    if row.endpoint != RESPONSES or row.status != 200 or row.request.get("store") is False:
        return
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    for found in (row.response or {}, *row.others):
        if found.get("id"):
            answered = [item for item in found.get("output") or () if item.get("id")]
            server.remember({**found, "output": answered}, [{"type": "message", **item} for item in items])


def _sealed(row: Exchange) -> dict[str, Any]:
    """Return the request with encrypted reasoning that the simulator can open, in place of the provider's."""
    items = row.request.get("input")
    if not isinstance(items, list) or row.asked not in names():
        return row.request
    model = names()[row.asked][0]
    sealed = [
        {**item, "encrypted_content": seal(model, str(item.get("id")), thought_of(item))}
        if isinstance(item, dict) and item.get("type") == "reasoning" and item.get("encrypted_content")
        else item
        for item in items
    ]
    return {**row.request, "input": sealed}


def thought_of(item: Mapping[str, Any]) -> int:
    """Say how many tokens of reasoning an item holds, by the length of its encrypted form."""
    return max(3 * len(item["encrypted_content"]) // 20 - 120, 24)


def _day(row: Exchange) -> date:
    if row.day:
        return date.fromisoformat(row.day)
    dated = re.search(r"(\d{4}-\d{2}-\d{2})$", row.model or "")
    out = released(row.asked) or (date.fromisoformat(dated[1]) if dated else None)
    return max(out + timedelta(days=30), date(2026, 6, 1)) if out else date(2026, 6, 1)


def _feasible(row: Exchange, day: date) -> str:
    name = row.asked
    if name not in CATALOG:
        return ""
    try:
        request = read_openai(row.request, pin=True)
        decision = Router(clock=lambda: day, policy=None).explain(request)
    except (RequestError, NoModelFits, RoutedError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if decision.chosen is not None else f"{name}: {decision.why}"


# Shapes.


def shapes(rows: list[Exchange]) -> None:
    """Print the keys and events of 2026 that the simulator lacks or makes up."""
    real: dict[str, Counter[str]] = defaultdict(Counter)
    mine: dict[str, Counter[str]] = defaultdict(Counter)
    ever: dict[str, set[str]] = defaultdict(set)
    hosted = 0
    with serve() as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        for row in rows:
            if row.status != 200 or _day(row) < NEW or series(row) == "other" or row.response is None:
                continue
            for kind, body in _bodies(row, row.endpoint):
                ever[kind] |= _keys(body)
                ever[row.endpoint] |= _keys(body.get("response") or {}) if " event" in kind else _keys(body)
            if _has_hosted(row):
                hosted += 1
                continue
            server.at = _day(row)
            _stage(server, row)
            answer = client.post(f"/{row.endpoint}", json=_sealed(row), headers=KEY)
            if answer.status_code != 200:
                continue
            for place, found in ((real, row), (mine, answer)):
                for kind, body in _bodies(found, row.endpoint):
                    place[kind].update(_keys(body))
                    place[kind][""] += 1
    _heading("Shapes of 2026")
    print(f"lacks: without what hosted tools found ({hosted} exchanges); makes up: what no recording has")
    for kind in sorted(real.keys() | mine.keys()):
        lost = {key: count for key, count in real[kind].items() if key not in mine[kind]}
        known = ever[kind] | {f"response.{key}" for key in ever[kind.partition(" ")[0]]}
        made = {key: count for key, count in mine[kind].items() if key and key not in known}
        if lost or made:
            total = real[kind][""]
            print(f"{kind} ({total} recorded)")
            often = sorted(lost.items(), key=lambda item: -item[1])[:30]
            print(f"  lacks: {', '.join(f'{key} {count}' for key, count in often) or '-'}")
            print(f"  makes up: {', '.join(sorted(made)[:30]) or '-'}")


def _stage(server: Simulator, row: Exchange) -> None:
    """Have the simulator decline where the model did, and take its time where the provider did."""
    found = re.search(r'"refusal": ("(?:[^"\\]|\\.)+")', json.dumps(row.response))
    if found:
        server.script(refusal=json.loads(found[1]))
    if '"keepalive"' in json.dumps(row.events):
        server.faults.add(kind="slow_first_token", seconds=0.001)


def _has_hosted(row: Exchange) -> bool:
    """Say whether an answer holds what a hosted tool did, or functions that were not offered at first."""
    answer = row.response or {}
    events = [event for event in row.events or () if isinstance(event, dict)]
    items = [*(answer.get("output") or ()), *(event.get("item") or {} for event in events)]
    found = {item.get("type", "message") for item in items} - ANSWERED
    said = [answer, *(event.get("response") or {} for event in events)]
    return bool(found or any(tool.get("tools") for one in said for tool in one.get("tools") or ()))


def _bodies(found: Any, endpoint: str) -> Iterator[tuple[str, Any]]:
    if isinstance(found, Exchange):
        events, whole = found.events, found.response
    else:
        text = found.text
        stream = text.lstrip().startswith(("data:", "event:"))
        lines = [line[5:] for line in text.splitlines() if line.startswith("data:") and "[DONE]" not in line]
        events = [json.loads(line) for line in lines] if stream else None
        whole = None if stream else found.json()
    if events is None:
        yield f"{endpoint} whole", whole
        return
    for event in events:
        if isinstance(event, dict):
            yield f"{endpoint} event {event.get('type', 'chunk')}", event


def _keys(body: Any, path: str = "") -> set[str]:
    free = ("metadata", "schema", "parameters", "properties", "arguments", "content_filter", "logit_bias")
    if isinstance(body, dict):
        found = set()
        for key, value in body.items():
            here = f"{path}.{key}" if path else key
            found.add(here)
            if key not in free:
                found |= _keys(value, here)
        return found
    if isinstance(body, list):
        return set().union(*[_keys(item, f"{path}[]") for item in body]) if body else set()
    return set()


# Output and time.


def output(rows: list[Exchange]) -> None:
    """Print output, reasoning and time by model."""
    table: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    times: dict[str, list[tuple[int, float, Seconds | None]]] = defaultdict(list)
    for row in rows:
        usage = row.usage or {}
        out = usage.get("completion_tokens", usage.get("output_tokens"))
        if row.status != 200 or out is None or series(row) == "other":
            continue
        details = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
        effort = (
            row.request.get("reasoning_effort")
            or (row.request.get("reasoning") or {}).get("effort")
            or "default"
        )
        name = re.sub(r"-\d{4}-\d{2}-\d{2}$", "", row.model or row.asked)
        offered = {tool.get("type") for tool in row.request.get("tools") or ()}
        kind = "functions" if offered & {"function", "custom"} else "hosted" if offered else ""
        kind = kind or ("schema" if kinds_of(row) == "schema" else "plain")
        table[name, effort, kind].append((out, details.get("reasoning_tokens") or 0))
        if row.processing_ms and not row.request.get("stream"):
            times[name].append((out, row.processing_ms, _expected(name, row)))
    _heading("Output: median and mean of tokens, median of reasoning, share of none, multiples of 64")
    for key, found in sorted(table.items()):
        if len(found) >= 5:
            outs, thought = [o for o, _ in found], [t for _, t in found]
            some = [t for t in thought if t]
            steps = f"{100 * sum(t % 64 == 0 for t in some) / len(some):4.0f} %" if some else "   -"
            none = 100 * sum(not t for t in thought) / len(thought)
            amounts = statistics.median(outs), statistics.mean(outs), statistics.median(thought)
            shown = "".join(f"{amount:8.0f}" for amount in amounts)
            print(f"  {'  '.join(key):34}{len(found):5}{shown}{none:5.0f} % {steps}")
    _heading("Time: ms = a + b * output tokens, whole answers, from the provider's header; the bundled prior")
    for name, taken in sorted(times.items()):
        if len(taken) >= 10 and len({out for out, *_ in taken}) > 2:
            a, b = _line([(out, ms) for out, ms, _ in taken])
            all_ms = sorted(ms for _, ms, _ in taken)
            middle, late = statistics.median(all_ms), all_ms[int(0.9 * len(all_ms))]
            line = f"a {a:6.0f} b {b:5.1f} median {middle:6.0f} p90 {late:6.0f}"
            print(f"  {name:16}{len(taken):5}  {line}{_prior(name, taken)}")


def _expected(name: str, row: Exchange) -> Seconds | None:
    """Say how long an answer of so many tokens was expected to take, by what is bundled of the model."""
    speed = CATALOG.get(name).speed if name in CATALOG else None
    if speed is None:
        return None
    usage = Usage.from_openai(row.usage or {})
    said = usage.output_tokens - usage.reasoning_tokens
    return expected_seconds(
        pace_of(speed), usage.input_tokens - usage.cached_tokens, usage.reasoning_tokens, said
    )


def _prior(name: str, taken: list[tuple[int, float, Seconds | None]]) -> str:
    """Say how the bundled prior predicts these answers."""
    pairs = [(ms / 1000, seconds) for _, ms, seconds in taken if seconds is not None]
    if not pairs:
        return "  no prior"
    speed = CATALOG.get(name).speed
    ratio = statistics.median(seconds.whole / took for took, seconds in pairs)
    near = 100 * sum(0.5 <= seconds.whole / took <= 2 for took, seconds in pairs) / len(pairs)
    held = 100 * sum(took <= seconds.whole_p90 for took, seconds in pairs) / len(pairs)
    prior = f"a {1000 * speed.start:5.0f} b {1000 / speed.per_second:5.1f}" if speed else ""
    return f"   prior {prior} predicted/real {ratio:4.2f} within x2 {near:3.0f} % p90 holds {held:3.0f} %"


def _line(pairs: list[tuple[int, float]]) -> tuple[float, float]:
    """Fit by the median of slopes (Theil and Sen): a few slow answers say little."""
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(pairs) for x2, y2 in pairs[:i] if x1 != x2]
    slope = statistics.median(slopes)
    return statistics.median(y - slope * x for x, y in pairs), slope


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


TABLES: dict[str, Callable[[list[Exchange]], None]] = {"rules": rules, "shapes": shapes, "output": output}


def main() -> None:
    """Read, clean and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="*", type=Path)
    parser.add_argument(
        "--judge", nargs="*", default=[*JUDGES, "langchain-ai/langchain"], help="repositories given apart"
    )
    parser.add_argument("--keep", type=Path, default=Path.home() / ".cache" / "routed-llm-recordings")
    parser.add_argument(
        "--older",
        action="store_true",
        help="read what cassettes held before, too, of clones with their history",
    )
    parser.add_argument("--save", type=Path, help="write the sound exchanges to a file (JSON lines, gzipped)")
    parser.add_argument("--only", choices=["counts", "candidates", *TABLES], help="one table")
    parser.add_argument("--off", type=int, help="show the requests that are off by more tokens")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sources = args.sources or fetched(args.keep)
    rows = sound((row for source in sources for row in exchanges(source, older=args.older)), released)
    if args.save is not None:
        with gzip.open(args.save, "wt") as file:
            file.writelines(json.dumps(dataclasses.asdict(row)) + "\n" for row in rows)
    print(f"{len(rows)} sound exchanges of {dict(Counter(row.repo for row in rows))}")
    if args.off is not None:
        off(rows, args.off)
        return
    for name, apart in (("counts", counts), ("candidates", candidates)):
        if args.only in (None, name):
            apart(rows, set(args.judge))
    for name, table in TABLES.items():
        if args.only in (None, name):
            table(rows)


def off(rows: list[Exchange], by: int) -> None:
    """Print the requests that we count too far off."""
    for row in rows:
        count = ours(row) if row.status == 200 and row.input_tokens and series(row) != "other" else None
        if count is not None and abs(count.likely - row.input_tokens) > by:
            held = "" if count.holds(row.input_tokens) else " OUTSIDE"
            what = f"{series(row)} {row.endpoint} {kinds_of(row)} {row.model} {row.day}"
            off_by = count.likely - row.input_tokens
            print(f"{off_by:+6}{held} of {row.input_tokens} {what} {row.repo} {row.file[-70:]}")


if __name__ == "__main__":
    main()
