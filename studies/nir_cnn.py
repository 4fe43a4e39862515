"""The N-MNIST network of the NIR paper (Pedersen et al., 2024) as an integer network.

    python -m studies.nir_cnn --nir cnn_sinabs.nir --data-dir DIR --out network.qblif

A general importer of NIR files does not exist yet. This reads one kind of graph: a chain of Conv2d, Affine, Linear,
SumPool2d, Flatten and IF nodes without delays or cycles, that ends with IF neurons; everything else is refused. The
class is the first that spikes most often. Recordings become 100 frames of 3 ms from their beginning, OFF before ON
events, counts up to 3.

A NIR file does not say how its neurons reset, so --reset does. Weights are rounded to 8 bits, with an exponent for
every channel. Guard bits are for leaks, and IF neurons have none. The same graph in float32 is the cross-check.

Measured on 2026-11-28 with the first 100 test recordings of N-MNIST: hard reset, 98 right with integers and 99 in
float32; soft reset, 96 and 96. The file does not name its axes either: with the polarities exchanged 89 are right in
float32 (hard reset), with rows and columns exchanged 6.
"""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qblif import golden
from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.network.checks import Shape
from qblif.network.coding import encode
from qblif.network.file import save_network
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense
from qblif.network.references import ReferenceVectors
from qblif.progress import counted
from snn.convert.neurons import Decay, NeuronForm
from snn.datasets.events import DIGITS, class_files, folder_with
from snn.datasets.recordings import NMNIST_SIZE, FaultError, read_nmnist
from snn.quantizers import choose_grid

Reset = Literal["soft", "hard"]
Node = Any
TIMESTEPS = 100
FRAME = 3000
"""Microseconds."""
INPUT_BITS = 2
WEIGHT_BITS = 8
REFERENCES = 16


