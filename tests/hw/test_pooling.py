import numpy as np
import pytest

from hw.stages.pooling import PoolingStage, PoolingUnit
from qblif.network.window import make_window
from qblif.streams import BurstStream
from tests.hw.streams import PAUSES, through


def stage(size, kernel, kind, folds, steps, beats) -> PoolingStage:
    shape = {"folds": folds, "steps": steps, "beats": beats, "group": 2}
    window = make_window(kernel, kernel, name="pool")
    height, width = window.windows(*size)
    largest = 3 * window.area if kind == "sum" else 3
    return PoolingStage(
        name="pool",
        source="layer",
        kind=kind,
        window=window,
        stream=BurstStream(height=size[0], width=size[1], burst_bits=2, **shape),
        output=BurstStream(height=height, width=width, burst_bits=largest.bit_length(), **shape),
        memory="block",
    )


@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize(
    ("size", "kernel", "words"),
    [
        ((4, 6), 2, (1, 1, 1)),
        ((5, 5), 2, (2, 2, 1)),
        ((6, 7), 3, (1, 1, 2)),
        ((2, 2), 2, (1, 3, 1)),
        ((3, 2), 2, (1, 1, 1)),
        ((3, 7), (1, 3), (2, 1, 1)),
        ((6, 3), (4, 1), (1, 1, 2)),
        ((4, 5), (4, 5), (1, 2, 1)),
        ((4, 3), 2, (1, 1, 1)),
        ((6, 4), (3, 1), (1, 1, 1)),
        ((3, 9), (3, 4), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("pauses", PAUSES)
def test_every_window(size, kernel, words, kind, pauses):
    config = stage(size, kernel, kind, *words)
    images = np.random.default_rng(2).integers(0, 4, (3, *size, int(np.prod(words)), 2))
    height, width = config.output.height, config.output.width
    rows, columns = config.window.rows.kernel, config.window.columns.kernel
    kept = images[:, : height * rows, : width * columns]
    split = kept.reshape(3, height, rows, width, columns, -1, 2)
    pooled = split.sum(axis=(2, 4)) if kind == "sum" else split.max(axis=(2, 4))
    dut = PoolingUnit(config)
    expected = pooled.reshape(-1, 2).tolist()
    got = through(dut, dut.arriving, dut.leaving, images.reshape(-1, 2).tolist(), len(expected), pauses)
    assert [list(dut.leaving.payload.shape().from_bits(word)) for word in got] == expected
