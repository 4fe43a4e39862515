import numpy as np
import pytest

from hw.engines.event.config import WindowConfig
from hw.engines.event.receptive_field import ReceptiveField
from qblif.streams import BurstStream
from tests.hw.streams import PAUSES, through


def windows(inputs: np.ndarray, config: WindowConfig) -> list[list[int]]:
    """What leaves: every window's beats, by indexing into a padded (position row, column, fold, step, beat) array."""
    source, (height, width) = config.source, config.kernel
    beats = []
    for image in inputs:
        shape = (source.height, source.width, source.folds, source.steps, source.beats, source.group)
        pad = (config.padding, config.padding + height + config.stride)
        padded = np.pad(image.reshape(shape), (pad, (pad[0], pad[1] + width), (0, 0), (0, 0), (0, 0), (0, 0)))
        for y in range(config.height):
            for x in range(config.width):
                for _ in range(config.folds):
                    for t in range(source.steps):
                        top, left = y * config.stride, x * config.stride
                        window = padded[top : top + height, left : left + width, :, t]
                        beats += window.reshape(-1, source.group).tolist()
    return beats


CASES = [
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
]


def field(size, kernel, stride, padding, folds, shape) -> WindowConfig:
    source = BurstStream(height=size[0], width=size[1], group=2, burst_bits=2, **shape)
    settings = {"source": source, "kernel": kernel, "stride": stride, "padding": padding, "folds": folds}
    config = WindowConfig(**settings, rows_kept=0, memory="block")
    return WindowConfig(**settings, rows_kept=max(config.needed) + max(config.released), memory="block")


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
