import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hw.engines.event.weights import pack_weights, unpack_weights


@given(
    channels=st.integers(1, 9), inputs=st.integers(1, 7), lanes=st.integers(1, 5), bits=st.integers(1, 8),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_packed_and_unpacked(channels, inputs, lanes, bits, seed):
    limit = 2 ** (bits - 1)
    weights = np.random.default_rng(seed).integers(-limit, limit, (channels, inputs))
    folds = -(-channels // lanes)
    words = pack_weights(weights, lanes=lanes, folds=folds, rows=inputs + 2, bits=bits)
    assert len(words) == folds * (inputs + 2)
    assert (unpack_weights(words, shape=weights.shape, lanes=lanes, folds=folds, bits=bits) == weights).all()


def test_a_word_by_hand():
    # Fold 0 holds channels 0 and 1; row 0 of channel 0 is -1 (0xf) and of channel 1 is 3.
    words = pack_weights(np.array([[-1, 2], [3, -8], [7, 0]]), lanes=2, folds=2, rows=2, bits=4)
    assert words == (0x3F, 0x82, 0x07, 0x00)
