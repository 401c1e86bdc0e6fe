"""The simulated service: one request in, one reply out, every rule in its order, every call in the journal.

Order of checks: key, form, model, endpoint, parameters, modality, output cap, context, rate limit, faults.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from routed_llm.simulator import chat_request, responses_request, rules
from routed_llm.simulator.batches import answered, page
from routed_llm.simulator.checks import check_known, clean_body
from routed_llm.simulator.failures import ApiFailure, failure
from routed_llm.simulator.faults import COUNTING, REFUSALS, UNREADABLE, Fault, parse, refusal
from routed_llm.simulator.journal import Entry
from routed_llm.simulator.models import SimulatedModel, entry, listing, resolve
from routed_llm.simulator.serving import Accepted, Reply, fail_in_stream, serve_request
from routed_llm.simulator.state import State
from routed_llm.simulator.tokens import prompt_ids

_PROMPTS = "gpt-4.1"
_OUTPUT_GUESS = 16  # tokens that a request without a cap reserves against the rate limit
_REASONING_KEYS = ["effort", "summary", "generate_summary", "mode", "context"]
_BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


class Service(State):
    """Answers API requests; what it remembers is its `State`."""

    def handle(
        self, method: str, path: str, sent: dict[str, str], content: bytes, book: Entry, *, query: str = ""
    ) -> Reply:
        """Return the reply to one API request.

        Args:
            method: the HTTP method.
            path: without the query.
            sent: request headers, names in lower case.
            content: the request's bytes.
            book: the journal entry to fill.
            query: of the URL.
        """
        try:
            self._check_key(sent)
            if (method, path) == ("GET", "/v1/chat/completions"):
                reply = self._completions(dict(parse_qsl(query)))
            elif path.startswith(("/v1/files", "/v1/batches")):
                reply = self._batched(method, path, query, sent, content)
            else:
                reply = self._route(method, path, sent, content, book)
        except ApiFailure as error:
            reply = _refused(error, book, {})
        book.status = reply.status
        return reply

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
            "/v1/conversations": self._conversation,
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

    def _batched(self, method: str, path: str, query: str, sent: dict[str, str], content: bytes) -> Reply:
        body = self.batches.route(method, path, query, sent, content, self._line)
        if isinstance(body, bytes):
            kind = {"content-type": "application/octet-stream"}
            return Reply(body=body.decode(), html=True, headers=kind)
        return Reply(body=body)

    def _completions(self, asked: dict[str, str]) -> Reply:
        """List stored completions by model and metadata (openai-python, CompletionListParams)."""
        keys = {key[9:-1]: value for key, value in asked.items() if key.startswith("metadata[")}
        found = self.store.completions(keys)
        if model := asked.get("model"):
            found = [one for one in found if one["model"] == model]
        return Reply(body=page(found[::-1] if asked.get("order") == "desc" else found, asked))

    def _line(self, endpoint: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one request of a batch, at the price of batches and beside the rate limits."""
        book = self.journal.open("POST", endpoint, 0, {})
        book.body = body

        def serve(book: Entry) -> Reply:
            with _reading():
                chat = endpoint == "/v1/chat/completions"
                request = (
                    self._read_chat(body, book) if chat else self._read_response(body, "responses", book)
                )
            if not chat:
                rules.check_cap(request.model, "responses", request.ask.cap)
                rules.check_context(request.model, "responses", len(request.ids), request.ask.cap)
            if "batch" not in request.model.prices:
                raise failure("batch_model", model=body.get("model"))
            ask = dataclasses.replace(request.ask, tier="batch")
            reply = serve_request(self, dataclasses.replace(request, ask=ask), book)
            reply.body["service_tier"] = "default"  # which is what results of batches say
            return reply

        return answered(serve, book)

    def _conversation(self, raw: Any, _: dict[str, str], book: Entry) -> Reply:
        """Begin a conversation, which later requests go on with."""
        given = raw.get("items") or []
        name = self.store.begin(responses_request.read_items({"input": given}, self.store) if given else [])
        book.response_id = name
        made = {"id": name, "object": "conversation", "created_at": self.seconds()}
        return Reply(body={**made, "metadata": raw.get("metadata") or {}})

    def _stored(self, method: str, response_id: str) -> Reply:
        found = self.store.response(response_id)
        if found is None:
            raise failure("response_not_found", id=response_id)
        if method == "GET":
            return Reply(body=found)
        self.store.delete(response_id)
        return Reply(body={"id": response_id, "object": "response.deleted", "deleted": True})

    def _chat(self, raw: Any, sent: dict[str, str], book: Entry) -> Reply:
        with _reading():
            request = self._read_chat(raw, book)
        return self._served(request, sent, book)

    def _read_chat(self, raw: Any, book: Entry) -> Accepted:
        rules.check_renamed(raw)
        body = clean_body(raw, "chat")
        _note(book, body)
        chat_request.check_messages(body)
        model = self._model(body, "chat")
        given = body.get("reasoning_effort")
        rules.check_effort(model, body["model"], "chat", given)
        effort = rules.effort_in_force(model, given)
        rules.check_parameters(model, "chat", body, raw, effort)
        rules.check_tools(model, body["model"], bool(body.get("tools")), effort, given)
        ask = chat_request.read(body, model, effort)
        rules.check_cap(model, "chat", ask.cap)
        ids = prompt_ids(model, ask)
        rules.check_context(model, "chat", len(ids), ask.cap)
        return Accepted(model=model, ask=ask, body=body, ids=ids)

    def _responses(self, raw: Any, sent: dict[str, str], book: Entry) -> Reply:
        with _reading():
            request = self._read_response(raw, "responses", book)
        cap = request.ask.cap
        rules.check_cap(request.model, "responses", cap)
        try:
            rules.check_context(request.model, "responses", len(request.ids), cap)
        except ApiFailure as error:
            if not request.ask.stream:
                raise
            _write_down(error, book)
            return fail_in_stream(self, request, error, book.number)
        return self._served(request, sent, book)

    def _input_tokens(self, raw: Any, _: dict[str, str], book: Entry) -> Reply:
        with _reading():
            request = self._read_response(raw, COUNTING, book)
        names = (request.body["model"], request.model.name, request.model.served)
        fault = self.faults.strike(COUNTING, names)
        if fault is not None:
            book.fault = fault.kind
            if fault.kind in REFUSALS:
                return _faulted(fault, request.body["model"], book)
            book.by = "fault"
            return Reply(status=0, fault=fault)
        return Reply(body={"object": "response.input_tokens", "input_tokens": len(request.ids)})

    def _read_response(self, raw: Any, fields: str, book: Entry) -> Accepted:
        body = clean_body(raw, fields)
        _note(book, body)
        items = responses_request.read_items(body, self.store)
        model = self._model(body, "responses")
        reasoning = body.get("reasoning") or {}
        check_known(reasoning, _REASONING_KEYS, "reasoning")
        given = reasoning.get("effort")
        rules.check_effort(model, body["model"], "responses", given)
        effort = rules.effort_in_force(model, given)
        rules.check_parameters(model, "responses", body, raw, effort)
        stored = body.get("store") is not False
        responses_request.check_reasoning(items, model, self.store, stored=stored)
        ask = responses_request.read(body, model, effort, items)
        ids = prompt_ids(model, ask)
        if body.get("truncation") == "auto":
            ids = ids[-(model.max_input - (ask.cap or 0) if model.shared_window else model.max_input) :]
        return Accepted(model=model, ask=ask, body=body, ids=ids, items=items)

    def _model(self, body: dict[str, Any], endpoint: str) -> SimulatedModel:
        model = resolve(body["model"], self.today, endpoint)
        rules.check_endpoint(model, body["model"], endpoint)
        return model

    def _served(self, request: Accepted, sent: dict[str, str], book: Entry) -> Reply:
        reserved = len(request.ids) + (request.ask.cap or _OUTPUT_GUESS)
        shown = self.limits.spend(request.model.name, reserved)
        fault = self._fault(request, sent)
        if fault is not None:
            book.fault = fault.kind
            # What ends in an error status is not billed. An error inside a stream needs a stream.
            if fault.kind in REFUSALS or (fault.kind == "sse_error" and not request.ask.stream):
                return _faulted(fault, request.body["model"], book)
            if fault.kind == "hang":
                book.by = "fault"
                return Reply(status=0, fault=fault)
        reply = serve_request(self, request, book)
        if fault is not None and fault.kind in UNREADABLE:
            reply = _spoilt(fault.kind)
        reply.headers.update(shown)
        reply.fault = fault
        return reply

    def _fault(self, request: Accepted, sent: dict[str, str]) -> Fault | None:
        wanted = sent.get("x-simulator-fault")
        if not wanted:
            names = (request.body["model"], request.model.name, request.model.served)
            return self.faults.strike(request.ask.endpoint, names)
        try:
            return parse(wanted)
        except ValueError as error:
            text = {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}
            raise ApiFailure(400, text, by="fault") from error


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn what a body of undocumented shape makes the readers stumble over into a refusal."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise failure("malformed", why=f"{type(error).__name__}: {error}") from error


def _note(book: Entry, body: dict[str, Any]) -> None:
    if "model" not in body and body.get("prompt"):
        body["model"] = _PROMPTS  # a stored prompt names its own
    if "model" not in body:
        raise failure("no_model")
    book.model = body["model"]
    book.stream = bool(body.get("stream"))


def _faulted(fault: Fault, asked: str, book: Entry) -> Reply:
    if fault.kind == "502_html":
        book.by, book.message = "fault", "502 Bad Gateway"
        return Reply(status=502, body=_BAD_GATEWAY, html=True)
    error, extra = refusal(fault, asked)
    return _refused(error, book, extra)


def _spoilt(kind: str) -> Reply:
    if kind == "200_html":
        return Reply(body=_BAD_GATEWAY, html=True)
    return Reply(body={} if kind == "200_empty" else {"error": failure("server_error").error})


def _refused(error: ApiFailure, book: Entry, extra: dict[str, str]) -> Reply:
    _write_down(error, book)
    return Reply(status=error.status, body={"error": error.error}, headers={**error.headers, **extra})


def _write_down(error: ApiFailure, book: Entry) -> None:
    book.by, book.message = error.by, error.error["message"]
    book.code, book.param = error.error["code"], error.error["param"]
