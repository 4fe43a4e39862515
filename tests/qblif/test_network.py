import json

import numpy as np
import pytest

from gen.frontend.origin import read_network
from qblif.errors import UserError
from qblif.network.checks import NetworkError
from qblif.network.coding import encode
from qblif.network.file import load_network, network_bytes, network_sha256, save_network
from qblif.network.nodes import InputSpec, Leak, Pooling
from qblif.network.projections import Dense, Skip
from qblif.network.references import ReferenceVectors
from studies.random_networks import dense_chain
from tests.networks import population_at, random_convolutions, random_windows


def references_of(network, count=2):
    """Samples, logits and labels that are different numbers each and mean nothing."""
    classes = len(network.readout.bias)
    return ReferenceVectors(
        samples=np.arange(count * np.prod(network.input.shape)).astype(np.uint8).reshape(count, *network.input.shape),
        logits=np.arange(count * classes).reshape(count, classes),
        labels=np.arange(count),
    )


NO_REFERENCES = references_of(dense_chain(1), 0)


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
@pytest.mark.parametrize("make", [random_convolutions, random_windows])
def test_convolutions_poolings_and_skips_saved_and_loaded_again(make, seed, tmp_path):
    network = make(seed)
    path = tmp_path / "network.safetensors"
    save_network(path, network, references_of(network))
    loaded, references = load_network(path)
    assert network_sha256(loaded, references) == network_sha256(network, references_of(network))
    assert [node.name for node in loaded.nodes] == [node.name for node in network.nodes]
    for ours, theirs in zip(network.nodes, loaded.nodes, strict=True):
        if isinstance(ours, Pooling):
            assert ours == theirs
    for one, other in zip(network.projections, loaded.projections, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Skip) or isinstance(other, Skip):
            assert one == other
            continue
        assert np.array_equal(one.weights, other.weights)
        assert (one.window((9, 9)), one.groups) == (other.window((9, 9)), other.groups)


def test_saved_and_loaded_again(tmp_path):
    network = dense_chain(1)
    path = tmp_path / "network.safetensors"
    save_network(path, network, NO_REFERENCES)
    loaded, references = load_network(path)
    assert network_sha256(loaded, references) == network_sha256(network, NO_REFERENCES)
    for ours, theirs in zip(network.projections, loaded.projections, strict=True):
        assert isinstance(ours, Dense)
        assert isinstance(theirs, Dense)
        assert (ours.weights == theirs.weights).all()
    assert population_at(loaded, 0).bias.tolist() == population_at(network, 0).bias.tolist()


def test_the_hash_sees_a_single_weight():
    assert network_sha256(dense_chain(1), NO_REFERENCES) != network_sha256(dense_chain(2), NO_REFERENCES)


def older_bytes(content, version):
    """The file as that version wrote it: without a hash, and in version 1 the type of a part was its ``kind``."""
    length = int.from_bytes(content[:8], "little")
    header, tensors = json.loads(content[8 : 8 + length]), content[8 + length :]
    structure = json.loads(header["__metadata__"]["network"])
    if version < 3:
        structure.pop("sha256")
    structure["version"] = version
    parts = [structure["input"], structure["readout"], *structure["nodes"], *structure["projections"]]
    for part in parts if version == 1 else ():
        part.setdefault("kind", part.pop("type"))
        part.pop("type", None)
    header["__metadata__"]["network"] = json.dumps(structure)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_older_versions_are_read(version, seed, tmp_path):
    network = random_convolutions(seed)
    path = tmp_path / "network.safetensors"
    save_network(path, network, references_of(network))
    path.write_bytes(older_bytes(path.read_bytes(), version))
    loaded, references = load_network(path)
    assert network_sha256(loaded, references) == network_sha256(network, references_of(network))


def test_the_name_of_a_network_outlives_the_version_of_its_file(digits_checkpoint):
    _, network, references = read_network(digits_checkpoint)
    assert network_sha256(network, references).startswith("9147e15ad8c829b0")


def test_every_bit_that_says_something_is_checked(tmp_path):
    network = dense_chain(1)
    path = tmp_path / "network.safetensors"
    save_network(path, network, references_of(network))
    content, name = path.read_bytes(), network_sha256(network, references_of(network))
    random, refused = np.random.default_rng(1), 0
    for place in random.choice(8 * len(content), 400, replace=False).tolist():
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert network_sha256(*load_network(path)) == name
        except UserError:
            refused += 1
    assert refused > 300


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["nodes"][0].update(fraction_bits=5.0), "fraction bits 5.0"),
        (lambda s: s["nodes"][0].update(burst_ceiling=True), "burst ceiling True"),
        (lambda s: s["nodes"][0].update(shape=[8.0, 1, 1]), "8.0"),
        (lambda s: s["nodes"][0].update(leak=[1.0, 1]), "leak"),
        (lambda s: s.update(timesteps=3.0), "timesteps 3.0"),
        (lambda s: s["projections"][0].update(weight_bits=4.0), "weight bits 4.0"),
        (lambda s: s["projections"][0].update(weight_bits=10**9), "weight bits 1000000000"),
        (lambda s: s["projections"][0].update(dilation=2), "dilation"),
        (lambda s: s["input"].update(groups=4), "groups"),
        (lambda s: s.update(threshold=1.0), "threshold"),
        (lambda s: s.update(timesteps=4), "was changed after it was written"),
        (lambda s: s["input"].update(bits=3), "was changed after it was written"),
        (lambda s: s.pop("sha256"), "was changed after it was written"),
        (lambda s: s.update(version=2, timesteps=4), "was changed after it was written"),
        (lambda s: s["nodes"][0].update(leak=[0, 1]), "was changed after it was written"),
        (lambda s: s.update(nodes=[s["nodes"][0]] * 20_000), "lists of at most"),
        (lambda s: s.update(version=True), "version 1 to"),
        (lambda s: s.update(version=0), "version 1 to"),
        (lambda s: s.update(version=s["version"] + 1), "version 1 to"),
    ],
)
def test_changed_structures_are_refused(change, words, tmp_path):
    network = dense_chain(1)
    content = network_bytes(network, references_of(network))
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    structure = json.loads(header["__metadata__"]["network"])
    change(structure)
    header["__metadata__"]["network"] = json.dumps(structure)
    text = json.dumps(header).encode()
    path = tmp_path / "network.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(UserError, match=words):
        load_network(path)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda b: b[:100], lambda b: b[:-5], lambda b: b"PK" + b])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "network.safetensors"
    save_network(path, dense_chain(1), NO_REFERENCES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"network\.safetensors"):
        load_network(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Leak(multiplier=3, shift=1),
        lambda: Dense(source="input", target="readout", weights=np.array([[8]]), weight_bits=4),
        lambda: Dense(source="input", target="readout", weights=np.array([[0.5]]), weight_bits=4),
        lambda: dense_chain(1, burst_ceiling=0),
        lambda: dense_chain(1, timesteps=0),
        lambda: dense_chain(1, reset="none"),
    ],
)
def test_impossible_parts_are_refused(make):
    with pytest.raises(NetworkError):
        make()
