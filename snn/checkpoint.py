"""Writing checkpoints, and reading our own back into a model.

A checkpoint is plain data (dictionaries, lists, numbers, strings, tensors), so that it loads with
``weights_only=True``. It carries the model (name, options, state), its graph, the floats of every layer for
refolding, and, after quantization-aware training, the integers themselves with reference vectors and activity.
docs/checkpoint.md describes every key.
"""

import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qblif.archive import check_tensors, load_archive
from qblif.errors import UserError
from qblif.files import write_whole
from qblif.network.checks import IntArray
from qblif.network.nodes import Leak
from qblif.network.window import shortest
from qblif.reading import MEBIBYTE, brief
from snn import quantization
from snn.architecture import ModelOptions
from snn.bursts import Bursts, Encoder
from snn.decay import on_grid
from snn.layers import Layer, ReadoutLayer, SpikingLayer
from snn.models import make_model, options_from
from snn.modes import in_mode
from snn.projections import QuantConv2d, QuantProjection
from snn.quantization import layer_integers, whole_valued
from snn.replay import check_replay
from snn.tracing import Call, traced

FORMAT = "qblif-checkpoint"
VERSION = 1
REFERENCES = 16
MOST_BYTES = 512 * MEBIBYTE
"""Largest file, whether gen can read it or not: a teacher may be larger than any board can hold."""
MALFORMED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, UserError, ValueError)
"""The errors that models and torch raise for values that contradict each other."""


@torch.no_grad()
def describe(model: nn.Module, samples: Tensor, labels: Tensor, counted: Tensor | None = None) -> dict[str, Any]:
    """Everything in a checkpoint that follows from the model itself; the model's mode does not matter and is kept.

    Args:
        model: a model in the integer form (``kind: qat``) or still in the float form (``kind: float``).
        samples: raw samples; the first 16 become the reference vectors.
        labels: their labels, (count,), or one for every timestep, (count, T).
        counted: raw samples whose activity the planner will use, ideally some thousands of the training set; all of
            ``samples`` if it is None.

    Raises:
        UserError: the model has no integer form; the message names the layer.
    """
    quantized = all(layer.quantized for layer in model.modules() if isinstance(layer, Layer))
    events = measured_activity(model, samples if counted is None else counted)
    samples, labels = samples[:REFERENCES], labels[:REFERENCES]
    labels = labels[:, -1] if labels.dim() == 2 else labels
    with in_mode(model, training=False), traced(model, samples) as steps:
        logits = model(samples)
    encoder = sole_encoder(model)
    check_graph(steps, logits)
    parts = [describe_step(step, quantized, quantization.duration(model)) for step in steps]
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "kind": "qat" if quantized else "float",
        "timesteps": steps[0].sources[0].timesteps,
        **unless_usual(mode=(encoder.mode, "window")),
        "input": {
            "shape": list(encoder.spec.shape),
            "coding": encoder.spec.coding,
            "bits": encoder.spec.bits,
        },
        "layers": parts,
        "activity": events,
        "state": model.state_dict(),
    }
    if quantized:
        assert isinstance(steps[-1].module, ReadoutLayer)
        grid = 2.0 ** int(steps[-1].module.fraction_bits)
        last = logits[-1] if steps[-1].module.per_step else logits
        content["references"] = {
            "samples": samples.clone(),
            "labels": labels.clone(),
            "logits": tensor(whole_valued(last.double() * grid)),
        }
        check_replay(content, steps)
    return content


def sole_encoder(model: nn.Module) -> Encoder:
    """The model's only encoder; raises UserError if there is not exactly one."""
    encoders = [module for module in model.modules() if isinstance(module, Encoder)]
    if len(encoders) != 1:
        raise UserError(f"the model has {len(encoders)} modules Encoder; one, in front, makes bursts of its samples")
    return encoders[0]


