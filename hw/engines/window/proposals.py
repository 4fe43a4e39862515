"""Plans of window engines that are worth trying."""

from collections.abc import Iterator, Sequence

from hw.engines.window.engine import WindowPlan, unchecked_engine, unfit
from hw.luts import LutShape
from qblif.network.projections import Conv2d, Dense
from qblif.streams import BurstStream


def window_plans(
    projection: Dense | Conv2d,
    source: BurstStream,
    *,
    lanes: Sequence[int],
    limit: float,
    lut: LutShape,
    merged_steps: int,
    row_queue: bool = False,
) -> Iterator[WindowPlan]:
    """For each number of bit-planes at a time the plan with the fewest lanes that stays under the limit, or, if none
    does, with the most: logic grows with the lanes, and cycles with the folds.

    Args:
        projection, source: the projection and the stream that comes in.
        lanes: numbers of lanes that are worth trying.
        limit: cycles per frame.
        lut: LUTs of the chip.
        merged_steps: as in :class:`hw.engines.window.config.ConstantConfig`.
        row_queue: whether the source sends row by row with pauses, so that windows over it need a row queue.
    """
    channels, words = len(projection.weights), source.height * source.width * source.folds * source.beats
    for slides in (False, True):
        for planes in range(1, source.burst_bits + 1):
            fitting: list[tuple[int, WindowPlan]] = []
            for count in sorted(lanes):
                folds = -(-channels // count)
                plan = WindowPlan(
                    lanes=count,
                    folds=folds,
                    planes=planes,
                    lut_inputs=lut.inputs,
                    table_inputs=table_inputs(lut, folds if slides else words),
                    slides=slides,
                    row_queue=slides and row_queue,
                    field_memory="block",
                )
                engine = unchecked_engine(
                    projection, plan, source, cores=count, merged_steps=merged_steps, repeats=1, accumulator_bits=1
                )
                if unfit(engine) is None:
                    fitting.append((engine.cycles, plan))
            within = [plan for cycles, plan in fitting if cycles <= limit]
            if fitting:
                yield within[0] if within else fitting[-1][1]


def table_inputs(lut: LutShape, phases: int) -> int:
    """Inputs of tables that need the fewest LUTs: those of a LUT, but at least two besides the number of the phase."""
    return min(lut.most, max(lut.inputs, (phases - 1).bit_length() + 2))
