"""The nodes of a NIR graph in an order in which they can be computed, without its subgraphs.

NIR does not say which edge of a cycle is the one that arrives late. Here it is the one that leaves spiking neurons for
an earlier population, or for the weights in front of one: spikes of one timestep reach earlier neurons in the next.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from qblif.errors import UserError
from qblif.reading import shown
from snn.convert.nir.file import DEEPEST, MOST_ENTRIES
from snn.convert.nir.items import Item, check_attributes

LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The nodes of a network.

    Attributes:
        found: the nodes in an order in which every one but the first, the input, reads one before it: for shapes.
        computed: the nodes behind the input, in an order in which they can be computed.
        input, output: the nodes of these kinds; the output is not among the others.
    """

    found: list[Item]
    computed: list[Item]
    input: Item
    output: Item

    @property
    def late(self) -> list[tuple[str, str]]:
        """The connections that arrive one timestep later."""
        return [(source, item.name) for item in self.computed for source in sorted(item.late)]


def wiring_of(graph: Any, notes: list[str]) -> Wiring:
    """Sort the nodes of a ``nir.NIRGraph``, and note its metadata.

    Raises:
        UserError: it is not one network from an Input to an Output, or has nodes or attributes that are not known.
    """
    check_attributes(graph, "the graph (NIRGraph)", notes)
    items, edges = flattened(graph, notes)
    ends = {kind: [item for item in items.values() if outermost(item, kind, graph)] for kind in ("Input", "Output")}
    for kind, found in ends.items():
        if len(found) != 1:
            names = ", ".join(shown(item.name) for item in found[:5]) or "none"
            raise UserError(f"the graph (NIRGraph) has {len(found)} {kind} nodes: {names}; make it have one")
    [start], [end] = ends["Input"], ends["Output"]
    connect(items, edges)
    for item in list(items.values()):
        if item not in (start, end) and passes_on(item):
            bridge(items, item)
    start.require(not start.sources, "an edge leads into the input; remove it")
    end.require(not end.readers, "an edge leaves the output; remove it")
    end.require(len(end.sources) == 1, f"{len(end.sources)} nodes lead to the output; make one of them the output")
    found = discovered(items, start)
    check_used(items, found, end)
    inner = [item for item in found if item not in (start, end)]
    rank = {item.name: place for place, item in enumerate(item for item in found if item.spiking)}
    ahead = populations_ahead(items, inner, rank)
    for item in inner:
        item.late = late_sources(items, item, rank, ahead[item.name])
    return Wiring(found=[item for item in found if item is not end], computed=sort(inner), input=start, output=end)


def outermost(item: Item, kind: str, graph: Any, prefix: str = "") -> bool:
    """Whether this is a node of that kind of the graph itself, whose names begin with ``prefix``, not of a subgraph."""
    return item.kind == kind and graph.nodes.get(item.name.removeprefix(prefix)) is item.node


def flattened(
    graph: Any, notes: list[str], prefix: str = "", depth: int = 0
) -> tuple[dict[str, Item], list[tuple[str, str]]]:
    """All nodes, and the edges between them, with subgraphs put in place of the nodes that they are.

    An edge to a subgraph leads to its Input, and one from it leaves its Output.
    """
    label = f"node {shown(prefix.removesuffix('.'))} (NIRGraph)" if prefix else "the graph (NIRGraph)"
    if depth > DEEPEST:
        raise UserError(f"{label}: more than {DEEPEST} subgraphs lie in each other; export without subgraphs")
    items: dict[str, Item] = {}
    edges: list[tuple[str, str]] = []
    entries: dict[str, str] = {}
    exits: dict[str, str] = {}
    for key, node in graph.nodes.items():
        name = f"{prefix}{key}"
        item = Item(name=name, node=node)
        if not isinstance(key, str) or len(name) > LONGEST_NAME:
            raise item.refuse(f"a name has at most {LONGEST_NAME} characters; rename the node")
        check_attributes(node, item.label, notes)
        if item.kind == "NIRGraph":
            inside, inner_edges = flattened(node, notes, f"{name}.", depth + 1)
            for kind, known in {"Input": entries, "Output": exits}.items():
                ends = [one.name for one in inside.values() if outermost(one, kind, node, f"{name}.")]
                item.require(len(ends) == 1, f"the subgraph has {len(ends)} {kind} nodes; give it one")
                known[name] = ends[0]
        else:
            inside, inner_edges = {name: item}, []
        edges += inner_edges
        twice = sorted(set(items) & set(inside))
        item.require(not twice, f"two nodes are called {shown(twice[0]) if twice else ''}; rename one")
        items |= inside
        item.require(len(items) <= MOST_ENTRIES, f"the graph has more than {MOST_ENTRIES} nodes; split it")
    for pair in graph.edges:
        if len(pair) != 2 or not all(isinstance(end, str) and end in graph.nodes for end in pair):
            words = " -> ".join(shown(end) for end in list(pair)[:3])
            raise UserError(f"{label}: the edge {words} does not join two of its nodes; repair it")
        source, target = (f"{prefix}{end}" for end in pair)
        edges.append((exits.get(source, source), entries.get(target, target)))
    return items, edges


def connect(items: dict[str, Item], edges: Iterable[tuple[str, str]]) -> None:
    """Enter the edges into the nodes; raises UserError for one that comes twice."""
    known = set[tuple[str, str]]()
    for source, target in sorted(edges):
        items[target].require((source, target) not in known, f"reads {shown(source)} twice; remove one edge")
        known.add((source, target))
        items[target].sources.append(source)
        items[source].readers.append(target)


