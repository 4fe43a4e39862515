"""AEDAT files of a DVS128, versions 2.0 and 3.1, read to the last word. Needs only numpy.

Source: iniVation, "AEDAT file formats" (docs.inivation.com); for the packets of 3.1 also libcaer, events/common.h.
"""

import re
import struct
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn.datasets.recordings import EVENT, JITTER, Clock, Decoded, FaultError, check_inside, whole_file

SIZE = 128
LARGEST_BYTES = 2**27
"""Largest file; a session of DVS128 Gesture has 25 megabytes on average."""
BLOCK = 2**20
"""Events that are processed at a time, so that memory stays near the size of the result."""
LONGEST_HEADER = 2**22
HEADER_LINE = re.compile(rb"#[\t\r\x20-\x7e\x80-\xff]*\n")
END_OF_HEADER = b"#!END-HEADER"
VERSION_LINE = re.compile(rb"^#!AER-DAT(\d{1,3}\.\d{1,3})\r?$", re.MULTILINE)
CHIP_LINE = re.compile(rb"^# ?AEChip: ?([\x20-\x7e]*)\r?$", re.MULTILINE)
FORMAT_LINE = re.compile(rb"^# ?Format: ?([^\r\n]*)", re.MULTILINE)
SHOWN = 80
"""Bytes of a line that a message quotes."""
WEB_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
CONVERT = "convert it to AEDAT 2.0, for example with jAER or github.com/SensorsINI/aedat4to2"

PERIOD = 2**32
"""Microseconds after which the clock of AEDAT 2.0 starts again from 0."""
NOT_OF_A_PIXEL = 1 << 31
"""Set in the words of frames (APS), of the inertial sensor (IMU) and in other words that are not events of pixels."""
EXTERNAL = 1 << 15
ADDRESS = 0xFFFF
"""All address bits that an event of a DVS128 can have."""

PACKET = struct.Struct("<hhiiiiii")
"""Kind, source, bytes per event, place of an event's time, overflows of the clock, capacity, events, valid events."""
POLARITY = 1
EVENT_BYTES, TIME_AT = 8, 4
TIME_BITS = 31
MOST_PACKETS = 2**19


def read_dvs128(path: Path) -> Decoded:
    """The events of an AEDAT file.

    Raises:
        FaultError: it cannot be read, is empty or damaged, of another version or of another camera.
    """
    content = whole_file(path, LARGEST_BYTES)
    start = header_end(content)
    lines = content[:start]
    found = VERSION_LINE.search(lines)
    version = None if found is None else found[1].decode()
    if version == "2.0":
        return read_aedat2(content, lines)
    if version == "3.1":
        return read_aedat31(content, lines)
    if version is not None:
        raise FaultError(f"it is AEDAT {version}, and only 2.0 and 3.1 are read; {CONVERT}")
    if WEB_PAGE.match(content):
        raise FaultError("it is a web page and not a recording")
    if lines:
        raise FaultError(f"its header does not name its version, so it is AEDAT 1.0, which is not read; {CONVERT}")
    raise FaultError("it does not begin with the header of AEDAT 2.0 or 3.1")


def header_end(content: bytes) -> int:
    """The end of the header lines; raises FaultError if it is too far into the file."""
    end = 0
    while (line := HEADER_LINE.match(content, end)) is not None:
        end = line.end()
        if line[0].startswith(END_OF_HEADER):
            break
        if end > LONGEST_HEADER:
            raise FaultError(f"its header has more than {LONGEST_HEADER} bytes")
    return end


def read_aedat2(content: bytes, lines: bytes) -> Decoded:
    """AEDAT 2.0 after its header: address and microseconds, 4 bytes each, big-endian.

    The positions of x and y in the address follow the published reader of CIFAR10-DVS.
    """
    size = len(content) - len(lines)
    if size % 8:
        raise FaultError(f"it is cut off: {size} bytes are not a whole number of 8-byte events")
    words = np.frombuffer(content, dtype=">u4", offset=len(lines)).reshape(-1, 2)
    events = np.empty(len(words), dtype=EVENT)
    clock, remarks, count = Clock(PERIOD), Counter[str](), 0
    for begin in range(0, len(words), BLOCK):
        address, stamps = words[begin : begin + BLOCK].astype(np.int64).T
        of_a_pixel = address & NOT_OF_A_PIXEL == 0
        if (address[of_a_pixel] > ADDRESS).any():
            chip = CHIP_LINE.search(lines)
            named = "" if chip is None else f" ({chip[1][:SHOWN].decode()})"
            raise FaultError(f"it was recorded with another camera than a DVS128{named}")
        external = of_a_pixel & (address & EXTERNAL != 0)
        remarks["words of frames, IMU and the like left out"] += int((~of_a_pixel).sum())
        remarks["external events left out"] += int(external.sum())
        taken = of_a_pixel & ~external
        address, end = address[taken], count + int(taken.sum())
        block = events[count:end]
        block["x"], block["y"], block["p"] = address >> 8 & 0x7F, address >> 1 & 0x7F, address & 1
        block["t"] = clock.times(stamps[taken])
        count = end
    remarks["resets of the clock"] = clock.resets
    return Decoded(events=events[:count], remarks=remarks)


