"""Carrying one object's fields over to the other endpoint, as the table of fields says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from routed_llm.errors import RequestError
from routed_llm.fields import CHAT, RESPONSES, Fate, Table, is_default
from routed_llm.request.checks import short

__all__ = ["CHAT_COMPLETIONS", "ON_RESPONSES", "TITLES", "Carrier", "objects"]

CHAT_COMPLETIONS: Final = "chat_completions"
ON_RESPONSES: Final = "responses"
TITLES: Final[Mapping[str, str]] = {CHAT_COMPLETIONS: "Chat Completions", ON_RESPONSES: "Responses"}


@dataclass(frozen=True, slots=True)
class Carrier:
    """Moves what was asked in one endpoint's form into the other's.

    Attributes:
        to: the endpoint that will serve the call.
        left_out: what was lost that is a matter of taste, by dotted places; the caller's to record.
    """

    to: str
    left_out: dict[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        """What becomes of the fields of the endpoint that the request was written for."""
        return CHAT if self.to == ON_RESPONSES else RESPONSES

    def carry(self, place: str, value: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the fields of an object that need no translation, by their names there.

        Translated fields are the caller's to add. A field without a row is kept.

        Args:
            place: the object's place in the table.
            value: the object.
            where: how an error names it.

        Raises:
            RequestError: when a field, or the whole object, means nothing there.
        """
        rows = self.table.get(place)
        if rows is None:
            raise self.stays(where, value.get("type") or value.get("role"))
        if (kind := rows.get("type")) is not None and kind.fate is Fate.SOFT:
            self.left_out[where] = value.get("type")
            return {}
        carried: dict[str, Any] = {}
        prefix = f"{where}." if where else ""
        for name, item in value.items():
            row = rows.get(name)
            fate = Fate.KEPT if row is None else row.fate
            if fate is Fate.KEPT:
                carried[name] = item
            elif fate is Fate.RENAMED and row is not None and "." not in row.to:
                carried[row.to] = item
            elif fate is Fate.BOUND and not is_default(name, item):
                raise self.stays(f"{prefix}{name}", item)
            elif fate is Fate.SOFT and not is_default(name, item):
                self.left_out[f"{prefix}{name}"] = item
        return carried

    def stays(self, where: str, value: Any) -> RequestError:
        """Return the error for what the endpoint has no form for."""
        other = TITLES[CHAT_COMPLETIONS if self.to == ON_RESPONSES else ON_RESPONSES]
        return RequestError(
            f"{where} ({short(value)}) cannot be sent to {TITLES[self.to]}. "
            f"Leave it out, or let a model on {other} serve the call.",
            where=where,
        )


def objects(value: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects as it is.

    Raises:
        RequestError: when it is not one.
    """
    if type(value) is not list and (isinstance(value, (str, Mapping)) or not isinstance(value, Sequence)):
        value = list(value) if hasattr(value, "__iter__") and not isinstance(value, (str, Mapping)) else None
    if value is None or not all(isinstance(item, (dict, Mapping)) for item in value):
        raise RequestError(f"{where} is not a list of objects. Give a list of objects.", where=where)
    return value  # type: ignore[no-any-return]
