"""Files that are no NIR files, damaged ones, and some that are made to harm."""

from itertools import pairwise

import numpy as np
import pytest

from qblif.errors import UserError
from snn.convert.nir import file as nir_file
from snn.convert.nir.file import read_nir

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")


def shape(*sizes):
    return {"input": np.array(sizes)}


def some_graph():
    nodes = {
        "input": nir.Input(shape(3)),
        "w": nir.Affine(np.eye(3), np.ones(3)),
        "n": nir.IF(r=np.ones(3), v_threshold=np.ones(3)),
        "output": nir.Output({"output": np.array([3])}),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)), metadata={"names": "a"})


@pytest.fixture
def path(tmp_path):
    nir.write(tmp_path / "net.nir", some_graph())
    return tmp_path / "net.nir"


def refused(path):
    with pytest.raises(UserError) as caught:
        read_nir(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


def test_a_file_is_read(path):
    found = read_nir(path)
    assert set(found.nodes) == {"input", "w", "n", "output"}
    assert found.edges == [("input", "w"), ("w", "n"), ("n", "output")]
    assert found.metadata == {"names": "a"}
    assert np.array_equal(found.nodes["w"].weight, np.eye(3))


def test_what_is_no_nir_file_is_refused(tmp_path, monkeypatch):
    assert "cannot read NIR file" in refused(tmp_path / "missing.nir")
    assert "not a file" in refused(tmp_path)
    other = tmp_path / "other.nir"
    other.write_bytes(b"no HDF5")
    assert "is not a NIR file, or is damaged" in refused(other)
    with h5py.File(other, "w") as file:
        file["something"] = 1
    assert "no group 'node'" in refused(other)
    monkeypatch.setattr(nir_file, "MOST_BYTES", 100)
    assert "larger than 100 bytes" in refused(other)


def changed(path, change):
    """The message for a file after a change to what it holds."""
    with h5py.File(path, "r+") as file:
        change(file["node"])
    return refused(path)


def replace(group, name, value):
    del group[name]
    group[name] = value


def endless(nodes):
    nodes["n"]["inside"] = nodes["n"]


def many(nodes):
    """Links to links, so that a few groups are 2^20."""
    for level in range(20):
        for name in ("one", "other"):
            nodes[f"level{level + 1}/{name}"] = nodes.require_group(f"level{level}")


CHANGES = {
    "another kind of node": (lambda node: replace(node["nodes/n"], "type", "GRU"), "'n' ('GRU'): not a node that nir"),
    "no kind": (lambda node: node["nodes/n"].pop("type"), "'n' (None): not a node that nir"),
    "an attribute too many": (lambda node: node["nodes/n"].create_dataset("delay", data=1), "'n' ('IF'): nir cannot"),
    "an attribute too few": (lambda node: node["nodes/w"].pop("bias"), "'w' ('Affine'): nir cannot make this node"),
    "shapes that differ": (lambda node: replace(node["nodes/n"], "r", np.ones(2)), "'n' ('IF'): nir cannot make"),
    "an attribute of the graph": (lambda node: node.create_dataset("type_check", data=0), "attribute 'type_check'"),
    "edges of numbers": (lambda node: replace(node, "edges", np.ones((2, 2))), "its edges are not pairs of names"),
    "edges of threes": (lambda node: replace(node, "edges", [[b"a", b"b", b"c"]]), "its edges are not pairs"),
    "no nodes": (lambda node: node.pop("nodes"), "it has no nodes"),
    "a group inside itself": (lambda node: endless(node["nodes"]), "its groups lie too deep inside each other"),
    "groups without number": (lambda node: many(node["nodes"]), "entries"),
    "a link": (lambda node: node.__setitem__("nodes/x", h5py.SoftLink("/node")), "'x' is a link to somewhere else"),
    "another file": (lambda node: node.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), "is a link to some"),
    "a large array": (
        lambda node: node["nodes/w"].create_dataset("x", (2**20, 2**12), dtype="f8", chunks=(64, 64)),
        "unpack to more than",
    ),
    "a large chunk": (
        lambda node: node["nodes/w"].create_dataset(
            "x", (1, 1), dtype="f8", chunks=(2**13, 2**14), maxshape=(None, None)
        ),
        "unpack to more than",
    ),
    "an empty array": (lambda node: node.create_dataset("x", data=h5py.Empty("f8")), "'x' is empty"),
    "references": (lambda node: node.create_dataset("x", data=node.ref), "'x' is neither numbers nor text"),
    "texts without number": (
        lambda node: replace(node, "edges", np.array([[b"a", b"b"]] * 10000, dtype=h5py.string_dtype())),
        "more than 16384 entries",
    ),
    "a text of megabytes": (lambda node: node.create_dataset("x", data="x" * 5_000_000), "its texts are too long"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_damaged_contents_are_refused(path, name):
    change, words = CHANGES[name]
    assert words in changed(path, change)


def test_other_files_are_not_read(path, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(24))
    with h5py.File(path, "r+") as file:
        file["node"].create_dataset("x", (3,), dtype="f8", external=[(str(tmp_path / "secret"), 0, 24)])
    assert "'x' lies in another file" in refused(path)


def test_a_file_on_which_hdf5_never_returns_is_refused(path, monkeypatch):
    monkeypatch.setattr(nir_file, "MOST_SECONDS", 1)
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    # An object of the heap of texts that is as long as nothing: the library goes from it to itself.
    content[heap + 24 : heap + 32] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(content)
    assert "HDF5 fails, or takes over 1 s" in refused(path)


@pytest.mark.parametrize("length", [0, 8, 100, 1000, 4000])
def test_a_file_that_was_cut_off_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    assert "is not a NIR file, or is damaged" in refused(path)


def test_nir_may_be_missing(path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    assert "pip install 'qblif[nir]'" in refused(path)
