"""Queues for streams into a population that wait for another stream: large enough that no network deadlocks."""

from collections.abc import Sequence

from hw.engines.engine import Engine
from hw.memory import MemoryStyle
from hw.neurons.config import FrameBufferConfig, QueueConfig, SkipConfig
from hw.rows_ahead import RowsAhead
from hw.stages.stage import Stage, Surroundings
from qblif.errors import UserError
from qblif.network.projections import Skip
from qblif.streams import BurstStream

SLACK_ROWS = 2
"""Rows of a queue beyond those needed to avoid deadlock, so that its source can continue while others wait."""


def main_engine(layer: str, engines: Sequence[Engine], around: Surroundings) -> int:
    """The number of the engine that all others wait for: its source depends on theirs. ``engines``: those of
    projections that are not recurrent.

    Raises:
        UserError: no engine's source depends on all others, or some engines hand on each sum once and others once per
            timestep.
    """
    if len({engine.repeats for engine in engines}) > 1:
        raise UserError(
            f"layer {layer}: no hardware is generated for the direct input beside other sources; put a layer between"
        )
    for number, main in enumerate(engines):
        others = (engine for engine in engines if engine is not main)
        if all(main.source in rows_ahead(other.source, around.before) for other in others):
            return number
    sources = " and ".join(engine.source for engine in engines)
    raise UserError(
        f"layer {layer}: none of its sources {sources} depends on all others, so no hardware is generated for it"
    )


def skip_config(skip: Skip, output: BurstStream, main: Engine, memory: MemoryStyle, around: Surroundings) -> SkipConfig:
    """An identity connection: its beats arrive in the order of the target's neurons, and wait for them.

    Args:
        skip: the connection.
        output: the stream that leaves its target.
        main: the engine of its target that all others wait for.
        memory: memory style of its queue.
        around: see :class:`hw.stages.stage.Surroundings`.

    Raises:
        UserError: the source's beats do not arrive in that order, or the engine does not depend on the source.
    """
    stream, lanes, cores = around.streams[skip.source], main.lanes, main.cores
    shape = (stream.height, stream.width, stream.folds, stream.steps, stream.beats * stream.group)
    if shape != (output.height, output.width, output.folds, output.steps, lanes) or stream.group % cores:
        raise UserError(
            f"layer {skip.target}: the skip from {skip.source} needs a source with the same lanes and folds in groups "
            f"that {cores} cores divide; make a new plan"
        )
    ahead = rows_behind(skip.source, main, around)
    if ahead is None:
        raise UserError(
            f"layer {skip.target}: the skip comes from {skip.source}, which the layer's own projection does not "
            f"depend on"
        )
    lead = max(ahead(row) - row for row in range(output.height))
    return SkipConfig(
        source=skip.source,
        stream=stream,
        weight=skip.weight,
        depth=queue_depth(lead, stream),
        memory=memory,
    )


def side_queue(engine: Engine, main: Engine, rows: int, memory: MemoryStyle, around: Surroundings) -> QueueConfig:
    """The queue in front of an engine, for beats that wait until the main engine has caught up; ``rows``: rows of the
    population."""
    ahead = rows_behind(engine.source, main, around)
    assert ahead is not None
    lead = max(ahead(row) - engine.rows_done(row) for row in range(rows))
    stream = engine.stream
    return QueueConfig(source=engine.source, stream=stream, depth=queue_depth(lead, stream), memory=memory)


def frame_buffer(engine: Engine, memory: MemoryStyle, around: Surroundings) -> FrameBufferConfig:
    """The buffer in front of the engine of a recurrent projection.

    It has room for two frames: its source sends frame t + 1 only after the engine's population has used frame t - 1
    completely, so at most a rest of one frame and the whole of the next wait.
    """
    stream, network = engine.stream, around.network
    return FrameBufferConfig(
        source=engine.source,
        stream=stream,
        depth=2 * stream.beats_per_inference,
        memory=memory,
        frames=0 if network.mode == "stream" else network.timesteps,
    )


def rows_behind(source: str, main: Engine, around: Surroundings) -> RowsAhead | None:
    """Rows of ``source`` that must have been sent before the main engine can compute a row; None if it does not
    depend on ``source``."""
    found = rows_ahead(source, around.before)
    return main.rows_ahead(found[main.source]) if main.source in found else None


def queue_depth(lead: int, stream: BurstStream) -> int:
    """Beats of a queue in which ``lead`` rows must wait."""
    return (lead + SLACK_ROWS) * stream.width * stream.beats_per_position


def rows_ahead(source: str, stages: Sequence[Stage]) -> dict[str, RowsAhead]:
    """How many rows of ``source`` must have been sent before each node that depends on it can send a row.

    This many rows, minus those that are done, wait in a skip's queue. With less room the source blocks, the last stage
    starves, and the network deadlocks.
    """
    found: dict[str, RowsAhead] = {source: lambda row: row + 1}
    for stage in stages:
        ahead = stage.rows_ahead(found)
        if ahead is not None and stage.name != source:
            found[stage.name] = ahead
    return found
