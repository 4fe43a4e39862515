"""More bugs that :mod:`studies.mutations` plants: mistakes in the hardware of networks over time, and in its models."""

from pathlib import Path

from studies.mutants import Mutant, planted

OVER_TIME = (
    "tests/qblif/test_reachable_states.py",
    "tests/hw/test_frame_readout.py",
    "tests/hw/test_schedules.py",
    "tests/hw/test_neuron_bank.py",
    "tests/qblif/test_endless.py",
    "tests/studies/test_proofs.py",
)
ON_THE_LINE = ("tests/hw/link/test_steps_on_the_line.py",)


def temporal(package: str, module: str, what: str, old: str, new: str) -> Mutant:
    """A mistake that tests of networks over time find."""
    return planted(package, module, what, old, new, OVER_TIME)


def timesteps(module: str, what: str, old: str, new: str) -> Mutant:
    """A mistake in how a device takes timesteps; ``module``: a file of ``hw/``."""
    name = Path(module).stem
    return Mutant(what=f"timesteps, {name}: {what}", file=f"hw/{module}.py", old=old, new=new, tests=ON_THE_LINE)


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
        'delayed(m, membrane, cycles, "membrane_held"',
        'delayed(m, membrane, cycles - 1, "membrane_held"',
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
    temporal(
        "hw",
        "logic",
        "the first frame lasts two frames",
        "m.d.sync += first.eq(following)",
        "m.d.sync += [(before := Signal(init=1)).eq(following), first.eq(following | before)]",
    ),
    temporal(
        "hw",
        "logic",
        "a sample has a frame too few",
        'counter(m, "frame", frames, frame_ends)[1]',
        'counter(m, "frame", max(1, frames - 1), frame_ends)[1]',
    ),
    temporal(
        "hw",
        "bank",
        "a state is written at the address of the next one",
        "write.addr.eq(written.slot)",
        "write.addr.eq(stages[config.write_latency - 1].slot)",
    ),
    temporal(
        "hw",
        "bank",
        "addresses of states wrap a word late",
        'counter(m, "address", config.membranes.depth, taken)',
        'counter(m, "address", config.membranes.depth + 1, taken)',
    ),
    temporal(
        "hw",
        "bank",
        "a frame is over after every fold",
        "first_frame(m, taken & frame_ends,",
        "first_frame(m, taken & slots_end,",
    ),
    temporal("hw", "bank", "a pause ends while the bank stalls", "[1] & advance & pausing):", "[1] & pausing):"),
    temporal(
        "hw",
        "core",
        "the synaptic current is held a cycle too few",
        "config.write_latency - self.state_latency - cycles",
        "config.write_latency - self.state_latency - cycles - 1",
    ),
    temporal(
        "hw",
        "core",
        "the synaptic current is limited after it has entered the membrane",
        "return synaptic, held,",
        'return delayed(m, summed, cycles - 1, "early", self.advance), held,',
    ),
    temporal(
        "hw",
        "core",
        "the membrane is limited before its reset",
        "limited_value(left, config.membrane_limits)",
        "limited_value(settled, config.membrane_limits) - (self.burst << fraction)",
    ),
    temporal("hw", "core", "limits change places", "low, high = limits", "high, low = limits"),
    temporal(
        "hw",
        "frame_buffer",
        "bursts leave as they arrive",
        "Mux(silent, 0, waiting.leaving.payload.as_value())",
        "Mux(silent, 0, self.arriving.payload.as_value())",
    ),
    temporal(
        "hw",
        "frame_buffer",
        "a beat of the first frame is lost",
        "waiting.leaving.ready.eq(self.leaving.ready & ~silent)",
        "waiting.leaving.ready.eq(self.leaving.ready)",
    ),
    temporal(
        "hw",
        "queues",
        "a stream's buffer begins again after T frames",
        'frames=0 if network.mode == "stream" else network.timesteps',
        "frames=network.timesteps",
    ),
    temporal(
        "hw",
        "frame_readout",
        "the winner is compared with the result before",
        "(stages[5].lane == 0) | (given > best)",
        "(stages[5].lane == 0) | (given > result.logit)",
    ),
    temporal(
        "hw",
        "frame_readout",
        "ties go to the last class",
        "(stages[5].lane == 0) | (given > best)",
        "(stages[5].lane == 0) | (given >= best)",
    ),
    temporal(
        "hw",
        "frame_readout",
        "the largest sum is not kept",
        'write.data["largest"].eq(logit)',
        'write.data["largest"].eq(integral)',
    ),
    temporal(
        "hw",
        "frame_readout",
        "the readout of a stream waits for T frames",
        'frames=0 if network.mode == "stream" else network.timesteps',
        "frames=network.timesteps",
    ),
    temporal(
        "hw",
        "frame_readout",
        "few classes do not pause in the cycle model",
        "self.resumes = last + 1 + config.pause",
        "self.resumes = last + 1",
    ),
    temporal("hw", "bank", "no pause in the cycle model", "(0 if self.turned else self.config.pause)", "0"),
    temporal(
        "hw",
        "frame_buffer",
        "zeros have to arrive in the cycle model",
        "return (frame % self.frames if self.frames else frame) == 0",
        "return False",
    ),
    temporal(
        "hw",
        "frame_buffer",
        "the last frame waits in the cycle model",
        "return at if self.frames and frame % self.frames == self.frames - 1 else super().offer(at)",
        "return super().offer(at)",
    ),
    temporal(
        "hw",
        "population",
        "a sample goes on with the last one's recurrent bursts in the cycle model",
        "later[:: frames or len(later)] = 0",
        "later[:1] = 0",
    ),
    temporal(
        "hw",
        "configure",
        "a recurrent stream is that of the node's own source",
        "any(one.recurrent and one.source == node.name for one in network.projections)",
        "any(one.recurrent and one.target == node.name for one in network.projections)",
    ),
    temporal(
        "hw",
        "schedule",
        "recurrent projections run position-major",
        "if any(projection.recurrent for projection in network.projections):",
        "if False:",
    ),
    temporal(
        "hw",
        "population",
        "streams return to rest like windows",
        'endless=network.mode == "stream"',
        "endless=False",
    ),
    temporal(
        "qblif",
        "bounds",
        "limits of the membrane are ignored",
        "after_reset(potential, neuron).limited(neuron.membrane_limits)",
        "after_reset(potential, neuron)",
    ),
    temporal(
        "qblif",
        "bounds",
        "limits of a readout's sum are ignored",
        "state = summed.limited(readout.limits)",
        "state = summed",
    ),
    temporal(
        "qblif",
        "bounds",
        "an endless sum is bounded before its last current",
        "summed = state.leaked(leak) + current\n        return",
        "summed = state\n        return",
    ),
    temporal(
        "qblif",
        "endless",
        "a highest value too near",
        "return -(-(rising << leak.shift) // ((1 << leak.shift) - leak.multiplier))",
        "return (rising << leak.shift) // ((1 << leak.shift) - leak.multiplier) - 1",
    ),
    temporal(
        "qblif",
        "endless",
        "the first threshold is forgotten",
        "np.maximum(saturated, max(silent, 0))",
        "np.maximum(saturated, 0)",
    ),
    temporal("qblif", "endless", "a hard reset never leaves more than 0", "np.maximum(high, 0)", "np.minimum(high, 0)"),
    timesteps(
        "link/requests",
        "one that is repeated enters the network again",
        "dropping.eq(~self.is_next)",
        "dropping.eq(~self.is_next & ~self.is_last)",
    ),
    timesteps(
        "link/requests", "one out of sequence counts as executed", "self.execute.eq(self.is_next)", "self.execute.eq(1)"
    ),
    timesteps("link/steps", "the number does not advance", "self.next.eq(self.next + 1)", "self.next.eq(self.next)"),
    timesteps(
        "link/steps", "any other number is a repetition", "begun & (self.number == last)", "begun & ~self.is_next"
    ),
    timesteps("link/steps", "the result before is answered", "with m.If(self.forget):", "with m.If(0):"),
    timesteps("link/steps", "a logit is offered twice", "whole & ~sent & ~self.forget", "whole & ~self.forget"),
    timesteps(
        "link/host_link",
        "numbers count before there was a reset",
        "steps.numbered.eq(self.restarted)",
        "steps.numbered.eq(1)",
    ),
    timesteps(
        "link/host_link",
        "a reset leaves the number",
        "m.submodules.steps = resettable(steps)",
        'm.submodules.steps = DomainRenamer("network")(steps)',
    ),
    timesteps("link/answers", "a window's result is left out", "closing.eq(~self.completes)", "closing.eq(1)"),
    timesteps(
        "link/answers", "a refusal without the next number", "left.eq(header_bytes - 1)", "left.eq(HEADER_BYTES - 1)"
    ),
    timesteps("shell/device", "the self-test begins again after a reset", "~test.complete & ~hosted", "~test.complete"),
    timesteps("shell/device", "the self-test of a stream does not end", "~test.complete & ~hosted", "~hosted"),
    timesteps("shell/device", "a reset puts out the light", "with m.If(~hosted):", "with m.If(1):"),
)
