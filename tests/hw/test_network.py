import numpy as np
import pytest

from hw.errors import UserError
from hw.network import Dense, InputSpec, Leak, NetworkError, Pooling, ReferenceVectors, Skip, encode
from hw.network_file import load_network, network_sha256, save_network
from tests.networks import random_convolutions, random_network

NO_REFERENCES = ReferenceVectors(
    samples=np.zeros((0, 12, 1, 1), dtype=np.uint8),
    logits=np.zeros((0, 5), dtype=np.int64),
    labels=np.zeros(0, dtype=np.int64),
)


def test_direct_coding_of_every_byte():
    for bits in range(1, 9):
        spec = InputSpec(shape=(1, 16, 16), coding="direct", bits=bits)
        bursts = encode(np.arange(256, dtype=np.uint8).reshape(1, 16, 16), spec).reshape(-1)
        levels = 2**bits - 1
        # floor(x * levels / 255 + 1/2), in exact integers: the largest n with n <= x * levels / 255 + 1/2.
        assert all(2 * 255 * n <= 2 * x * levels + 255 < 2 * 255 * (n + 1) for x, n in enumerate(bursts.tolist()))


def test_event_counts_are_clipped():
    spec = InputSpec(shape=(1, 1, 2), coding="events", bits=2)
    assert encode(np.array([[[[[0, 9]]], [[[3, 2]]]]]), spec).reshape(-1).tolist() == [0, 3, 3, 2]


@pytest.mark.parametrize(
    "samples", [np.zeros((1, 4), dtype=np.float32), np.zeros((1, 3), dtype=np.uint8), np.zeros((1, 4), dtype=np.int64)]
)
def test_samples_of_the_wrong_kind_are_refused(samples):
    with pytest.raises(NetworkError):
        encode(samples, InputSpec(shape=(1, 2, 2), coding="direct", bits=2))


@pytest.mark.parametrize("seed", range(6))
def test_convolutions_poolings_and_skips_saved_and_loaded_again(seed, tmp_path):
    network = random_convolutions(seed)
    path = tmp_path / "network.safetensors"
    save_network(path, network, NO_REFERENCES)
    loaded, references = load_network(path)
    assert network_sha256(loaded, references) == network_sha256(network, NO_REFERENCES)
    assert [node.name for node in loaded.nodes] == [node.name for node in network.nodes]
    for ours, theirs in zip(network.nodes, loaded.nodes, strict=True):
        if isinstance(ours, Pooling):
            assert ours == theirs
    for one, other in zip(network.projections, loaded.projections, strict=True):
        assert type(one) is type(other)
        assert one == other if isinstance(one, Skip) else np.array_equal(one.weights, other.weights)


def test_saved_and_loaded_again(tmp_path):
    network = random_network(1)
    path = tmp_path / "network.safetensors"
    save_network(path, network, NO_REFERENCES)
    loaded, references = load_network(path)
    assert network_sha256(loaded, references) == network_sha256(network, NO_REFERENCES)
    for ours, theirs in zip(network.projections, loaded.projections, strict=True):
        assert isinstance(ours, Dense)
        assert isinstance(theirs, Dense)
        assert (ours.weights == theirs.weights).all()
    assert loaded.nodes[0].bias.tolist() == network.nodes[0].bias.tolist()


def test_the_hash_sees_a_single_weight():
    assert network_sha256(random_network(1), NO_REFERENCES) != network_sha256(random_network(2), NO_REFERENCES)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda b: b[:100], lambda b: b[:-5], lambda b: b"PK" + b])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "network.safetensors"
    save_network(path, random_network(1), NO_REFERENCES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"network\.safetensors"):
        load_network(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Leak(multiplier=3, shift=1),
        lambda: Dense(source="input", target="readout", weights=np.array([[8]]), weight_bits=4),
        lambda: Dense(source="input", target="readout", weights=np.array([[0.5]]), weight_bits=4),
        lambda: random_network(1, burst_ceiling=0),
        lambda: random_network(1, timesteps=0),
        lambda: random_network(1, reset="none"),
    ],
)
def test_impossible_parts_are_refused(make):
    with pytest.raises(NetworkError):
        make()