def passes_on(item: Item) -> bool:
    """Whether a node gives what it gets; raises UserError for a delay."""
    if item.kind == "Delay":
        delays = item.numbers("delay")
        late = "delays by more than 0, which the integer form does not contain; remove it, or set its delay to 0"
        item.require(not delays.any(), late)
    return item.kind in ("Input", "Output", "Delay")


def bridge(items: dict[str, Item], item: Item) -> None:
    """Let the readers of a node that passes on what it gets read its sources instead, and remove it."""
    item.require(bool(item.sources and item.readers), "is not connected on both sides; connect it, or remove it")
    item.require(item.name not in item.sources, "is on a cycle without spiking neurons; put neurons into the cycle")
    item.require(len(item.sources) * len(item.readers) <= MOST_ENTRIES, "has too many edges; split the network")
    del items[item.name]
    for source in item.sources:
        items[source].readers.remove(item.name)
        items[source].ends += [item, *item.ends] if item.kind != "Delay" else item.ends
    for reader in item.readers:
        items[reader].sources.remove(item.name)
        for source in item.sources:
            twice = source in items[reader].sources
            items[reader].require(not twice, f"reads {shown(source)} twice; remove one edge")
            items[reader].sources.append(source)
            items[source].readers.append(reader)


def discovered(items: dict[str, Item], start: Item) -> list[Item]:
    """The nodes that can be reached, so that sources come first except on a cycle: a depth-first search's reverse
    postorder. The names decide between equals, for the order of edges in a file means nothing."""
    left: list[Item] = []
    seen = {start.name}
    path = [(start, iter(sorted(start.readers)))]
    while path:
        item, readers = path[-1]
        following = next((reader for reader in readers if reader not in seen), None)
        if following is None:
            left.append(item)
            path.pop()
        else:
            seen.add(following)
            path.append((items[following], iter(sorted(items[following].readers))))
    return left[::-1]


def check_used(items: dict[str, Item], found: list[Item], end: Item) -> None:
    """Raise UserError unless every node lies on a way from the input to the output."""
    reached = {item.name for item in found}
    for item in items.values():
        item.require(item.name in reached, "the network's input does not reach it; connect it, or remove it")
    useful, waiting = {end.name}, [end.name]
    while waiting:
        for source in items[waiting.pop()].sources:
            if source not in useful:
                useful.add(source)
                waiting.append(source)
    for item in items.values():
        item.require(item.name in useful, "it does not reach the network's output; connect it, or remove it")


Span = tuple[int, int]
"""The first and the last of some populations, by their places."""


def populations_ahead(items: dict[str, Item], inner: list[Item], rank: dict[str, int]) -> dict[str, Span]:
    """For every node, the populations that read it, directly or through nodes that do not spike; for a population,
    itself. ``rank`` gives the populations' places; the output follows them all.

    Raises:
        UserError: there is a cycle without spiking neurons.
    """
    ahead = {name: (place, place) for name, place in rank.items()}
    passive = [item for item in inner if not item.spiking]
    waiting = {item.name: sum(not items[reader].spiking for reader in item.readers) for item in passive}
    for item in passive:
        waiting[item.name] -= sum(items[reader].kind == "Output" for reader in item.readers)
    ready = [name for name, count in waiting.items() if count == 0]
    while ready:
        name = ready.pop()
        spans = [ahead.get(reader, (len(rank), len(rank))) for reader in items[name].readers]
        ahead[name] = (min(first for first, _ in spans), max(last for _, last in spans))
        for source in items[name].sources:
            if source in waiting:
                waiting[source] -= 1
                if waiting[source] == 0:
                    ready.append(source)
    for item in passive:
        lost = "is on, or in front of, a cycle without spiking neurons; put neurons into the cycle"
        item.require(item.name in ahead, lost)
    return ahead


def late_sources(items: dict[str, Item], item: Item, rank: dict[str, int], span: Span) -> set[str]:
    """Those sources of a node whose spikes arrive one timestep later.

    Raises:
        UserError: the same spikes would arrive both in time and late.
    """
    late = {source for source in item.sources if items[source].spiking and rank[source] >= span[0]}
    for source in sorted(late):
        item.require(
            rank[source] >= span[1],
            f"{shown(source)} reaches earlier and later neurons through it; give the earlier ones a node of their own",
        )
    return late


def sort(inner: list[Item]) -> list[Item]:
    """The nodes so that every one comes after its sources, except for those that are late. These come after it, for a
    connection is late only on a cycle, whose other connections lead from it to them."""
    place = {item.name: index for index, item in enumerate(inner)}
    followers: dict[str, list[str]] = {item.name: [] for item in inner}
    for item in inner:
        for source in item.sources:
            if source in place and source not in item.late:
                followers[source].append(item.name)
    before = dict.fromkeys(place, 0)
    for name in chain.from_iterable(followers.values()):
        before[name] += 1
    ready = [place[name] for name, count in before.items() if count == 0]
    heapq.heapify(ready)
    result: list[Item] = []
    while ready:
        item = inner[heapq.heappop(ready)]
        result.append(item)
        for name in followers[item.name]:
            before[name] -= 1
            if before[name] == 0:
                heapq.heappush(ready, place[name])
    return result
