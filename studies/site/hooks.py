"""Hooks of mkdocs (mkdocs.yml): the pages that are written from the source, and references in docstrings."""

import re
from pathlib import Path
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
    """Show references of docstrings as code, and a colon where a docstring has two in front of an example."""
    return ROLE.sub(r"<code>\1</code>", html).replace("::</p>", ":</p>")


def on_post_build(config: MkDocsConfig) -> None:
    """Remove the page for servers that find nothing, whose links hold only on a server."""
    (Path(config.site_dir) / "404.html").unlink(missing_ok=True)
