"""The network that a checkpoint describes, run by the golden model and compared with PyTorch's results."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Projection, Skip
from snn.bursts import Bursts
from snn.tracing import Call


def check_replay(content: dict[str, Any], steps: list[Call]) -> None:
    """Raise UserError, naming the first layer that differs, unless the golden model agrees with PyTorch.

    Args:
        content: the result of :func:`snn.checkpoint.describe` for a model in the integer form, with references.
        steps: the model's forward pass over the reference samples.
    """
    network, known = integer_network(content), content["references"]
    samples = known["samples"].numpy(force=True)
    at_once = golden.at_once(network)
    for start in range(0, len(samples), at_once):
        part = slice(start, start + at_once)
        computed = golden.run(network, encode(samples[part], network.input))
        for step in steps:
            for source in step.sources:
                check_bursts(source.node, source.counts[:, part], computed.bursts[source.node])
            if isinstance(step.output, Bursts):
                check_bursts(step.name, step.output.counts[:, part], computed.bursts[step.name])
        results = steps[-1].output
        assert isinstance(results, Tensor)
        results = results if results.dim() == 3 else results.unsqueeze(0)
        expected = computed.sums[:, -len(results) :].transpose(0, 1)
        wrong = int((results[:, part].cpu().double() * 2.0**network.readout.fraction_bits != expected).sum())
        wrong += int((known["logits"][part].cpu() != computed.logits).sum())
        if wrong:
            raise UserError(parted("the readout", "logits", wrong, expected.numel()))


def check_bursts(name: str, counts: Tensor, expected: Tensor) -> None:
    """Raise UserError unless PyTorch's counts, (steps, batch, *shape), equal golden's, (batch, steps, C, H, W)."""
    ours = counts.detach().cpu().double().transpose(0, 1).flatten(2)
    theirs = expected.double().flatten(2)
    if ours.shape != theirs.shape:
        raise UserError(f"{name}: PyTorch computes {tuple(ours.shape)} bursts, and hardware {tuple(theirs.shape)}")
    wrong = int((ours != theirs).sum())
    if wrong:
        raise UserError(parted(name, "bursts", wrong, theirs.numel()))


def parted(name: str, what: str, wrong: int, count: int) -> str:
    """The message for a difference between PyTorch and the golden model."""
    return (
        f"{name}: {wrong} of {count} {what} of PyTorch are not those of the integer network, so hardware would compute "
        "something else; let no code but the layers' own change bursts or currents"
    )


def integer_network(content: dict[str, Any]) -> Network:
    """The network of a checkpoint's integers, taken as they are; raises NetworkError."""
    nodes: list[Population | Pooling] = []
    projections: list[Projection] = []
    readout: Readout | None = None
    for layer in content["layers"]:
        if layer["kind"] == "pooling":
            common = {"name": layer["name"], "source": layer["source"], "kind": layer["pooling"]}
            nodes.append(Pooling(**common, **those_of(layer, "kernel", "stride", "padding")))
            continue
        projections += incoming(layer)
        constants: dict[str, Any] = {
            "fraction_bits": layer["fraction_bits"],
            "bias": as_int64(layer["bias"]),
            "exponent": as_int64(layer["exponent"]),
        }
        if layer["kind"] == "readout":
            readout = Readout(
                leak=leak_of(layer, "leak"),
                limits=limits_of(layer, "limits"),
                **those_of(layer, "maximum"),
                **constants,
            )
        else:
            nodes.append(
                Population(
                    name=layer["name"],
                    shape=tuple(layer["shape"]),
                    burst_ceiling=layer["burst_ceiling"],
                    leak=leak_of(layer, "leak") or Leak(),
                    current_leak=leak_of(layer, "current_leak"),
                    reset=layer["reset"],
                    **those_of(layer, "rounding"),
                    membrane_limits=limits_of(layer, "membrane_limits"),
                    current_limits=limits_of(layer, "current_limits"),
                    **constants,
                )
            )
    spec = content["input"]
    assert readout is not None
    return Network(
        timesteps=content["timesteps"],
        **those_of(content, "mode"),
        input=InputSpec(shape=tuple(spec["shape"]), coding=spec["coding"], bits=spec["bits"]),
        nodes=tuple(nodes),
        projections=tuple(projections),
        readout=readout,
    )


def incoming(layer: dict[str, Any]) -> Iterator[Projection]:
    """The projections into one layer."""
    for part in layer["projections"]:
        common: dict[str, Any] = {
            "source": part["source"],
            "target": layer["name"],
            "weights": as_int64(part["weights"]),
            "weight_bits": part["weight_bits"],
            **those_of(part, "recurrent"),
        }
        if part["kind"] == "dense":
            yield Dense(**common)
        else:
            yield Conv2d(**common, **those_of(part, "stride", "padding", "dilation", "groups"))
    if "skip" in layer:
        yield Skip(source=layer["skip"]["source"], target=layer["name"], weight=layer["skip"]["weight"])


def those_of(section: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The entries of ``section`` for those ``keys`` that it has."""
    return {key: section[key] for key in keys if key in section}


def limits_of(section: dict[str, Any], key: str) -> tuple[int, int] | None:
    """The limits ``section[key]``, if there are any."""
    return tuple(section[key]) if key in section else None


def leak_of(section: dict[str, Any], key: str) -> Leak | None:
    """The leak ``section[key]``, if there is one."""
    return Leak(multiplier=section[key][0], shift=section[key][1]) if key in section else None


def as_int64(values: Tensor) -> np.ndarray:
    """An integer tensor as int64."""
    return values.cpu().numpy().astype(np.int64)