def read_chain(path: Path) -> list[tuple[str, Node]]:
    """The nodes of a NIR file from input to output, without these two, with their names; raises UserError."""
    if find_spec("nir") is None:
        raise UserError("nir must be installed: pip install nir")
    import nir

    try:
        graph = nir.read(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a NIR file, or is damaged: {error}") from error
    following = dict(graph.edges)
    name, chain = following.get("input"), list[tuple[str, Node]]()
    while name is not None and name != "output" and len(chain) < len(graph.nodes):
        chain.append((name, graph.nodes[name]))
        name = following.get(name)
    if name != "output" or not len(chain) + 1 == len(following) == len(graph.edges):
        raise UserError(f"{path} is not a chain of nodes from input to output")
    if kind(chain[-1][1]) != "IF":
        raise UserError(f"{path} does not end with IF neurons, whose spikes would be counted")
    return chain


def kind(node: Node) -> str:
    """The class of a node."""
    return type(node).__name__


def one_value(node: Node, name: str, label: str) -> float:
    """A parameter that is the same for all neurons."""
    values = np.unique(getattr(node, name))
    if len(values) != 1:
        raise UserError(f"{label}: {name} differs from neuron to neuron, which is not supported")
    return float(values[0])


def if_form(node: Node, label: str, reset: Reset) -> NeuronForm:
    """The integer form of IF neurons; raises UserError if they have none."""
    threshold, rest = one_value(node, "v_threshold", label), one_value(node, "v_reset", label)
    if not threshold > 0 or rest != 0:
        raise UserError(f"{label}: threshold {threshold:g} and reset to {rest:g}; they must be above 0, and 0")
    decay = Decay(beta=1.0, leak=Leak(multiplier=1, shift=0))
    return NeuronForm(scale=threshold, gain=one_value(node, "r", label), firing="reached", reset=reset, decay=decay)


def window(node: Node, *sides: str) -> dict[str, Any]:
    """Some sides of a node's window, each of rows and columns; raises UserError for padding that is given in words."""
    values = {side: getattr(node, side) for side in sides}
    if any(isinstance(value, str) for value in values.values()):
        raise UserError(f"{kind(node)}: padding {node.padding!r} is not supported; give it in numbers")
    return {side: tuple(np.broadcast_to(value, 2).tolist()) for side, value in values.items()}


def integer_network(chain: list[tuple[str, Node]], reset: Reset) -> Network:
    """The chain with integer weights; raises UserError if one of its nodes, or their order, is not supported."""
    nodes, projections, source, weighted = list[Population | Pooling](), list[Conv2d | Dense](), "input", None
    for name, node in chain:
        label = f"node {name}"
        if (weighted is None) == (kind(node) == "IF"):
            raise UserError(f"{label}: {kind(node)}, but IF follows weights, and weights precede IF")
        if kind(node) in ("Conv2d", "Affine", "Linear"):
            weighted = node
        elif kind(node) == "SumPool2d":
            sides, (kernel,) = window(node, "stride", "padding"), window(node, "kernel_size").values()
            nodes.append(Pooling(name=f"pool{name}", source=source, kind="sum", kernel=kernel, **sides))
            source = nodes[-1].name
        elif weighted is not None:
            channels, height, width = (*node.v_threshold.shape, 1, 1)[:3]
            population, projection = layer(
                f"if{name}", source, weighted, if_form(node, label, reset), (channels, height, width)
            )
            nodes.append(population)
            projections.append(projection)
            source, weighted = population.name, None
        elif kind(node) != "Flatten" or (node.start_dim, node.end_dim) != (0, -1):
            raise UserError(f"{label}: {kind(node)} cannot be imported here")
    classes = nodes[-1].shape[0] if isinstance(nodes[-1], Population) else 0
    nothing, count = np.zeros(classes, dtype=np.int64), np.eye(classes, dtype=np.int64)
    return Network(
        timesteps=TIMESTEPS,
        input=InputSpec(shape=(2, NMNIST_SIZE, NMNIST_SIZE), coding="events", bits=INPUT_BITS),
        nodes=tuple(nodes),
        projections=(*projections, Dense(source=source, target="readout", weights=count, weight_bits=2)),
        readout=Readout(fraction_bits=1, bias=nothing, exponent=nothing),
    )


def layer(name: str, source: str, node: Node, form: NeuronForm, shape: Shape) -> tuple[Population, Conv2d | Dense]:
    """Neurons, and the projection into them."""
    folded = torch.from_numpy(node.weight).double() * form.factor
    fraction_bits, exponent = choose_grid(folded, WEIGHT_BITS)
    step = 2.0 ** (fraction_bits - exponent).double().view(-1, *[1] * (folded.ndim - 1))
    most = 2 ** (WEIGHT_BITS - 1)
    weights = (folded * step + 0.5).floor().clamp(-most, most - 1).long().numpy()
    bias = np.asarray(getattr(node, "bias", np.zeros(len(weights))), dtype=np.float64) * form.factor
    population = Population(
        name=name,
        shape=shape,
        bias=np.floor(bias * 2**fraction_bits + 0.5).astype(np.int64),
        exponent=exponent.numpy(),
        **form.neurons(fraction_bits),
    )
    part: dict[str, Any] = {"source": source, "target": name, "weights": weights, "weight_bits": WEIGHT_BITS}
    if kind(node) != "Conv2d":
        return population, Dense(**part)
    return population, Conv2d(**part, **window(node, "stride", "padding", "dilation"), groups=int(node.groups))


def float_layer(node: Node) -> Callable[[Tensor], Tensor]:
    """What a node without state computes, in float32."""
    if kind(node) == "SumPool2d":
        pool = window(node, "kernel_size", "stride", "padding")
        return lambda spikes: nn.functional.avg_pool2d(spikes, **pool, divisor_override=1)
    if kind(node) == "Flatten":
        return nn.Flatten()
    weight, bias = torch.from_numpy(node.weight), getattr(node, "bias", None)
    offset = None if bias is None else torch.from_numpy(bias)
    if kind(node) != "Conv2d":
        return lambda spikes: nn.functional.linear(spikes, weight, offset)
    sides = window(node, "stride", "padding", "dilation")
    return lambda spikes: nn.functional.conv2d(spikes, weight, offset, **sides, groups=int(node.groups))


@torch.no_grad()
def float_counts(chain: list[tuple[str, Node]], frames: NDArray[np.int64], reset: Reset) -> Tensor:
    """Spike counts (batch, classes) of the graph in float32, for input bursts (batch, T, 2, H, W)."""
    layers = [None if kind(node) == "IF" else float_layer(node) for _, node in chain]
    membranes: dict[str, Tensor] = {}
    total = torch.zeros(())
    for step in torch.from_numpy(frames).float().unbind(1):
        spikes = step
        for (name, node), function in zip(chain, layers, strict=True):
            if function is not None:
                spikes = function(spikes)
                continue
            threshold = torch.from_numpy(node.v_threshold)
            membrane = membranes.get(name, torch.zeros(())) + torch.from_numpy(node.r) * spikes
            spikes = (membrane >= threshold).float()
            membranes[name] = membrane - threshold * spikes if reset == "soft" else membrane * (1 - spikes)
        total = total + spikes
    return total


def frames_of_tests(data_dir: Path, count: int | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Event counts (count, T, 2, H, W) of the first test recordings in order of their index, and labels."""
    folder = folder_with("nmnist", data_dir, ("", "NMNIST", "N-MNIST", "nmnist"), "Test") / "Test"
    found, _ = class_files(folder, DIGITS, (".bin",))
    paths = sorted(((path, label) for label, each in enumerate(found) for path in each), key=lambda one: one[0].name)
    paths = paths[:count]
    if not paths:
        raise UserError(f"{folder} holds no recordings")
    frames = np.zeros((len(paths), TIMESTEPS * 2 * NMNIST_SIZE**2), dtype=np.uint8)
    for row, (path, _) in zip(frames, counted(paths, len(paths), "read the recordings"), strict=True):
        try:
            events = read_nmnist(path).events
        except FaultError as error:
            raise UserError(f"{path}: {error}") from error
        step = events["t"] // FRAME
        place = ((step * 2 + events["p"]) * NMNIST_SIZE + events["y"]) * NMNIST_SIZE + events["x"]
        row[:] = np.bincount(place[step < TIMESTEPS], minlength=len(row)).clip(max=255)
    shape = (len(paths), TIMESTEPS, 2, NMNIST_SIZE, NMNIST_SIZE)
    return frames.reshape(shape), np.array([label for _, label in paths], dtype=np.int64)


def parser() -> Arguments:
    """The command line of ``python -m studies.nir_cnn``."""
    result = Arguments(prog="python -m studies.nir_cnn", description=(__doc__ or "").partition("\n")[0])
    add = result.add_argument
    add("--nir", type=Path, required=True, help="the NIR file")
    add("--data-dir", type=Path, required=True, help="folder of N-MNIST, with Test/0 to Test/9")
    add("--count", type=int, help="number of test recordings (default all)")
    add("--reset", choices=("hard", "soft"), default="hard", help="how the neurons reset (default hard)")
    add("--out", type=Path, required=True, help="the network file to write")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    options = parser().parse_args(arguments)
    check_output_file(options.out, "--out")
    if options.count is not None and options.count < 1:
        raise UserError(f"--count {options.count} is not 1 or more")
    chain = read_chain(options.nir)
    network = integer_network(chain, options.reset)
    samples, labels = frames_of_tests(options.data_dir, options.count)
    bursts = encode(samples, network.input)
    logits = torch.cat([golden.run(network, one[None]).logits for one in counted(bursts, len(bursts), "golden model")])
    floats = float_counts(chain, bursts, options.reset)
    truth = torch.from_numpy(labels)
    right = [int((counts.argmax(1) == truth).sum()) for counts in (logits, floats)]
    same = int((logits == floats).all(1).sum())
    print(
        f"{len(labels)} recordings, {options.reset} reset: {right[0]} right with {WEIGHT_BITS}-bit weights, {right[1]} "
        f"in float32; {same} with equal spike counts of all classes"
    )
    first = slice(REFERENCES)
    references = ReferenceVectors(samples=samples[first], logits=logits[first].numpy(), labels=labels[first])
    save_network(options.out, network, references)
    return 0


if __name__ == "__main__":
    sys.exit(main())
