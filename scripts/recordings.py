"""Compare what we say with what OpenAI answered: python scripts/recordings.py [SOURCE ...].

A maintainer's command. A SOURCE is a file of exchanges (JSON lines, also gzipped, with `Exchange`'s keys) or
git repository that has been cloned, whose test suite recorded exchanges with api.openai.com; without one the
repositories of `PINNED` are fetched, at the commits given there, into --keep (a folder outside this
repository). Nothing that is read ends up in git: only figures, and cases in words of our own, go into tests.

Prints four tables: input tokens as we count them beside LangChain's and LiteLLM's counters, where these are
installed; what the router and the simulator refuse of what was accepted, and answer where it was refused; the
keys and events that the simulator lacks or makes up; output, reasoning and time by model. Requests that share
model, tools and schema weigh one together. --judge names repositories on which nothing was fitted, so that
their figures are given apart.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import gzip
import json
import logging
import re
import statistics
import subprocess
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import yaml

from routed_llm import Catalog, NoModelFits, RequestError, RoutedError, Router, read_openai
from routed_llm.media import tokens_for
from routed_llm.request.counts import counting_of
from routed_llm.simulator import serve
from routed_llm.simulator.models import names
from routed_llm.simulator.responses_request import seal

PINNED = {
    "pydantic/pydantic-ai": "4fda38988f2939fa6ea9cdefcf120693e10ef491",
    "braintrustdata/braintrust-sdk-python": "a7053505083fb7b7ae6ed1c10a4141a0d8673cc4",
    "elastic/elastic-otel-python-instrumentations": "935ab4fafc7182be2e00e70f0f9881f8ec84085a",
    "alexrudall/ruby-openai": "62938e02bb83e9f243ad2447805bc461d5d126fe",
    "simonw/llm-openai-plugin": "4f1787d1c81523ceae1dd2b34075fa9632502795",
}
CASSETTES = re.compile(
    r"(cassette|_vcr|vcr_|httprr|recording|fixtures).*\.(ya?ml|json)(\.gz)?$|cassettes?/[^.]+$", re.I
)
CHAT, RESPONSES = "chat/completions", "responses"
ENDPOINTS = {CHAT: "chat_completions", RESPONSES: "responses"}
OLDER = ("gpt-3.5", "gpt-4-", "gpt-4.5", "o1", "o3", "o4", "computer")
KEY = {"authorization": "Bearer key"}
NEW = date(2026, 1, 1)
FROM = date(2025, 5, 1)
"""Before, Responses added a tool of its own (some 215 tokens) and was not settled yet."""


@dataclasses.dataclass(kw_only=True)
class Exchange:
    """One recorded exchange; `events` are those of a stream."""

    repo: str
    file: str
    endpoint: str
    status: int
    request: dict[str, Any]
    response: dict[str, Any] | None = None
    events: list[Any] | None = None
    day: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    processing_ms: float | None = None

    @property
    def asked(self) -> str:
        """The model that was named."""
        return str(self.request.get("model") or "")

    @property
    def input_tokens(self) -> int:
        """What was billed as input."""
        usage = self.usage or {}
        return int(usage.get("prompt_tokens", usage.get("input_tokens", 0)) or 0)

    @property
    def weight_key(self) -> str:
        """Equal for requests that teach the same of tools and schemas."""
        form = self.request.get("response_format") or (self.request.get("text") or {}).get("format")
        return json.dumps([self.asked, self.request.get("tools"), form], sort_keys=True, default=str)


# Reading.


def exchanges(source: Path) -> Iterator[Exchange]:
    """Read a file of exchanges or a cloned repository."""
    if source.is_file():
        opens = gzip.open if source.suffix == ".gz" else Path.open
        names = {field.name for field in dataclasses.fields(Exchange)}
        with opens(source, "rt") as lines:
            for line in lines:
                row = json.loads(line)
                if not row.get("azure") and row.get("sub", "").rstrip("?") in ("", f"/{row['endpoint']}"):
                    yield Exchange(**{key: value for key, value in row.items() if key in names})
        return
    name = "/".join(source.resolve().parts[-2:]).replace("+", "/").removesuffix("/repo")
    for path, data in _tracked(source):
        yield from _cassette(name, path, data)


def _tracked(repository: Path) -> Iterator[tuple[str, bytes]]:
    git = ["git", "-C", str(repository)]
    listed = subprocess.run([*git, "ls-tree", "-r", "--name-only", "HEAD"], capture_output=True, check=True)
    for path in listed.stdout.decode().splitlines():
        if CASSETTES.search(path):
            shown = subprocess.run([*git, "show", f"HEAD:{path}"], capture_output=True, check=False)
            if shown.returncode == 0:
                yield path, shown.stdout


def _cassette(repo: str, path: str, data: bytes) -> Iterator[Exchange]:
    if path.endswith(".gz"):
        with contextlib.suppress(OSError, zlib.error):
            data = gzip.decompress(data)
    if b"api.openai.com" not in data:
        return
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        parsed = json.loads(data) if path.endswith(".json") else yaml.load(data, Loader=loader)
    except (ValueError, yaml.YAMLError):
        return
    rows = parsed.get("interactions") or parsed.get("http_interactions") if isinstance(parsed, dict) else None
    for row in rows or ():
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            found = _interaction(repo, path, row)
            if found is not None:
                yield found


def _interaction(repo: str, path: str, row: dict[str, Any]) -> Exchange | None:
    asked, answered = row["request"], row["response"]
    match = re.fullmatch(
        r"https://api\.openai\.com(?::443)?/v1/(chat/completions|responses)\??",
        asked.get("uri") or asked.get("url"),
    )
    if match is None or str(asked.get("method", "POST")).upper() != "POST":
        return None
    headers = {
        str(k).lower(): v[0] if isinstance(v, list) else v for k, v in (answered.get("headers") or {}).items()
    }
    body = _text(answered, headers)
    status = answered["status"]
    events = None
    if "text/event-stream" in str(headers.get("content-type", "")) or body.lstrip().startswith(
        ("data:", "event:")
    ):
        events = [
            json.loads(line[5:])
            for line in body.splitlines()
            if line.startswith("data:") and "[DONE]" not in line
        ]
        response = _whole(events)
    else:
        response = json.loads(body)
    model = (response or {}).get("model")
    day = re.search(r"(\d{1,2}) (\w{3}) (\d{4})", str(headers.get("date", "")))
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return Exchange(
        repo=repo,
        file=path,
        endpoint=match[1],
        status=int(status["code"] if isinstance(status, dict) else status),
        request=json.loads(_text(asked, {})),
        response=response,
        events=events,
        day=f"{day[3]}-{months.index(day[2]) + 1:02}-{int(day[1]):02}" if day else None,
        model=model,
        usage=(response or {}).get("usage"),
        processing_ms=float(headers["openai-processing-ms"]) if "openai-processing-ms" in headers else None,
    )


def _text(side: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    body = side.get("body", side.get("parsed_body", side.get("content", "")))
    if isinstance(body, dict):
        if "base64_string" in body:
            body = base64.b64decode(body["base64_string"])
        elif "string" in body:
            body = body["string"]
        else:
            return json.dumps(body)
    if "parsed_body" in side:
        return json.dumps(side["parsed_body"])
    if isinstance(body, bytes):
        if body[:2] == b"\x1f\x8b" or headers.get("content-encoding") == "gzip":
            with contextlib.suppress(OSError, zlib.error):
                body = gzip.decompress(body)
        body = body.decode("utf-8", "replace")
    return str(body or "")


def _whole(events: list[Any]) -> dict[str, Any] | None:
    """Return the response that a stream ends with; of Chat Completions its model and usage."""
    for event in reversed(events):
        if isinstance(event, dict) and isinstance(event.get("response"), dict):
            return dict(event["response"])
    chunks = [event for event in events if isinstance(event, dict)]
    usage = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), None)
    return {"model": chunks[0].get("model"), "usage": usage} if chunks else None


def fetched(keep: Path) -> list[Path]:
    """Fetch the pinned commits, those that are not there yet."""
    found = []
    for name, commit in PINNED.items():
        folder = keep / name.replace("/", "+")
        if not folder.exists():
            subprocess.run(["git", "init", "-q", str(folder)], check=True)
            git = ["git", "-C", str(folder)]
            subprocess.run(
                [*git, "fetch", "-q", "--depth=1", f"https://github.com/{name}", commit], check=True
            )
            subprocess.run([*git, "update-ref", "HEAD", "FETCH_HEAD"], check=True)
        found.append(folder)
    return found


def sound(rows: Iterable[Exchange]) -> list[Exchange]:
    """Drop what is there twice, what its authors edited and what speaks of another provider.

    Edited are recordings older than the model that answers, and those that bill no input.
    """
    seen: set[str] = set()
    kept = []
    for row in rows:
        key = json.dumps(
            [row.endpoint, row.status, row.request, row.input_tokens], sort_keys=True, default=str
        )
        dated = re.search(r"(\d{4}-\d{2}-\d{2})$", row.model or "")
        early = bool(row.day and dated and row.day < dated[1]) or _not_yet(row)
        foreign = not re.match(r"(gpt|o\d|chatgpt|computer-use)", row.model or row.asked or "gpt")
        if key in seen or early or foreign or not isinstance(row.request, dict):
            continue
        seen.add(key)
        kept.append(row)
    return kept


def _not_yet(row: Exchange) -> bool:
    """Say whether the model that was named was not released when the exchange is dated."""
    released = CATALOG.get(row.asked).lifecycle.released if row.asked in CATALOG else None
    return bool(row.day and released and row.day < released.isoformat())


# Counts.

CATALOG = Catalog.load()


def kinds_of(row: Exchange) -> str:
    """Say what is hardest to count in a request."""
    body = row.request
    items = body.get("messages") or body.get("input") or []
    items = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    parts = [
        part.get("type", "")
        for item in items
        for held in (item.get("content"), item.get("output"))
        if isinstance(held, list)
        for part in held
        if isinstance(part, dict)
    ]
    types = {item.get("type", "message") for item in items}
    tools = {tool.get("type") for tool in body.get("tools") or ()}
    form = (body.get("response_format") or (body.get("text") or {}).get("format") or {}).get("type")
    known = {"message", "function_call", "function_call_output", "reasoning"}
    stored = {"previous_response_id", "conversation", "prompt", "prediction", "web_search_options"}
    if (
        tools - {"function"}
        or types - known
        or stored & {key for key in body if body[key]}
        or body.get("audio")
    ):
        return "hosted or stored"
    if (body.get("reasoning") or {}).get("mode"):
        return "hosted or stored"
    if "reasoning" in types:
        return "reasoning items"
    if {"file", "input_file"} & {*parts}:
        return "files"
    if {"image_url", "input_image"} & {*parts}:
        given = json.dumps(items)
        return (
            "images"
            if '"data:image' in given and "http" not in re.sub(r"data:image[^\"]*", "", given)
            else "images by URL"
        )
    if {"input_audio"} & {*parts}:
        return "audio"
    if types & {"function_call"} or any(item.get("tool_calls") for item in items):
        return "tool history"
    if form == "json_schema":
        return "schema"
    if tools or body.get("functions"):
        return "tools"
    return "text"


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
    """What we say of one request: estimate and bounds, None where it cannot be read."""

    likely: int
    low: int
    high: int


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
    found = tokens_for(request.facts, model, ENDPOINTS[row.endpoint]) + text
    return Count(found.likely, found.low, found.high)


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
        return llm.get_num_tokens_from_messages(convert_to_messages(row.request["messages"]))
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


def counts(rows: list[Exchange], judges: set[str]) -> None:
    """Print how far counts are from what was billed."""
    table: dict[tuple[str, ...], list[tuple[float, int, Count | None, int | None, int | None]]] = defaultdict(
        list
    )
    asked = [row for row in rows if row.status == 200 and row.input_tokens and series(row) != "other"]
    asked = [row for row in asked if row.endpoint == CHAT or (row.day or "9") >= FROM.isoformat()]
    shares = Counter(row.weight_key for row in asked)
    for row in asked:
        group = "judged" if row.repo in judges else "fitted"
        entry = (1 / shares[row.weight_key], row.input_tokens, ours(row), langchain(row), litellm(row))
        for key in ((group, series(row), row.endpoint, kinds_of(row)), (group, "all", "", "")):
            table[key].append(entry)
    _heading("Input tokens: exact %, within 2 %, bias in tokens (mean) and %, bounds hold %")
    print(f"{'':64}{'n':>5} {'w':>5}  ours{'':32}  langchain (n)      litellm (n)")
    for key in sorted(table):
        found = table[key]
        mine = [(w, billed, count) for w, billed, count, _, _ in found if count is not None]
        text = _scores([(w, billed, count.likely) for w, billed, count in mine])
        held = sum(w * (count.low <= billed <= count.high) for w, billed, count in mine)
        weight = sum(w for w, _, _ in mine) or 1
        others = "".join(
            f"  {_short([(e[0], e[1], e[at]) for e in found if e[at] is not None])}" for at in (3, 4)
        )
        print(f"{'  '.join(key):64}{len(found):5} {weight:5.0f}  {text} {100 * held / weight:6.1f}{others}")


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
        for row in rows:
            # Older models, and keys, are not simulated.
            if row.status == 401 or row.asked == "gpt-4" or row.asked.startswith(OLDER):
                continue
            day = server.at = _day(row)
            answer = client.post(f"/{row.endpoint}", json=_sealed(row), headers=KEY)
            error = {} if answer.status_code == 200 else answer.json().get("error") or {}
            if row.status == 200:
                accepted += 1
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


def _sealed(row: Exchange) -> dict[str, Any]:
    """Return the request with encrypted reasoning that the simulator can open, in place of the provider's."""
    items = row.request.get("input")
    if not isinstance(items, list) or row.asked not in names():
        return row.request
    model = names()[row.asked][0]
    sealed = [
        {**item, "encrypted_content": seal(model, str(item.get("id")))}
        if isinstance(item, dict) and item.get("type") == "reasoning" and item.get("encrypted_content")
        else item
        for item in items
    ]
    return {**row.request, "input": sealed}


