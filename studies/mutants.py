"""The bugs that :mod:`studies.mutations` plants: realistic mistakes in the hardware and the generator."""

import functools
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARDWARE = (
    "tests/hw/test_top.py",
    "tests/hw",
    "tests/gen/planning/test_cycles.py",
    "tests/studies/test_proofs.py",
    "tests/sim/test_run.py",
)
TESTED_WITH = {
    "queued": ("scanner",),
    "costs": ("cycles",),
    "walk": ("receptive_field",),
    "graph": ("bounds",),
    "bounds": ("bounds", "widths"),
    "file": ("network",),
    "core": ("neuron_core",),
    "bank": ("neuron_bank",),
    "config": ("receptive_field",),
    "projections": ("window",),
}
"""Modules whose test file has another name, ``test_VALUE.py``."""
LINK = ("tests/hw/link",)
GENERATOR = ("tests/gen", "tests/sim", "tests/hw/test_top.py")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One planted bug.

    Attributes:
        what: the mistake, for people.
        file: the file in which it is made.
        old, new: the code before and after; ``old`` occurs exactly once in the file.
        tests: the tests that are run against it, the most likely first.
        equivalent: why no test can find it; empty if one should.
    """

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = HARDWARE
    equivalent: str = ""


def planted(package: str, component: str, what: str, old: str, new: str, tests: tuple[str, ...]) -> Mutant:
    """A mistake in a component of ``package``: in the file of that name, else in the one that contains ``old``."""
    names = [f"test_{name}.py" for name in TESTED_WITH.get(component, (component,))]
    first = tuple(path for name in names for path in test_files().get(name, ()))
    file = str(holding(package, component, old).relative_to(ROOT))
    return Mutant(what=f"{component}: {what}", file=file, old=old, new=new, tests=(*first, *tests))


@functools.cache
def test_files() -> dict[str, list[str]]:
    """The test files by name."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        found.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    return found


@functools.cache
def texts(package: str) -> dict[Path, str]:
    """The files of a package, those of the host link apart."""
    files = sorted((ROOT / package).rglob("*.py"))
    return {path: path.read_text() for path in files if "link" not in path.parts}


def holding(package: str, component: str, text: str) -> Path:
    """The file of a package in which a mistake is planted; raises ValueError unless it is exactly one."""
    files = [path for path, content in texts(package).items() if text in content]
    [found] = [path for path in files if path.stem == component] or files
    return found


def kernel(module: str, what: str, old: str, new: str) -> Mutant:
    """A mistake in ``qblif/``."""
    return planted("qblif", module, what, old, new, HARDWARE)


def hardware(module: str, what: str, old: str, new: str) -> Mutant:
    """A mistake in ``hw/``."""
    return planted("hw", module, what, old, new, HARDWARE)


def generator(module: str, what: str, old: str, new: str) -> Mutant:
    """A mistake in ``gen/``."""
    return planted("gen", module, what, old, new, GENERATOR)


def link(module: str, what: str, old: str, new: str, *, equivalent: str = "") -> Mutant:
    """A mistake in ``hw/link/``."""
    return Mutant(
        what=f"link {module}: {what}",
        file=f"hw/link/{module}.py",
        old=old,
        new=new,
        tests=LINK,
        equivalent=equivalent,
    )


