"""Migration: find what names a retiring model, say what each place is, rewrite what is safe to rewrite."""

from __future__ import annotations

from routed_llm.migrate.files import MigrationError
from routed_llm.migrate.found import Kind, Occurrence, Options, Site
from routed_llm.migrate.project import Migration, migrate
from routed_llm.migrate.rules import CODES

__all__ = ["CODES", "Kind", "Migration", "MigrationError", "Occurrence", "Options", "Site", "migrate"]
