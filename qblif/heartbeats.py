"""Heartbeats of an electrocardiogram as bytes: intervals between beats, distance from the patient's usual beat, and the
beat itself, in integers that a microcontroller computes.

``boards/host/heartbeats.c`` computes the same bytes, beat by beat. A beat needs the one behind it, so its features are
known one beat late. Nothing is learned from labels; all that is relative is relative to the same patient's past beats.
Needs only numpy.

=======  =============================================================================================================
feature  what
=======  =============================================================================================================
0        interval before the beat, as a percentage of the mean of the last 128
1        interval behind it, as a percentage of the same
2        interval before it, as a percentage of the mean of the last 8
3        interval before it, as a percentage of the interval behind it
4        interval before the previous beat, as a percentage of the mean of the last 128
5        mean change between the 16 intervals before this one, as a percentage of the same
6 to 13  distance between the beat and the patient's usual beat in 8 parts of the window (:data:`PARTS`), logarithmic
14 on    the beat: 64 means of 4 samples, 128 at the window's mean, 64 as high as the patient's beats usually are
=======  =============================================================================================================
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.network.checks import IntArray, require

BEFORE, AFTER = 96, 160
"""Samples of a window before the peak, and from the peak on: 267 and 444 ms at 360 Hz."""
STEP = 4
"""Samples that are added up to one value of a beat."""
VALUES = (BEFORE + AFTER) // STEP
PARTS = (2, 10, 17, 21, 24, 28, 34, 44, 56)
"""Where the parts of a beat begin, in its values, and where the last one ends; the peak is in value 24."""
CONTEXT = 6 + len(PARTS) - 1
"""The features that say how a beat differs from the beats around it."""
FEATURES = CONTEXT + VALUES
LONG, SHORT, CHANGES = 128, 8, 16
"""Intervals that are averaged."""
USUAL = 4
"""The usual beat moves by 1/2^4 of the distance towards every beat."""
SMALLEST = 16
"""Least height of the usual beat, so that a lead that fell off is not amplified without end."""
SCALE, MIDDLE, LARGEST = 64, 128, 255
LONGEST_INTERVAL = 2**16 - 1


def features(samples: NDArray[Any], peaks: NDArray[Any]) -> NDArray[np.uint8]:
    """The features of all beats of a recording.

    Beyond its ends the recording goes on with its first or last sample; the interval before the first beat counts as
    that behind it, and the interval behind the last one as that before it.

    Args:
        samples: integers of at most 16 bits with a sign, (n,), at 360 Hz.
        peaks: the places of the R peaks among them, ascending, at least two.

    Returns:
        uint8 (beats, FEATURES).

    Raises:
        NetworkError: the samples or peaks are not like that.
    """
    samples, peaks = np.asarray(samples), np.asarray(peaks)
    require(samples.ndim == 1 and samples.dtype.kind in "iu", "samples must be integers, (n,)")
    require(bool((np.abs(samples.astype(np.int64)) < 2**15).all()), "samples must have at most 16 bits")
    require(peaks.ndim == 1 and len(peaks) >= 2 and peaks.dtype.kind in "iu", "there must be two R peaks or more")
    require(bool((np.diff(peaks.astype(np.int64)) > 0).all()), "the R peaks must come one after the other")
    require(peaks[0] >= 0 and peaks[-1] < len(samples), "an R peak is outside of the recording")
    between = np.minimum(np.diff(peaks.astype(np.int64)), LONGEST_INTERVAL)
    before, behind = np.append(between[0], between), np.append(between, between[-1])
    padded = np.pad(samples.astype(np.int64), (BEFORE, AFTER), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, BEFORE + AFTER)[peaks]
    return np.concatenate([rhythm(before, behind), shapes(windows)], axis=1)


def rhythm(before: IntArray, behind: IntArray) -> NDArray[np.uint8]:
    """Features 0 to 5 from the intervals before and behind every beat, (beats,)."""
    usual, recent = mean_of_last(before, LONG), mean_of_last(before, SHORT)
    previous = np.append(before[0], before[:-1])
    changes = mean_of_last(np.abs(before - previous), CHANGES)
    pairs = (
        (before, usual),
        (behind, usual),
        (before, recent),
        (before, behind),
        (previous, usual),
        (np.append(0, changes[:-1]), usual),
    )
    return np.stack([np.minimum(100 * part // whole, LARGEST) for part, whole in pairs], axis=1).astype(np.uint8)


def mean_of_last(values: IntArray, count: int) -> IntArray:
    """The mean of every value and those before it, ``count`` in all or as many as there are, rounded down."""
    sums, end = np.append(0, np.cumsum(values)), np.arange(1, len(values) + 1)
    begin = np.maximum(end - count, 0)
    means: IntArray = (sums[end] - sums[begin]) // (end - begin)
    return means


def shapes(windows: IntArray) -> NDArray[np.uint8]:
    """Features 6 on from the windows around every beat, (beats, BEFORE + AFTER)."""
    beats = windows.reshape(len(windows), VALUES, STEP).sum(axis=2)
    beats -= beats.sum(axis=1, keepdims=True) // VALUES
    usual = usual_of(np.column_stack([beats, np.abs(beats).max(axis=1)]))
    units = np.maximum(usual[:, VALUES:], SMALLEST)
    distances = np.add.reduceat(np.abs(beats - usual[:, :VALUES]), PARTS, axis=1)[:, :-1] * SCALE // units
    scaled = np.clip((beats * SCALE + MIDDLE * units) // units, 0, LARGEST)
    return np.concatenate([logarithm(distances), scaled], axis=1).astype(np.uint8)


def usual_of(values: IntArray) -> IntArray:
    """What was usual before every row of (beats, values): it moves by 1/2^USUAL of the distance towards each."""
    usual, result = values[0] << USUAL, np.empty_like(values)
    for place, row in enumerate(values):
        result[place] = usual >> USUAL
        usual = usual + row - result[place]
    return result


def logarithm(values: IntArray) -> IntArray:
    """About 16 times the logarithm to base 2, linear between powers of 2, up to 255; 0 of 0."""
    values = np.maximum(values, 1)
    power = np.frexp(values)[1].astype(np.int64) - 1
    return np.minimum(16 * power + ((values << 4) >> power) - 16, LARGEST)
