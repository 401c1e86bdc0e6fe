"""The control endpoints under `/_control/`: faults, journal, date, limits, scripts."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from routed_llm.simulator.answer import Script
from routed_llm.simulator.service import Service


def control(service: Service, method: str, what: str, content: bytes) -> tuple[int, Any]:
    """Return (status, body) of a control request."""
    try:
        body = json.loads(content) if content else {}
        handler = {
            "faults": _faults,
            "journal": _journal,
            "date": _date,
            "limits": _limits,
            "scripts": _scripts,
        }[what]
        return 200, handler(service, method, body)
    except KeyError as error:
        return 404, {"error": {"message": f"There is no control endpoint or key {error}."}}
    except (ValueError, TypeError) as error:
        return 400, {"error": {"message": str(error)}}


def _faults(service: Service, method: str, body: Any) -> Any:
    if method == "POST":
        for row in body if isinstance(body, list) else [body]:
            service.faults.add(row)
    elif method == "DELETE":
        service.faults.clear()
    return {"faults": [dataclasses.asdict(fault) for fault in service.faults.pending()]}


def _journal(service: Service, method: str, _: Any) -> Any:
    if method == "DELETE":
        service.journal.clear()
    entries = service.journal.entries()
    return {
        "requests": [entry.as_json() for entry in entries],
        "connections": len({entry.connection for entry in entries}),
        "billed": str(sum(entry.dollars for entry in entries)),
    }


def _date(service: Service, method: str, body: Any) -> Any:
    if method == "POST":
        service.at = body["at"]
    elif method == "DELETE":
        service.at = None
    return {"at": service.today.isoformat()}


def _limits(service: Service, method: str, body: Any) -> Any:
    if method == "POST":
        service.limits.set(body["model"], tpm=body.get("tpm"), rpm=body.get("rpm"))
    elif method == "DELETE":
        service.limits.clear()
    return {"ok": True}


def _scripts(service: Service, method: str, body: Any) -> Any:
    if method == "POST":
        calls = tuple((name, arguments) for name, arguments in body.pop("tool_calls", ()))
        service.add_script(Script(tool_calls=calls, **body))
    return {"ok": True}