def _day(row: Exchange) -> date:
    if row.day:
        return date.fromisoformat(row.day)
    dated = re.search(r"(\d{4}-\d{2}-\d{2})$", row.model or "")
    return date.fromisoformat(dated[1]) + timedelta(days=30) if dated else date(2026, 6, 1)


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
    with serve() as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        for row in rows:
            if row.status != 200 or _day(row) < NEW or series(row) == "other":
                continue
            server.at = _day(row)
            answer = client.post(f"/{row.endpoint}", json=_sealed(row), headers=KEY)
            if answer.status_code != 200:
                continue
            for place, found in ((real, row), (mine, answer)):
                for kind, body in _bodies(found, row.endpoint):
                    place[kind].update(_keys(body))
                    place[kind][""] += 1
    _heading("Shapes of 2026")
    for kind in sorted(real.keys() | mine.keys()):
        lost = {key: count for key, count in real[kind].items() if key not in mine[kind]}
        made = {key: count for key, count in mine[kind].items() if key not in real[kind]}
        if lost or made:
            total = real[kind][""]
            print(f"{kind} ({total} recorded)")
            often = sorted(lost.items(), key=lambda item: -item[1])[:30]
            print(f"  lacks: {', '.join(f'{key} {count}' for key, count in often) or '-'}")
            print(f"  makes up: {', '.join(sorted(made)[:30]) or '-'}")


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
    times: dict[str, list[tuple[int, float]]] = defaultdict(list)
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
        kind = "tools" if row.request.get("tools") else "schema" if kinds_of(row) == "schema" else "plain"
        table[name, effort, kind].append((out, details.get("reasoning_tokens") or 0))
        if row.processing_ms and not row.request.get("stream"):
            times[name].append((out, row.processing_ms))
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
    _heading("Time: ms = a + b * output tokens, whole answers, from the provider's header")
    for name, pairs in sorted(times.items()):
        if len(pairs) >= 10 and len({out for out, _ in pairs}) > 2:
            a, b = _line(pairs)
            taken = sorted(ms for _, ms in pairs)
            middle, late = statistics.median(taken), taken[int(0.9 * len(taken))]
            line = f"a {a:7.0f}  b {b:6.1f}  median {middle:7.0f}  p90 {late:7.0f}"
            print(f"  {name:24}{len(pairs):5}  {line}")


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
    parser.add_argument("--judge", nargs="*", default=[], help="repositories whose figures are given apart")
    parser.add_argument("--keep", type=Path, default=Path.home() / ".cache" / "routed-llm-recordings")
    parser.add_argument("--only", choices=["counts", *TABLES], help="one table")
    parser.add_argument("--off", type=int, help="show the requests that are off by more tokens")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sources = args.sources or fetched(args.keep)
    rows = sound(row for source in sources for row in exchanges(source))
    print(f"{len(rows)} sound exchanges of {dict(Counter(row.repo for row in rows))}")
    if args.off is not None:
        off(rows, args.off)
        return
    if args.only in (None, "counts"):
        counts(rows, set(args.judge))
    for name, table in TABLES.items():
        if args.only in (None, name):
            table(rows)


def off(rows: list[Exchange], by: int) -> None:
    """Print the requests that we count too far off."""
    for row in rows:
        count = ours(row) if row.status == 200 and row.input_tokens and series(row) != "other" else None
        if count is not None and abs(count.likely - row.input_tokens) > by:
            held = "" if count.low <= row.input_tokens <= count.high else " OUTSIDE"
            what = f"{series(row)} {row.endpoint} {kinds_of(row)} {row.model} {row.day}"
            off_by = count.likely - row.input_tokens
            print(f"{off_by:+6}{held} of {row.input_tokens} {what} {row.repo} {row.file[-70:]}")


if __name__ == "__main__":
    main()
