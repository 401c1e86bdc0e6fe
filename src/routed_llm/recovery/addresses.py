"""Addresses: models that are served at an address of their own, and whose key goes there.

A key goes to its own address only. What a catalog entry with a ``base_url`` is called with is its own
``api_key_env`` and ``headers``, or what the router was given for that address; nothing of the caller's client
is inherited. Only names of environment variables and fingerprints are kept here, keys are read when a client
is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from routed_llm.errors import CredentialMissing, PolicyError
from routed_llm.recovery.cooldowns import fingerprint

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog, Model

__all__ = ["Addresses", "Credential", "origin_of"]

Key: TypeAlias = "str | Callable[[], str] | None"
_FROM_ENVIRONMENT: Final = "$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What one address is called with.

    Attributes:
        api_key: the key, or a function that gives it; None for a server that wants none.
        headers: headers that go there, and nowhere else.
    """

    api_key: Key = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # SDKs lay these over a header of their own, which they know by this spelling.
        headers = {"Authorization" if n.lower() == "authorization" else n: v for n, v in self.headers.items()}
        object.__setattr__(self, "headers", headers)

    @property
    def whose(self) -> str:
        """A short name for it, from which the key cannot be worked out."""
        return fingerprint(self.api_key, sorted(self.headers.items()))

    def on_the_wire(self) -> dict[str, str]:
        """Return the headers of a JSON request to the address; nothing of the caller's goes there."""
        key = self.api_key() if callable(self.api_key) else self.api_key
        own = {name.lower(): value for name, value in self.headers.items()}
        bearer = {"authorization": f"Bearer {key}"} if key else {}
        return {"content-type": "application/json", "accept": "application/json", **own, **bearer}


class Addresses:
    """The addresses of a catalog's models besides the caller's own.

    Args:
        catalog: the models there are.
        given: address to a Credential, a key or a function that gives one; the longest address that a
            ``base_url`` begins with counts.

    Raises:
        PolicyError: when something else is given.
    """

    def __init__(self, catalog: Catalog, given: Mapping[str, Any] | None = None) -> None:
        self._given = {_place(at): _credential(at, value) for at, value in (given or {}).items()}
        self._away = {model.id: model for model in catalog if model.base_url is not None}
        self.whose: Mapping[str, str] = {name: _named(model) for name, model in self._away.items()}
        """Models elsewhere to whose calls to them these are; all other calls are the caller's."""
        names: dict[str, set[str]] = {}
        for model, whose in self.whose.items():
            names.setdefault(whose, set()).add(model)
        self.models: Mapping[str, frozenset[str]] = {whose: frozenset(ids) for whose, ids in names.items()}
        """Whose calls they are to the models there."""

    def lacking(self, own: str) -> Mapping[str, str]:
        """Return the models that nothing can be sent to for want of a key, with the reason.

        Args:
            own: the caller's own address, whose key is there.
        """
        if not self._away:
            return {}
        here, found = origin_of(own), {}
        for name, model in self._away.items():
            if origin_of(model.base_url) != here and self._of(model) is None:
                found[name] = _why(model)
        return found

    def credential(self, model: Model, own: str) -> Credential | None:
        """Return what a model's address is called with; None where the caller's own client calls it.

        Args:
            model: the model.
            own: the caller's own address.

        Raises:
            CredentialMissing: when there is no key for it; nothing may be sent.
        """
        if model.base_url is None or origin_of(model.base_url) == origin_of(own):
            return None
        found = self._of(model)
        if found is None:
            raise CredentialMissing(
                f"{model.id} was not called: {_why(model)}.", model=model.id, base_url=model.base_url
            )
        return found

    def _of(self, model: Model) -> Credential | None:
        place = _place(model.base_url or "")
        fits = [at for at in self._given if place == at or place.startswith(f"{at}/")]
        if fits:
            return self._given[max(fits, key=len)]
        headers = {name: _read(value) for name, value in model.headers.items()}
        key = None if model.api_key_env is None else os.environ.get(model.api_key_env)
        if model.api_key_env is not None and not key:
            return None
        is_known = model.keyless or key is not None or bool(headers)
        return Credential(api_key=key, headers=headers) if is_known and all(headers.values()) else None


def origin_of(base_url: str | None) -> str:
    """Name the scheme, host and port of an address; empty for none."""
    if not base_url:
        return ""
    from urllib.parse import urlsplit  # few programs need it

    place = urlsplit(str(base_url))
    port = {"http": 80, "https": 443}.get(place.scheme) if place.port is None else place.port
    return f"{place.scheme}://{place.hostname}:{port}"


def _place(address: str) -> str:
    from urllib.parse import urlsplit

    return f"{origin_of(address)}{urlsplit(address).path.rstrip('/')}"


def _read(value: str) -> str:
    return os.environ.get(value[1:], "") if value.startswith(_FROM_ENVIRONMENT) else value


def _named(model: Model) -> str:
    return fingerprint("address", origin_of(model.base_url), model.api_key_env, *sorted(model.headers))


def _why(model: Model) -> str:
    asked = [] if model.api_key_env is None else [model.api_key_env]
    asked += [value[1:] for value in model.headers.values() if value.startswith(_FROM_ENVIRONMENT)]
    unset = [name for name in asked if not os.environ.get(name)]
    if unset:
        return (
            f"it is served at {model.base_url}, whose key is read from {' and '.join(unset)}, and that is "
            "not set. Set it, or give Router(credentials={address: key})"
        )
    return (
        f"it is served at {model.base_url}, for which there is no key, and no other key goes there. Name the "
        "variable that holds it in the entry's api_key_env, give Router(credentials={address: key}), or say "
        "keyless = true in the entry"
    )


def _credential(at: str, value: Any) -> Credential:
    if not at.startswith(("http://", "https://")):
        raise PolicyError(
            f"credentials has {at!r}, which is no address. Give an address such as 'https://gateway.example/v1'.",
            key="credentials",
        )
    if isinstance(value, Credential):
        return value
    if (isinstance(value, str) and value) or callable(value):
        return Credential(api_key=value)
    raise PolicyError(
        f"credentials has a {type(value).__name__} for {at}. Give a key, a function that gives one, or a "
        "Credential.",
        key="credentials",
    )
