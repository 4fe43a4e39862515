"""Records of an ECG in the formats 212 and MIT annotations, written bit by bit."""

import struct
from pathlib import Path

import numpy as np

MARKS = [(18, 28), (350, 1), (700, 2), (1000, 8), (1300, 5), (1310, 14), (4000, 6), (4400, 13), (4800, 3)]
"""A rhythm, beats N, L, A and V, a change of quality, and after a long gap F, Q and R."""
CLASSES = [0, 0, 1, 2, 3, 4, 0]


def signals(values: np.ndarray) -> bytes:
    """Format 212 of (n, 2): every pair takes 12 bits each, the high bits of both in the middle byte."""
    content = bytearray()
    for first, second in values.tolist():
        first, second = first % 4096, second % 4096
        content += bytes([first % 256, second // 256 * 16 + first // 256, second % 256])
    return bytes(content)


def annotations(marks: list[tuple[int, int]]) -> bytes:
    """(sample, code) pairs; long gaps take a SKIP, and the first one is followed by a text of three letters."""
    content, before = b"", 0
    for number, (at, code) in enumerate(marks):
        gap = at - before
        if not 0 <= gap < 1024:
            content += struct.pack("<HHH", 59 << 10, gap >> 16 & 0xFFFF, gap & 0xFFFF)
            gap = 0
        content += struct.pack("<H", code << 10 | gap)
        if number == 0:
            content += struct.pack("<H", 63 << 10 | 3) + b"(N\0\0" + struct.pack("<H", 60 << 10 | 1)
        before = at
    return content + bytes(2)


def header(name: str, count: int, leads: tuple[str, str]) -> bytes:
    lines = [f"{name} 2 360 {count}"]
    lines += [f"{name}.dat 212 200 11 1024 {995 + place} -{place}3 0 {lead}" for place, lead in enumerate(leads)]
    return ("\n".join([*lines, "# 69 M 1085 1629 x1"]) + "\n").encode()


def write_record(
    folder: Path, name: str, values: np.ndarray, marks: list[tuple[int, int]], leads: tuple[str, str] = ("MLII", "V1")
) -> None:
    """The three files of a record."""
    (folder / f"{name}.hea").write_bytes(header(name, len(values), leads))
    (folder / f"{name}.dat").write_bytes(signals(values))
    (folder / f"{name}.atr").write_bytes(annotations(marks))


def written(folder: Path, name: str, seed: int, leads: tuple[str, str] = ("MLII", "V1")) -> np.ndarray:
    """A record of noise with the beats of MARKS; returns its samples, (n, 2)."""
    values = np.random.default_rng(seed).integers(-2048, 2048, (5200, 2))
    write_record(folder, name, values, MARKS, leads)
    return values
