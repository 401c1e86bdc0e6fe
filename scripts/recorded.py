"""Reads exchanges with api.openai.com that public test suites recorded, for `scripts/recordings.py`.

A source is a file of exchanges (JSON lines, also gzipped, with `Exchange`'s keys), a folder of cassettes (as
in langchain-openai's source distribution) or a git repository, whose newest commit is read without a work
tree. Every format that we came across is read: VCR in Python, Ruby and Go, httpmock, WireMock, nock, httprr,
the test proxy of Azure's SDKs, Braintrust's and Datadog's own.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gzip
import json
import re
import subprocess
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

__all__ = ["CHAT", "FITTED", "JUDGES", "RESPONSES", "Exchange", "exchanges", "fetched", "sound"]

FITTED = {
    "alexrudall/ruby-openai": "62938e02bb83e9f243ad2447805bc461d5d126fe",
    "alibaba/loongsuite-python-agent": "0ae17251071d6875a81179558be1509780217ed5",
    "braintrustdata/braintrust-sdk-javascript": "96a8132d9327efa81ecd66a01920ab6206a57ca1",
    "braintrustdata/lingua": "75f55048ff58a75d000e79bf42b5367bda2ea202",
    "cognesy/instructor-php": "05e240cdd3349ee0b4fc7c7554e53a0c5c188a34",
    "crmne/ruby_llm": "fb5a49bf04da78d3e74496431ad1c99df5e7e5f0",
    "DataDog/dd-trace-js": "5735ffe7643cd9a984a8d21bde2131cc2fbe3a50",
    "DataDog/dd-trace-py": "3bb9ecda22830e3303b18b0ffa5abe7586aef6a7",
    "elastic/elastic-otel-python-instrumentations": "935ab4fafc7182be2e00e70f0f9881f8ec84085a",
    "HumanSignal/Adala": "10cff7320417f8438e1a0536c4e198cea7297db9",
    "maybe-finance/maybe": "77b5469832758d1cbee1a940f3012a1ae1c74cd3",
    "Mirascope/mirascope": "41d433578653411dbff96c6eaca4fa869aafc931",
    "open-telemetry/opentelemetry-js-contrib": "fd4d8ae8ffbbb21616baa036948b2fb70d289892",
    "open-telemetry/opentelemetry-python-contrib": "466ae4c00de77d1f54f77a9600f1d08eba2306b5",
    "openai/openai-dotnet": "b3b4bbbc31cebef0f4978071d586856360173c89",
    "posit-dev/chatlas": "ea4531130e56d3c5bb003d87a1792dd942554b8d",
    "pydantic/logfire": "e484a6b53a0df3062d304ce258573e387cf3140a",
    "pydantic/pydantic-ai": "4fda38988f2939fa6ea9cdefcf120693e10ef491",
    "simonw/llm": "f3f4f29c6e5e623c3776cbf6455dda2345638214",
    "simonw/llm-openai-plugin": "4f1787d1c81523ceae1dd2b34075fa9632502795",
    "sublayerapp/sublayer": "d103e662e25109ba54e1efb2e049d7f2fd29d371",
    "tidyverse/ellmer": "57e3d72d5dbe1a8bce4a3017b3468ad5fe3b2945",
    "tmc/langchaingo": "8fea3de63675b901cf7a2cdc435c204cb7a93643",
    "tpaulshippy/ruby_llm": "a35aa111a0bb36b7f0363b1f1f2a25e3d5378fd3",
    "tpaulshippy/ruby_llm_community": "d4ead804478a8fa6f44f6522555f0a1db5f96077",
    "vicentereig/dspy.rb": "377298ba87e35d545c8c7002e921d5a034b1149a",
    "we-promise/sure": "0252787dc014f790074c7ff9c2ac6c2b283be2cf",
    "xiaohui-zhangxh/ruby_llm": "6ffefc6a81b24040e1cdae9b61789db727cabb7d",
}
"""Repositories on whose recordings rules were fitted, and the commits to fetch."""

JUDGES = {
    "0xPlaygrounds/rig": "b75850e899498647563af2d644ee72d28ac7a69e",
    "activeagents/activeagent": "a76142897fc61fe7a6f53d28b030fff35a46c3d6",
    "AgentOps-AI/agentops": "a855a92dfaa7fd4423f9a68b1ba0295a3a72da80",
    "antiwork/gumroad": "8c16285e2baf800a6c3328b5ab8c538288464862",
    "Arize-ai/phoenix": "9478f954bbc6175a0eaef398d0a92c1d967c3bfe",
    "braintrustdata/braintrust-sdk-go": "63142de713534a8746ee2d4acced1b50f750b066",
    "braintrustdata/braintrust-sdk-java": "ec18bef0e6d31d89ceda513cf5c3fc30d7faf4da",
    "braintrustdata/braintrust-sdk-python": "a7053505083fb7b7ae6ed1c10a4141a0d8673cc4",
    "braintrustdata/braintrust-sdk-ruby": "1ca9a9991d5ea9d161192b360afe66a760abb9d3",
    "DataDog/dd-apm-test-agent": "32c02b9bc19ac3c5a7b57a7b896c1290123bf09a",
    "DataDog/system-tests": "e30db60acb45051ef48591648828c7626b56e754",
    "datasette/datasette-enrichments-gpt": "1bede50ad21d7ae9fa663fd2a199bcd46b52cf6e",
    "datasette/datasette-extract": "4456f54f0cebf6aee9d0d5f7ee06f5988b34402e",
    "envoyproxy/ai-gateway": "c217da8a539570ba3f6014a60c2687c29a945f1f",
    "instructor-ai/instructor-rb": "e96ab3b4e9c8c1d08c8f784c0ac091f33a12a916",
    "jackmpcollins/magentic": "58b72cf58134b9b888a9518932465d7187448e92",
    "khasinski/ruby_llm-responses_api": "174cd52bc1063a8fa6b36635ae9d5e75a9abc994",
    "kieranklaassen/ruby_llm-skills": "a914cfd975ba099874c6ee3ffb758ae52a5d83fe",
    "langchain-ai/langsmith-sdk": "bc8dd672a7b9e7d09bcb2fdada0baff80700f9b0",
    "lmnr-ai/lmnr-python": "67dea392f4961bfcf7b5cde3733aaa4a452bb9f9",
    "lmnr-ai/lmnr-ts": "21f4850b4f717fc4ab084509cf2e0267ef0f9f87",
    "MagnivOrg/prompt-layer-library": "c19662d2a2e50a2fc7f8af6d24ba6e9c0a9ac430",
    "newrelic/newrelic-python-agent": "e3c9c1d035a5889d70ef6ce1bb90379b70040c4d",
    "OlympiaAI/raix": "7e1b0da45fe88f526388171fad321115c09259ec",
    "open-telemetry/opentelemetry-java-instrumentation": "3300ac68822ed4dbade73496f2fffd3a2c6e32ed",
    "patvice/ruby_llm-mcp": "4d10851994029c7d7f3246ad517b2eef483ac810",
    "Scale3-Labs/langtrace-python-sdk": "b62abd9b083bbfb04a5b5301f309cb7deaf28187",
    "superduper-io/superduper": "6d192e7bf255f913b445a44dc9486e7013ddc6bc",
}
"""Repositories that judge: nothing was fitted on them."""

CHAT, RESPONSES = "chat/completions", "responses"
_NAMED = re.compile(r"\.(ya?ml|json|httprr)(\.gz)?$|cassettes?/[^.]+$", re.I)
_PAIR = re.compile(r"(.*/)(chat-completions|responses)/(followup-)?request\.json")
_ADDRESS = re.compile(r"(?:https://api\.openai\.com(?::443)?)?(?:/v1)?/(chat/completions|responses)\??")
_MADE_UP = re.compile(
    r"a1b2c3d4|b2c3d4e5|67ca09c5efe0819096|abc123|123456789|test|mock|fake|cassette|resp_\d{1,4}$|f6a7b8"
    r"|resp_[a-z]+_[a-z]+|chatcmpl-\w{1,6}$",
    re.I,
)
_REPLACED = re.compile(
    r"<MASSIVE_TEXT|AAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVQYV2NgAAIAAAUAAarVyFE|<[A-Z_]+_API_KEY>|(?:fc|call)_12345"
)
"""What stands where a text or an image was, or for the id of a call that was never made."""
_LARGEST = 8_000_000
_KEPT_BACK = "**REDACTED**"
"""LangChain's cassettes have no address; whose answer it is says the model, which endpoint the request."""
_HOST = b"api.openai.com"
_VERSION = "\n"
"""Between the path and the object of a version of a file that is not the newest."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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
    others: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Other answers to the same request, whose ids later requests may refer to."""

    def __post_init__(self) -> None:
        if isinstance(self.processing_ms, str):  # as a header has it
            self.processing_ms = float(self.processing_ms) if self.processing_ms.isdecimal() else None

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


