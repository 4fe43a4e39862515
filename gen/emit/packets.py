"""Packets of a core: samples as bytes of ``s_axis``, results as words of ``m_axis``."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gen.design import Design, sample_results
from hw.configuration import TopConfig
from hw.ports.axi_stream import BAD_BIT, result_bits
from qblif.network.checks import IntArray
from qblif.streams import beat_octets, stream_beats


def packet_beats(config: TopConfig, bursts: IntArray) -> IntArray:
    """The beats of packets, (packets, beats, group), that bring the ``bursts`` (samples, steps, C, H, W) of samples."""
    beats = stream_beats(config.framed(bursts), config.input)
    return beats.reshape(-1, config.beats_per_result, beats.shape[-1])


def beat_bytes(beats: IntArray, burst_bits: int) -> npt.NDArray[np.uint8]:
    """Beats (..., group) as bytes, (beats, bytes), the lowest first."""
    return beat_octets(beats, burst_bits)[:, ::-1]


def result_words(config: TopConfig, logits: Sequence[int], bad: bool = False) -> list[int]:
    """The words of a result, unsigned: every logit, then the first class with the largest one, and the mark."""
    bits = result_bits(config.readout.logit_bits)
    winner = max(range(len(logits)), key=lambda index: (logits[index], -index))
    return [word & 2**bits - 1 for word in (*logits, winner | bad << BAD_BIT)]


def reference_packets(design: Design, most: int) -> tuple[IntArray, list[list[int]]]:
    """Beats (packets, beats, group) and result words of at most ``most`` packets of the reference inputs, with the
    logits that training printed; without references, those of an arbitrary input."""
    bursts, logits = sample_results(design, most)
    beats = packet_beats(design.config, bursts)
    return beats, [result_words(design.config, row) for row in logits.tolist()]
