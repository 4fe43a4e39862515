"""Functional coverage: which situations the simulated hardware has been in, and which others are impossible.

A :class:`hw.coverage.CoverPoint` is one question about one place of a network, with a bin for each answer. The bins
follow from the shape of the hardware. Bins that no input can reach, by the interval analysis of
:mod:`qblif.network.bounds`, are marked as unreachable, with the reason. Other bins without a hit are holes.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hw.configuration import TopConfig
from hw.coverage import CoverPoint
from hw.top import flows
from qblif.golden import Activations
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.streams import from_stream_beats
from sim.compare import complete_inferences, fields, read_log, read_states, unpack_results


def merge(runs: Sequence[Sequence[CoverPoint]]) -> list[CoverPoint]:
    """The points of several runs of one network, merged into those of one run; all runs ask the same questions."""
    return [
        CoverPoint(
            place=same[0].place,
            kind=same[0].kind,
            bins=same[0].bins,
            hits=np.concatenate([point.hits for point in same]),
            unreachable=same[0].unreachable,
        )
        for same in zip(*runs, strict=True)
    ]


def recorded(config: TopConfig, network: Network, inputs: IntArray, folder: Path) -> Activations:
    """The bursts, membranes and logits of the simulated hardware, read from the logs of a successful run.

    Args:
        config: the simulated hardware.
        network: its network.
        inputs: the bursts that were offered, (inferences, steps, C, H, W).
        folder: folder of the logs.
    """
    bursts = {network.input.name: torch.from_numpy(np.array(inputs))}
    for stage in config.stages:
        if stage.output is not None:
            log = read_log(folder / f"tap_{stage.name}.log")
            beats = fields(log.payloads, stage.output.group, stage.output.burst_bits, is_signed=False)
            beats = complete_inferences(beats, (0, stage.output.beats_per_inference, stage.output.group))
            known = from_stream_beats(beats, network.shape(stage.name), stage.output)
            bursts[stage.name] = torch.from_numpy(known)
    states = {}
    for name, neurons, stream in config.populations:
        values = read_states(folder / f"membranes_{name}.log", neurons)[:, :, 0]
        values = complete_inferences(values, (0, stream.height, stream.width, neurons.lanes * neurons.folds))
        channels = network.shape(name)[0]
        last = torch.from_numpy(values[..., :channels].transpose(0, 3, 1, 2).copy())
        states[name] = last[:, np.newaxis, np.newaxis]
    logits, _, _ = unpack_results(read_log(folder / "results.log"), config.readout)
    return Activations(bursts=bursts, states=states, sums=torch.from_numpy(logits)[:, np.newaxis])


def flow_points(config: TopConfig, folder: Path) -> list[CoverPoint]:
    """Whether every stream of the network moved, was held back, and was starved, from the logs of a run."""
    together = {"starved": "a bank takes a skip's burst with the sum beside it, so it is ready only for what is there"}
    return [
        CoverPoint(
            place=name,
            kind="flow",
            bins=("moved", "held back", "starved"),
            hits=np.array([[int(count) for count in (folder / f"flow_{name}.log").read_text().split()]]),
            unreachable=together if re.match(r"skip_\d+_leaving_", name) else {},
        )
        for name in flows(config)
    ]
