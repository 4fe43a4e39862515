"""What the firmware prints, and what it must print."""

import re

from gen.design import Design, sample_results
from gen.emit.packets import result_words

CYCLES = re.compile(r", cycles (\d+) (\d+)$")
"""What the firmware measures: to code and pack an image, and from its first word until the interrupt came."""


def expected_lines(design: Design, count: int) -> list[str]:
    """What the firmware must print of the first reference inputs, up to the cycles: logits as training printed them."""
    _, logits = sample_results(design, count)
    lines = []
    for number, (row, label) in enumerate(zip(logits.tolist(), design.references.labels.tolist(), strict=False)):
        winner = result_words(design.config, row)[-1]
        lines.append(f"image {number}: class {winner}, label {label}, logits {' '.join(map(str, row))}")
    return lines


def differences(console: str, expected: list[str]) -> list[str]:
    """One line for every image that the firmware did not print as expected."""
    printed = [CYCLES.sub("", line) for line in console.splitlines() if line.startswith("image ")]
    printed += ["nothing"] * (len(expected) - len(printed))
    wrong = [
        f"expected: {line}; printed: {other}" for line, other in zip(expected, printed, strict=False) if line != other
    ]
    return wrong + [f"printed besides: {line}" for line in printed[len(expected) :]]


def measured(console: str) -> list[tuple[int, int]]:
    """The cycles that the firmware measured for every image."""
    found = [CYCLES.search(line) for line in console.splitlines()]
    return [(int(match[1]), int(match[2])) for match in found if match is not None]
