"""``/v1/files`` and ``/v1/batches``: files of requests, answered at half the price on simulated time.

A batch is looked at when somebody asks for it: its requests are answered, each with a journal entry of its
own, once the simulated clock has passed the time that it takes. Forms are those of openai-python 2.54 (types
Batch, BatchError, FileObject) and of the guide to the Batch API: 50,000 requests and 200 MB a file, one model
a file, results in any order, what was not done after 24 hours in the error file as ``batch_expired``.
"""

from __future__ import annotations

import dataclasses
import email.parser
import email.policy
import json
import random
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from routed_llm.simulator.failures import ApiFailure, failure

if TYPE_CHECKING:
    from routed_llm.simulator.journal import Entry

__all__ = ["ENDPOINTS", "Batches", "answered", "page"]

ENDPOINTS = ("/v1/chat/completions", "/v1/responses")
_MOST_REQUESTS = 50_000
_MOST_BYTES = 200 * 1024 * 1024
_WINDOW = 24 * 3600
_FINAL = ("failed", "completed", "expired", "cancelled")
_EXPIRED = "This request could not be executed before the completion window expired."


@dataclasses.dataclass(slots=True)
class _File:
    about: dict[str, Any]
    content: bytes


@dataclasses.dataclass(slots=True)
class _Batch:
    about: dict[str, Any]
    lines: list[dict[str, Any]]
    tokens: int
    ready_at: int
    done: int


Answer = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]
"""Answers one request of a batch: endpoint and body in, status and body out."""