def exchanges(source: Path, *, older: bool = False) -> Iterator[Exchange]:
    """Read a file of exchanges, a folder of cassettes or a git repository, with or without a work tree.

    Args:
        source: where they are.
        older: whether what a repository's cassettes held before is read, too, where its history is there.
    """
    if source.is_file():
        yield from _lines(source)
        return
    name = "/".join(source.resolve().parts[-2:]).removesuffix("/repo").rpartition("/")[2].replace("+", "/")
    files = _tracked(source, older) if _is_git(source) else _held(source)
    with files as found:
        for path in sorted(found, key=lambda path: path.replace("/followup-", "/~")):
            yield from _cassette(name, path.partition(_VERSION)[0], found, path)


def _lines(source: Path) -> Iterator[Exchange]:
    opens = gzip.open if source.suffix == ".gz" else Path.open
    names = {field.name for field in dataclasses.fields(Exchange)}
    with opens(source, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            if not row.get("azure") and row.get("sub", "").rstrip("?") in ("", f"/{row['endpoint']}"):
                yield Exchange(**{key: value for key, value in row.items() if key in names})


def fetched(keep: Path) -> list[Path]:
    """Fetch the pinned commits, those that are not there yet, and return their folders.

    Raises:
        subprocess.CalledProcessError: when git cannot fetch one.
    """
    found = []
    for name, commit in {**FITTED, **JUDGES}.items():
        folder = keep / name.replace("/", "+")
        if not folder.exists():
            part = folder.with_suffix(".part")
            subprocess.run(["git", "init", "-q", "--bare", str(part)], check=True)
            git = ["git", "-C", str(part)]
            subprocess.run(
                [*git, "fetch", "-q", "--depth=1", f"https://github.com/{name}", commit], check=True
            )
            subprocess.run([*git, "update-ref", "HEAD", "FETCH_HEAD"], check=True)
            part.rename(folder)
        found.append(folder)
    return found


# Files.


def _is_git(source: Path) -> bool:
    asked = subprocess.run(
        ["git", "-C", str(source), "rev-parse", "--git-dir"], capture_output=True, check=False
    )
    return asked.returncode == 0 and asked.stdout.decode().strip() in (".", ".git", str(source.resolve()))


class _Files(dict[str, Any]):
    """Paths, read when they are asked for; to be closed."""

    git: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        if self.git is not None:
            self.git.communicate()

    def read(self, path: str) -> bytes:
        """Return what is in a file; nothing of one that is too large or not there."""
        kept = self.get(path)
        if isinstance(kept, Path):
            return kept.read_bytes() if kept.stat().st_size < _LARGEST else b""
        if kept is None or self.git is None or self.git.stdin is None or self.git.stdout is None:
            return b""
        self.git.stdin.write(f"{kept}\n".encode())
        self.git.stdin.flush()
        head = self.git.stdout.readline().split()
        if len(head) != 3:
            return b""
        return self.git.stdout.read(int(head[2]) + 1)[:-1]


def _held(folder: Path) -> _Files:
    return _Files(
        {str(path.relative_to(folder)): path for path in folder.rglob("*") if _NAMED.search(str(path))}
    )


def _tracked(repository: Path, older: bool) -> _Files:
    git = ["git", "-C", str(repository)]
    found = _Files()
    if older:
        log = [*git, "log", "--all", "--raw", "--no-abbrev", "--no-renames", "--format=", "-z"]
        said = subprocess.run(log, capture_output=True, check=True).stdout.decode("utf-8", "replace")
        for about, path in zip(*[iter(said.split("\0"))] * 2, strict=False):
            for name in about.split()[2:4]:
                if _NAMED.search(path) and name.strip("0"):
                    found[f"{path}{_VERSION}{name}"] = name
    listed = subprocess.run([*git, "ls-tree", "-r", "-l", "-z", "HEAD"], capture_output=True, check=True)
    for line in filter(None, listed.stdout.decode("utf-8", "replace").split("\0")):
        about, _, path = line.partition("\t")
        _, _, name, size = about.split()
        if _NAMED.search(path) and size.isdecimal() and int(size) < _LARGEST:
            found[path] = name
    found.git = subprocess.Popen([*git, "cat-file", "--batch"], stdin=-1, stdout=-1, stderr=-3)
    return found


# Cassettes.


def _cassette(repo: str, path: str, files: _Files, key: str) -> Iterator[Exchange]:
    data = files.read(key)
    if len(data) > _LARGEST:
        return
    if path.endswith(".gz"):
        with contextlib.suppress(OSError, zlib.error, EOFError):
            data = gzip.decompress(data)
    # Httpmock and WireMock keep no host, so that the folder has to say whose answers they are. What ChatGPT
    # served, or Azure, counts in its own way, and mocks were never served at all.
    pair = _PAIR.fullmatch(path)
    if not pair and _HOST not in data and _KEPT_BACK.encode() not in data and "/openai/" not in path:
        return
    if re.search("azure|codex|mock(?!-responses)", path, re.I):
        return
    for row in _pair(pair, data, files) if pair else _rows(path, data, files):
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError, IndexError):
            found = _exchange(repo, path, row)
            if found is not None:
                yield found


