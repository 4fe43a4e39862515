"""The setting of a clock generator nearest to a wanted frequency, or an error that states the possible range."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from qblif.errors import UserError


class Setting(Protocol):
    """A setting of a clock generator; ``mhz`` is the frequency that it generates."""

    @property
    def mhz(self) -> float: ...


AnySetting = TypeVar("AnySetting", bound=Setting)


def nearest_setting(
    settings: Callable[[float], Iterable[AnySetting]],
    wanted_mhz: float,
    *,
    limits: tuple[float, float],
    tolerance: float,
    generator: str,
    preference: Callable[[AnySetting], Any] = lambda _: 0,
) -> AnySetting:
    """The setting whose frequency is nearest to ``wanted_mhz``.

    Args:
        settings: settings within the data sheet's limits; only those near the given frequency are needed.
        wanted_mhz: the frequency.
        limits: lowest and highest output in MHz.
        tolerance: largest deviation of the nearest setting, as a share of the wanted frequency.
        generator: its name in the message, with its oscillator.
        preference: of settings for the same frequency, the one with the lowest value is taken.

    Raises:
        UserError: none is near enough; the message states the possible range.
    """

    def nearest(mhz: float) -> AnySetting:
        within = (setting for setting in settings(mhz) if limits[0] <= setting.mhz <= limits[1])
        return min(within, key=lambda setting: (round(abs(setting.mhz - mhz), 6), preference(setting)))

    possible = math.isfinite(wanted_mhz) and wanted_mhz > 0
    best = nearest(wanted_mhz if possible else limits[0])
    if not possible or abs(best.mhz - wanted_mhz) > tolerance * wanted_mhz:
        lowest, highest = (nearest(limit).mhz for limit in limits)
        raise UserError(f"{generator} cannot make {wanted_mhz:g} MHz; it makes {lowest:g} to {highest:g} MHz")
    return best
