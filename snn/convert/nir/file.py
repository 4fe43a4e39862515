"""NIR files: HDF5, read only if what they unpack to is plausible.

h5py and nir trust their input. A file of some kilobytes can unpack to terabytes, link a group to itself, or name other
files. So everything is measured before it is read, and only plain numbers and texts are read. In a damaged file the
HDF5 library itself may never return (measured: 3 of 2,000 files with changed bytes, h5py 3.16.0), or end the process.
So another process, with limits of time and memory, reads the same bytes first.
"""

import io
import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from qblif.errors import UserError
from qblif.reading import MEBIBYTE, brief, read_whole, shown

MOST_BYTES = 64 * MEBIBYTE
MOST_UNPACKED = 512 * MEBIBYTE
"""Bytes of all arrays together, as they lie in memory."""
MOST_TEXT = 4 * MEBIBYTE
"""Characters of all texts together."""
MOST_ENTRIES = 2**14
"""Groups, arrays and single texts; a node has about 8."""
MOST_COLUMNS = 16
MOST_SECONDS = 20
"""Processor time of the trial; a file of 64 MiB takes some seconds."""
MOST_MEMORY = 2048 * MEBIBYTE
"""Addresses of the trial, of which Python, numpy and h5py take most."""
REFUSED = 3
"""Exit code of the trial for a file with which something is wrong."""
DEEPEST = 16
"""Subgraphs inside each other take two groups each."""


class DamagedError(Exception):
    """The file cannot be what a writer of NIR made."""


def read_nir(path: Path) -> Any:
    """The graph in a NIR file, of type ``nir.NIRGraph``, with its subgraphs. Its shapes are not checked yet.

    Raises:
        UserError: nir is not installed; the file is missing, larger than 64 MiB, no NIR file or damaged; or nir does
            not know a node or one of its attributes.
    """
    try:
        import h5py
        import nir
    except ImportError as error:
        raise UserError("the package nir is not installed; pip install 'qblif[nir]'") from error
    content = read_whole(path, "NIR file", MOST_BYTES)
    check_readable(content, path)
    root = stored_in(content, h5py).get("node")
    if not isinstance(root, dict) or root.get("type") != "NIRGraph":
        raise UserError(f"{path} is not a NIR file, or is damaged: it has no group 'node' of the type NIRGraph")
    return make_graph(nir, root, "", str(path))


def stored_in(content: bytes, h5py: Any) -> dict[str, Any]:
    """Everything in an HDF5 file; raises DamagedError and what h5py raises."""
    with h5py.File(io.BytesIO(content), "r") as file:
        return Contents(h5py).read(file)


def check_readable(content: bytes, path: Path) -> None:
    """Raise UserError unless another process can read the file, in limited time and memory."""
    command = [sys.executable, "-c", f"from {__name__} import try_to_read; try_to_read({MOST_SECONDS})"]
    settings = {"PYTHONPATH": os.pathsep.join(place for place in sys.path if place), "OPENBLAS_NUM_THREADS": "1"}
    # The process limits its own processor time; the wait is longer where others use the processor too.
    patience = 10 * MOST_SECONDS
    try:
        ended = subprocess.run(
            command, input=content, env={**os.environ, **settings}, capture_output=True, check=False, timeout=patience
        )
        code, words = ended.returncode, ended.stdout.decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        code, words = -1, ""
    if code:
        reason = words if code == REFUSED else f"HDF5 fails, or takes over {MOST_SECONDS} s"
        raise UserError(f"{path} is not a NIR file, or is damaged: {reason}")


def try_to_read(seconds: int) -> None:
    """The trial, in a process of its own: reads a file from its standard input, and says what is wrong with it."""
    limits = {resource.RLIMIT_CPU: seconds, resource.RLIMIT_AS: MOST_MEMORY, resource.RLIMIT_CORE: 0}
    for kind, most in limits.items():
        with suppress(OSError, ValueError):  # not every system has every limit
            resource.setrlimit(kind, (most, most))
    import h5py

    try:
        stored_in(sys.stdin.buffer.read(), h5py)
    except Exception as error:  # h5py does not say which errors it raises
        print(brief(error))
        sys.exit(REFUSED)


