"""The sections of a core's data sheet, as Markdown."""

from collections.abc import Iterator, Sequence

from gen.emit.core import MODULE
from gen.package.contents import Contents
from gen.package.projects import description
from gen.report import percent, unit_name
from hw.ports.axi_stream import BAD_BIT
from hw.ports.registers import Register

OVERVIEW = """\
{description}. It is bit-exact: a logit of the core is the integer that PyTorch computes.

- module `{module}` in `rtl/{module}.v`, one clock, no vendor primitives
- network `{sha256}`
- test accuracy of the checkpoint: {accuracy}
- part that it was planned for: {part}, at {clock:g} MHz"""

SAMPLES = """\
A packet has {beats} beats. A beat holds {group} bursts of {bits} bits, the first in the lowest bits; of its {beat_bits}
bits the lowest {used} are used. {coding} {order}

`tlast` marks the last beat. A packet that ends too early is completed with zeros; of one that is too long, the surplus
is dropped. Both give a result that is marked as bad, are counted and raise an interrupt, and the next packet is a new
sample: the core never waits for something that does not come."""

RESULTS = """\
A packet has {words} words of {word_bits} bits: the logits of classes 0 to {last}, signed, in units of
2^-{fraction_bits}; then the class (bits 15 to 0), and bit {bad}, which is 1 for a bad sample, as `tuser` is with this
word.

Every packet of samples gives one packet of results, in order, unless a reset drops it. A reset by register completes a
packet of results that has begun, with zeros and the mark."""

REGISTERS = """\
All are 32 bits wide. Anything else in the {size} bytes is refused, and so is a write of less than a word.
"""

TABLES = """\
1. Write CONTROL.HOLD, and wait until STATUS.BUSY is 0.
2. For each table: write TABLE_SELECT, then all words to TABLE_DATA, then TABLE_CHECK; wait until STATUS.CHECKING is 0,
   and compare TABLE_CHECK.
3. Write 0 to CONTROL: the network is reset and goes on with the new tables.

Registers are {margin} bits wider than this network needs; `sw/{module}_tables.h` has its tables.
"""


def table(head: Sequence[str], rows: Sequence[tuple[object, ...]]) -> str:
    """A table in Markdown."""
    escaped = (" | ".join(str(cell).replace("|", r"\|") for cell in row) for row in rows)
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(f"| {row} |" for row in escaped)])


def sections(contents: Contents) -> Iterator[tuple[str, str]]:
    """The sections: title and text."""
    yield "What it is", overview(contents)
    yield (
        "Ports",
        table(
            ("port", "direction", "bits", "what"),
            [(f"`{port.name}`", port.direction, port.bits, port.text) for port in contents.ports],
        ),
    )
    yield "Samples", samples(contents)
    yield "Results", results(contents)
    yield "Speed", speed(contents)
    if contents.report["resources"]:
        yield "Resources", resources(contents)
    if contents.config.registers is not None:
        rows = [row for register in contents.config.registers.registers for row in register_rows(register)]
        yield (
            "Registers",
            "\n".join(
                [
                    REGISTERS.format(size=contents.config.registers.bytes),
                    table(("offset", "register", "access", "bits", "what"), rows),
                ]
            ),
        )
    if contents.config.tables:
        yield "Tables", tables(contents)


def overview(contents: Contents) -> str:
    """What the core is."""
    design = contents.design
    return OVERVIEW.format(
        description=description(contents),
        module=MODULE,
        sha256=design.sha256,
        accuracy=percent(contents.report["accuracy"]),
        part=design.board.part,
        clock=design.plan.clock_mhz,
    )


def samples(contents: Contents) -> str:
    """What a packet of samples holds."""
    top, spec = contents.config.top, contents.design.network.input
    used = top.input.group * top.input.burst_bits
    coding = f"An input byte x is the burst floor(x * {2**spec.bits - 1} / 255 + 1/2)."
    if spec.coding == "events":
        coding = "A burst is a number of events, at most the largest that fits."
    return SAMPLES.format(
        beats=top.beats_per_result,
        group=top.input.group,
        bits=top.input.burst_bits,
        beat_bits=-(-used // 8) * 8,
        used=used,
        coding=coding,
        order=stream_order(contents),
    )


def results(contents: Contents) -> str:
    """What a packet of results holds."""
    classes = contents.config.top.readout.classes
    return RESULTS.format(
        words=classes + 1,
        word_bits=8 * contents.config.result_bytes,
        last=classes - 1,
        fraction_bits=contents.design.network.readout.fraction_bits,
        bad=BAD_BIT,
    )


def speed(contents: Contents) -> str:
    """Throughput and latency."""
    cycles, clock = contents.report["cycles_expected"], contents.design.plan.clock_mhz
    rows = [
        ("between results, expected", f"{cycles:g}", f"{clock * 1e6 / cycles:,.0f} inferences per second"),
        ("first beat to last word, expected", contents.latency, f"{contents.latency / clock:.1f} us"),
    ]
    return table(("", "cycles", f"at {clock:g} MHz"), rows) + "\n\nBoth depend on the activity of the input."


def resources(contents: Contents) -> str:
    """What the netlist needs."""
    report = contents.report
    used = report["resources"].items()
    rows = [(unit_name(report, key), f"{count:g}", f"{report['budget'][key]:g}") for key, count in used]
    return table(("", "used", contents.design.board.part), rows)


def tables(contents: Contents) -> str:
    """How to write tables, and which there are."""
    rows = [
        (number, f"`{one.name}`", one.depth, one.width, one.chunks) for number, one in enumerate(contents.config.tables)
    ]
    text = TABLES.format(margin=contents.report["width_margin"], module=MODULE)
    heads = ("number", "table", "words", "bits of a word", "words of the bus for each")
    return f"{text}\n{table(heads, rows)}"


def stream_order(contents: Contents) -> str:
    """The order in which a sample is sent, in words."""
    stream = contents.config.top.input
    frames = contents.config.top.frames
    where = "all values of the input, flattened as (C, H, W)"
    if (stream.height, stream.width) != (1, 1):
        where = "the positions row by row, of each all channels"
    steps = "; each timestep after the other" if stream.steps * frames > 1 else ""
    return f"The order is {where}{steps}; a last beat that is not full is filled up with zeros."


def register_rows(register: Register) -> Iterator[tuple[object, ...]]:
    """The rows of a register, its parts, or of all that follow each other."""
    name = f"`{register.name}`"
    last = f" to {register.offset + 4 * (register.words - 1):#05x}" if register.words > 1 else ""
    value = f" (`{register.values[0]:#x}`)" if len(register.values) == 1 else ""
    yield f"{register.offset:#05x}{last}", name, register.access, "", register.text + value
    for part in register.fields:
        yield "", "", "", part.bit, f"`{part.name}`: {part.text}"
    for number, one in enumerate(register.names):
        yield f"{register.offset + 4 * number:#05x}", "", "", "", f"`{one}`"