MUTANTS = (
    hardware(
        "core",
        "one too little is added before the shift",
        "(potential + config.rounding) >> fraction",
        "(potential + config.rounding - 1) >> fraction",
    ),
    hardware("core", "rounding left out", "(potential + config.rounding) >> fraction", "potential >> fraction"),
    hardware("core", "no clamp at 0", "Mux(rounded < 0, 0, Mux(", "Mux(0, 0, Mux("),
    hardware("core", "no clamp at K", "Mux(rounded > ceiling, ceiling, rounded)", "rounded"),
    hardware("core", "leak shifts one place too far", ">> leak.shift", ">> (leak.shift + 1)"),
    hardware(
        "core", "the first timestep keeps the old membrane", "entering + Mux(first, 0, leaked)", "entering + leaked"
    ),
    hardware("core", "soft reset left out", "settled - (self.burst << fraction)", "settled"),
    hardware("core", "hard reset from the second burst on", "self.burst.any()", "(self.burst > 1)"),
    hardware("core", "exponent left out", "taken_sum << self.constants.exponent if", "taken_sum if"),
    hardware("core", "the current is kept as the potential", "settled.eq(potential)", "settled.eq(current)"),
    hardware(
        "bank",
        "membranes written one slot off",
        "write.addr.eq(written.slot)",
        "write.addr.eq(written.slot ^ 1)",
    ),
    hardware(
        "bank",
        "membranes are read a stage too late",
        "stages[NeuronCore.state_latency - 1].slot",
        "stages[NeuronCore.state_latency].slot",
    ),
    hardware("bank", "no pause between timesteps", "if config.pause:", "if False:"),
    hardware(
        "bank",
        "constants of the first fold for all",
        "row = first_row + slot\n        next_row = Mux(slots_end, Mux(",
        "row = slot\n        next_row = Mux(slots_end, Mux(",
    ),
    hardware("bank", "a beat is overwritten", "advance.eq(~valid | ~beat.valid | beat.ready)", "advance.eq(1)"),
    hardware("bank", "skips are not waited for", "advance & ~pausing & complete", "advance & ~pausing"),
    hardware("constants", "the row that is there is read again", "Mux(begun, next_row, 0)", "Mux(begun, row, 0)"),
    hardware("constants", "nothing is read before the first is taken", "taken | ~begun", "taken"),
    hardware(
        "scanner",
        "rows counted from the wrong fold",
        "Mux(last_fold, 0, first_row + step_rows)",
        "Mux(last_fold, 0, first_row)",
    ),
    hardware("scanner", "one bank decides that a beat is done", "ending.all()", "ending[0]"),
    hardware(
        "scanner", "the end of a beat is told an event late", "at_most(Cat(counts), 2)", "at_most(Cat(counts), 1)"
    ),
    hardware("scanner", "an empty closing beat is dropped", ".any() & ~closes", ".any()"),
    hardware("scanner", "loads while events wait", "(~held | finishing) & advance", "(~held | finishing)"),
    hardware("scanner", "a spike is never without", "spike.eq(plane.any())", "spike.eq(1)"),
    hardware(
        "queued", "an empty closing beat enters no queue", "self.taken & (self.arriving.closes |", "self.taken & ("
    ),
    hardware("queued", "a bank does not wait for the others", "(single & ~closes) | self.ended", "single"),
    hardware(
        "queued",
        "one bank ends a sum for all",
        "bank.ending for bank in banks).all()",
        "bank.ending for bank in banks).any()",
    ),
    hardware(
        "queued",
        "beats are let in without end",
        "self.bursts.ready.eq(~whole[1] & advance)",
        "self.bursts.ready.eq(advance)",
    ),
    hardware("queued", "a beat leaves its queue while events wait", "loading.eq(self.advance & (", "loading.eq(("),
    hardware(
        "queued",
        "the last plane is told an event late",
        "single.eq(at_most(Cat(counts), 2))",
        "single.eq(at_most(Cat(counts), 1))",
    ),
    hardware(
        "queued",
        "rows of another beat",
        "times_constant(found_word, config.share)",
        "times_constant(word, config.share)",
    ),
    hardware("queued", "a beat is counted as one row", "found_word, config.share", "found_word, 1"),
    hardware(
        "costs",
        "a queued beat is scanned a cycle early",
        "np.maximum(ends, number + 1) + cost",
        "np.maximum(ends, number) + cost",
    ),
    hardware(
        "timing",
        "a third accumulation is let in",
        "first = self._first(offered, max(self.last, self.ends[0]) + 1)",
        "first = self._first(offered, self.last + 1)",
    ),
    hardware(
        "timing",
        "a bank begins before the others have ended",
        "max(first + after_first, self.ends[1] + after_busy)",
        "first + after_first",
    ),
    hardware("synapse_array", "the plane of the event before", "plane.eq(fetched_plane)", "plane.eq(event.plane)"),
    hardware(
        "synapse_array",
        "no clear after a sum",
        "clear.eq(begins | (closing[-1] & self.sums.ready))",
        "clear.eq(begins)",
    ),
    hardware(
        "synapse_array",
        "reset forgets the accumulators",
        "clear.eq(begins | (closing[-1] & self.sums.ready))",
        "clear.eq(closing[-1] & self.sums.ready)",
    ),
    hardware("synapse_array", "an event without spike adds", "with m.If(~fetched_spike):", "with m.If(0):"),
    hardware(
        "synapse_array", "stall of the sums ignored", "moving.eq(~self.sums.valid | self.sums.ready)", "moving.eq(1)"
    ),
    hardware(
        "handover",
        "the ring turns the wrong way",
        "(lane + self.cores) % self.lanes",
        "(lane - self.cores) % self.lanes",
    ),
    hardware("handover", "one turn too few", "~(turn_ends & last_turn)", "~turn_ends"),
    hardware(
        "receptive_field",
        "rows released too early",
        "row_done.eq(self.leaving.valid & self.leaving.ready & register.leaving.payload.last)",
        "row_done.eq(self.leaving.valid & register.leaving.payload.last)",
    ),
    hardware(
        "receptive_field", "padding is not 0", "Mux(fetched_inside, read.data.as_value(), 0)", "read.data.as_value()"
    ),
    hardware(
        "receptive_field",
        "a row too little is waited for",
        "waiting & (kept >= walk.needed)",
        "waiting & (kept + 1 >= walk.needed)",
    ),
    hardware(
        "walk",
        "rows below the source count as inside",
        "(source_row >= 0) & (source_row < height)",
        "(source_row >= 0)",
    ),
    hardware("walk", "the ring wraps one row late", "Mux(place >= size", "Mux(place > size"),
    hardware("walk", "columns step without stride", "left + columns.stride * unit", "left + unit"),
    hardware("walk", "columns step without dilation", "current + columns.dilation * unit", "current + unit"),
    hardware("walk", "rows step without dilation", "source_row + rows.dilation", "source_row + 1"),
    hardware(
        "config",
        "a dilated window enters at the source's edge",
        "top % dilation if top < 0 and top % dilation < height else 0",
        "0",
    ),
    hardware(
        "config", "a window that reads no row enters behind the ring", "top < 0 and top % dilation < height", "top < 0"
    ),
    hardware("config", "a dilated window is as high as it has rows", "+ rows.span,", "+ rows.kernel,"),
    hardware("sliding_pooling", "a window begins with the one before", "Mux(place == 0, burst, more)", "more"),
    hardware(
        "sliding_pooling", "the minimum", "Mux(before > burst, before, burst)", "Mux(before > burst, burst, before)"
    ),
    hardware(
        "sliding_pooling",
        "a result that is not taken is lost",
        "self.arriving.ready.eq(~last | free)",
        "self.arriving.ready.eq(1)",
    ),
    kernel("projections", "groups see each other's channels", "full[own, :, own] =", "full[own, :, 0] ="),
    hardware(
        "pooling",
        "maximum of signed bursts",
        "Mux(so_far > burst, so_far, burst)",
        "Mux(so_far.as_signed() > burst.as_signed(), so_far, burst)",
    ),
    hardware("pooling", "no pause for short positions", "        pause = config.pause", "        pause = 0"),
    hardware(
        "pooling",
        "a register keeps partial results although windows are too narrow",
        "words < PoolingUnit.write_latency <= positions * words",
        "words < PoolingUnit.write_latency",
    ),
    hardware("pooling", "partial results of a row are forgotten", "Mux(fetched.begins, before, held[-1])", "before"),
    hardware("pooling", "beats of a position are mixed up", "before, held[-1]))", "before, held[0]))"),
    hardware("sliding", "columns of the row above enter a window", "Mux(x == 0, 0, shifted[-1])", "shifted[-1]"),
    hardware("sliding", "rows of the image before enter a window", "stored & (y >= distance)", "stored"),
    hardware("sliding", "padding behind the source repeats it", "Mux(inside, position, 0)", "position"),
    hardware(
        "sliding",
        "the lowest bit-planes come first",
        "reversed(range(config.plane_groups))",
        "range(config.plane_groups)",
    ),
    hardware("matrix", "a sum begins with the one before it", "Mux(root.first, 0, before)", "before"),
    hardware(
        "matrix", "bit-planes are not shifted", "total << config.planes, total) if config.shifts", "total, total) if 0"
    ),
    hardware("tables", "tables of two lanes are mixed up", "weights[:, lane, number]", "weights[:, lane - 1, number]"),
    hardware("passing", "the first beat's weights serve all beats", "phase.eq(word)", "phase.eq(0)"),
    hardware("unrolled", "a later timestep begins at rest", "core.first.eq(step == 0)", "core.first.eq(1)"),
    hardware("unrolled", "timesteps leave in the wrong order", "m, Cat(bursts),", "m, Cat(bursts[::-1]),"),
    hardware("unrolled", "a beat is overwritten before it is taken", "(beat.ready & ends)", "beat.ready"),
    hardware(
        "pooling", "leftover columns enter the next window", "kept.eq((x < config.output.width * across) &", "kept.eq("
    ),
    hardware(
        "reset",
        "the resets of few stages overlap, of many not",
        "return 2 * self.stages + 3",
        "return self.stages + 4",
    ),
    hardware("top", "beats are taken while the first stage forgets them", "entering.ready & ~closed", "entering.ready"),
    hardware("fork", "a branch gets a beat twice", "self.arriving.valid & ~given[index]", "self.arriving.valid"),
    hardware("skip_queue", "one beat too many", "level != depth", "level != depth + 1"),
    hardware("readout", "ties go to the highest beat", "(largest > best)", "(largest >= best)"),
    hardware("readout", "ties go to the higher class of a pair", "high_logit > low_logit", "high_logit >= low_logit"),
    hardware("readout", "the best of the inference before counts", "(beat == 0) | (largest > best)", "largest > best"),
    hardware("readout", "a winner is named by its place", "times_constant(beat, together) + place", "place"),
    hardware("readout", "logits overtake their winner", "delayed(m, logit, rounds,", "delayed(m, logit, 0,"),
    hardware("readout", "as many beats as lanes", "self.lanes_total // together, taken)", "self.lanes_total, taken)"),
    hardware("stream_register", "the spare beat is lost", "spare_full | self.arriving.valid", "self.arriving.valid"),
    hardware("selftest", "a wrong logit is not noticed", "self.failed.eq(1)", "self.failed.eq(0)"),
    Mutant(
        what="weights: lanes swapped",
        file="hw/engines/event/weights.py",
        old="field << (lane * bits) for lane, field in enumerate(row)",
        new="field << (lane * bits) for lane, field in enumerate(row[::-1])",
    ),
    Mutant(
        what="configure: banks dealt row by row the wrong way",
        file="hw/engines/event/config.py",
        old="words[bank :: self.banks]",
        new="words[bank * self.rows : (bank + 1) * self.rows]",
    ),
    Mutant(
        what="configure: a skip one row too short",
        file="hw/stages/queues.py",
        old="(lead + SLACK_ROWS)",
        new="(lead - 1)",
    ),
    Mutant(
        what="stream order: channels before rows",
        file="hw/engines/event/weights.py",
        old="full.transpose(0, 2, 3, 1).reshape(len(weights), -1)",
        new="full.transpose(0, 3, 2, 1).reshape(len(weights), -1)",
    ),
    link("receiver", "the checksum is not looked at", ".payload.whole | ~matches,", ".payload.whole,"),
    link(
        "receiver",
        "what is behind is still in reset when its record leaves",
        "(fetched != committed) & ~self.restarting",
        "fetched != committed",
    ),
    link("receiver", "the checksum is kept as data", "written - CRC_BYTES", "written - 0"),
    link(
        "receiver",
        "any id is taken",
        "~any_order & (identifier != expected)",
        "~any_order & (identifier != identifier)",
    ),
    link("receiver", "a full ring is written to", "(length < longest) & ~full &", "(length < longest) &"),
    link("receiver", "one byte of room is taken for two", "space < HEADER_BYTES + LATE_WRITES", "space < LATE_WRITES"),
    link("receiver", "a note without room is forgotten", "Mux(owed == MOST_OWED, owed, owed + 1)", "owed"),
    link("receiver", "a note is owed across a reset", "committed.eq(0), owed.eq(0), owing.eq(0)]", "committed.eq(0)]"),
    link(
        "requests",
        "counters are read while they count",
        'with m.State("ANSWER"), m.If(self.idle):',
        'with m.State("ANSWER"), m.If(1):',
    ),
    link(
        "requests",
        "bits left over go into the next inference",
        "m.d.sync += left.eq(0)",
        "m.d.sync += left.eq(left - 1)",
    ),
    link("cobs", "a frame's last zero is lost", "ends_in_zero.eq(last & (byte == 0))", "ends_in_zero.eq(0)"),
    link("cobs", "a zero behind a full block", "zero_due.eq(byte != LONGEST_BLOCK + 1)", "zero_due.eq(1)"),
    link(
        "answers",
        "the checksum goes on from frame to frame",
        "m.d.comb += crc.start.eq(1)",
        "m.d.comb += crc.start.eq(0)",
    ),
    link("results", "a beat is taken with its first class", "self.leaving.ready & ends", "self.leaving.ready"),
    link("results", "every class of the last beat is the last", "arriving.last & ends", "arriving.last"),
    link("counters", "the ring turns the wrong way", "rotate_right(8)", "rotate_left(8)"),
    link("uart", "the highest bit first", "bits.eq(Cat(bits[1:], line))", "bits.eq(Cat(line, bits[:-1]))"),
    hardware(
        "sharing",
        "the host takes over in the middle of an inference",
        "~self.test_offering & ~self.active",
        "~self.test_offering",
    ),
    hardware(
        "sharing",
        "the host takes over while the self-test's first beat is on its way",
        "~self.test_offering & ~self.active",
        "~self.test_bursts.valid & ~self.active",
    ),
    kernel("bounds", "a bit too few for negative numbers", "(value if value >= 0 else ~value)", "abs(value)"),
    kernel("bounds", "only the last timestep's potential", "step if found is None else found.union(step)", "step"),
    kernel(
        "bounds",
        "positive and negative weights cancel",
        "low += np.minimum(weights, 0).sum(axis=1)",
        "low += np.minimum(weights.sum(axis=1), 0)",
    ),
    kernel("bounds", "negative skips left out", "low, high = low + min(reach, 0)", "low, high = low"),
    kernel(
        "bounds",
        "the leak's product left out",
        "product = membrane.times(neuron.leak.multiplier)",
        "product = membrane",
    ),
    kernel("graph", "a product of 63 bits is let through", "bits <= MOST_BITS,", "bits <= MOST_BITS + 1,"),
    kernel(
        "graph",
        "sums bounded for one timestep alone",
        "else 1\n        require(self._reach",
        "else 1\n        merged = 1\n        require(self._reach",
    ),
    hardware("rows_ahead", "a pooled row waits for its first row alone", "(row + 1) * kernel - 1", "row * kernel"),
    hardware(
        "rows_ahead",
        "an inner skip is not waited for",
        "found[skip.source] for skip in self.bank.skips",
        "found[skip.source] for skip in ()",
    ),
    kernel(
        "graph",
        "weights of opposite signs cancel",
        "np.abs(projection.weights.reshape(",
        "(projection.weights.reshape(",
    ),
    kernel("file", "a file without its hash is read", "(version >= 3 or name is not None)", "name is not None"),
    kernel(
        "file",
        "the hash of a file that says it is older is not looked at",
        "(version >= 3 or name is not None)",
        "version >= 3",
    ),
    kernel("file", "version 0 is read as the first", "1 <= version <= VERSION", "version <= VERSION"),
    kernel("file", "a newer version is read as this one", "1 <= version <= VERSION", "1 <= version"),
    Mutant(
        what="plan: an older version is read as this one",
        file="hw/plan.py",
        old='content["version"] != VERSION',
        new='content["version"] > VERSION',
        tests=("tests/gen/planning/test_planner.py",),
    ),
    Mutant(
        what="plan: a version need not be an integer",
        file="hw/plan.py",
        old='type(content["version"]) is not int or',
        new="",
        tests=("tests/gen/planning/test_planner.py",),
    ),
    hardware(
        "configure",
        "no room for rows that come meanwhile",
        "max(self.needed) + max(self.released)",
        "max(self.needed)",
    ),
    hardware("configure", "a lane too many may be idle", "self.lanes >= channels", "self.lanes > channels"),
    generator(
        "fold", "rounds half down", "np.floor(weight[channel] * row + 0.5)", "np.ceil(weight[channel] * row - 0.5)"
    ),
    generator("fold", "epsilon left out", "np.sqrt(variance + epsilon)", "np.sqrt(variance)"),
    generator(
        "fold",
        "one right logit is enough for a reference",
        "vectors.logits[: len(logits)]).any(axis=1)",
        "vectors.logits[: len(logits)]).all(axis=1)",
    ),
    generator(
        "fold",
        "the bias is not divided by the scale",
        "np.floor(offset / scale * unit + 0.5)",
        "np.floor(offset * unit + 0.5)",
    ),
    generator(
        "fold",
        "stored biases are not held against the fold",
        "zip((*stored.weights, stored.bias), (*computed.weights, computed.bias), strict=True)",
        "zip(stored.weights, computed.weights, strict=True)",
    ),
    generator(
        "fold",
        "a stored skip is not held against the fold",
        "(np.asarray(stored.skip or 0), np.asarray(computed.skip or 0))",
        "(np.asarray(0), np.asarray(0))",
    ),
    generator("fold", "the last projection's bias alone", "bias = bias + np.floor", "bias = np.floor"),
    hardware(
        "timing",
        "a skip has room a cycle early",
        "self._fetch(number - self.depth) + 1)",
        "self._fetch(number - self.depth))",
    ),
    hardware(
        "timing",
        "a skip's beat waits for no place",
        "max(self.fetched[-1] + 1, self._move(index - 1))",
        "self.fetched[-1] + 1",
    ),
    hardware(
        "timing",
        "a skip's beat is offered a cycle early",
        "self._move(len(self.left)) + 1",
        "self._move(len(self.left))",
    ),
    hardware(
        "timing",
        "a skip moves on before its beat has left",
        "max(self._fetch(index) + 1, self.left[index - 1] if index else LONG_AGO)",
        "self._fetch(index) + 1",
    ),
    hardware(
        "timing",
        "neurons do not wait for their reader",
        "clock.wait(self.accepted + self.config.burst_latency, self.taken)",
        "clock.wait(self.accepted + self.config.burst_latency, LONG_AGO)",
    ),
    hardware(
        "timing",
        "a pooling does not wait for its reader",
        "clock.wait(leaves, self.taken)",
        "clock.wait(leaves, LONG_AGO)",
    ),
    hardware(
        "timing",
        "a released row is free a cycle early",
        "self.released[row - self.window.rows_kept] + 1)",
        "self.released[row - self.window.rows_kept])",
    ),
    hardware(
        "timing", "a fork waits for its fastest reader", "return max(reader.offer(at)", "return min(reader.offer(at)"
    ),
    hardware(
        "activity",
        "a pooling does not pause",
        "(self.stream.beats_per_position + self.pause)",
        "self.stream.beats_per_position",
    ),
    hardware(
        "activity",
        "windows of one column",
        "window.height * window.width * window.window.area",
        "window.height * window.width * window.rows.kernel",
    ),
)
