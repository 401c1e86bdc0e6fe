"""`routed serve`: OpenAI's endpoints over a router, for programs that are not written in Python.

=====================================  ===============================================================
:class:`Settings`                      where it listens, what is behind it, what it allows
:func:`make_app`                       the ASGI application
:func:`serve`                          the application under uvicorn, in one or several processes
:class:`KeyStore`, :class:`Key`        its own keys: hashed, with a scope, a policy, budgets, models
=====================================  ===============================================================
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from routed_llm.gateway.keys import Key, KeyStore
from routed_llm.gateway.settings import Settings

if TYPE_CHECKING:
    from routed_llm.gateway.app import make_app
    from routed_llm.gateway.serving import serve

__all__ = ["Key", "KeyStore", "Settings", "make_app", "serve"]

_PLACES: Final = {"make_app": "app", "serve": "serving"}


def __getattr__(name: str) -> Any:
    # Keys are managed where no server need be installed.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
