"""Configurations of single components, for tests and proofs."""

import numpy as np

from hw.engines.event.engine import EventEngine
from hw.engines.window.engine import WindowEngine
from hw.windows.config import WindowConfig
from qblif.network.window import Window, make_window
from qblif.streams import BurstStream


def dense_window(source: BurstStream, folds: int, *, kept: bool = False) -> WindowConfig:
    """One window as large as the source."""
    return WindowConfig(
        source=source,
        window=make_window((source.height, source.width), name="window"),
        folds=folds,
        rows_kept=2 * source.height if kept else 0,
        memory="block",
    )


def projection(
    source: BurstStream,
    weights: np.ndarray,
    *,
    folds: int = 1,
    banks: int = 1,
    merged_steps: int = 1,
    weight_bits: int = 4,
    accumulator_bits: int = 24,
    queued: bool = False,
) -> EventEngine:
    """A dense projection whose beats pass as they come; ``weights``: (channels, source.channels)."""
    return EventEngine(
        source="input",
        window=dense_window(source, folds),
        lanes=-(-len(weights) // folds),
        folds=folds,
        cores=1,
        banks=banks,
        merged_steps=merged_steps,
        repeats=1,
        weight_bits=weight_bits,
        weights=weights,
        weight_memory="block",
        accumulator_bits=accumulator_bits,
        queued=queued,
    )


def constants(
    source: BurstStream,
    weights: np.ndarray,
    window: Window,
    *,
    slides: bool = True,
    folds: int = 1,
    planes: int = 1,
    lut_inputs: int = 4,
    table_inputs: int = 4,
    merged_steps: int = 1,
    accumulator_bits: int = 12,
) -> WindowEngine:
    """A window engine; ``weights``: (channels, C, kernel height, kernel width), or dense (channels, fan-in)."""
    lanes = -(-len(weights) // folds)
    return WindowEngine(
        source="input",
        arriving=source,
        window=window,
        slides=slides,
        row_queue=False,
        lanes=lanes,
        folds=folds,
        planes=planes,
        lut_inputs=lut_inputs,
        table_inputs=table_inputs,
        cores=lanes,
        merged_steps=merged_steps,
        repeats=1,
        weight_bits=4,
        weights=weights,
        field_memory="distributed",
        accumulator_bits=accumulator_bits,
    )
