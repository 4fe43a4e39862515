"""The kinds of projection engines: each plan leads to its engine."""

from collections.abc import Callable
from typing import Any

from hw.engines.engine import Engine
from hw.engines.event.engine import EventPlan, QueuedPlan, event_engine
from hw.engines.window.engine import WindowPlan, window_engine
from qblif.network.projections import Conv2d, Dense
from qblif.streams import BurstStream

EnginePlan = EventPlan | QueuedPlan | WindowPlan
ENGINES: dict[str, Callable[..., Engine]] = {
    EventPlan.type: event_engine,
    QueuedPlan.type: event_engine,
    WindowPlan.type: window_engine,
}
"""What makes the engine of a plan, by the plan's type."""


def engine_of(projection: Dense | Conv2d, plan: EnginePlan, source: BurstStream, **around: Any) -> Engine:
    """The engine of a projection from the stream ``source``; raises UserError if the plan does not fit. The other
    arguments are those of :func:`hw.engines.event.engine.event_engine`."""
    return ENGINES[plan.type](projection, plan, source, **around)
