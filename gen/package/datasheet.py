"""The data sheet of a core, as Markdown and as one HTML page without external resources."""

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

from gen.emit.core import MODULE
from gen.package.contents import Contents
from gen.package.projects import description
from gen.package.sections import sections
from gen.package.waves import svg

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: #222; }}
h1, h2 {{ line-height: 1.2; }}
div.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.9rem; }}
th, td {{ border: 1px solid #bbb; padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; }}
code, pre {{ font-family: monospace; font-size: 0.9em; overflow-wrap: anywhere; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #ddd; }} th, td {{ border-color: #555; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def sample_waves(contents: Contents) -> dict[str, Any]:
    """A packet of samples and one of results."""
    beats, classes = contents.config.top.beats_per_result, contents.config.top.readout.classes
    return {
        "signal": [
            {"name": "aclk", "wave": "p......|.....|.."},
            {"name": "s_axis_tvalid", "wave": "01.0.1.|10.......".ljust(16, ".")[:16]},
            {"name": "s_axis_tready", "wave": "1...01.|........"},
            {"name": "s_axis_tdata", "wave": "x==x=.=|=x......", "data": ["0", "1", "2", "3", str(beats - 1)]},
            {"name": "s_axis_tlast", "wave": "0......|10......"},
            {},
            {"name": "m_axis_tvalid", "wave": "0......|..01.|.0"},
            {"name": "m_axis_tready", "wave": "1......|.....|.."},
            {"name": "m_axis_tdata", "wave": "x......|..x==|=x", "data": ["L0", "L1", "class"]},
            {"name": "m_axis_tlast", "wave": "0......|.....|10"},
            {"name": "m_axis_tuser", "wave": "0......|.....|.."},
        ],
        "head": {"text": f"A sample of {beats} beats and its result of {classes + 1} words"},
    }


def datasheet_files(contents: Contents) -> dict[str, str]:
    """The data sheet, by path."""
    waves, title, pages = sample_waves(contents), f"{MODULE}: {description(contents)}", list(sections(contents))
    caption = waves["head"]["text"]
    text = [f"# {title}", *(f"## {name}\n\n{section}" for name, section in pages)]
    text.append(f"## Timing\n\n{caption}:\n\n```wavedrom\n{json.dumps(waves, indent=1)}\n```")
    body = [f"<h1>{escape(title)}</h1>"]
    for name, section in pages:
        body += [f"<h2>{escape(name)}</h2>", *html(section)]
    body += [f"<h2>Timing</h2><p>{escape(caption)}:</p>", f"<div class='wide'>{svg(waves, caption)}</div>"]
    page = PAGE.format(title=escape(title), body="\n".join(body))
    return {"datasheet.md": "\n\n".join(text) + "\n", "datasheet.html": page}


def html(text: str) -> Iterator[str]:
    """The HTML of paragraphs, lists and tables in Markdown."""
    for block in text.strip().split("\n\n"):
        rows = block.strip().split("\n")
        if rows[0].startswith("|"):
            cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in (rows[0], *rows[2:])]
            lines = ["".join(f"<td>{inline(cell.strip())}</td>" for cell in row) for row in cells]
            yield "<div class='wide'><table>"
            yield f"<tr>{lines[0].replace('td>', 'th>')}</tr>"
            yield from (f"<tr>{line}</tr>" for line in lines[1:])
            yield "</table></div>"
        elif rows[0].startswith(("- ", "1. ")):
            kind = "ul" if rows[0].startswith("- ") else "ol"
            entries = re.split(r"^(?:- |\d\. )", block.strip(), flags=re.MULTILINE)[1:]
            yield f"<{kind}>" + "".join(f"<li>{inline(entry)}</li>" for entry in entries) + f"</{kind}>"
        else:
            yield f"<p>{inline(block)}</p>"


def inline(text: str) -> str:
    """A piece of Markdown as HTML: only code is marked up."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text.replace("\\|", "|")))
