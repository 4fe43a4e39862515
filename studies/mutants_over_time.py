"""More bugs that :mod:`studies.mutations` plants: mistakes in the hardware of networks over time, and in its models."""

from studies.mutants import Mutant, planted

OVER_TIME = (
    "tests/hw/test_frame_readout.py",
    "tests/hw/test_schedules.py",
    "tests/hw/test_neuron_bank.py",
    "tests/qblif/test_endless.py",
)


def temporal(package: str, module: str, what: str, old: str, new: str) -> Mutant:
    """A mistake that tests of networks over time find."""
    return planted(package, module, what, old, new, OVER_TIME)


MUTANTS = (
    temporal("hw", "logic", "no frame is the first one", "first = Signal(init=1,", "first = Signal(init=0,"),
    temporal(
        "hw",
        "logic",
        "the first frame of the next sample keeps the state",
        "[1] if frames else",
        "[1] & 0 if frames else",
    ),
    temporal(
        "hw",
        "bank",
        "time-major, states are read one word early",
        "address=address, row=row, next_row",
        "address=slot, row=row, next_row",
    ),
    temporal("hw", "bank", "time-major, a sample never begins again", "0 if config.endless else config.timesteps", "0"),
    temporal(
        "hw",
        "bank",
        "a stream begins again after T timesteps",
        "0 if config.endless else config.timesteps",
        "config.timesteps",
    ),
    temporal(
        "hw",
        "bank",
        "time-major, constants of the first fold only",
        "next_row = Mux(slots_end, following_first_row, row + 1)",
        "next_row = Mux(slots_end, 0, row + 1)",
    ),
    temporal(
        "hw",
        "bank",
        "bursts are packed when states are written",
        "stages[config.burst_latency].valid",
        "stages[config.write_latency].valid",
    ),
    temporal(
        "hw",
        "bank",
        "membrane and synaptic current change places",
        "core.synaptic.eq(before.synaptic)",
        "core.synaptic.eq(before.membrane)",
    ),
    temporal("hw", "config", "short frames do not pause", "max(0, self.write_latency - self.membranes.depth)", "0"),
    temporal("hw", "config", "a state per fold, not per position", "self.positions * self.folds if", "self.folds if"),
    temporal("hw", "config", "limits of the membrane take no time", "+ (self.membrane_limits is not None)", "+ 0"),
    temporal(
        "hw",
        "core",
        "the synaptic current leaks as the membrane does",
        "leaked_value(self.synaptic, config.current_leak)",
        "leaked_value(self.synaptic, config.leak)",
    ),
    temporal(
        "hw",
        "core",
        "the synaptic current is not at rest at first",
        "Mux(first, 0, leaked_value(self.synaptic",
        "Mux(0, 0, leaked_value(self.synaptic",
    ),
    temporal(
        "hw", "core", "a limit is one too high", "Mux(value > high, high, value)", "Mux(value > high, high + 1, value)"
    ),
    temporal("hw", "core", "lower limits are ignored", "Mux(value < low, low,", "Mux(0, low,"),
    temporal(
        "hw",
        "core",
        "the membrane arrives a cycle early",
        'later(membrane, "membrane_held", cycles)',
        'later(membrane, "membrane_held", cycles - 1)',
    ),
    temporal(
        "hw",
        "frame_buffer",
        "no zeros in the first frame",
        "self.leaving.payload.eq(Mux(silent, 0,",
        "self.leaving.payload.eq(Mux(0, 0,",
    ),
    temporal(
        "hw",
        "frame_buffer",
        "the last frame of a sample is kept",
        "self.arriving.valid & ~dropped",
        "self.arriving.valid",
    ),
    temporal("hw", "frame_buffer", "the first frame lasts a beat", '& counter(m, "leaving_beat", beats, left)[1]', ""),
    temporal(
        "hw",
        "queues",
        "a frame buffer has room for half a frame",
        "depth=2 * stream.beats_per_inference",
        "depth=(stream.beats_per_inference + 1) // 2",
    ),
    temporal(
        "hw",
        "frame_readout",
        "a result after every frame of a window",
        "[1] if config.frames else Const(1, 1)",
        "[1] | 1 if config.frames else Const(1, 1)",
    ),
    temporal("hw", "frame_readout", "the sum of the last sample is kept", "Mux(stages[2].first, 0, leaked)", "leaked"),
    temporal(
        "hw",
        "frame_readout",
        "the sum does not leak",
        "before if config.leak is None else leaked_value(before, config.leak)",
        "before",
    ),
    temporal(
        "hw",
        "frame_readout",
        "the sum is not limited",
        "summed if config.limits is None else limited_value(summed, config.limits)",
        "summed",
    ),
    temporal(
        "hw",
        "frame_readout",
        "the maximum of the last sample is kept",
        "Mux(stages[WRITE_LATENCY].first | (integral > held)",
        "Mux((integral > held)",
    ),
    temporal(
        "hw",
        "frame_readout",
        "the winner of the last result stays",
        "((stages[5].lane == 0) | (given > best))",
        "(given > best)",
    ),
    temporal("hw", "frame_readout", "few classes do not pause", "max(0, WRITE_LATENCY - self.lanes)", "0"),
    temporal(
        "hw",
        "population",
        "recurrent bursts are not delayed in the cycle model",
        "np.concatenate([np.zeros_like(bursts[:1]), bursts[:-1]])",
        "bursts.copy()",
    ),
    temporal(
        "hw", "frame_buffer", "frames leave at once in the cycle model", "self.last_taken = at", "self.last_taken = -9"
    ),
    temporal(
        "hw",
        "bank",
        "a pause after every fold in the cycle model",
        "0 if self.turned else self.config.pause",
        "self.config.pause",
    ),
    temporal("hw", "top", "a recurrent stream is not connected", "connect(m, branch, flipped(branches[edge]))", "pass"),
    temporal(
        "qblif", "endless", "limits do not bound a state without a leak", "0 if limits is None else limits[0]", "0"
    ),
    temporal("qblif", "endless", "a lowest value too near", "kept = (1 << leak.shift)", "kept = 1 + (1 << leak.shift)"),
    temporal(
        "qblif", "endless", "a soft reset never leaves less than 0", "state), -neuron.rounding_constant)", "state), 0)"
    ),
    temporal(
        "qblif",
        "bounds",
        "a limited synaptic current is bounded as if it was not",
        "limited = summed.limited(neuron.current_limits)",
        "limited = current",
    ),
)