def _pair(pair: re.Match[str], data: bytes, files: _Files) -> Iterator[dict[str, Any]]:
    """Return the exchanges of a request in a file of its own, whole and streamed."""
    asked = {"url": f"/{pair[2].replace('-', '/')}", "method": "POST", "body": data.decode()}
    for name in ("response", "response-streaming"):
        body = files.read(f"{pair[1]}{pair[2]}/{pair[3] or ''}{name}.json")
        if body:
            found = json.loads(body)
            if isinstance(found, list):
                body = "".join(f"data: {json.dumps(event)}\n\n" for event in found).encode()
            yield {"request": asked, "response": {"status": 200, "body": body}}


def _rows(path: str, data: bytes, files: _Files) -> Iterator[dict[str, Any]]:
    """Return the exchanges of a file in the form of VCR: a request and a response, whatever they hold."""
    if data.startswith(b"httprr"):
        yield from _httprr(data)
        return
    try:
        text = data.decode()
        documents = (
            [json.loads(text)] if text.lstrip()[:1] in "[{" else [*yaml.load_all(text, Loader=_LOADER)]
        )
    except (ValueError, yaml.YAMLError):
        return
    for document in documents:
        for row in _listed(document):
            with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
                yield _row(path, row, files)


def _row(path: str, row: dict[str, Any], files: _Files) -> dict[str, Any]:
    if "when" in row:  # httpmock
        asked, answered = row["when"], row["then"]
        asked = {**asked, "url": asked["path"], "headers": _pairs(asked)}
        return {"request": asked, "response": {**answered, "headers": _pairs(answered)}}
    if "RequestUri" in row:  # the test proxy of Azure's SDKs
        asked = {"url": row["RequestUri"], "method": row["RequestMethod"], "body": row["RequestBody"]}
        body = row["ResponseBody"]
        lines = isinstance(body, list) and all(isinstance(line, str) for line in body)
        answered = {"status": row["StatusCode"], "headers": row["ResponseHeaders"]}
        return {"request": asked, "response": {**answered, "body": "".join(body) if lines else body}}
    if "scope" in row:  # nock
        asked = {"url": row["scope"] + row["path"], "method": row["method"], "body": row["body"]}
        answered = {"status": row["status"], "body": row["response"], "headers": _flat(row.get("rawHeaders"))}
        return {"request": asked, "response": answered}
    if "bodyPatterns" in row["request"]:  # WireMock
        asked, answered = row["request"], row["response"]
        kept = answered.get("bodyFileName")
        if kept:
            held = files.read(path.replace("mappings/", "__files/").rpartition("/")[0] + f"/{kept}")
            answered = {**answered, "body": held}
        return {"request": {**asked, "body": asked["bodyPatterns"][0]["equalToJson"]}, "response": answered}
    return {"request": row["request"], "response": row["response"]}


