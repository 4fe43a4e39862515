"""Recordings written byte by byte, as the formats' own texts have them, and frames counted one event at a time."""

import struct
from pathlib import Path

import numpy as np

HEADER_2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# Timestamps tick is 1 us\r\n"
HEADER_3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 0: DVS128\r\n#Start-Time: 2016-10-28 09:41:00 (TZ+0200)\r\n"
END_HEADER = b"#!END-HEADER\r\n"


def some_events(size: int, seed: int, count: int = 200) -> np.ndarray:
    """Events (x, y, t, p) in order of time."""
    random = np.random.default_rng(seed)
    time = np.sort(random.integers(0, 100_000, count))
    return np.stack([*random.integers(0, size, (2, count)), time, random.integers(0, 2, count)], axis=1)


def by_hand(recording: np.ndarray, size: int, timesteps: int) -> np.ndarray:
    counts = np.zeros((timesteps, 2, size, size), dtype=np.int64)
    first, last = recording[0, 2], recording[-1, 2]
    for x, y, t, p in recording.tolist():
        counts[(t - first) * timesteps // (last - first + 1), p, y, x] += 1
    return counts


def nmnist(recording: np.ndarray) -> bytes:
    """Five bytes per event: x, y, then polarity (1 bit) and microseconds (23 bits), big-endian."""
    return b"".join(bytes([x, y]) + (p << 23 | t % 2**23).to_bytes(3, "big") for x, y, t, p in recording.tolist())


def words_2(recording: np.ndarray) -> bytes:
    """AEDAT 2.0 of a DVS128: address and microseconds, big-endian."""
    return b"".join(struct.pack(">II", x << 8 | y << 1 | p, t % 2**32) for x, y, t, p in recording.tolist())


def aedat2(recording: np.ndarray, lines: bytes = b"") -> bytes:
    return HEADER_2 + lines + words_2(recording)


def packet(kind: int, events: list[bytes], overflow: int = 0, **changed: int) -> bytes:
    """A packet of AEDAT 3.1, little-endian."""
    fields = {"kind": kind, "source": 0, "size": len(events[0]), "time_at": 4, "overflow": overflow}
    fields |= {"capacity": len(events), "number": len(events), "valid": len(events)} | changed
    return struct.pack("<hhiiiiii", *fields.values()) + b"".join(events)


def polarity(x: int, y: int, t: int, p: int, valid: int = 1) -> bytes:
    return struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t % 2**31)


def packets(recording: np.ndarray, size: int = 64) -> bytes:
    """Polarity events in packets of one count of overflows each."""
    result = b""
    for overflow in np.unique(recording[:, 2] >> 31).tolist():
        part = recording[recording[:, 2] >> 31 == overflow].tolist()
        for start in range(0, len(part), size):
            result += packet(1, [polarity(*event) for event in part[start : start + size]], overflow)
    return result


def aedat31(recording: np.ndarray) -> bytes:
    return HEADER_3 + END_HEADER + packets(recording)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