class Contents:
    """Reads a file into dictionaries, and counts what it reads."""

    def __init__(self, h5py: Any) -> None:
        self.h5py = h5py
        self.entries = self.unpacked = self.characters = 0

    def read(self, group: Any, depth: int = 0) -> dict[str, Any]:
        """Everything in a group: subgroups as dictionaries, texts as str, and arrays."""
        if depth > DEEPEST * 2:
            raise DamagedError("its groups lie too deep inside each other")
        found: dict[str, Any] = {}
        for name in group:
            self.count()
            if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
                raise DamagedError(f"{shown(name)} is a link to somewhere else")
            item = group[name]
            if isinstance(item, self.h5py.Group):
                found[name] = self.read(item, depth + 1)
            elif isinstance(item, self.h5py.Dataset):
                found[name] = self.values(item, name)
            else:
                raise DamagedError(f"{shown(name)} is neither a group nor an array")
        return found

    def count(self) -> None:
        """Count an entry. Links can name one group many times, so visits count."""
        self.entries += 1
        if self.entries > MOST_ENTRIES:
            raise DamagedError(f"it has more than {MOST_ENTRIES} entries")

    def values(self, data: Any, name: str) -> Any:
        """The content of an array, in memory that was counted before."""
        if data.is_virtual or data.external:
            raise DamagedError(f"{shown(name)} lies in another file")
        if data.shape is None:
            raise DamagedError(f"{shown(name)} is empty")
        text = self.h5py.check_string_dtype(data.dtype)
        if text is not None and text.length is None:
            return self.texts(data)
        if text is None and data.dtype.kind not in "biuf":
            raise DamagedError(f"{shown(name)} is neither numbers nor text")
        # A chunk is unpacked as a whole, and may be larger than the array.
        chunk = 1
        for size in data.chunks or ():
            chunk *= int(size)
        self.unpacked += max(int(data.size), chunk) * data.dtype.itemsize
        if self.unpacked > MOST_UNPACKED:
            raise DamagedError(f"its arrays unpack to more than {MOST_UNPACKED:,} bytes")
        found = data[()]
        return found.decode() if isinstance(found, bytes) else found

    def texts(self, data: Any) -> Any:
        """Texts of any length: one, a list, or rows of them. All may be one long text, so each is read alone."""
        if data.ndim > 2 or (data.ndim == 2 and data.shape[1] > MOST_COLUMNS):
            raise DamagedError("it has texts in more than rows and columns")
        if data.ndim == 0:
            return self.text(data[()])
        if data.ndim == 1:
            return [self.text(data[row]) for row in range(data.shape[0])]
        return [[self.text(data[row, column]) for column in range(data.shape[1])] for row in range(data.shape[0])]

    def text(self, value: Any) -> str:
        """A text; counts its characters."""
        self.count()
        self.characters += len(value)
        if self.characters > MOST_TEXT:
            raise DamagedError("its texts are too long")
        return value.decode() if isinstance(value, bytes) else str(value)


def make_graph(nir: Any, stored: dict[str, Any], prefix: str, path: str) -> Any:
    """A graph of what a file stores of it. nir would check the shapes of subgraphs, and is wrong where a kernel is not
    square, so every node is made alone."""
    nodes, edges = stored.get("nodes"), stored.get("edges", [])
    unknown = sorted(set(stored) - {"nodes", "edges", "type", "metadata"})
    where = f"{path}: {prefix.removesuffix('.') or 'the graph'}"
    if not isinstance(nodes, dict):
        raise UserError(f"{where} (NIRGraph): it has no nodes; export the network again")
    if unknown:
        raise UserError(f"{where} (NIRGraph): attribute {shown(unknown[0])} is not known; export with nir 1.0")
    made = {name: make_node(nir, node, f"{prefix}{name}", path) for name, node in nodes.items()}
    try:
        pairs = [(text(source), text(target)) for source, target in edges]
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} (NIRGraph): its edges are not pairs of names; export the network again") from error
    return nir.NIRGraph(nodes=made, edges=pairs, metadata=stored.get("metadata", {}), type_check=False)


def text(value: Any) -> str:
    """A name that may be stored as bytes; raises TypeError and ValueError."""
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError
    return value


def make_node(nir: Any, stored: Any, name: str, path: str) -> Any:
    """A node of what a file stores of it; raises UserError that names it."""
    kind = stored.get("type") if isinstance(stored, dict) else None
    if kind == "NIRGraph":
        return make_graph(nir, stored, f"{name}.", path)
    known = nir.ir.__all_ir
    label = f"{path}: {shown(name)} ({shown(kind)})"
    if kind not in known:
        raise UserError(f"{label}: not a node that nir {nir.version} knows; take one of {', '.join(sorted(known))}")
    try:
        with np.errstate(all="ignore"):  # shapes of nonsense are refused later, with their reason
            return nir.dict2NIRNode(stored)
    except Exception as error:  # nir raises what Python raises
        raise UserError(f"{label}: nir cannot make this node: {brief(error)}; export the network again") from error