def _listed(document: Any) -> list[Any]:
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        return []
    for key in ("interactions", "http_interactions", "entries", "Entries", "requests"):
        if isinstance(document.get(key), list):
            if key == "requests":  # VCR's first version keeps answers apart
                pairs = zip(document[key], document.get("responses") or (), strict=False)
                return [{"request": asked, "response": answered} for asked, answered in pairs]
            return list(document[key])
    return [document]


def _pairs(side: Mapping[str, Any]) -> dict[str, Any]:
    return {pair["name"]: pair["value"] for pair in side.get("header") or ()}


def _flat(headers: Any) -> dict[str, Any]:
    if isinstance(headers, list):
        return dict(zip(headers[::2], headers[1::2], strict=False))
    return dict(headers or {})


def _httprr(data: bytes) -> Iterator[dict[str, Any]]:
    at = data.index(b"\n") + 1
    while at < len(data):
        end = data.index(b"\n", at)
        first, second = (int(size) for size in data[at:end].split())
        asked, answered = data[end + 1 : end + 1 + first], data[end + 1 + first : end + 1 + first + second]
        at = end + 1 + first + second
        line, _, body = asked.partition(b"\r\n\r\n") if b"\r\n\r\n" in asked else asked.partition(b"\n\n")
        head, _, reply = (
            answered.partition(b"\r\n\r\n") if b"\r\n\r\n" in answered else answered.partition(b"\n\n")
        )
        method, url, _ = line.decode("utf-8", "replace").splitlines()[0].split()
        lines = head.decode("utf-8", "replace").splitlines()
        headers = dict(one.split(": ", 1) for one in lines[1:] if ": " in one)
        yield {
            "request": {"url": url, "method": method, "body": body},
            "response": {"status": int(lines[0].split()[1]), "headers": headers, "body": reply},
        }


