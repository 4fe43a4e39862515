"""What ``python -m studies.frameworks`` does: the comparisons, and the page of their results."""

import argparse
import sys
from datetime import date
from importlib.metadata import version

from qblif.errors import UserError
from qblif.files import write_whole
from snn.convert.neurons import GUARD_BITS, NeuronForm, neuron_form
from studies.frameworks.architectures import MODELS
from studies.frameworks.comparison import Outcome, compare
from studies.frameworks.networks import compare_network
from studies.frameworks.neurons import DYADIC, FORCED, GUARDED, OTHER, REFUSED, Neuron

NETWORK_FACTOR = 5
"""How many times more decisions of a network are compared."""
GUARDS = (2, 4, 8, 12, 16, 20)
GUARDED_FACTOR = 100
"""Guard bits that are compared, and how many times more decisions that takes."""


Compared = tuple[Neuron, NeuronForm, Outcome]


def compared(neurons: tuple[Neuron, ...], decisions: int) -> list[Compared]:
    """The comparison of several neurons."""
    forms = [neuron_form(neuron.module()) for neuron in neurons]
    return [(neuron, form, compare(neuron, form, decisions)) for neuron, form in zip(neurons, forms, strict=True)]


def table(rows: list[Compared]) -> str:
    """The comparison of several neurons as rows of a table."""
    return "\n".join(row(*one) for one in rows)


def guard_table(decisions: int) -> str:
    """How often neurons differ with fewer and more guard bits, as rows of a table."""
    rows = []
    for neuron in GUARDED:
        form = neuron_form(neuron.module())
        counts = [f"{compare(neuron, form, decisions, bits).different:,}" for bits in GUARDS]
        rows.append(f"| {neuron.name} | {' | '.join(counts)} |")
    return "\n".join(rows)


def row(neuron: Neuron, form: NeuronForm, outcome: Outcome) -> str:
    """One line of a table."""
    decays = [one for one in (form.decay, form.current_decay) if one is not None]
    leaks = ", ".join(f"{one.leak.multiplier}/{2**one.leak.shift}" for one in decays)
    errors = ", ".join(f"{one.error:+.1e}" if one.error else "0" for one in decays)
    excluded = f" ({outcome.excluded:,} left out)" if outcome.excluded else ""
    cells = [
        *(neuron.name, f"{leaks} ({errors})", f"{outcome.decisions:,}{excluded}"),
        *(f"{100 * outcome.fired / outcome.decisions:.0f} %", f"{outcome.ties:,}"),
        *(f"{outcome.different:,}", f"{outcome.different_float32:,}"),
    ]
    return f"| {' | '.join(cells)} |"


HEADER = """| neuron | decay taken (its error) | decisions | fired | at the threshold | different | in float32 |
| --- | --- | --- | --- | --- | --- | --- |
"""
PAGE = """# Neurons of other frameworks

`snn.convert.neurons` reads a neuron of snnTorch or SpikingJelly and gives its integer form ([design.md](design.md)).
`python -m studies.frameworks --out docs/frameworks.md` feeds the framework's own module and the golden model the same
random currents, compares every spike decision, and writes this page
({date}, {versions}).

Thresholds and weights lie on a grid of powers of two, and the integer form has {guard} more fraction bits. "At the
threshold" counts the membranes that equal a threshold exactly. I-LIF rounds a half to the even number and the integer
form rounds it up: where that is a spike less, the rest of the neuron's run is left out.

## Decays that are small fractions

{header}{dyadic}

## Guard bits

The integer leak rounds down, and floats keep what it drops: a membrane just above its threshold then becomes one just
at it. That gets rarer with every guard bit, but no number of them excludes it; a decay of 1 without a synaptic current
drops nothing. Three of the neurons that need guard bits most, {many:,} decisions each; one difference brings about
others, because the membrane is another one from then on:

| different with guard bits | {guards} |
| --- |{rules}
{guarded}

## Other decays

The integer form takes a near fraction, so these differ; how often, depends on the network. ParametricLIFNode takes its
decay from a sigmoid, which may be a small fraction in float32 and lie beside it in float64: exact ties then differ.

{header}{other}

## Whole networks

`snn.convert.from_snntorch` and `from_spikingjelly` convert these networks (`studies/frameworks/architectures.py`), and
every spike of every neuron is compared, for random counts of spikes as input: with the float model of snn layers, and
with its integers (12-bit weights, {guard} guard bits). Weights and biases are random multiples of 1/64, and BatchNorm
scales by powers of two. `containers` has thresholds of 0.2 and 0.3, which are not such multiples, and I-LIF, which
rounds a half to the even number: it may differ where a membrane touches a threshold.

| network | framework | layers | decisions | fired | different in floats | in integers |
| --- | --- | --- | --- | --- | --- | --- |
{networks}

## What is refused

The integer form does not contain these. The first two were compared all the same, with the form that is nearest.
{forced}

| neuron | message |
| --- | --- |
{refused}
"""


def network_table(decisions: int) -> tuple[str, int]:
    """The comparison of whole networks as rows of a table, and the differences of those whose numbers are on a grid."""
    rows, different = [], 0
    for model in MODELS:
        try:
            found = compare_network(model, decisions)
        except UserError as error:
            rows.append(f"| {model.name} | {model.framework} | | | | refused: {error} | |")
            continue
        different += found.different if model.exact else 0
        cells = [model.name, model.framework, str(found.layers), f"{found.decisions:,}"]
        cells += [
            f"{100 * found.fired / found.decisions:.0f} %",
            f"{found.different:,}",
            f"{found.different_integers:,}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows), different


def page(decisions: int) -> tuple[str, int]:
    """The whole report, and the number of differences where there should be none."""
    dyadic, forced = compared(DYADIC, decisions), []
    for neuron, form in FORCED:
        outcome = compare(neuron, form, decisions)
        forced.append(f"`{neuron.name}` differs in {100 * outcome.different / outcome.decisions:.1f} % of decisions")
    networks, wrong = network_table(NETWORK_FACTOR * decisions)
    text = PAGE.format(
        networks=networks,
        date=date.today().isoformat(),
        versions=", ".join(f"{name} {version(name)}" for name in ("snntorch", "spikingjelly", "torch")),
        guard=GUARD_BITS,
        header=HEADER,
        dyadic=table(dyadic),
        many=GUARDED_FACTOR * decisions,
        guards=" | ".join(map(str, GUARDS)),
        rules=" --- |" * len(GUARDS),
        guarded=guard_table(GUARDED_FACTOR * decisions),
        other=table(compared(OTHER, decisions)),
        forced="; ".join(forced) + ".",
        refused="\n".join(f"| {neuron.name} | {refusal(neuron)} |" for neuron, _ in REFUSED),
    )
    return text, wrong + sum(outcome.different for _, _, outcome in dyadic)


def refusal(neuron: Neuron) -> str:
    """The line with which a neuron is refused."""
    try:
        neuron_form(neuron.module())
    except UserError as error:
        return str(error)
    raise AssertionError(f"{neuron.name} is converted")


def run(options: argparse.Namespace) -> int:
    """Write the page; returns 1 if a neuron with a small fraction as its decay differs. Raises UserError."""
    text, different = page(options.decisions)
    write_whole(options.out, text)
    if different:
        print(f"different: {different} decisions of neurons whose decays are small fractions", file=sys.stderr)
    return int(different > 0)