def check_graph(steps: list[Call], logits: Tensor) -> None:
    """Raise UserError unless the steps end in the only readout, and the model returns its logits."""
    readouts = [step.name for step in steps if isinstance(step.module, ReadoutLayer)]
    if len(readouts) != 1 or not isinstance(steps[-1].module, ReadoutLayer):
        raise UserError(f"the model calls {len(readouts)} readouts; its last layer has to be its only ReadoutLayer")
    last = steps[-1].output
    assert isinstance(last, Tensor)
    if logits.shape != last.shape or not bool((logits == last).all()):
        raise UserError("the model does not return what its readout gives, and no hardware does anything behind it")


def describe_step(step: Call, quantized: bool, timesteps: int | None) -> dict[str, Any]:
    """One layer of the graph: structure, floats, and the integers if it is quantized; ``timesteps`` is None in a
    stream."""
    module = step.module
    if not isinstance(module, Layer):
        node = module.node
        return {
            "kind": "pooling",
            "name": step.name,
            "source": step.sources[0].node,
            "pooling": node.kind,
            "kernel": plain(node.kernel),
            **unless_usual(stride=(node.stride, None), padding=(node.padding, 0)),
        }
    layer: dict[str, Any] = {"kind": "readout", "name": "readout"}
    if isinstance(module, SpikingLayer):
        assert isinstance(step.output, Bursts)
        shape, neuron = list(step.output.counts.shape[2:]), module.neuron
        layer = {
            "kind": "population",
            "name": step.name,
            "shape": shape + [1] * (3 - len(shape)),
            "burst_ceiling": neuron.burst_ceiling,
            "leak": plain(neuron.leak),
            "reset": neuron.reset,
            "scale": neuron.scale.detach().clone(),
        }
    layer["fraction_bits"], layer["exponent"] = int(module.fraction_bits), module.exponent.clone()
    scale = layer.get("scale", torch.ones(()))
    if not quantized:
        layer["fraction_bits"], layer["exponent"] = module.grid(step.sources, scale)
    layer |= describe_states(module, layer["fraction_bits"])
    incoming = module.incoming(step.sources)
    layer["projections"] = [describe_projection(projection, source) for projection, source in incoming]
    for projection, own in module.synapses(step.sources, scale)[len(incoming) :]:
        recurrent = describe_projection(projection, replace(own, node=step.name))
        layer["projections"].append(recurrent | {"recurrent": True})
    identity = step.sources[1] if len(step.sources) > len(incoming) else None
    if identity is not None:
        layer["skip"] = {"source": identity.node, "source_scale": torch.as_tensor(identity.scale).detach().clone()}
    if quantized:
        assert isinstance(module, SpikingLayer | ReadoutLayer)
        numbers = layer_integers(module, step.sources, timesteps)
        layer["bias"] = tensor(numbers.bias)
        for part, weights in zip(layer["projections"], numbers.weights, strict=True):
            part["weights"] = tensor(weights)
        if identity is not None:
            layer["skip"]["weight"] = numbers.skip
    return layer


def describe_states(module: Layer, bits: int) -> dict[str, Any]:
    """Those keys of a layer that say how its states change, for F = ``bits``; only what is not the usual."""
    if isinstance(module, ReadoutLayer):
        limits = on_grid(module.limits, bits)
        return unless_usual(leak=(module.leak, None), limits=(limits, None), maximum=(module.maximum, False))
    assert isinstance(module, SpikingLayer)
    neuron = module.neuron
    return unless_usual(
        rounding=(neuron.rounding(bits), 2 ** (bits - 1)),
        current_leak=(neuron.current_leak, None),
        membrane_limits=(on_grid(neuron.membrane_limits, bits), None),
        current_limits=(on_grid(neuron.current_limits, bits), None),
    )


