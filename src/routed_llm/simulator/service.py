"""The simulated service: one request in, one reply out, every rule in its order, every call in the journal.

Order of checks: key, form, model, endpoint, parameters, modality, output cap, context, rate limit, faults.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timezone
from datetime import time as clock_time
from typing import Any

from routed_llm.simulator import chat_reply, chat_request, responses_reply, responses_request, rules
from routed_llm.simulator.answer import Answer, Script, answer
from routed_llm.simulator.ask import Ask
from routed_llm.simulator.billing import Used, billed, tier_for
from routed_llm.simulator.checks import check_known, clean_body
from routed_llm.simulator.failures import ApiFailure, failure
from routed_llm.simulator.faults import REFUSALS, Fault, FaultPlan, parse, refusal
from routed_llm.simulator.frozen import load
from routed_llm.simulator.journal import Entry, Journal
from routed_llm.simulator.limits import RateLimits, headers
from routed_llm.simulator.models import SimulatedModel, entry, listing, resolve
from routed_llm.simulator.prefixes import PrefixMemory
from routed_llm.simulator.store import Store
from routed_llm.simulator.tokens import encode, prompt_ids

_DEFAULT_OUTPUT_GUESS = 16  # tokens that a request without a cap reserves against the rate limit


@dataclasses.dataclass(slots=True, kw_only=True)
class Reply:
    """What goes out: a body, or the events of a stream; a fault for the transport to play."""

    status: int = 200
    body: Any = None
    events: Iterator[dict[str, Any]] | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    fault: Fault | None = None
    html: bool = False
    dialect: str = "chat"


class Service:
    """State of one simulator; safe to call from many threads."""

    def __init__(self, *, at: date | None, seed: int, api_key: str | None, faults: FaultPlan) -> None:
        self.at = at
        self.seed = seed
        self.api_key = api_key
        self.journal = Journal()
        self.faults = faults
        self.limits = RateLimits()
        self.prefixes = PrefixMemory()
        self.store = Store()
        self._scripts: list[list[Any]] = []
        self._lock = threading.Lock()

    @property
    def today(self) -> date:
        """The simulated date."""
        return self.at or date.today()

    def handle(self, method: str, path: str, sent: dict[str, str], content: bytes, book: Entry) -> Reply:
        """Return the reply to one API request."""
        try:
            self._check_key(sent)
            reply = self._route(method, path, sent, content, book)
        except ApiFailure as error:
            reply = self._refused(error, book, {})
        book.status = reply.status
        return reply

    def add_script(self, script: Script) -> None:
        """Queue what a later request gets for an answer."""
        with self._lock:
            self._scripts.append([script, script.times])

    def reset(self) -> None:
        """Forget journal, faults, limits, prompt cache, stored responses and scripts."""
        self.journal.clear()
        self.faults.clear()
        self.limits.clear()
        self.prefixes.clear()
        self.store.clear()
        with self._lock:
            self._scripts.clear()

    def _check_key(self, sent: dict[str, str]) -> None:
        scheme, _, key = sent.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise failure("no_key", by="key")
        if self.api_key is not None and key.strip() != self.api_key:
            shown = key if len(key) < 12 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
            raise failure("wrong_key", by="key", key=shown)

    def _route(self, method: str, path: str, sent: dict[str, str], content: bytes, book: Entry) -> Reply:
        posts: dict[str, Callable[[Any, dict[str, str], Entry], Reply]] = {
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._responses,
            "/v1/responses/input_tokens": self._input_tokens,
        }
        if path in posts and method == "POST":
            try:
                book.body = json.loads(content)
            except ValueError:
                raise failure("bad_json") from None
            return posts[path](book.body, sent, book)
        if path == "/v1/models" and method == "GET":
            return Reply(body={"object": "list", "data": listing(self.today)})
        if path.startswith("/v1/models/") and method == "GET":
            name = path.removeprefix("/v1/models/")
            resolve(name, self.today)
            return Reply(body=entry(name))
        if path.startswith("/v1/responses/") and method in ("GET", "DELETE"):
            return self._stored(method, path.removeprefix("/v1/responses/"))
        if path in posts or path == "/v1/models":
            raise failure("wrong_method", method=method, path=path)
        raise failure("unknown_url", method=method, path=path)

    def _stored(self, method: str, response_id: str) -> Reply:
        found = self.store.response(response_id)
        if found is None:
            raise failure("response_not_found", id=response_id)
        if method == "GET":
            return Reply(body=found)
        self.store.delete(response_id)
        return Reply(body={"id": response_id, "object": "response.deleted", "deleted": True})

    def _chat(self, raw: Any, sent: dict[str, str], book: Entry) -> Reply:
        body = clean_body(raw, "chat")
        self._note(book, body)
        chat_request.check_messages(body)
        model = self._model(body, "chat")
        effort = self._effort(model, body["model"], "chat", body.get("reasoning_effort"))
        rules.check_parameters(model, "chat", body, raw, effort)
        rules.check_tools(model, body["model"], bool(body.get("tools")), effort, body.get("reasoning_effort"))
        ask = chat_request.read(body, model, effort)
        rules.check_cap(model, "chat", ask.cap)
        ids = prompt_ids(ask)
        rules.check_context(model, "chat", len(ids), ask.cap)
        return self._served(model, ask, ids, body, sent, book, [])

    def _responses(self, raw: Any, sent: dict[str, str], book: Entry) -> Reply:
        model, ask, items, body = self._read_response(raw, "responses", book)
        rules.check_cap(model, "responses", ask.cap)
        ids = prompt_ids(ask)
        if body.get("truncation") == "auto":
            ids = ids[-model.max_input :]
        try:
            rules.check_context(model, "responses", len(ids), ask.cap)
        except ApiFailure as error:
            if not ask.stream:
                raise
            return self._failed_in_stream(error, model, body, ask, book)
        return self._served(model, ask, ids, body, sent, book, items)

    def _input_tokens(self, raw: Any, sent: dict[str, str], book: Entry) -> Reply:
        _, ask, _, _ = self._read_response(raw, "input_tokens", book)
        return Reply(body={"object": "response.input_tokens", "input_tokens": len(prompt_ids(ask))})

    def _read_response(
        self, raw: Any, fields: str, book: Entry
    ) -> tuple[SimulatedModel, Ask, list[dict[str, Any]], dict[str, Any]]:
        body = clean_body(raw, fields)
        self._note(book, body)
        items = responses_request.read_items(body, self.store)
        model = self._model(body, "responses")
        reasoning = body.get("reasoning") or {}
        check_known(reasoning, ["effort", "summary", "generate_summary", "mode", "context"], "reasoning")
        effort = self._effort(model, body["model"], "responses", reasoning.get("effort"))
        rules.check_parameters(model, "responses", body, raw, effort)
        responses_request.check_reasoning(items, model, self.store)
        return model, responses_request.read(body, model, effort, items), items, body

    def _note(self, book: Entry, body: dict[str, Any]) -> None:
        if "model" not in body:
            raise failure("no_model")
        book.model = body["model"]
        book.stream = bool(body.get("stream"))

    def _model(self, body: dict[str, Any], endpoint: str) -> SimulatedModel:
        model = resolve(body["model"], self.today)
        rules.check_endpoint(model, body["model"], endpoint)
        return model

    def _effort(self, model: SimulatedModel, asked: str, endpoint: str, given: str | None) -> str:
        rules.check_effort(model, asked, endpoint, given)
        return rules.effort_in_force(model, given)

    def _served(
        self,
        model: SimulatedModel,
        ask: Ask,
        ids: list[int],
        body: dict[str, Any],
        sent: dict[str, str],
        book: Entry,
        items: list[dict[str, Any]],
    ) -> Reply:
        shown = self.limits.spend(model.name, len(ids) + (ask.cap or _DEFAULT_OUTPUT_GUESS))
        fault = self._fault(ask.endpoint, model, body["model"], sent)
        if fault is not None:
            book.fault = fault.kind
            if fault.kind in REFUSALS:
                return self._faulted(fault, body["model"], book)
            if fault.kind == "hang":
                book.by = "fault"
                return Reply(status=0, fault=fault)
        answers = self._answers(model, ask, len(ids), body)
        used = self._usage(model, ask, ids, answers)
        book.served, book.used, book.dollars = model.served, used, billed(model, used)
        reply = self._told(model, ask, body, answers, used, book, items)
        reply.headers.update(shown)
        reply.fault = fault
        return reply

    def _answers(self, model: SimulatedModel, ask: Ask, prompt: int, body: dict[str, Any]) -> list[Answer]:
        room = min(ask.cap or model.max_output, model.max_output)
        room = max(0, min(room, model.window - prompt))
        request = json.dumps({k: v for k, v in body.items() if k != "stream" and k != "stream_options"}, sort_keys=True)
        script = self._script(ask, model, body["model"])
        return [answer(ask, model, room, f"{self.seed}|{i}|{request}", script) for i in range(ask.n)]

    def _script(self, ask: Ask, model: SimulatedModel, asked: str) -> Script | None:
        with self._lock:
            for row in self._scripts:
                script: Script = row[0]
                if script.model and script.model not in (asked, model.name, model.served):
                    continue
                if script.contains and script.contains not in ask.last_user:
                    continue
                if script.times:
                    row[1] -= 1
                    if row[1] <= 0:
                        self._scripts.remove(row)
                return script
        return None

    def _usage(self, model: SimulatedModel, ask: Ask, ids: list[int], answers: list[Answer]) -> Used:
        cached, written = self.prefixes.look_up(model.name, ask.cache_key, ids)
        if "cached_input" not in model.prices["standard"]["short"]:
            cached, written = 0, 0
        if model.family not in load("tokens")["cache"]["writes_billed"]:
            written = 0
        accepted, rejected = _predicted(ask, answers)
        heard = sum(part.tokens for turn in ask.turns for part in turn.parts if part.kind == "audio")
        return Used(
            prompt=len(ids),
            completion=sum(one.tokens for one in answers) + rejected,
            cached=cached,
            written=written,
            audio_in=heard,
            audio_out=sum(one.audio_tokens for one in answers),
            reasoning=sum(one.reasoning for one in answers),
            accepted=accepted,
            rejected=rejected,
            tier=tier_for(model, ask.tier),
            long_ttl=ask.cache_ttl == "12h",
        )

    def _told(
        self,
        model: SimulatedModel,
        ask: Ask,
        body: dict[str, Any],
        answers: list[Answer],
        used: Used,
        book: Entry,
        items: list[dict[str, Any]],
    ) -> Reply:
        stem = hashlib.sha256(f"{self.seed}|{book.number}".encode()).hexdigest()
        created = self._seconds()
        if ask.endpoint == "chat":
            envelope = chat_reply.Envelope(
                id=f"chatcmpl-{stem[:29]}", created=created, model=model.served, tier=used.tier
            )
            book.response_id = envelope.id
            if not ask.stream:
                return Reply(body=chat_reply.whole(envelope, ask, answers, used))
            wanted = bool((body.get("stream_options") or {}).get("include_usage"))
            return Reply(events=chat_reply.chunks(envelope, ask, answers, used, wanted))
        response = responses_reply.whole(f"resp_{stem[:48]}", created, model, body, ask, answers[0], used)
        book.response_id = response["id"]
        if body.get("store", True):
            self.store.keep(response, items)
        if not ask.stream:
            return Reply(body=response, dialect="responses")
        return Reply(events=responses_reply.events(response), dialect="responses")

    def _seconds(self) -> int:
        if self.at is None:
            return int(time.time())
        return int(datetime.combine(self.at, clock_time(12), timezone.utc).timestamp())

    def _fault(self, endpoint: str, model: SimulatedModel, asked: str, sent: dict[str, str]) -> Fault | None:
        wanted = sent.get("x-simulator-fault")
        if wanted:
            try:
                return parse(wanted)
            except ValueError as error:
                text = {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}
                raise ApiFailure(400, text) from error
        return self.faults.strike(endpoint, (asked, model.name, model.served))

    def _faulted(self, fault: Fault, asked: str, book: Entry) -> Reply:
        if fault.kind == "502_html":
            book.by, book.message = "fault", "502 Bad Gateway"
            page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway"
            page += "</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
            return Reply(status=502, body=page, html=True)
        error, extra = refusal(fault, asked)
        return self._refused(error, book, extra)

    def _refused(self, error: ApiFailure, book: Entry, extra: dict[str, str]) -> Reply:
        self._write_down(error, book)
        shown = dict(extra)
        if error.by == "rate_limit":
            shown |= headers(1, 1, 1, 1) if not extra else {}
            shown["retry-after-ms"] = "500"
        return Reply(status=error.status, body={"error": error.error}, headers=shown)

    def _write_down(self, error: ApiFailure, book: Entry) -> None:
        book.by, book.message = error.by, error.error["message"]
        book.code, book.param = error.error["code"], error.error["param"]

    def _failed_in_stream(
        self, error: ApiFailure, model: SimulatedModel, body: dict[str, Any], ask: Ask, book: Entry
    ) -> Reply:
        """A context error on a stream: HTTP 200, two opening events, then the error (dyad-sh/dyad#1672)."""
        self._write_down(error, book)
        empty = responses_reply.whole(
            f"resp_{hashlib.sha256(str(book.number).encode()).hexdigest()[:48]}", self._seconds(), model, body, ask,
            Answer(), Used(prompt=0, tier=tier_for(model, ask.tier)),
        )  # fmt: skip
        start = responses_reply.opening(empty)
        told = {"type": error.error["type"], "code": error.error["code"],
                "message": error.error["message"], "param": error.error["param"]}  # fmt: skip
        rows: list[dict[str, Any]] = [
            {"type": "response.created", "response": start, "sequence_number": 0},
            {"type": "response.in_progress", "response": start, "sequence_number": 1},
            {"type": "error", "sequence_number": 2, "error": told},
        ]
        return Reply(events=iter(rows), dialect="responses")


def _predicted(ask: Ask, answers: list[Answer]) -> tuple[int, int]:
    """Return (accepted, rejected) tokens of a prediction: the part that the answer begins with alike."""
    if not ask.prediction:
        return 0, 0
    wanted, got = encode(ask.prediction), encode(answers[0].text)
    same = next((i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), min(len(wanted), len(got)))
    return same, len(wanted) - same
