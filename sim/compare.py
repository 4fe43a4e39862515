"""Comparison of the simulated network with the golden model, beat by beat."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hw.configuration import TopConfig
from hw.neurons.config import NeuronConfig
from hw.stages.readout_unit import ReadoutConfig
from qblif.golden import Activations
from qblif.network.checks import IntArray
from qblif.streams import BurstStream, stream_beats

BitArray = npt.NDArray[np.uint8]
NO_DIGIT, BITS_OF_DIGIT = 255, 4
DIGIT_VALUES = np.full(256, NO_DIGIT, dtype=np.uint8)
"""The value of every character that is a hexadecimal digit."""
DIGIT_VALUES[list(b"0123456789abcdef")] = range(16)


@dataclass(frozen=True, kw_only=True)
class Log:
    """A recorder's file: the cycle of every beat, (beats,), and its payload's bits, (beats, bits), lowest first."""

    cycles: IntArray
    payloads: BitArray


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Outcome of one run.

    Attributes:
        mismatches: number of values that differ from the golden model, including missing and superfluous ones.
        first: the first mismatch in words, or "".
        first_inference: the inference of the first mismatch.
        classes: (inferences,), the network's results.
        class_cycles: (inferences,), cycle in which each class left.
    """

    mismatches: int
    first: str
    first_inference: int
    classes: IntArray
    class_cycles: IntArray