def describe_projection(projection: QuantProjection, source: Bursts) -> dict[str, Any]:
    """A projection's structure and its floats: W, BatchNorm (g, c, mu, var, eps) and the source's scale."""
    part: dict[str, Any] = {
        "kind": "conv2d" if isinstance(projection, QuantConv2d) else "dense",
        "source": source.node,
        "weight_bits": projection.weight_bits,
        "floats": {
            "weight": projection.weight.detach(),
            "gain": None if projection.gain is None else projection.gain.detach(),
            "shift": projection.shift.detach(),
            "mean": projection.mean,
            "variance": projection.variance,
            "epsilon": projection.epsilon,
            "source_scale": torch.as_tensor(source.scale).detach().clone(),
        },
    }
    if isinstance(projection, QuantConv2d):
        window = projection.window
        part |= {"stride": plain(shortest(window.stride)), "padding": plain(shortest(window.padding))}
        part |= unless_usual(dilation=(shortest(window.dilation), 1), groups=(projection.groups, 1))
    return part


def unless_usual(**values: tuple[Any, Any]) -> dict[str, Any]:
    """Those values that differ from their default; each value is given together with its default."""
    return {name: plain(value) for name, (value, usual) in values.items() if value != usual}


def plain(value: Any) -> Any:
    """A value in the form that the file holds: one number, or a list of two."""
    if isinstance(value, Leak):
        return [value.multiplier, value.shift]
    return list(value) if isinstance(value, tuple) else value


def tensor(values: IntArray) -> Tensor:
    """``values`` in the smallest integer type that holds them."""
    reach = int(max(values.max(initial=0), ~values.min(initial=0)))
    return torch.from_numpy(values.astype(np.min_scalar_type(~reach)))


@torch.no_grad()
def measured_activity(model: nn.Module, samples: Tensor, batch: int = 50) -> dict[str, list[float]]:
    """Mean set bit-planes per sample that each node sends, per timestep: the events that the hardware will see."""
    totals: dict[str, Tensor] = {}
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        with in_mode(model, training=False), traced(model, part) as steps:
            model(part)
        for source in {source.node: source for step in steps for source in step.sources}.values():
            planes = set_planes(source.counts.long(), source.ceiling).flatten(2).sum(2).sum(1)
            totals[source.node] = totals.get(source.node, torch.zeros_like(planes)) + planes
    return {node: (total.double() / len(samples)).tolist() for node, total in totals.items()}


def set_planes(counts: Tensor, ceiling: int) -> Tensor:
    """Number of set bits in each count."""
    return torch.stack([counts >> plane & 1 for plane in range(ceiling.bit_length())]).sum(0)


def save_atomically(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint so that the file is either the old one or the whole new one; raises UserError."""
    # torch names the archive inside after the file, and reports a full disk as an error of the archive.
    written = io.BytesIO()
    torch.save(content, written)
    torch.load(io.BytesIO(written.getbuffer()), weights_only=True)  # an unreadable file must not replace a good one
    write_whole(path, written.getvalue())


def model_section(name: str, options: ModelOptions) -> dict[str, Any]:
    """The section that :func:`load_model` needs to rebuild the model."""
    stored = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()}
    return {"name": name, "options": stored}


def load_model(path: Path) -> nn.Module:
    """The trained model of a checkpoint that ``snn.train`` wrote, in evaluation mode; raises UserError."""
    content, packed = load_archive(path, "checkpoint", MOST_BYTES)
    try:
        name, options = content["model"]["name"], options_from(content["model"]["options"])
        state = content["state"]
        check_tensors(state.values(), len(packed), path)
        # On the meta device a model takes no memory, so a file cannot make us allocate more than its own size.
        with torch.device("meta"):
            shapes = {key: tensor.shape for key, tensor in make_model(name, options).state_dict().items()}
        if shapes != {key: tensor.shape for key, tensor in state.items()}:
            raise ValueError("its state is that of another model")
        model = make_model(name, options)
        model.load_state_dict(state)
    except MALFORMED as error:
        raise UserError(f"{path} is not a checkpoint of snn.train: {brief(error)}") from error
    return model.eval()