@dataclass(kw_only=True)
class Packets:
    """The positions of the polarity events of AEDAT 3.1, in pieces of at most BLOCK events, with their overflows."""

    begins: "array[int]" = field(default_factory=lambda: array("q"))
    counts: "array[int]" = field(default_factory=lambda: array("q"))
    overflows: "array[int]" = field(default_factory=lambda: array("q"))
    valid: int = 0
    others: int = 0

    def blocks(self) -> Iterator[slice]:
        """The pieces, grouped so that each group has at most BLOCK events."""
        begin, size = 0, 0
        for at, count in enumerate(self.counts):
            if size + count > BLOCK:
                yield slice(begin, at)
                begin, size = at, 0
            size += count
        yield slice(begin, len(self.counts))


def read_aedat31(content: bytes, lines: bytes) -> Decoded:
    """AEDAT 3.1 after its header: packets of events of one kind, little-endian."""
    stored = FORMAT_LINE.search(lines)
    if stored is not None and stored[1] != b"RAW":
        raise FaultError(f"its format is {stored[1][:SHOWN].decode(errors='replace')}, and only RAW is read; {CONVERT}")
    packets = find_packets(content, len(lines))
    events = np.empty(sum(packets.counts), dtype=EVENT)
    count, last = 0, 0
    for chosen in packets.blocks():
        counts, overflows = packets.counts[chosen], np.array(packets.overflows[chosen], dtype=np.int64)
        spans = zip(packets.begins[chosen], counts, strict=True)
        words = b"".join(content[begin : begin + EVENT_BYTES * size] for begin, size in spans)
        data, stamps = np.frombuffer(words, dtype="<u4").reshape(-1, 2).astype(np.int64).T
        if (stamps >> TIME_BITS).any():
            raise FaultError("it is damaged: the time of an event is negative")
        valid = data & 1 == 1
        times = (np.repeat(overflows, counts) << TIME_BITS | stamps)[valid]
        data, end = data[valid], count + int(valid.sum())
        x, y = data >> 17, data >> 2 & 0x7FFF
        check_inside(x, y, SIZE)
        last = check_order(times, last)
        block = events[count:end]
        block["x"], block["y"], block["p"], block["t"] = x, y, data >> 1 & 1, times
        count = end
    if count != packets.valid:
        raise FaultError(f"it is damaged: it has {count} valid events, and its packets count {packets.valid}")
    remarks = Counter(
        {"events of other kinds left out": packets.others, "invalid events left out": len(events) - count}
    )
    return Decoded(events=events[:count], remarks=remarks)


def check_order(times: NDArray[np.int64], last: int) -> int:
    """Raise FaultError if time goes back, as it does when a clock is reset; returns the last time.

    The label files of such recordings refer to these times, so the times cannot be corrected here.
    """
    if len(times) == 0:
        return last
    back = np.flatnonzero(np.diff(times, prepend=last) < -JITTER)
    if len(back):
        raise FaultError(f"its clock goes back, to {times[back[0]] / 1e6:.6f} s, so times of labels have two meanings")
    return int(times[-1])


def find_packets(content: bytes, start: int) -> Packets:
    """Find the packets, one after the other; raises FaultError if one is damaged."""
    found, at, number, source = Packets(), start, 0, None
    while at < len(content):
        number += 1
        if number > MOST_PACKETS:
            raise FaultError(f"it has more than {MOST_PACKETS} packets")
        if at + PACKET.size > len(content):
            raise FaultError(f"it is cut off in the header of packet {number}")
        kind, camera, size, time_at, overflows, capacity, count, valid = PACKET.unpack_from(content, at)
        at += PACKET.size
        if not (size > 0 and count == capacity and 0 <= valid <= count and kind >= 0 and overflows >= 0):
            raise FaultError(f"it is damaged: the header of packet {number} contradicts itself")
        if at + size * count > len(content):
            raise FaultError(f"it is cut off in packet {number}")
        if kind != POLARITY:
            found.others += count
        elif (size, time_at) != (EVENT_BYTES, TIME_AT):
            raise FaultError(f"it is damaged: the events of packet {number} have {size} bytes, not {EVENT_BYTES}")
        elif source not in (None, camera):
            raise FaultError("it holds the events of two cameras")
        else:
            source = camera
            found.valid += valid
            for first in range(0, count, BLOCK):
                found.begins.append(at + EVENT_BYTES * first)
                found.counts.append(min(BLOCK, count - first))
                found.overflows.append(overflows)
        at += size * count
    return found