def read_log(path: Path) -> Log:
    """Read a recorder's file; raises ValueError if the recorder did not close it, or a bit is neither 0 nor 1."""
    *words, end = path.read_bytes().split() or [b""]
    if end != b"end":
        raise ValueError(f"{path} is incomplete")
    beats, text = len(words) // 2, b"".join(words[1::2])
    digits = DIGIT_VALUES[np.frombuffer(text, dtype=np.uint8)].reshape(beats, len(text) // max(1, beats))
    if (digits == NO_DIGIT).any():
        raise ValueError(f"{path} has a payload with undefined bits")
    bits = np.unpackbits(digits[:, ::-1, np.newaxis], axis=2, count=BITS_OF_DIGIT, bitorder="little")
    payloads = bits.reshape(beats, BITS_OF_DIGIT * digits.shape[1])
    return Log(cycles=np.array(words[::2], dtype=np.int64), payloads=payloads)


def fields(payloads: BitArray, count: int, bits: int, *, is_signed: bool) -> IntArray:
    """Split payloads into ``count`` fields of ``bits`` each, lowest first: int64 (beats, count)."""
    split = payloads[:, : count * bits].reshape(len(payloads), count, bits)
    octets = np.zeros((*split.shape[:2], np.int64().nbytes), dtype=np.uint8)
    octets[:, :, : -(-bits // 8)] = np.packbits(split, axis=2, bitorder="little")
    values: IntArray = octets.view("<i8")[:, :, 0]
    return values - (values >> (bits - 1) << bits) if is_signed else values


def compare(config: TopConfig, golden: Activations, folder: Path, *, taps: bool) -> Comparison:
    """Compare the logits and classes in the logs in ``folder``, and with ``taps`` all bursts and the last membranes."""
    found: list[tuple[int, int, str]] = []
    for stage in config.stages if taps else ():
        if stage.output is not None:
            found.append(compare_bursts(config, stage.name, stage.output, golden, folder))
    for name, neurons, stream in config.populations if taps else ():
        found.append(compare_states(config, name, neurons, stream, golden, folder))
    results = read_log(folder / "results.log")
    logits, classes, cycles = unpack_results(results, config.readout)
    expected = golden.results(config.mode == "stream").numpy()
    found.append(differences("readout", logits, expected, ("inference", "class")))
    winners = expected.argmax(axis=1)[:, np.newaxis]
    found.append(differences("class", classes[:, np.newaxis], winners, ("inference", "")))
    failing = [entry for entry in found if entry[0]]
    return Comparison(
        mismatches=sum(count for count, _, _ in found),
        first=failing[0][2] if failing else "",
        first_inference=failing[0][1] if failing else 0,
        classes=classes,
        class_cycles=cycles,
    )


def compare_bursts(
    config: TopConfig, name: str, stream: BurstStream, golden: Activations, folder: Path
) -> tuple[int, int, str]:
    """Compare every beat that left a population or pooling, in stream order."""
    log = read_log(folder / f"tap_{name}.log")
    values = fields(log.payloads, stream.group, stream.burst_bits, is_signed=False)
    expected = stream_beats(config.framed(golden.bursts[name].numpy()), stream)
    shape = (stream.height, stream.width, stream.folds, stream.steps, stream.beats, stream.group)
    expected = expected.reshape(-1, config.frames, *shape)
    axes = ("inference", "", "row", "column", "fold", "timestep", "beat", "channel of the beat")
    if config.schedule == "time_major":
        axes = ("inference", "timestep", "row", "column", "fold", "", "beat", "channel of the beat")
    return surplus(values, expected) or differences(
        f"bursts of {name}", complete_inferences(values, expected.shape), expected, axes
    )


def compare_states(
    config: TopConfig, name: str, neurons: NeuronConfig, stream: BurstStream, golden: Activations, folder: Path
) -> tuple[int, int, str]:
    """Compare every state after the last timestep or, time-major, after every one, except those of neurons that only
    fill up the last fold."""
    values = read_states(folder / f"membranes_{name}.log", neurons)
    states = golden.states[name].numpy()
    states = states if config.schedule == "time_major" else states[:, -1:]
    expected = states.transpose(0, 1, 4, 5, 3, 2)
    channels = expected.shape[4]
    missing = neurons.lanes * neurons.folds - channels
    expected = np.pad(expected, [(0, 0)] * 4 + [(0, missing), (0, 0)])
    expected = expected.reshape(-1, config.frames, stream.height, stream.width, *expected.shape[4:])
    padding = np.arange(expected.shape[4])[:, np.newaxis] >= channels
    got = np.where(padding, 0, complete_inferences(values, expected.shape))
    axes = ("inference", "timestep" if config.frames > 1 else "", "row", "column", "neuron", "field of its state")
    return surplus(values, expected) or differences(f"states of {name}", got, expected, axes)


def read_states(path: Path, neurons: NeuronConfig) -> IntArray:
    """The recorded states: int64 (beats, cores, fields)."""
    payloads, widths = read_log(path).payloads, [neurons.membrane_bits]
    if neurons.current_leak is not None:
        widths.append(neurons.synaptic_bits)
    split = payloads[:, : neurons.cores * sum(widths)].reshape(len(payloads) * neurons.cores, sum(widths))
    parts = np.split(split, np.cumsum(widths)[:-1], axis=1)
    columns = [fields(part, 1, bits, is_signed=True) for part, bits in zip(parts, widths, strict=True)]
    return np.concatenate(columns, axis=1).reshape(-1, neurons.cores, len(widths))


def unpack_results(log: Log, readout: ReadoutConfig) -> tuple[IntArray, IntArray, IntArray]:
    """Logits (inferences, classes), winners (inferences,) and the cycle in which each class left."""
    together, winner_bits = readout.classes_per_beat, (readout.classes - 1).bit_length() or 1
    above = together * readout.logit_bits
    logits = fields(log.payloads, together, readout.logit_bits, is_signed=True)
    winners = fields(log.payloads[:, above:], 1, winner_bits, is_signed=False)[:, 0]
    ends = fields(log.payloads[:, above + winner_bits :], 1, 1, is_signed=False)[:, 0] == 1
    inferences = int(ends.sum())
    if (np.flatnonzero(ends) % readout.beats != readout.beats - 1).any() or len(ends) % readout.beats:
        raise ValueError("the results' last flag is not on every last class, and only there")
    return complete_inferences(logits, (inferences, readout.classes)), winners[ends], log.cycles[ends]


def complete_inferences(values: IntArray, shape: tuple[int, ...]) -> IntArray:
    """The recorded values in ``shape``, with as many inferences as are complete."""
    each = int(np.prod(shape[1:]))
    flat = values.reshape(-1)
    inferences = len(flat) // each
    return flat[: inferences * each].reshape(inferences, *shape[1:])


def surplus(values: IntArray, expected: IntArray) -> tuple[int, int, str] | None:
    """A mismatch if a recording is not a whole number of inferences; None if it is."""
    odd = values.size % int(np.prod(expected.shape[1:]))
    return (odd, 0, f"{odd} values more than whole inferences were recorded") if odd else None


def differences(what: str, got: IntArray, expected: IntArray, axes: tuple[str, ...]) -> tuple[int, int, str]:
    """The number of values that differ, the first inference in which one differs, and that value in words."""
    common = min(len(got), len(expected))
    unequal = np.argwhere(got[:common] != expected[:common])
    missing = abs(len(got) - len(expected)) * int(np.prod(expected.shape[1:]))
    if len(unequal):
        place = tuple(int(index) for index in unequal[0])
        where = ", ".join(f"{axis} {index}" for axis, index in zip(axes, place, strict=True) if axis)
        words = f"{what}: {where}: expected {expected[place]}, got {got[place]}"
        return len(unequal) + missing, place[0], words
    if missing:
        return missing, common, f"{what}: expected {len(expected)} inferences, got {len(got)}"
    return 0, 0, ""
