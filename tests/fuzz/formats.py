"""What files of data sets and answers of devices say, decoded one item at a time by the formats' texts alone.

Written for the fuzzed files, which are small: nothing here uses the readers, and nothing is fast. Each returns None
for what the format does not allow.
"""

import binascii
import struct
from itertools import pairwise

NMNIST_WRAP, AEDAT2_WRAP = 2**23, 2**32
LONGEST_PAUSE, JITTER = 2_000_000, 10_000
Event = tuple[int, int, int, int]
"""x, y, microseconds, polarity."""


def on_one_axis(stamps: list[int], wrap: int) -> list[int] | None:
    """Times without wraps; after a reset they go on from where they were. None where the clock jumps."""
    times = stamps[:1]
    for before, now in pairwise(stamps):
        passed = (now - before) % wrap
        passed = passed - wrap if passed >= wrap // 2 else passed
        if not -JITTER <= passed <= LONGEST_PAUSE:
            if now > before:
                return None
            passed = 0
        times.append(times[-1] + passed)
    return times


def timed(events: list[Event], wrap: int, size: int) -> list[Event] | None:
    if not events or any(max(x, y) >= size for x, y, _, _ in events):
        return None
    times = on_one_axis([stamp for _, _, stamp, _ in events], wrap)
    if times is None:
        return None
    return [(x, y, time, p) for (x, y, _, p), time in zip(events, times, strict=True)]


def nmnist(content: bytes) -> list[Event] | None:
    if len(content) % 5:
        return None
    events: list[Event] = []
    overflows: list[int] = []
    marks = 0
    for at in range(0, len(content), 5):
        x, y, rest = content[at], content[at + 1], int.from_bytes(content[at + 2 : at + 5], "big")
        if y == 240:
            marks += 1
        else:
            events.append((x, y, rest % NMNIST_WRAP, rest // NMNIST_WRAP))
            overflows.append(marks)
    found = timed(events, NMNIST_WRAP, 34)
    return found and [(x, y, t + 2**13 * later, p) for (x, y, t, p), later in zip(found, overflows, strict=True)]


def header(content: bytes) -> tuple[list[bytes], bytes]:
    """An AEDAT file's lines, and what follows them."""
    lines: list[bytes] = []
    while content[:1] == b"#" and b"\n" in content and lines[-1:] != [b"#!END-HEADER"]:
        line, rest = content.split(b"\n", 1)
        if any((byte < 32 and byte not in b"\t\r") or byte == 127 for byte in line):
            break
        lines.append(line.removesuffix(b"\r"))
        content = rest
    return lines, content


def aedat2(content: bytes) -> list[Event] | None:
    lines, data = header(content)
    if b"#!AER-DAT2.0" not in lines or len(data) % 8:
        return None
    events = []
    for address, stamp in struct.iter_unpack(">II", data):
        if address >= 2**31:
            continue
        if address >= 2**16:
            return None
        if address < 2**15:
            events.append((address // 256, address // 2 % 128, stamp, address % 2))
    return timed(events, AEDAT2_WRAP, 128)


def aedat31(content: bytes) -> list[Event] | None:
    lines, data = header(content)
    formats = [line for line in lines if line.startswith((b"#Format:", b"# Format:"))]
    if b"#!AER-DAT3.1" not in lines or (formats and formats[0].split(b":")[1].strip() != b"RAW"):
        return None
    events: list[Event] = []
    while data:
        if len(data) < 28:
            return None
        kind, _, size, time_at, overflow, capacity, number, _ = struct.unpack("<hhiiiiii", data[:28])
        body, data = data[28 : 28 + size * number], data[28 + size * number :]
        if size < 1 or capacity != number or len(body) != size * number or kind < 0:
            return None
        if kind != 1:
            continue
        if (size, time_at) != (8, 4):
            return None
        inside = [(word, stamp) for word, stamp in struct.iter_unpack("<Ii", body)]
        if overflow < 0 or any(stamp < 0 for _, stamp in inside):
            return None
        events += [
            (word >> 17, word >> 2 & 0x7FFF, (overflow << 31) + stamp, word >> 1 & 1)
            for word, stamp in inside
            if word & 1
        ]
    back = any(now < before - JITTER for (_, _, before, _), (_, _, now, _) in pairwise(events))
    return None if back or not events or any(max(x, y) > 127 for x, y, _, _ in events) else events


def idx(content: bytes, dimensions: int) -> tuple[tuple[int, ...], bytes] | None:
    """Shape and bytes."""
    if content[:4] != bytes([0, 0, 8, dimensions]):
        return None
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return shape, content[4 + 4 * dimensions :]


def cifar10(content: bytes) -> list[tuple[int, bytes]]:
    """Label and pixels of each record."""
    records = [content[at : at + 3073] for at in range(0, len(content), 3073)]
    return [(record[0], record[1:]) for record in records]


def ecg(header: bytes, signals: bytes, marks: bytes) -> tuple[list[int], list[tuple[int, int]]] | None:
    """The samples of lead MLII, and times and codes of all annotations."""
    lines = header.decode("latin-1").splitlines()
    leads = [line.split()[-1] for line in lines[1:3] if line.split()]
    if "MLII" not in leads:
        return None
    samples = []
    for low, middle, high in zip(signals[::3], signals[1::3], signals[2::3], strict=True):
        value = (middle % 16 * 256 + low, middle // 16 * 256 + high)[leads.index("MLII")]
        samples.append(value - 4096 if value > 2047 else value)
    words = iter(struct.unpack(f"<{len(marks) // 2}H", marks[: len(marks) // 2 * 2]))
    time, found = 0, list[tuple[int, int]]()
    for word in words:
        code, value = divmod(word, 1024)
        if word == 0:
            return samples, found
        if code == 59:
            time += struct.unpack(">i", struct.pack(">HH", next(words, 0), next(words, 0)))[0]
        elif code == 63:
            for _ in range(0, value, 2):
                next(words, 0)
        elif code < 60:
            time += value
            found.append((time, code))
    return None


def frame(encoded: bytes) -> tuple[int, int, bytes] | None:
    """Kind, id and data of what came before a zero byte."""
    decoded = b""
    while encoded:
        count, block, encoded = encoded[0], encoded[1 : encoded[0]], encoded[encoded[0] :]
        if len(block) != count - 1:
            return None
        decoded += block + (b"\0" if encoded and count < 255 else b"")
    if len(decoded) < 6 or binascii.crc32(decoded[:-4]) != int.from_bytes(decoded[-4:], "little"):
        return None
    return decoded[0], decoded[1], decoded[2:-4]


def result(data: bytes, classes: int, size: int) -> tuple[list[int], int] | None:
    """Logits and class of an answer to an inference; None unless the class is the first of the largest logits."""
    if len(data) != classes * size + 2:
        return None
    logits = [int.from_bytes(data[at : at + size], "little", signed=True) for at in range(0, classes * size, size)]
    winner = data[-2] + 256 * data[-1]
    return (logits, winner) if winner == logits.index(max(logits)) else None