def _exchange(repo: str, path: str, row: dict[str, Any]) -> Exchange | None:
    asked, answered = row["request"], row["response"]
    address = str(asked.get("uri") or asked.get("url"))
    request = json.loads(_text(asked, {}))
    found = _ADDRESS.fullmatch(address)
    if not (found or address == _KEPT_BACK) or str(asked.get("method", "POST")).upper() != "POST":
        return None
    headers = {
        str(k).lower(): v[0] if isinstance(v, list) and v else v
        for k, v in _flat(answered.get("headers")).items()
    }
    body = _text(answered, headers)
    status = next(answered[key] for key in ("status", "status_code", "statusCode") if key in answered)
    events = None
    if "event-stream" in str(headers.get("content-type", "")) or body.lstrip().startswith(
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
        if isinstance(response, dict):
            response.pop("output_text", None)  # which OpenAI's SDK adds
    took = str(headers.get("openai-processing-ms") or "")
    return Exchange(
        repo=repo,
        file=path,
        endpoint=found[1] if found else CHAT if "messages" in request else RESPONSES,
        status=int(status["code"] if isinstance(status, dict) else str(status).split()[0]),
        request=request,
        response=response,
        events=events,
        day=_day(headers, response, events),
        model=(response or {}).get("model"),
        usage=(response or {}).get("usage"),
        processing_ms=float(took) if re.fullmatch(r"\d+(\.\d+)?", took) else None,
    )


def _day(headers: Mapping[str, Any], response: Any, events: list[Any] | None) -> str | None:
    found = re.search(r"(\d{1,2}) (\w{3}) (\d{4})", str(headers.get("date", "")))
    if found:
        return f"{found[3]}-{_MONTHS.index(found[2]) + 1:02}-{int(found[1]):02}"
    made = (response or {}).get("created_at") or (response or {}).get("created")
    made = made or next((one.get("created") for one in events or () if isinstance(one, dict)), None)
    if isinstance(made, int | float) and made > 1_600_000_000:
        return datetime.fromtimestamp(made, UTC).date().isoformat()
    return None


def _text(side: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    if "parsed_body" in side:
        return json.dumps(side["parsed_body"])
    body = side.get("body", side.get("content", ""))
    if isinstance(body, dict):
        for key in ("base64_string", "string", "value", "content"):
            if key in body and len(body) <= 3:
                body = base64.b64decode(body[key]) if key == "base64_string" else body[key]
                break
    if isinstance(body, dict | list) and not _is_hex(body):
        return json.dumps(body)
    if _is_hex(body):
        body = bytes.fromhex("".join(body))
    if isinstance(body, bytes):
        if body[:2] == b"\x1f\x8b" or headers.get("content-encoding") == "gzip":
            with contextlib.suppress(OSError, zlib.error):
                body = gzip.decompress(body)
        body = body.decode("utf-8", "replace")
    return str(body or "")


def _is_hex(body: Any) -> bool:
    return (
        isinstance(body, list)
        and bool(body)
        and all(isinstance(part, str) and re.fullmatch(r"[0-9a-f]+", part) for part in body)
    )


def _whole(events: list[Any]) -> dict[str, Any] | None:
    """Return the response that a stream ends with; of Chat Completions its model and usage."""
    for event in reversed(events):
        if isinstance(event, dict) and isinstance(event.get("response"), dict):
            return dict(event["response"])
    chunks = [event for event in events if isinstance(event, dict)]
    usage = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), None)
    if not chunks:
        return None
    named = next((chunk["model"] for chunk in chunks if chunk.get("model")), None)
    return {"model": named, "usage": usage, "created": chunks[0].get("created"), "id": chunks[0].get("id")}


