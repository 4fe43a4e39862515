"""The QT database as spikes, as one file for ``--data npz:qtdb.npz``.

QTDB_train.mat and QTDB_test.mat are those of B. Yin et al., "Accurate and efficient time-domain classification with
adaptive spiking recurrent neural networks", 2021 (github.com/byin-cwi/Efficient-spiking-networks). In each, ``x`` is
-1, 0 or 1 in 4 channels at 1,301 timesteps (level crossings of two leads of an ECG), and ``y`` the one-hot class of the
timestep (six parts of a heart beat). The spikes up and down become two channels each, 8 in all. Timesteps without a
class, about a tenth of them, count as class 0, as in the published code: accuracies are then those of the same labels.

A spike is a count of 8, which is one bit-plane like a count of 1. The few spikes have to move neurons that remember
them for many timesteps; with counts of 1 their weights would be much larger than those of the recurrent projection,
with which they share a grid.

python -m studies.qtdb --data-dir FOLDER --out qtdb.npz
"""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.files import write_whole
from qblif.reading import brief, read_whole

MOST_BYTES = 2**24
"""Of one file; the larger one has 540 kB."""
CLASSES = 6
SPIKE = 8


def parser() -> Arguments:
    """The command line of ``python -m studies.qtdb``."""
    result = Arguments(
        prog="python -m studies.qtdb", description="Convert the QT database's spikes into a file for --data npz:FILE."
    )
    result.add_argument("--data-dir", type=Path, required=True, help="folder with QTDB_train.mat and QTDB_test.mat")
    result.add_argument("--out", type=Path, required=True, help="file to write, such as qtdb.npz")
    return result


def converted(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Samples (n, T, 8, 1, 1) of spikes up and spikes down, and labels (n, T), from the arrays of one file."""
    spikes = np.concatenate([x > 0, x < 0], axis=2).astype(np.uint8) * np.uint8(SPIKE)
    return spikes[..., np.newaxis, np.newaxis], y.argmax(axis=2).astype(np.uint8)


def read_mat(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """x and y of one file; raises UserError."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError("the package scipy is not installed (pip install scipy)") from error
    try:
        content = loadmat(io.BytesIO(read_whole(path, "MATLAB file", MOST_BYTES)), variable_names=["x", "y"])
        x, y = content["x"], content["y"]
        fine = x.ndim == y.ndim == 3 and x.shape[:2] == y.shape[:2] and y.shape[2] == CLASSES
        fine = fine and bool(np.isin(x, (-1, 0, 1)).all()) and bool((y.sum(axis=2) <= 1).all())
    except UserError:
        raise
    except Exception as error:  # scipy does not say which errors its reader raises
        raise UserError(f"{path} is not a MATLAB file of spikes: {brief(error)}") from error
    if not fine:
        raise UserError(f"{path}: x {x.shape} and y {y.shape} are not spikes and one-hot classes")
    return x, y


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    check_output_file(options.out, "--out")
    arrays: dict[str, NDArray[Any]] = {"coding": np.array("events")}
    for split in ("train", "test"):
        samples, labels = converted(*read_mat(options.data_dir / f"QTDB_{split}.mat"))
        arrays |= {f"samples_{split}": samples, f"labels_{split}": labels}
    written = io.BytesIO()
    np.savez_compressed(written, allow_pickle=False, **arrays)
    write_whole(options.out, written.getvalue())
    counts = [len(arrays[f"samples_{split}"]) for split in ("train", "test")]
    print(f"{options.out}: {counts[0]} recordings for training and {counts[1]} for test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
