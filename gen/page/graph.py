"""The network as a graph: nodes from top to bottom, edges that pass over nodes at the side."""

from collections.abc import Mapping, Sequence
from typing import Any

from gen.page.html import TIMES, Markup, counted, join, svg, tag, text
from gen.page.layout import Colours

WIDTH, LEFT = 340, 2
NODE_WIDTH, NODE_HEIGHT, GAP = 294, 54, 34
LONG_NAME, NAME_WIDTH = 22, 172
"""Letters of a name that may be wider than its room, and that room."""
LANE = 11
"""Distance between edges at the side."""
NAME_LETTERS, DETAIL_LETTERS, EDGE_LETTERS = 25, 48, 46
"""Letters that have room in a node and beside an edge."""


def network_figure(network: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], colours: Colours) -> Markup:
    """The network of a report; ``layers`` say which engines and lanes a node has."""
    nodes, rows = network["nodes"], {row["name"]: row for row in layers}
    places = {node["name"]: index for index, node in enumerate(nodes)}
    straight: list[Mapping[str, Any]] = []
    bent: list[Mapping[str, Any]] = []
    for edge in network["edges"]:
        step = places[edge["target"]] - places[edge["source"]]
        (straight if step == 1 else bent).append(edge)
    lanes = side_lanes(bent, places)
    most = max(lanes, default=-1) + 1
    width = max(WIDTH, LEFT + NODE_WIDTH + 14 + LANE * most + 8)
    height = len(nodes) * (NODE_HEIGHT + GAP) - GAP + 8
    parts = [
        *(straight_edge(edge, places, colours) for edge in straight),
        *(side_edge(edge, lane, places, colours) for edge, lane in zip(bent, lanes, strict=True)),
        *(node_box(node, rows.get(node["name"], {}), index, colours) for index, node in enumerate(nodes)),
    ]
    words = f"The network: {len(nodes)} nodes, {len(network['edges'])} connections. " + "; ".join(
        f"{edge['source']} to {edge['target']}: {edge['words']}" for edge in network["edges"]
    )
    return svg(words, width, height, arrowhead(), *parts, class_="graph")


def top_of(index: int) -> float:
    """The upper edge of a node."""
    return 4 + index * (NODE_HEIGHT + GAP)


def side_lanes(edges: Sequence[Mapping[str, Any]], places: Mapping[str, int]) -> list[int]:
    """A lane at the side for every edge, so that edges that pass each other are in different ones."""
    taken: list[list[tuple[int, int]]] = []
    found = []
    for edge in edges:
        low, high = sorted((places[edge["source"]], places[edge["target"]]))
        free = (
            lane
            for lane, spans in enumerate([*taken, []])
            if all(high <= begin or end <= low for begin, end in spans) or not spans
        )
        lane = next(free)
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, max(high, low + 1)))
        found.append(lane)
    return found


def arrowhead() -> Markup:
    """The end of an edge."""
    shape = tag("path", d="M0 0L7 3.5L0 7z", class_="arrowhead")
    return tag(
        "defs",
        tag(
            "marker", shape, id="arrow", viewBox="0 0 7 7", refX=6, refY=3.5, markerWidth=7, markerHeight=7,
            orient="auto-start-reverse",
        ),
    )  # fmt: skip


def straight_edge(edge: Mapping[str, Any], places: Mapping[str, int], colours: Colours) -> Markup:
    """An edge to the next node, with words beside it."""
    x, top = LEFT + 28, top_of(places[edge["source"]]) + NODE_HEIGHT
    line = tag(
        "path", d=f"M{x} {top}V{top + GAP - 1}", marker_end="url(#arrow)", class_=f"edge {colours[edge['source']]}"
    )
    words = "" if edge["kind"] == "pooling" else shortened(edge["words"], EDGE_LETTERS)
    return join(line, text(x + 12, top + GAP / 2 + 4, words, class_="edge-words"))


def side_edge(edge: Mapping[str, Any], lane: int, places: Mapping[str, int], colours: Colours) -> Markup:
    """An edge that passes over nodes, or leads back to one before it."""
    right, x = LEFT + NODE_WIDTH, LEFT + NODE_WIDTH + 14 + LANE * lane
    begins = top_of(places[edge["source"]]) + NODE_HEIGHT * 0.72
    ends = top_of(places[edge["target"]]) + NODE_HEIGHT * 0.28
    bend = 7 if ends > begins else -7
    path = f"M{right} {begins}H{x - 7}q7 0 7 {bend}V{ends - bend}q0 {bend} -7 {bend}H{right + 1}"
    kind = "recurrent" if edge["recurrent"] else edge["kind"]
    words = f"{edge['source']} to {edge['target']}: {edge['words']}{', recurrent' if edge['recurrent'] else ''}"
    return tag(
        "path", tag("title", words), d=path, marker_end="url(#arrow)", class_=f"edge {kind} {colours[edge['source']]}"
    )


def node_box(node: Mapping[str, Any], row: Mapping[str, Any], index: int, colours: Colours) -> Markup:
    """A node: its name and shape, and how it is built."""
    x, y = LEFT, top_of(index)
    name = shortened(node["name"], NAME_LETTERS)
    squeezed = {} if len(name) < LONG_NAME else {"textLength": NAME_WIDTH, "lengthAdjust": "spacingAndGlyphs"}
    return tag(
        "g",
        tag("title", f"{node['name']}: {node['words']}"),
        tag("rect", x=x, y=y, width=NODE_WIDTH, height=NODE_HEIGHT, rx=7, class_="node"),
        tag("path", d=f"M{x} {y + 7}q0 -7 7 -7h1v{NODE_HEIGHT}h-1q-7 0 -7 -7z", class_="fill"),
        text(x + 18, y + 21, name, class_="node-name", **squeezed),
        text(x + NODE_WIDTH - 10, y + 21, f" {TIMES} ".join(map(str, node["shape"])), class_="node-shape"),
        text(x + 18, y + 39, shortened(node_words(node, row), DETAIL_LETTERS), class_="node-words"),
        class_=colours[node["name"]],
    )


def node_words(node: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """How a node is built, in one line."""
    engines = row.get("engines", [])
    if not engines:
        return str(node["words"])
    first = engines[0]
    kinds = " and ".join(dict.fromkeys(engine["kind"] for engine in engines))
    how_many = f"{len(engines)} {kinds} engines" if len(engines) > 1 else f"{kinds} engine"
    return f"{how_many}, {counted(first['lanes'], 'lane')} {TIMES} {counted(first['folds'], 'fold')}"


def shortened(words: str, letters: int) -> str:
    """A text that has room."""
    return words if len(words) <= letters else f"{words[: letters - 1]}…"
