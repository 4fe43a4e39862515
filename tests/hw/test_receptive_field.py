import numpy as np
import pytest

from hw.windows.config import WindowConfig
from hw.windows.receptive_field import ReceptiveField
from qblif.network.window import make_window
from qblif.streams import BurstStream
from tests.hw.streams import PAUSES, through


def windows(inputs: np.ndarray, config: WindowConfig) -> list[list[int]]:
    """What leaves: every window's beats, by indexing into a padded (position row, column, fold, step, beat) array."""
    source, rows, columns = config.source, config.window.rows, config.window.columns
    beats = []
    for image in inputs:
        shape = (source.height, source.width, source.folds, source.steps, source.beats, source.group)
        pads = [(axis.padding, axis.padding) for axis in (rows, columns)]
        padded = np.pad(image.reshape(shape), (*pads, (0, 0), (0, 0), (0, 0), (0, 0)))
        for y in range(config.height):
            for x in range(config.width):
                for _ in range(config.folds):
                    for t in range(source.steps):
                        for row in range(rows.kernel):
                            for column in range(columns.kernel):
                                at = y * rows.stride + row * rows.dilation
                                beside = x * columns.stride + column * columns.dilation
                                beats += padded[at, beside, :, t].reshape(-1, source.group).tolist()
    return beats


CASES: list[tuple] = [
    ((1, 1), (1, 1), 1, 0, 3, {"folds": 1, "steps": 2, "beats": 2}),
    ((1, 1), (1, 1), 1, 0, 2, {"folds": 2, "steps": 3, "beats": 1}),
    ((4, 5), (3, 3), 1, 1, 1, {"folds": 1, "steps": 1, "beats": 1}),
    ((5, 4), (3, 2), 2, 1, 2, {"folds": 2, "steps": 2, "beats": 1}),
    ((4, 4), (2, 2), 2, 0, 1, {"folds": 1, "steps": 2, "beats": 2}),
    ((3, 6), (3, 6), 1, 0, 2, {"folds": 1, "steps": 2, "beats": 2}),
    ((5, 5), (1, 1), 3, 0, 1, {"folds": 1, "steps": 1, "beats": 2}),
    ((3, 3), (3, 3), 1, 2, 1, {"folds": 1, "steps": 1, "beats": 1}),
    ((4, 3), (1, 2), 1, 2, 2, {"folds": 1, "steps": 1, "beats": 1}),
    ((7, 7), (7, 7), 1, 3, 1, {"folds": 1, "steps": 1, "beats": 1}),
    ((6, 5), (3, 2), (2, 1), (1, 0), 1, {"folds": 1, "steps": 2, "beats": 1}),
    ((4, 7), (1, 3), (1, 2), (0, 1), 2, {"folds": 2, "steps": 1, "beats": 2}),
    ((7, 6), (3, 3), 1, 0, 1, {"folds": 1, "steps": 1, "beats": 2}, 2),
    ((6, 6), (3, 3), 1, 2, 2, {"folds": 1, "steps": 2, "beats": 1}, 2),
    ((6, 7), (3, 2), 1, 1, 1, {"folds": 1, "steps": 1, "beats": 1}, 2),
    ((5, 8), (3, 3), (2, 1), 1, 1, {"folds": 2, "steps": 1, "beats": 1}, (2, 3)),
    ((8, 4), (4, 2), (1, 2), (3, 0), 1, {"folds": 1, "steps": 1, "beats": 1}, (3, 1)),
    ((2, 3), (3, 3), 1, 3, 1, {"folds": 1, "steps": 1, "beats": 1}, 3),
    ((9, 3), (2, 1), (3, 1), (5, 0), 1, {"folds": 1, "steps": 1, "beats": 1}, (4, 1)),
    ((1, 3), (2, 1), 1, (2, 0), 1, {"folds": 1, "steps": 1, "beats": 1}, (4, 1)),
    ((2, 2), (2, 2), (1, 2), (4, 4), 2, {"folds": 1, "steps": 1, "beats": 2}, (6, 5)),
]
"""Source, kernel, stride, padding, folds, stream and dilation."""


def field(size, kernel, stride, padding, folds, shape, dilation=1) -> WindowConfig:
    source = BurstStream(height=size[0], width=size[1], group=2, burst_bits=2, **shape)
    window = make_window(kernel, stride, padding, dilation, name="window")
    return WindowConfig(source=source, window=window, folds=folds, rows_kept=0, memory="block").kept()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("pauses", PAUSES)
def test_every_window_in_order(case, pauses):
    config = field(*case)
    source = config.source
    inputs = np.random.default_rng(1).integers(0, 4, (3, source.beats_per_inference, source.group))
    expected = windows(inputs, config)
    dut = ReceptiveField(config)
    beats = inputs.reshape(-1, source.group).tolist()
    got = through(dut, dut.arriving, dut.leaving, beats, len(expected), pauses)
    assert [list(dut.leaving.payload.shape().from_bits(word)) for word in got] == expected
