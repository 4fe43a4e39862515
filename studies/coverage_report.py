"""The results of a coverage campaign, as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from hw.coverage import CoverPoint

Hole = tuple[str, str, str]
"""Place, kind and bin."""
KINDS = {
    "extremes": "an input that is silent, and one with every burst at its ceiling",
    "bursts": "every burst value of input, populations and poolings, at every timestep",
    "clamps": "potentials below -1/2 and from K + 1/2 on, where the burst saturates",
    "channels": "every channel of a population fires",
    "folds": "every fold of a population fires",
    "carried membranes": "negative and positive membranes carried into the next timestep",
    "last membranes": "negative and positive membranes left for the next neuron or input, which must not see them",
    "planes": "every bit-plane in every bank of a scanner",
    "beats": "beats with spikes and without, those that close a sum apart; a sum of nothing",
    "banks": "all banks at work on one beat, and banks that wait for the fullest",
    "windows": "windows with spikes inside, over every side and over every corner of the padding",
    "maxima": "the maximum at every place of a pooling window, tied, and 0",
    "dropped": "spikes in rows and columns that pooling drops",
    "class": "every class won",
    "first place": "the largest logit alone, and twice",
    "flow": "every stream between components moved, was held back and was starved",
}
HEAD = """# Functional coverage

`make coverage` (`python -m studies.coverage --out docs/coverage.md`) simulates these networks at full speed, under
random stalls of source and sink, and with a sink that takes nothing until everything stands; it holds every beat
against the golden model and writes this file from what the simulated Verilog sent. Inputs: silence, full scale,
checkerboards, single corners, test images; and of more images, noise and a search with the golden model those that hit
what is not hit yet. A bin that no input can reach is *proved* so by the interval analysis that also sizes the
registers (`hw/widths.py`) or by how the hardware is made; a hole without proof is *explained* where
`studies/coverage_campaign.py` lists the network. Any other hole fails the command.

| kind | bins | hit | proved unreachable | explained | open |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One network's coverage: number of ``inputs`` in every mode, and reasons for holes by place, kind and bin."""

    name: str
    about: str
    inputs: int
    points: Sequence[CoverPoint]
    explained: Mapping[Hole, str]

    @property
    def holes(self) -> list[Hole]:
        """Place, kind and bin of everything that could have been hit but was not."""
        return [(point.place, point.kind, name) for point in self.points for name in point.holes]

    @property
    def open_holes(self) -> list[Hole]:
        """Holes without a reason."""
        return [hole for hole in self.holes if hole not in self.explained]

    @property
    def stale_reasons(self) -> list[Hole]:
        """Bins that have a reason although they are not holes."""
        return [hole for hole in self.explained if hole not in self.holes]

    @property
    def summary(self) -> str:
        """The coverage in one line."""
        return f"{self.name}: {self.inputs} inputs; {tally(self.points)} bins hit, {len(self.holes)} holes"


def tally(points: Sequence[CoverPoint]) -> str:
    """How many of the reachable bins were hit."""
    counts = [count for point in points for name, count in point.counts.items() if name not in point.unreachable]
    return f"{sum(count > 0 for count in counts)} of {len(counts)}"


def report(covered: Sequence[Covered]) -> str:
    """The whole campaign as Markdown."""
    lines = [kind_row(kind, covered) for kind in KINDS]
    for one in covered:
        lines += [
            "",
            f"## {one.name}",
            "",
            f"{one.about[0].upper()}{one.about[1:]}; {one.inputs} inputs in every mode.",
            "",
        ]
        lines += ["| where | bins hit of those that can be |", "| --- | --- |", *place_rows(one), *hole_lines(one)]
    return HEAD + "\n".join(lines) + "\n"


def kind_row(kind: str, covered: Sequence[Covered]) -> str:
    """One row of the first table."""
    points = [point for one in covered for point in one.points if point.kind == kind]
    bins = sum(len(point.bins) for point in points)
    unreachable = sum(len(point.unreachable) for point in points)
    holes = sum(len(point.holes) for point in points)
    still_open = sum(hole[1] == kind for one in covered for hole in one.open_holes)
    counts = (bins, bins - unreachable - holes, unreachable, holes - still_open, still_open)
    return f"| {kind}: {KINDS[kind]} | " + " | ".join(str(count) for count in counts) + " |"


def place_rows(one: Covered) -> list[str]:
    """One row for every node and layer, and one for all streams."""
    places = [point for point in one.points if point.kind != "flow"]
    places.sort(key=lambda point: [each.place for each in one.points].index(point.place))
    rows = []
    for place, points in groupby(places, key=lambda point: point.place):
        rows.append(f"| {place} | {'; '.join(f'{point.kind} {tally([point])}' for point in points)} |")
    flow = [point for point in one.points if point.kind == "flow"]
    return [*rows, f"| {len(flow)} streams | flow {tally(flow)} |"]


def hole_lines(one: Covered) -> list[str]:
    """The bins that were not hit, with the reason: proofs, then explanations, then open holes."""
    reasons = {
        (point.place, point.kind, name): f"proved: {reason}"
        for point in one.points
        for name, reason in point.unreachable.items()
    }
    reasons |= {hole: f"explained: {one.explained[hole]}" for hole in one.holes if hole in one.explained}
    reasons |= dict.fromkeys(one.open_holes, "**open**")
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for (place, kind, name), reason in reasons.items():
        grouped.setdefault((place, kind, reason), []).append(name)
    lines = [f"- {place}, {kind}: {', '.join(names)}. {reason}." for (place, kind, reason), names in grouped.items()]
    return ["", *lines] if lines else []