class Batches:
    """The files and batches of one simulator; safe to use from many threads.

    Attributes:
        takes: seconds from a batch's creation to its end.
        finished: the part of the requests of a batch that is answered by then; with less than all of them a
            batch expires when its window ends.
        failing: the part of the requests that end in a 500.
        enqueued: model to the most prompt bytes (for tokens) that may wait in batches at once.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget every file, batch and plan."""
        with self._lock:
            self.takes = 3600
            self.finished = 1.0
            self.failing = 0.0
            self.enqueued: dict[str, int] = {}
            self._files: dict[str, _File] = {}
            self._batches: dict[str, _Batch] = {}

    def route(
        self, method: str, path: str, query: str, sent: dict[str, str], content: bytes, answer: Answer
    ) -> Any:
        """Return the body of the reply to a request: JSON data, or the bytes of a file.

        Raises:
            ApiFailure: when the request is wrong.
        """
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        kind, _, rest = path.removeprefix("/v1/").partition("/")
        name, _, what = rest.partition("/")
        with self._lock:
            if kind == "files":
                return self._on_files(method, name, what, asked, sent, content)
            for batch in self._batches.values():
                self._advance(batch, answer)
            return self._on_batches(method, name, what, asked, content)

    # ----- files

    def _on_files(
        self, method: str, name: str, what: str, asked: dict[str, str], sent: dict[str, str], content: bytes
    ) -> Any:
        if method == "POST" and not name:
            return self._upload(sent.get("content-type", ""), content)
        if method == "GET" and not name:
            kept = [file.about for file in self._files.values()]
            return page([one for one in kept if asked.get("purpose") in (None, one["purpose"])], asked)
        file = self._files.get(name)
        if file is None:
            raise failure("file_not_found", id=name)
        if method == "DELETE":
            del self._files[name]
            return {"id": name, "object": "file", "deleted": True}
        return file.content if what == "content" else file.about

    def _upload(self, kind: str, content: bytes) -> dict[str, Any]:
        fields = _multipart(kind, content)
        if "file" not in fields or "purpose" not in fields:
            raise failure("file_fields")
        name, data = fields["file"]
        purpose = fields["purpose"][1].decode()
        if purpose == "batch" and not name.endswith(".jsonl"):
            raise failure("batch_file_format")
        if len(data) > _MOST_BYTES and purpose == "batch":
            raise failure("batch_file_size", size=len(data))
        return self._keep(name, data, purpose).about

    def _keep(self, name: str, data: bytes, purpose: str) -> _File:
        about = {
            "id": f"file-{len(self._files) + 1:024d}",
            "object": "file",
            "bytes": len(data),
            "created_at": self._clock(),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "expires_at": self._clock() + 30 * 24 * 3600,
            "status_details": None,
        }
        file = self._files[str(about["id"])] = _File(about, data)
        return file

    # ----- batches

    def _on_batches(self, method: str, name: str, what: str, asked: dict[str, str], content: bytes) -> Any:
        if method == "POST" and not name:
            try:
                return self._create(json.loads(content))
            except (ValueError, AttributeError):
                raise failure("bad_json") from None
        if method == "GET" and not name:
            return page([batch.about for batch in reversed(self._batches.values())], asked)
        batch = self._batches.get(name)
        if batch is None:
            raise failure("batch_not_found", id=name)
        if what == "cancel" and method == "POST":
            if batch.about["status"] in _FINAL:
                raise failure("batch_not_cancellable", status=batch.about["status"])
            batch.about |= {"status": "cancelling", "cancelling_at": self._clock()}
            batch.ready_at = min(batch.ready_at, self._clock() + 600)
        return batch.about

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("completion_window") != "24h":
            raise failure("batch_window", window=body.get("completion_window"))
        if body.get("endpoint") not in ENDPOINTS:
            raise failure("batch_endpoint", endpoint=body.get("endpoint"))
        file = self._files.get(str(body.get("input_file_id")))
        if file is None or file.about["purpose"] != "batch":
            raise failure("file_not_found", id=body.get("input_file_id"))
        now = self._clock()
        about: dict[str, Any] = {
            "id": f"batch_{len(self._batches) + 1:032d}",
            "object": "batch",
            "endpoint": body["endpoint"],
            "errors": None,
            "input_file_id": file.about["id"],
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + _WINDOW,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": body.get("metadata"),
        }
        lines, problems = _read(file.content, body["endpoint"])
        tokens = len(file.content)
        if not problems and (over := self._over(lines[0]["body"].get("model"), tokens)):
            problems = [over]
        if problems:
            about |= {"status": "failed", "failed_at": now, "errors": {"object": "list", "data": problems}}
        else:
            about["model"] = lines[0]["body"].get("model")
            about["request_counts"]["total"] = len(lines)
        takes = self.takes if self.finished >= 1 else _WINDOW
        self._batches[str(about["id"])] = _Batch(
            about, lines, tokens, now + takes, round(len(lines) * self.finished)
        )
        return dict(about)

    def _over(self, model: Any, tokens: int) -> dict[str, Any] | None:
        """Say that a batch is too much for what may wait at once."""
        limit = self.enqueued.get(str(model))
        if limit is None:
            return None
        waiting = sum(
            one.tokens
            for one in self._batches.values()
            if one.about["status"] not in _FINAL and one.about.get("model") == model
        )
        if waiting + tokens <= limit:
            return None
        text = (
            f"Enqueued token limit reached for {model} in organization org-simulated. Limit: {limit:,} "
            "enqueued tokens. Please try again once some in_progress batches have been completed."
        )
        return {"code": "token_limit_exceeded", "line": None, "message": text, "param": None}

    def _advance(self, batch: _Batch, answer: Answer) -> None:
        """Let time pass for a batch."""
        about, now = batch.about, self._clock()
        if about["status"] in _FINAL:
            return
        if about["status"] == "validating":
            about |= {"status": "in_progress", "in_progress_at": now}
        if now < batch.ready_at:
            return
        chance = random.Random(about["id"])  # noqa: S311 - draws an order
        order = list(range(len(batch.lines)))
        chance.shuffle(order)
        done: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for place, at in enumerate(order):
            line = batch.lines[at]
            row = {"id": f"batch_req_{about['id'][-8:]}{at:08d}", "custom_id": line["custom_id"]}
            if place >= batch.done:
                error = {"code": "batch_expired", "message": _EXPIRED}
                errors.append({**row, "response": None, "error": error})
                continue
            if chance.random() < self.failing:
                status, body = 500, {"error": failure("server_error").error}
            else:
                status, body = answer(about["endpoint"], line["body"])
            reply = {"status_code": status, "request_id": f"req_{at:032d}", "body": body}
            (done if status == 200 else errors).append({**row, "response": reply, "error": None})
        counts = about["request_counts"]
        counts |= {"completed": len(done), "failed": len(errors)}
        for key, rows in (("output_file_id", done), ("error_file_id", errors)):
            if rows:
                text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
                about[key] = self._keep(f"{about['id']}_{key}.jsonl", text, "batch_output").about["id"]
        if about["status"] == "cancelling":
            end = "cancelled"
        else:
            end = "completed" if batch.done >= len(batch.lines) else "expired"
        about |= {"status": end, f"{end}_at": now}


