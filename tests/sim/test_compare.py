"""Recorders' logs, read and taken apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.compare import fields, read_log

LOGS = st.integers(1, 5).flatmap(
    lambda count: st.integers(1, 40).flatmap(
        lambda bits: st.tuples(
            st.just(bits), st.lists(st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count))
        )
    )
)


@given(log=LOGS, is_signed=st.booleans())
def test_fields_of_a_written_log(log, is_signed, tmp_path_factory):
    bits, beats = log
    count = len(beats[0]) if beats else 1
    digits = -(-count * bits // 4)
    words = [sum(value << (place * bits) for place, value in enumerate(beat)) for beat in beats]
    path = tmp_path_factory.mktemp("log") / "tap.log"
    path.write_text("".join(f"{7 * at} {word:0{digits}x}\n" for at, word in enumerate(words)) + "end\n")

    read = read_log(path)

    half = 2 ** (bits - 1)
    signed = [[value - 2 * half if is_signed and value >= half else value for value in beat] for beat in beats]
    assert read.cycles.tolist() == [7 * at for at in range(len(beats))]
    values = fields(read.payloads, count, bits, is_signed=is_signed)
    assert values.shape == (len(beats), count)
    assert values.dtype == np.int64
    assert values.tolist() == signed


@pytest.mark.parametrize(
    ("text", "words"), [("0 3a\n", "incomplete"), ("", "incomplete"), ("0 3a\n4 x1\nend\n", "undefined bits")]
)
def test_logs_that_cannot_be_trusted(text, words, tmp_path):
    path = tmp_path / "tap.log"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_log(path)
