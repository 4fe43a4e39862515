"""The data of requests and answers (see :mod:`qblif.protocol`): samples to bytes, bytes to results.

Needs only numpy.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.network.checks import IntArray, require
from qblif.network.coding import encode
from qblif.protocol import COUNTER_BYTES, Identity, ProtocolError
from qblif.streams import stream_beats


def pack_samples(samples: NDArray[Any], identity: Identity) -> list[bytes]:
    """The bursts of each request that samples take: of whole samples, or of each of their timesteps.

    Args:
        samples: as :func:`qblif.network.coding.encode` takes them; raises its NetworkError for anything else.
        identity: the identity of the device.
    """
    bursts = encode(samples, identity.input)
    steps = 1 if identity.coding == "direct" else identity.timesteps
    require(bursts.shape[1] == steps, f"samples of {bursts.shape[1]} timesteps, but the network takes {steps}")
    if identity.mode != "sample":
        bursts = np.repeat(bursts, identity.timesteps // steps, axis=1).reshape(-1, 1, *identity.shape)
    return pack_bursts(bursts, identity)


def pack_step(frame: NDArray[Any], identity: Identity) -> bytes:
    """The bursts of one timestep, from raw samples (C, H, W); raises NetworkError for anything else."""
    (packed,) = pack_bursts(encode(np.asarray(frame)[None, None], identity.input), identity)
    return packed


def pack_bursts(bursts: IntArray, identity: Identity) -> list[bytes]:
    """Bursts (requests, steps, C, H, W) as the bytes of each request."""
    beats = stream_beats(bursts, identity.stream).astype(np.uint8)
    bits = beats.reshape(len(beats), -1, 1) >> np.arange(identity.bits, dtype=np.uint8) & 1
    packed = np.packbits(bits.reshape(len(beats), -1), axis=1, bitorder="little")
    return [row.tobytes() for row in packed]


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """``logits``: int64 (count, classes), in the golden model's units; ``winners``: int64 (count,)."""

    logits: IntArray
    winners: IntArray


def unpack_results(answers: list[bytes], identity: Identity) -> Results:
    """The results in the data of answers.

    Raises:
        ProtocolError: an answer has a wrong length, or its class is not the first one with the largest logit.
    """
    size = identity.logit_bytes
    if any(len(answer) != identity.result_bytes for answer in answers):
        raise ProtocolError(f"an answer to an inference does not have {identity.result_bytes} bytes")
    ends = [at * size for at in range(identity.classes + 1)]
    numbers = [
        [int.from_bytes(answer[begin:end], "little", signed=True) for begin, end in pairwise(ends)]
        for answer in answers
    ]
    logits = np.array(numbers, dtype=np.int64).reshape(len(answers), identity.classes)
    winners = np.array([int.from_bytes(answer[ends[-1] :], "little") for answer in answers], dtype=np.int64)
    wrong = np.flatnonzero(winners != logits.argmax(axis=1))
    if len(wrong):
        at = wrong[0]
        raise ProtocolError(
            f"the device contradicts itself: it names class {winners[at]}, and its logits class "
            f"{logits[at].argmax()}; reset it, or build and flash it again"
        )
    return Results(logits=logits, winners=winners)


def unpack_counters(answer: bytes, identity: Identity) -> dict[str, int]:
    """The counters in the data of a ``COUNTERS`` answer, by name; raises ProtocolError if its length is wrong."""
    if len(answer) != COUNTER_BYTES * len(identity.counters):
        raise ProtocolError(f"{len(answer)} bytes of counters, but the device has {len(identity.counters)} counters")
    values = struct.unpack(f"<{len(identity.counters)}I", answer)
    return dict(zip(identity.counters, values, strict=True))
