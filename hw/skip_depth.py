"""How much of a skip's source has to wait in the skip, so that the path beside it can never stand still."""

from collections.abc import Callable

from hw.configuration import LayerConfig, NeuronConfig, PoolingConfig, ProjectionConfig, WindowConfig

RowsAhead = Callable[[int], int]


def rows_ahead(source: str, stages: list[LayerConfig | PoolingConfig | ProjectionConfig]) -> RowsAhead | None:
    """How many rows of ``source`` must have been sent before the last stage can work on a given row of its own.

    This many rows, less those that are done, wait in a skip; with room for fewer the source could not send on, the
    last stage would wait for ever, and all would stand still. None where the last stage does not depend on ``source``.
    """
    found: dict[str, RowsAhead] = {source: lambda row: row + 1}
    last: RowsAhead | None = None
    for stage in stages:
        last = None
        if isinstance(stage, PoolingConfig):
            before = found.get(stage.source)
            if before is not None:
                last = pooled_rows(before, stage.kernel)
        else:
            projection = stage if isinstance(stage, ProjectionConfig) else stage.projection
            skips = (
                stage.target.skips if isinstance(stage, LayerConfig) and isinstance(stage.target, NeuronConfig) else ()
            )
            paths = (
                [] if projection.source not in found else [windowed_rows(found[projection.source], projection.window)]
            )
            paths += [found[skip.source] for skip in skips if skip.source in found]
            if paths:
                last = furthest(paths)
        if last is not None and not isinstance(stage, ProjectionConfig) and stage.name != source:
            found[stage.name] = last
    return last


def pooled_rows(before: RowsAhead, kernel: int) -> RowsAhead:
    """Rows that must have been sent before a row of pooled windows is whole."""
    return lambda row: before((row + 1) * kernel - 1)


def windowed_rows(before: RowsAhead, window: WindowConfig) -> RowsAhead:
    """Rows that must have been sent before a row of windows can be read; none for windows in the padding alone."""

    def sent(row: int) -> int:
        last = sum(window.released[:row]) + window.needed[row] - 1
        return before(last) if last >= 0 else 0

    return sent


def furthest(paths: list[RowsAhead]) -> RowsAhead:
    """The path that asks for most."""
    return lambda row: max(path(row) for path in paths)