def _read(content: bytes, endpoint: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a batch file's requests, and what is wrong with them."""
    lines: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    seen: set[str] = set()
    models: set[Any] = set()
    for number, raw in enumerate(content.splitlines(), 1):
        try:
            line = json.loads(raw)
            name, body = line["custom_id"], line["body"]
        except (ValueError, KeyError, TypeError):
            problems.append(
                _problem("invalid_json_line", number, "This line is not parseable as valid JSON.")
            )
            continue
        models.add(body.get("model"))
        tests = (
            (name in seen, "duplicate_custom_id", f"The custom_id '{name}' appears more than once."),
            (len(str(name)) > 64, "invalid_custom_id", "A custom_id has at most 64 characters."),
            (line.get("url") != endpoint, "mismatched_url", "The URL does not match the batch's endpoint."),
            (bool(body.get("stream")), "invalid_request", "Streaming is not supported in the Batch API."),
            (len(models) > 1, "mismatched_model", "A batch file holds requests to a single model."),
        )
        problems.extend([_problem(code, number, text) for wrong, code, text in tests if wrong])
        seen.add(name)
        lines.append(line)
    if not lines and not problems:
        problems.append(_problem("empty_file", None, "The batch file is empty."))
    if len(lines) > _MOST_REQUESTS:
        text = f"A batch has at most {_MOST_REQUESTS:,} requests."
        problems.append(_problem("too_many_tasks", None, text))
    return lines, problems[:1000]


def _problem(code: str, line: int | None, message: str) -> dict[str, Any]:
    return {"code": code, "line": line, "message": message, "param": None}


def page(rows: list[dict[str, Any]], asked: dict[str, str]) -> dict[str, Any]:
    """Return a page of a list, which begins after the object that was asked for."""
    names = [row["id"] for row in rows]
    begin = names.index(asked["after"]) + 1 if asked.get("after") in names else 0
    most = min(int(asked.get("limit", 20)), 100)
    found = [dict(row) for row in rows[begin : begin + most]]
    return {
        "object": "list",
        "data": found,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
        "has_more": begin + most < len(rows),
    }


def _multipart(kind: str, content: bytes) -> dict[str, tuple[str, bytes]]:
    """Read a form: field to the name of its file and its content."""
    head = f"content-type: {kind}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + content)
    fields: dict[str, tuple[str, bytes]] = {}
    for part in _parts(form):
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(data, bytes):
            fields[name] = (part.get_filename() or "", data)
    return fields


def _parts(form: Any) -> Iterator[Any]:
    return iter(form.get_payload()) if form.is_multipart() else iter(())


def answered(serve: Callable[[Entry], Any], book: Entry) -> tuple[int, dict[str, Any]]:
    """Answer one request of a batch: status and body.

    Args:
        serve: serves it and fills its journal entry.
        book: the entry.
    """
    try:
        reply = serve(book)
    except ApiFailure as error:
        book.by, book.message, book.code = error.by, error.error["message"], error.error["code"]
        book.status = error.status
        return error.status, {"error": error.error}
    book.status = reply.status
    return reply.status, reply.body
