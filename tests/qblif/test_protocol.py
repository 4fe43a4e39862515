"""What a device says of itself and answers, written byte by byte: taken, or refused in one line, field by field."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qblif.payloads import pack_samples, pack_step, unpack_counters, unpack_results
from qblif.protocol import BAUD_RATES, Command, Identity, ProtocolError
from tests.boards.host.fake_device import IDENTITY

FIELDS = {
    "magic": "4s",
    "version": "B",
    "sha256": "32s",
    "channels": "H",
    "rows": "H",
    "columns": "H",
    "coding": "B",
    "bits": "B",
    "mode": "B",
    "timesteps": "H",
    "height": "H",
    "width": "H",
    "steps": "H",
    "beats": "H",
    "group": "H",
    "classes": "H",
    "logit_bytes": "B",
    "fraction_bits": "B",
    "clock_hz": "I",
    "baud": "I",
    "window": "B",
}
GOOD = {
    "magic": b"QBLF",
    "version": 2,
    "sha256": bytes(range(32)),
    "channels": 1,
    "rows": 5,
    "columns": 7,
    "coding": 0,
    "bits": 3,
    "mode": 0,
    "timesteps": 4,
    "height": 1,
    "width": 1,
    "steps": 1,
    "beats": 9,
    "group": 4,
    "classes": 10,
    "logit_bytes": 2,
    "fraction_bits": 5,
    "clock_hz": 48_000_000,
    "baud": 3_000_000,
    "window": 4,
}


def identity(names: bytes = b"frames\0errors", **changed) -> bytes:
    fields = GOOD | changed
    return b"".join(struct.pack(f"<{kind}", fields[name]) for name, kind in FIELDS.items()) + names


def test_the_layout_is_that_of_the_protocol():
    assert Identity.from_bytes(identity()) == IDENTITY
    assert IDENTITY.to_bytes() == identity()


@pytest.mark.parametrize(
    "changed",
    [
        {"height": 5, "width": 7, "beats": 1},
        {"coding": 1, "steps": 4},
        {"coding": 1, "mode": 1},
        {"coding": 2, "mode": 2},
        {"mode": 1},
        {"group": 36, "beats": 1},
        {"window": 255, "logit_bytes": 8, "fraction_bits": 62, "clock_hz": 1, "classes": 65535},
        *({"baud": baud} for baud in BAUD_RATES),
    ],
)
def test_what_a_device_can_be_is_taken(changed):
    assert Identity.from_bytes(identity(**changed)).to_bytes() == identity(**changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"magic": b"QBLG"}, "not a QB-LIF device"),
        ({"version": 1}, "speaks version 1"),
        ({"window": 0}, "requests at a time: 0, not 1 to 255"),
        ({"coding": 7}, "input coding 7, not 0 to 2"),
        ({"mode": 3}, "mode 3, not 0 to 2"),
        ({"mode": 2}, "a stream of direct input"),
        ({"mode": 1, "coding": 1, "steps": 4}, "a stream"),
        ({"bits": 0}, "input bits: 0, not 1 to 8"),
        ({"bits": 9}, "input bits: 9, not 1 to 8"),
        ({"channels": 0}, "an input dimension: 0"),
        ({"columns": 0}, "an input dimension: 0"),
        ({"timesteps": 0}, "timesteps: 0"),
        ({"classes": 0}, "classes: 0"),
        ({"logit_bytes": 0}, "bytes per logit: 0, not 1 to 8"),
        ({"logit_bytes": 9}, "bytes per logit: 9, not 1 to 8"),
        ({"fraction_bits": 63}, "fraction bits: 63, not 0 to 62"),
        ({"clock_hz": 0}, "clock frequency: 0"),
        ({"baud": 0}, "a link at 0 baud"),
        ({"baud": 1}, "a link at 1 baud"),
        ({"baud": 2**32 - 1}, "a link at 4294967295 baud"),
        ({"group": 0}, "channels per beat: 0"),
        ({"beats": 8}, r"a stream \(1, 1, 1, 1, 8, 3\) for the input \(1, 5, 7\), not \(1, 1, 1, 1, 9, 3\)"),
        ({"beats": 10}, "a stream"),
        ({"height": 5}, "a stream"),
        ({"height": 7, "width": 5, "beats": 1}, "a stream"),
        ({"height": 0}, "a stream"),
        ({"steps": 4}, "a stream"),
        ({"coding": 1}, "a stream"),
        (
            {"rows": 65535, "columns": 65535, "height": 65535, "width": 65535, "beats": 1},
            "6442254.* bytes of bursts per request",
        ),
        (
            {"channels": 3072, "rows": 64, "columns": 64, "height": 64, "width": 64, "beats": 768},
            "bytes of bursts per req",
        ),
        ({"names": b"caf\xe9"}, "not UTF-8"),
        ({"names": b"frames\0frames"}, "two counters have one name"),
        ({"names": b"frames\0"}, "the name ''"),
        ({"names": b"a\x1b[2J"}, r"the name 'a\\x1b\[2J'"),
        ({"names": b"a\nb"}, "the name"),
    ],
)
def test_what_no_device_can_be_is_refused_in_one_line(changed, words):
    with pytest.raises(ProtocolError, match=words) as caught:
        Identity.from_bytes(identity(**changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", range(len(identity(b""))))
def test_an_identity_that_ends_early_is_refused(size):
    with pytest.raises(ProtocolError, match="not a QB-LIF device"):
        Identity.from_bytes(identity()[:size])


def test_a_device_without_counters():
    bare = Identity.from_bytes(identity(b""))
    assert bare.counters == ()
    assert bare.to_bytes() == identity(b"")
    assert unpack_counters(b"", bare) == {}


def answer(logits, winner):
    return struct.pack("<10hH", *logits, winner)


def test_a_class_is_the_first_of_the_largest_logits():
    found = unpack_results([answer([-3, 5, 5, 0, 0, 0, 0, 0, 0, -9], 1), answer([-1] * 10, 0)], IDENTITY)
    assert found.winners.tolist() == [1, 0]
    assert found.logits[0].tolist() == [-3, 5, 5, 0, 0, 0, 0, 0, 0, -9]


@pytest.mark.parametrize(("winner", "named"), [(0, 0), (2, 2), (9, 9), (999, 999), (65535, 65535)])
def test_a_class_that_contradicts_the_logits_is_refused(winner, named):
    right = answer([-3, 5, 5, 0, 0, 0, 0, 0, 0, -9], 1)
    with pytest.raises(ProtocolError, match=f"it names class {named}, and its logits class 1"):
        unpack_results([right, answer([-3, 5, 5, 0, 0, 0, 0, 0, 0, -9], winner)], IDENTITY)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_logits_of_eight_bytes_are_exact(logits):
    wide = replace(IDENTITY, classes=len(logits), logit_bytes=8)
    data = b"".join(value.to_bytes(8, "little", signed=True) for value in logits)
    found = unpack_results([data + struct.pack("<H", logits.index(max(logits)))], wide)
    assert found.logits.tolist() == [logits]


@pytest.mark.parametrize("size", [0, 1, 21, 23, 4000])
def test_answers_of_another_length_are_refused(size):
    with pytest.raises(ProtocolError, match="does not have 22 bytes"):
        unpack_results([bytes(size)], IDENTITY)
    with pytest.raises(ProtocolError, match="2 counters"):
        unpack_counters(bytes(size), IDENTITY)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_bursts_are_packed_bit_by_bit(bits):
    wide = replace(IDENTITY, bits=bits, stream=replace(IDENTITY.stream, burst_bits=bits))
    image = np.random.default_rng(bits).integers(0, 256, (1, 1, 5, 7), dtype=np.uint8)
    whole = 0
    for place, pixel in enumerate(image.ravel().tolist()):
        whole |= (2 * pixel * (2**bits - 1) + 255) // 510 << place * bits
    assert pack_samples(image, wide) == [whole.to_bytes(-(-36 * bits // 8), "little")]


@pytest.mark.parametrize(("mode", "request_bytes"), [("sample", 54), ("window", 15), ("stream", 15)])
def test_a_timestep_has_its_number_before_its_bursts(mode, request_bytes):
    """4 timesteps of 9 beats of 4 channels of 3 bits, or one of them and its number."""
    events = replace(IDENTITY, coding="events", mode="sample", stream=replace(IDENTITY.stream, steps=4))
    found = events if mode == "sample" else replace(IDENTITY, coding="events", mode=mode)
    assert found.command == (Command.INFER if mode == "sample" else Command.STEP)
    assert found.request_bytes == request_bytes


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_a_sample_of_a_window_is_packed_timestep_by_timestep(coding):
    window = replace(IDENTITY, coding=coding, mode="window")
    shape = (3, 1, 5, 7) if coding == "direct" else (3, 4, 1, 5, 7)
    samples = np.random.default_rng(8).integers(0, 8, shape, dtype=np.uint8)
    packed = pack_samples(samples, window)
    assert len(packed) == 12
    steps = samples.repeat(4, axis=0) if coding == "direct" else samples.reshape(12, 1, 5, 7)
    bursts = (2 * steps.astype(int) * 7 + 255) // 510 if coding == "direct" else steps
    for content, burst in zip(packed, bursts.reshape(12, 35).tolist(), strict=True):
        assert int.from_bytes(content, "little") == sum(value << 3 * place for place, value in enumerate(burst))
    if coding == "events":
        assert [pack_step(step, window) for step in samples.reshape(12, 1, 5, 7)] == packed


changes = st.lists(st.tuples(st.integers(0, len(identity()) - 1), st.integers(0, 255)), min_size=1, max_size=3)


@given(changes, st.integers(0, 9))
def test_a_mutated_identity_is_another_one_or_refused(places, cut):
    content = bytearray(identity())
    for place, byte in places:
        content[place] = byte
    mutated = bytes(content[: len(content) - cut])
    try:
        found = Identity.from_bytes(mutated)
    except ProtocolError as error:
        lines = str(error).splitlines()
    else:
        assert found.to_bytes() == mutated
        assert found.window >= 1
        assert found.burst_bytes <= 2**22
        return
    assert len(lines) == 1
