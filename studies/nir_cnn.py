"""The N-MNIST CNN of the NIR paper as an integer network.

The file is 02_cnn_sinabs.nir of J. Pedersen et al., "Neuromorphic intermediate representation", 2024
(github.com/neuromorphs/NIR, folder paper): 2 x 34 x 34 inputs, 16c5s2-16c3-p2-8c3-p2-256-10, neurons without leak. This
module covers this one kind of network: a chain of Conv2d, Affine or Linear, each with IF neurons after it, and
SumPool2d and Flatten between them. Everything else is refused. A general importer is future work.

The file does not say how neurons reset, nor how often they may fire in a timestep. The network was trained with sinabs,
whose neurons subtract the threshold for every spike, and may fire many times; ``--reset`` and ``--ceiling`` say
otherwise. Up to 7 spikes per timestep are as accurate as any number on the recordings of N-MNIST that we had. Rows,
columns and polarity are those of the recordings. The class is the output neuron with the most spikes.

Every channel's weights fill 8 bits, on a grid of its own power of two. F is the finest of these grids: neurons without
leak add multiples of it, so nothing is ever rounded below it, and guard bits would stay 0. Only a bias that is not on
this grid adds 12 bits below it.

python -m studies.nir_cnn --nir 02_cnn_sinabs.nir --data-dir FOLDER --out network.qblif
"""

import argparse
import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d, conv2d

from qblif import golden
from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.network.checks import LARGEST_BIAS, IntArray, Shape
from qblif.network.coding import encode
from qblif.network.file import save_network
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Projection, projected_shape
from qblif.network.references import ReferenceVectors
from qblif.reading import MEBIBYTE, brief, read_whole, shown
from snn.datasets.events import load_nmnist
from snn.datasets.recordings import NMNIST_SIZE

MOST_BYTES = 64 * MEBIBYTE
SHAPE = (2, NMNIST_SIZE, NMNIST_SIZE)
TIMESTEPS = 100
"""About 3 milliseconds each, as in training."""
WEIGHT_BITS = 8
LARGEST_WEIGHT = 2 ** (WEIGHT_BITS - 1) - 1
GUARD_BITS = 12
FINEST = 20
"""No channel's grid is finer than 2^-20."""
INPUT_BITS = 2
"""Counts of events are clipped to 3."""
REFERENCES = 4
BATCH = 20

