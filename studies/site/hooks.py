"""Hooks of mkdocs (mkdocs.yml): the pages that are written from the source, and references in docstrings."""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from studies.site.reference import pages

ROLE = re.compile(r":(?:class|func|meth|data|attr|mod):<code>~?([^<]*)</code>")
"""A reference of a docstring, as Markdown renders it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the written pages."""
    for path, text in pages():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Show references of docstrings as code."""
    return ROLE.sub(r"<code>\1</code>", html)
