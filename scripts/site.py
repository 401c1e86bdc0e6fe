"""Hooks of mkdocs.yml: pages from outside docs/, and links that lead where they lead in the repository.

A page outside docs/ is shown under the name in `PAGES`. Relative links are written for the repository, where
tests check them; on the site, a link to a page leads to that page, and what is no page (a source file) is
shown as text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples.md",
    "integrations/langchain-routed/README.md": "langchain.md",
    "integrations/langchain-routed/docs/parameters.md": "parameters.md",
    "integrations/langchain-routed/docs/public_examples.md": "public_examples.md",
    "integrations/llama-index-llms-routed/README.md": "llama-index.md",
    "integrations/openai-routed/README.md": "openai-sdk.md",
    "integrations/routed-llm-catalog/README.md": "catalog-wheel.md",
}
SOURCES = {shown: source for source, shown in PAGES.items()}
LINK = re.compile(r"(!?)\[([^\]]+)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that stand outside docs/."""
    for source, shown in PAGES.items():
        files.append(File.generated(config, shown, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, files: Any, **_: Any) -> str:
    """Turn the links of a page, outside its code, into those of the site."""
    source = SOURCES.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def site(link: re.Match[str]) -> str:
        image, text, to, anchor = link[1], link[2], link[3], link[4] or ""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), to))
        shown = PAGES.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if shown is None or files.get_file_from_path(shown) is None:
            return text
        return f"{image}[{text}]({shown}{anchor})"

    blocks = re.split(r"(^```.*?^```)", markdown, flags=re.M | re.S)
    return "".join(block if block.startswith("```") else LINK.sub(site, block) for block in blocks)
