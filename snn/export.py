"""Command line: a trained model as a NIR file, for other frameworks and other hardware.

python -m snn.export --ckpt model.pt --dt 1e-3 --out net.nir
"""

import io
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.files import write_whole
from qblif.reading import check_file

if TYPE_CHECKING:
    from torch import nn

USUAL_DT = 1e-3


def to_nir(model: "nn.Module", path: Path | None = None, *, dt: float = USUAL_DT) -> Any:
    """A model of snn layers as a NIR graph (:mod:`snn.convert.nir.export` says how).

    Its float form is written as it is, and its integer form with the weights, biases and leaks of the hardware.

    Args:
        model: the model; its scales are known, since it was trained.
        path: where to write the graph; None for nowhere.
        dt: seconds of a timestep, from which the time constants follow.

    Returns:
        The graph, of type ``nir.NIRGraph``.

    Raises:
        UserError: the package nir is not installed, NIR has no words for the model, or ``path`` cannot be written.
    """
    try:
        import nir
    except ImportError as error:
        raise UserError("the package nir is not installed; pip install 'qblif[nir]'") from error
    if not 0 < dt < math.inf:
        raise UserError(f"a timestep of {dt:g} seconds is not possible; give --dt a number above 0")
    from snn.convert.nir.export import nir_graph_of

    graph = nir_graph_of(nir, model, dt)
    if path is not None:
        written = io.BytesIO()
        nir.write(written, graph)
        write_whole(path, written.getvalue())
    return graph


def parser() -> Arguments:
    """The command line of ``python -m snn.export``."""
    result = Arguments(
        prog="python -m snn.export",
        description="Write a trained model as a NIR file. Its input is burst counts, its output the readout's sums. "
        "What NIR has no words for is refused: bursts of more than one, max pooling, limits.",
    )
    result.add_argument("--ckpt", type=Path, required=True, help="checkpoint of snn.train")
    result.add_argument(
        "--dt",
        type=float,
        default=USUAL_DT,
        help=f"seconds of a timestep, for the time constants (default {USUAL_DT:g})",
    )
    result.add_argument("--out", type=Path, required=True, help="NIR file to write")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    check_output_file(options.out, "--out")
    check_file(options.ckpt, "checkpoint")
    from snn.checkpoint import load_model

    graph = to_nir(load_model(options.ckpt), options.out, dt=options.dt)
    kinds = [type(node).__name__ for node in graph.nodes.values()]
    print(f"{options.out}: {', '.join(f'{kinds.count(kind)} {kind}' for kind in sorted(set(kinds)))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