Floats = NDArray[np.float64]
Reset = Literal["soft", "hard"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spiking:
    """Neurons and the weights in front of them, in units of their threshold.

    Attributes:
        weights: (channels, inputs) or, for a convolution, (channels, inputs / groups, rows, columns).
        window: stride, padding, dilation and groups of a convolution.
    """

    weights: Floats
    bias: Floats
    window: dict[str, Any]


Part = Spiking | Pooling


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """A network that was read: every part follows the one before it; a pooling's names are still empty."""

    shape: Shape
    parts: tuple[Part, ...]


def parser() -> Arguments:
    """The command line of ``python -m studies.nir_cnn``."""
    result = Arguments(
        prog="python -m studies.nir_cnn",
        description="Make the N-MNIST CNN of the NIR paper an integer network, and measure both on test recordings.",
    )
    result.add_argument("--nir", type=Path, required=True, help="NIR file, such as 02_cnn_sinabs.nir")
    result.add_argument("--data-dir", type=Path, required=True, help="folder of N-MNIST, with the folder Test")
    result.add_argument("--count", type=positive, help="measure on so many test recordings (default: all)")
    result.add_argument("--reset", choices=["soft", "hard"], default="soft", help="default: soft")
    result.add_argument("--ceiling", type=positive, default=7, help="most spikes per timestep (default: 7)")
    result.add_argument("--out", type=Path, required=True, help="network file to write")
    return result


def positive(text: str) -> int:
    """A number from 1 upward on the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def read_graph(path: Path) -> Any:
    """The graph in a NIR file, of type nir.NIRGraph; raises UserError."""
    try:
        import nir
    except ImportError as error:
        raise UserError("the package nir is not installed; pip install 'qblif[nir]'") from error
    content = read_whole(path, "NIR file", MOST_BYTES)
    try:
        return nir.read(io.BytesIO(content))
    except Exception as error:  # nir and h5py do not say which errors they raise
        raise UserError(f"{path} is not a NIR file, or is damaged: {brief(error)}") from error


def in_order(graph: Any) -> list[tuple[str, Any]]:
    """Names and nodes from the input to the output; raises UserError unless they are one chain."""
    follower: dict[str, str] = dict(graph.edges)
    edges, names = set(graph.edges), [name for name, node in graph.nodes.items() if kind(node) == "Input"]
    straight = len(follower) == len(edges) == len(set(follower.values())) == len(graph.nodes) - 1
    while straight and names and names[-1] in follower and len(names) <= len(edges):
        names.append(follower[names[-1]])
    if not straight or len(names) != len(graph.nodes) or kind(graph.nodes[names[-1]]) != "Output":
        raise UserError("the graph is not one chain of nodes from an Input to an Output")
    return [(name, graph.nodes[name]) for name in names]


def kind(node: Any) -> str:
    """The type of a node, as NIR calls it."""
    return type(node).__name__


def read_chain(graph: Any) -> Chain:
    """The network in a NIR graph; raises UserError for what it cannot be."""
    (_, first), *middle, _ = in_order(graph)
    shape = tuple(map(int, first.input_type["input"]))
    if len(shape) != 3:
        raise UserError(f"the input has {len(shape)} dimensions; channels, rows and columns are expected")
    parts: list[Part] = []
    waiting: tuple[str, Any] | None = None
    flat = False
    for name, node in middle:
        label = f"node {shown(name)}"
        if (kind(node) == "IF") != (waiting is not None):
            raise UserError(f"{label}: {shown(kind(node))} is not expected here; weights and IF nodes come in pairs")
        if waiting is not None:
            parts.append(spiking(*waiting, node, label))
            waiting = None
        elif kind(node) in ("Conv2d", "Affine", "Linear"):
            if flat != (kind(node) != "Conv2d"):
                raise UserError(f"{label}: {kind(node)} is on the wrong side of Flatten")
            waiting = (kind(node), node)
        elif kind(node) == "SumPool2d" and not flat:
            kernel, stride, padding = pair(node.kernel_size), pair(node.stride), pair(node.padding)
            parts.append(Pooling(name="pool", source="", kind="sum", kernel=kernel, stride=stride, padding=padding))
        elif kind(node) == "Flatten" and not flat and int(node.start_dim) == 0 and int(node.end_dim) in (-1, 2):
            flat = True
        else:
            raise UserError(
                f"{label}: {shown(kind(node))} is not supported here; studies.nir_cnn reads one kind of CNN"
            )
    if waiting is not None or not parts or not flat:
        raise UserError("the graph does not end with Flatten, Affine or Linear, and IF")
    return Chain(shape=shape, parts=tuple(parts))


def pair(numbers: Any) -> tuple[int, int]:
    """Two whole numbers for rows and columns; raises UserError for a text such as "same"."""
    if isinstance(numbers, str):
        raise UserError(f"{shown(numbers)} instead of numbers is not supported here")
    rows, columns = np.broadcast_to(numbers, 2).tolist()
    return int(rows), int(columns)


def spiking(weighted: str, source: Any, neurons: Any, label: str) -> Spiking:
    """Weights and bias in units of the threshold; raises UserError for neurons that are not alike in every channel."""
    weights = np.asarray(source.weight, dtype=np.float64)
    channels = len(weights)
    parameters = {}
    for parameter in ("r", "v_threshold", "v_reset"):
        values = np.asarray(getattr(neurons, parameter), dtype=np.float64)
        if values.shape[:1] != (channels,) or values.size == 0:
            raise UserError(f"{label}: {parameter} has shape {values.shape}, but the weights have {channels} channels")
        values = values.reshape(channels, -1)
        if not (values == values[:, :1]).all():
            raise UserError(f"{label}: {parameter} differs between the neurons of a channel")
        parameters[parameter] = values[:, 0]
    threshold = parameters["v_threshold"]
    if (threshold <= 0).any() or parameters["v_reset"].any():
        raise UserError(f"{label}: a threshold is not above 0, or v_reset is not 0")
    gain = parameters["r"] / threshold
    bias = np.zeros(channels) if weighted == "Linear" else np.asarray(source.bias, dtype=np.float64)
    if bias.shape != (channels,):
        raise UserError(f"{label}: a bias of shape {bias.shape} is not one of {channels} channels")
    window: dict[str, Any] = {}
    if weighted == "Conv2d":
        window = {field: pair(getattr(source, field)) for field in ("stride", "padding", "dilation")}
        window["groups"] = int(source.groups)
    scaled = weights * gain.reshape(-1, *[1] * (weights.ndim - 1))
    if not (np.isfinite(scaled).all() and np.isfinite(bias * gain).all()):
        raise UserError(f"{label}: a weight, bias, r or threshold is not a finite number")
    return Spiking(weights=scaled, bias=bias * gain, window=window)


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantized:
    """Integers of one layer, as the law calls them."""

    weights: IntArray
    bias: IntArray
    exponent: IntArray
    fraction_bits: int


def quantized(layer: Spiking) -> Quantized:
    """Weights of 8 bits, each channel on the power of two that its largest weight needs."""
    largest = np.abs(layer.weights).reshape(len(layer.weights), -1).max(axis=1)
    needed = [math.ceil(math.log2(value / LARGEST_WEIGHT)) if value else None for value in largest]
    coarsest = max((step for step in needed if step is not None), default=-1)
    steps = np.array([max(coarsest if step is None else step, -FINEST) for step in needed])
    fraction_bits = max(1, -int(steps.min()))
    if (np.ldexp(layer.bias, fraction_bits) % 1).any():
        fraction_bits += GUARD_BITS
    bias = np.floor(np.ldexp(layer.bias, fraction_bits) + 0.5).clip(-LARGEST_BIAS, LARGEST_BIAS)
    grids = steps.reshape(-1, *[1] * (layer.weights.ndim - 1))
    return Quantized(
        weights=np.floor(np.ldexp(layer.weights, -grids) + 0.5).astype(np.int64),
        bias=bias.astype(np.int64),
        exponent=(steps + fraction_bits).astype(np.int64),
        fraction_bits=fraction_bits,
    )


def integer_network(chain: Chain, reset: Reset, ceiling: int, timesteps: int = TIMESTEPS) -> Network:
    """The integer form; its logits are the numbers of spikes of the last neurons."""
    nodes: list[Population | Pooling] = []
    projections: list[Projection] = []
    source, shape = InputSpec.name, chain.shape
    for index, part in enumerate(chain.parts, 1):
        if isinstance(part, Pooling):
            name = f"pool{index}"
            node: Population | Pooling = Pooling(
                name=name, source=source, kind="sum", kernel=part.kernel, stride=part.stride, padding=part.padding
            )
            nodes.append(node)
            shape = (shape[0], *part.window.windows(shape[1], shape[2]))
        else:
            name, found = f"layer{index}", quantized(part)
            common: Any = {"source": source, "target": name, "weights": found.weights, "weight_bits": WEIGHT_BITS}
            projection = Conv2d(**common, **part.window) if part.window else Dense(**common)
            projections.append(projection)
            shape = projected_shape(projection, shape)
            nodes.append(
                Population(
                    name=name,
                    shape=shape,
                    fraction_bits=found.fraction_bits,
                    burst_ceiling=ceiling,
                    leak=Leak(multiplier=1, shift=0),
                    reset=reset,
                    bias=found.bias,
                    exponent=found.exponent,
                    rounding=0,
                )
            )
        source = name
    classes = shape[0]
    identity, zeros = np.eye(classes, dtype=np.int64), np.zeros(classes, dtype=np.int64)
    projections.append(Dense(source=source, target=Readout.name, weights=identity, weight_bits=2))
    return Network(
        timesteps=timesteps,
        input=InputSpec(shape=chain.shape, coding="events", bits=INPUT_BITS),
        nodes=tuple(nodes),
        projections=tuple(projections),
        readout=Readout(fraction_bits=1, bias=zeros, exponent=zeros),
    )


def float_counts(chain: Chain, bursts: IntArray, reset: Reset, ceiling: int) -> Floats:
    """Spikes of the last neurons over all timesteps, (count, classes), by the graph's own weights in float64."""
    spikes = torch.from_numpy(bursts).double().transpose(0, 1)
    for part in chain.parts:
        steps, count = spikes.shape[:2]
        each = spikes.flatten(0, 1)
        if isinstance(part, Pooling):
            window = part.window
            each = avg_pool2d(each, window.kernel, window.stride, window.padding, divisor_override=1)
            spikes = each.unflatten(0, (steps, count))
            continue
        weights, bias = torch.from_numpy(part.weights), torch.from_numpy(part.bias)
        each = conv2d(each, weights, bias, **part.window) if part.window else each.flatten(1) @ weights.T + bias
        membrane, fired = torch.zeros_like(each[:count]), []
        for current in each.unflatten(0, (steps, count)):
            membrane = membrane + current
            fired.append(membrane.floor().clamp(0, ceiling))
            membrane = membrane - fired[-1] if reset == "soft" else membrane.where(fired[-1] == 0, 0.0)
        spikes = torch.stack(fired)
    return spikes.sum(0).numpy()


def batches(samples: NDArray[np.uint8], spec: InputSpec, count: int) -> Iterator[IntArray]:
    """Bursts of the samples, ``count`` recordings at a time."""
    for start in range(0, len(samples), count):
        yield encode(samples[start : start + count], spec)


def accuracy(logits: Sequence[Any], labels: IntArray) -> str:
    """The share of recordings whose first largest logit is that of the label."""
    correct = int((np.concatenate(logits).argmax(axis=1) == labels).sum())
    return f"{correct / len(labels):.1%} ({correct} of {len(labels)} test recordings)"


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    check_output_file(options.out, "--out")
    chain = read_chain(read_graph(options.nir))
    if chain.shape != SHAPE:
        raise UserError(f"{options.nir} has an input of shape {chain.shape}; recordings of N-MNIST have {SHAPE}")
    network = integer_network(chain, options.reset, options.ceiling)
    samples, labels = load_nmnist("test", options.data_dir, TIMESTEPS)
    chosen = np.random.default_rng(0).permutation(len(labels))[: options.count]
    samples, labels = samples[chosen], labels[chosen]
    floats = [
        float_counts(chain, bursts, options.reset, options.ceiling) for bursts in batches(samples, network.input, BATCH)
    ]
    print(f"float: {accuracy(floats, labels)}")
    with torch.inference_mode():
        logits = [
            golden.run(network, bursts).logits.numpy()
            for bursts in batches(samples, network.input, golden.at_once(network))
        ]
    print(f"integer: {accuracy(logits, labels)}")
    for population in network.populations:
        print(f"{population.name}: F = {population.fraction_bits}, e = 0 to {int(population.exponent.max())}")
    references = ReferenceVectors(
        samples=samples[:REFERENCES], logits=np.concatenate(logits)[:REFERENCES], labels=labels[:REFERENCES]
    )
    save_network(options.out, network, references)
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
