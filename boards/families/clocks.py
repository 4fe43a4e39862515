"""The setting of a clock generator that is nearest to a wanted frequency, or one line that says what there is."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from qblif.errors import UserError


class Setting(Protocol):
    """A way to set a clock generator; ``mhz`` is what it then makes."""

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
        settings: those within the data sheet's limits; of many for the same frequency, those near the given one do.
        wanted_mhz: the frequency.
        limits: lowest and highest output in MHz.
        tolerance: how far off the nearest may be, as a share of the wanted.
        generator: what the message calls it, with the oscillator it works from.
        preference: of settings for the same frequency the one with the least is taken.

    Raises:
        UserError: none is near enough; the message says from where to where there are some.
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