# Cleaning.


def sound(rows: Iterable[Exchange], released: Callable[[str], date | None]) -> list[Exchange]:
    """Drop what is there twice, what its authors edited or made up and what speaks of another provider.

    Edited are recordings older than the model that answers, those with ids that nobody drew, long texts that
    were cut, streams of Responses in events of no type, and reasoning whose encrypted form was replaced, so
    that its size is lost.

    Args:
        rows: as they were read.
        released: says when a model came out.
    """
    seen: dict[str, Exchange] = {}
    kept = []
    for row in rows:
        if not isinstance(row.request, dict) or not isinstance(row.response, dict | None):
            continue
        key = json.dumps(
            [row.endpoint, row.status, row.request, row.input_tokens], sort_keys=True, default=str
        )
        dated = re.search(r"(\d{4}-\d{2}-\d{2})$", row.model or "")
        out = released(row.asked)
        early = bool(row.day and ((dated and row.day < dated[1]) or (out and row.day < out.isoformat())))
        foreign = not re.match(r"(gpt|o\d|chatgpt|computer-use)", row.model or row.asked or "gpt")
        made_up = _MADE_UP.search(str((row.response or {}).get("id") or ""))
        sealed = re.search(r'"encrypted_content": "[^"]{0,60}"', key)
        cut = _REPLACED.search(key)
        strayed = row.endpoint == RESPONSES and "messages" in row.request
        untyped = row.endpoint == RESPONSES and any("type" not in event for event in row.events or ())
        if key in seen and row.response:
            seen[key].others.append(row.response)
        if key in seen or early or foreign or made_up or sealed or cut or strayed or untyped:
            continue
        seen[key] = row
        kept.append(row)
    return kept
