"""What neurons and readouts remember: every state of the law, in floats and in integers, at once and in pieces."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gen.frontend.origin import read_network
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.nodes import InputSpec, Leak
from snn import checkpoint, quantization
from snn.bursts import Encoder, Flatten
from snn.decay import Decay
from snn.layers import ReadoutLayer, SpikingLayer
from snn.neuron import LIF, QBLIF, SynapticLIF
from snn.projections import QuantConv2d, QuantLinear
from snn.quantization import fraction_bits_of
from snn.state import Stateful
from tests.reference import scalar_run

SLOW, SLOWER = Leak(multiplier=3, shift=2), Leak(multiplier=7, shift=3)
STEPS = 9


class Over(nn.Module):
    """A layer with the given parts, and a readout with the given options."""

    def __init__(
        self,
        layer: Callable[[], SpikingLayer],
        *,
        coding: Any = "frames",
        mode: Any = "window",
        features: int = 12,
        **readout: Any,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(InputSpec(shape=(2, 3, 2), coding=coding, bits=2), STEPS, mode=mode)
        self.flatten, self.layer = Flatten(), layer()
        self.dense = isinstance(self.layer.projections[0], QuantLinear)
        self.readout = ReadoutLayer(QuantLinear(features, 4, batch_norm=False), **readout)

    def forward(self, samples: Tensor) -> Tensor:
        bursts = self.encoder(samples)
        return self.readout(self.flatten(self.layer(self.flatten(bursts) if self.dense else bursts)))


def dense(neuron: Callable[[], Any], *, recurrent: bool = False, **options: Any) -> Callable[[], SpikingLayer]:
    def make() -> SpikingLayer:
        own = QuantLinear(12, 12, batch_norm=False) if recurrent else None
        return SpikingLayer(QuantLinear(12, 12), neuron(), recurrent=own, **options)

    return make


def convolution(neuron: Callable[[], Any], **options: Any) -> Callable[[], SpikingLayer]:
    def make() -> SpikingLayer:
        own = QuantConv2d(2, 2, 3, padding=1, batch_norm=False)
        return SpikingLayer(QuantConv2d(2, 2, 3, padding=1), neuron(), recurrent=own, **options)

    return make


def models() -> Iterator[tuple[str, Callable[[], Over]]]:
    yield "synaptic", lambda: Over(dense(lambda: QBLIF(2, current_leak=SLOW)))
    yield "limits", lambda: Over(dense(lambda: QBLIF(2, leak=SLOWER, membrane_limits=(-0.3, 0.4))))
    limits: dict[str, Any] = {"membrane_limits": (-0.7, 0), "current_limits": (-0.5, 1.6)}
    yield "both limits", lambda: Over(dense(lambda: QBLIF(1, reset="hard", current_leak=SLOW, **limits)))
    yield "learned leak", lambda: Over(dense(lambda: QBLIF(2, leak=SLOW, learn_leak=True)))
    yield (
        "learned leaks",
        lambda: Over(dense(lambda: QBLIF(2, leak=SLOW, current_leak=SLOWER, learn_leak=True), guard_bits=3)),
    )
    yield "recurrent", lambda: Over(dense(lambda: QBLIF(2), recurrent=True))
    yield "recurrent, direct", lambda: Over(dense(lambda: QBLIF(2), recurrent=True), coding="direct")
    yield "recurrent convolution", lambda: Over(convolution(lambda: QBLIF(2, leak=SLOW)))
    yield "lif", lambda: Over(dense(lambda: LIF(0.8, leak=SLOWER), recurrent=True))
    yield "lif above", lambda: Over(dense(lambda: LIF(0.5, leak=SLOW, fires_at="above", reset="hard")))
    delayed: dict[str, Any] = {"leak": SLOW, "threshold": 0.75, "fires_at": "above"}
    yield "lif below a whole", lambda: Over(dense(lambda: LIF(0.8, **delayed)))
    yield "i-lif", lambda: Over(dense(lambda: LIF(0.5, levels=4, threshold=0.5)))
    yield "synaptic lif", lambda: Over(dense(lambda: SynapticLIF(1.5, leak=SLOW, reset="hard"), recurrent=True))
    yield "leaky readout", lambda: Over(dense(lambda: QBLIF(2)), leak=SLOW)
    yield "all of a readout", lambda: Over(dense(lambda: QBLIF(2)), leak=SLOWER, limits=(-1, 0.7), maximum=True)
    yield "largest", lambda: Over(dense(lambda: QBLIF(2)), maximum=True, per_step=True)
    yield "results of every step", lambda: Over(dense(lambda: QBLIF(2)), per_step=True, coding="direct")
    streaming: dict[str, Any] = {"mode": "stream", "leak": SLOWER, "learn_leak": True, "per_step": True}
    learned: dict[str, Any] = {"leak": SLOWER, "learn_leak": True}
    yield "stream", lambda: Over(dense(lambda: QBLIF(2, **learned), recurrent=True, guard_bits=4), **streaming)
    events: dict[str, Any] = streaming | {"coding": "events", "guard_bits": 2}
    yield "stream of events", lambda: Over(convolution(lambda: SynapticLIF(0.7, **learned)), **events)
    bounded: dict[str, Any] = {"leak": Leak(multiplier=1, shift=0), "membrane_limits": (-2, 2)}
    sums: dict[str, Any] = {"mode": "stream", "limits": (-9, 9)}
    yield "stream within limits", lambda: Over(dense(lambda: QBLIF(2, **bounded)), **sums)


MODELS = dict(models())


def samples_for(model: nn.Module, count: int = 24, steps: int = STEPS) -> Tensor:
    encoder = next(module for module in model.modules() if isinstance(module, Encoder))
    shape = (count, *(() if encoder.spec.coding == "direct" else (steps,)), *encoder.spec.shape)
    generator = torch.Generator().manual_seed(8)
    return torch.randint(
        0, 256 if encoder.spec.coding != "events" else 4, shape, dtype=torch.uint8, generator=generator
    )


def trained(model: Over) -> Over:
    """Some steps in floats and in integers, so that statistics, scales, leaks and weights have all moved."""
    samples, labels = samples_for(model), torch.randint(0, 4, (24,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for step in range(6):
        if step == 3:
            quantization.begin(model, samples)
        model.train()
        logits = model(samples)
        nn.functional.cross_entropy(logits.mean(0) if logits.dim() == 3 else logits, labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.mark.parametrize("name", list(MODELS))
def test_model_golden_and_a_plain_loop_agree_at_every_step(name, tmp_path):
    torch.manual_seed(3)
    model = trained(MODELS[name]())
    samples = samples_for(model)
    content = checkpoint.describe(model, samples, torch.zeros(len(samples), dtype=torch.long))
    checkpoint.save_atomically(content, tmp_path / "model.pt")
    _, network, known = read_network(tmp_path / "model.pt")
    assert network.mode == model.encoder.mode

    bursts = encode(samples.numpy(), network.input)
    result = golden.run(network, bursts)
    with torch.no_grad():
        logits = model(samples).double() * 2.0**network.readout.fraction_bits
    expected = result.sums.transpose(0, 1) if model.readout.per_step else result.logits
    assert (logits == expected.double()).all()
    assert (result.logits[:16].numpy() == known.logits).all()
    assert result.bursts["layer"].unique().numel() > 1
    assert len(set(result.logits.flatten().tolist())) > 3, "all logits alike would prove nothing"
    alone = scalar_run(network, bursts[0])
    assert (np.array(alone.results) == result.sums[0].numpy()).all()
    assert (alone.states["layer"] == result.states["layer"][0].numpy()).all()


@pytest.mark.parametrize("name", [name for name in MODELS if "stream" in name])
@pytest.mark.parametrize("form", ["float", "integer"])
def test_pieces_of_a_stream_are_the_whole(name, form):
    torch.manual_seed(4)
    model = MODELS[name]()
    model(samples_for(model))
    model.eval()
    if form == "integer":
        quantization.begin(model, samples_for(model))
    samples, run = samples_for(model, count=5, steps=11), Stateful(model)
    with torch.no_grad():
        whole = model(samples)
        pieces = [run(piece) for piece in samples.split((4, 1, 6), dim=1)]
        assert torch.equal(torch.cat(pieces) if whole.dim() == 3 else pieces[-1], whole)
        assert not torch.equal(run(samples), whole), "the state counts"
        run.reset()
        assert torch.equal(run(samples), whole)
        assert torch.equal(model(samples), whole), "the model itself begins at rest"


def test_other_recordings_cannot_continue():
    model = MODELS["stream"]()
    run = Stateful(model)
    run(samples_for(model, count=3))
    with pytest.raises(UserError, match="4 recordings cannot continue 3; reset"):
        run(samples_for(model, count=4))


def test_the_gradient_ends_where_the_state_was_detached():
    """The derivative of a later result for the scale of an earlier time is there, or is cut."""
    torch.manual_seed(5)
    model = MODELS["stream"]()
    samples = samples_for(model)
    [projection] = model.layer.projections
    assert isinstance(projection, QuantLinear)
    run, weight = Stateful(model), projection.shift
    shares = []
    for cut in (False, True):
        run.reset()
        early = run(samples[:, :6])
        if cut:
            run.detach()
        late = run(samples[:, 6:])
        [whole] = torch.autograd.grad(late.square().sum(), weight, retain_graph=True)
        shares.append(whole)
        assert early.requires_grad
    assert not torch.allclose(shares[0], shares[1])


def scalar_neuron(neuron: Any, currents: list[float], scale: float) -> Iterator[tuple[int, float, float]]:
    """Bursts, membranes and synaptic currents of one neuron in its training form."""
    beta = neuron.leak.multiplier / 2**neuron.leak.shift
    membrane = synaptic = 0.0
    for arriving in currents:
        if neuron.current_leak is not None:
            alpha = neuron.current_leak.multiplier / 2**neuron.current_leak.shift
            arriving = synaptic = clamped(alpha * synaptic + arriving, neuron.current_limits, scale)
        potential = beta * membrane + arriving
        reached = [potential >= (k + neuron.threshold) * scale for k in range(neuron.burst_ceiling)]
        if neuron.fires_at == "above":
            reached = [potential > (k + neuron.threshold) * scale for k in range(neuron.burst_ceiling)]
        count = sum(reached)
        membrane = potential - count * scale
        if neuron.reset == "hard":
            membrane = 0.0 if count else potential
        membrane = clamped(membrane, neuron.membrane_limits, scale)
        yield count, membrane, synaptic


def clamped(value: float, limits: tuple[float, float] | None, scale: float) -> float:
    return value if limits is None else min(max(value, limits[0] * scale), limits[1] * scale)


NEURONS: dict[str, Callable[[], Any]] = {
    "synaptic": lambda: QBLIF(2, leak=SLOW, current_leak=SLOWER),
    "limited": lambda: QBLIF(2, current_leak=SLOW, membrane_limits=(-0.25, 0.125), current_limits=(-0.5, 2)),
    "lif": lambda: LIF(0.5, leak=SLOW),
    "lif above": lambda: LIF(0.5, leak=SLOW, fires_at="above"),
    "hard lif above": lambda: LIF(0.5, reset="hard", fires_at="above"),
    "levels above": lambda: LIF(0.25, levels=3, fires_at="above"),
    "synaptic lif": lambda: SynapticLIF(0.5, leak=SLOW, reset="hard", current_leak=SLOWER),
}


@pytest.mark.parametrize("name", list(NEURONS))
def test_training_form_is_the_plain_loop(name):
    """Currents on a coarse grid, so that potentials often just touch a threshold."""
    neuron = NEURONS[name]().double()
    currents = torch.randint(-2, 5, (7, 40), generator=torch.Generator().manual_seed(6)).double() / 4
    if isinstance(neuron, QBLIF):
        neuron.rho.data.fill_(math.log(math.expm1(0.5)))
        neuron.neurons.fill_(1)
    scale = float(neuron.scale.detach())
    counts = neuron(currents, 7)
    found = [[count for count, _, _ in scalar_neuron(neuron, row.tolist(), scale)] for row in currents.T]
    assert counts.detach().T.tolist() == found
    assert len({count for row in found for count in row}) > 1
    if "above" in name:
        neuron.fires_at = "threshold"
        assert not torch.equal(neuron(currents, 7), counts), "no potential touches a threshold"


def test_the_rounding_constants_of_the_lif_family():
    assert [LIF(fires_at=at).rounding(6) for at in ("threshold", "above")] == [0, -1]
    assert (LIF(levels=3, threshold=0.5).rounding(6), QBLIF(2).rounding(6)) == (32, 32)
    # theta is taken off after the leak: s = theta / beta, and a spike begins above theta.
    assert LIF(4 / 3, threshold=0.75, fires_at="above").rounding(6) == 2**6 - (3 * 2**6 >> 2) - 1
    assert LIF(threshold=0.0, fires_at="above").rounding(6) == 63


def test_a_learned_leak_is_rounded_to_the_grid_of_the_integer_form():
    decay = Decay(Leak(multiplier=15, shift=4), learn=True)
    assert decay.leak == Leak(multiplier=15, shift=4)
    assert decay.raw is not None
    state = torch.tensor([3.0, -3.0])
    assert decay.at(None)(state).tolist() == pytest.approx([2.8125, -2.8125])
    assert decay.at(4)(state).tolist() == [2.8125, -2.8125]
    assert decay.at(3)(state).tolist() == [2.75, -2.875]
    decay.at(None)(state).square().sum().backward()
    assert decay.raw.grad is not None
    assert decay.raw.grad > 0
    for raw, leak in ((20.0, Leak(multiplier=255, shift=8)), (-20.0, Leak(multiplier=1, shift=8))):
        decay.raw.data.fill_(raw)
        assert decay.leak == leak
        assert float(decay.at(8)(torch.ones(()))) == leak.multiplier / 256


def test_gradients_reach_every_parameter():
    torch.manual_seed(6)
    model = MODELS["stream"]()
    samples = samples_for(model)
    for form in ("float", "integer"):
        model.train().zero_grad()
        model(samples).square().mean().backward()
        for name, parameter in model.named_parameters():
            reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            assert reached == (form == "float" or "decay" not in name), name
        quantization.begin(model, samples)


def test_guard_bits_make_the_grid_finer_and_keep_the_weights():
    found = []
    for guard in (0, 5):
        torch.manual_seed(7)
        model = Over(dense(lambda: QBLIF(2), recurrent=True, guard_bits=guard))
        quantization.begin(model, samples_for(model))
        content = checkpoint.describe(model, samples_for(model), torch.zeros(24, dtype=torch.long))
        found.append((fraction_bits_of(model), content["layers"][0]["projections"]))
    (coarse, weights), (fine, same) = found
    assert (fine["layer"] - coarse["layer"], fine["readout"]) == (5, coarse["readout"])
    assert all(torch.equal(one["weights"], other["weights"]) for one, other in zip(weights, same, strict=True))


def test_sums_over_endless_time_must_be_exact():
    """A slow leak and many guard bits: only float64 holds the products."""
    for kind in (torch.float32, torch.float64):
        torch.manual_seed(8)
        slow: dict[str, Any] = {"leak": Leak(multiplier=2047, shift=11), "per_step": True, "mode": "stream"}
        model = Over(dense(lambda: QBLIF(2), guard_bits=0), guard_bits=8, **slow).to(kind)
        if kind == torch.float64:
            quantization.begin(model, samples_for(model))
            continue
        with pytest.raises(UserError, match="a layer's sums can reach"):
            quantization.begin(model, samples_for(model))


def wrong(value: object) -> Any:
    """A value that its type forbids."""
    return value


def linear(outputs: int = 12, **options: Any) -> QuantLinear:
    return QuantLinear(12, outputs, **options)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "batch norm": (lambda: SpikingLayer(linear(), QBLIF(), recurrent=linear()), "no BatchNorm of its own"),
    "channels": (
        lambda: SpikingLayer(linear(), QBLIF(), recurrent=linear(3, batch_norm=False)),
        "gives 3 channels to 12",
    ),
    "no projection": (lambda: SpikingLayer(linear(), QBLIF(), recurrent=wrong(nn.Linear(12, 12))), "takes QuantLinear"),
    "no neurons": (lambda: SpikingLayer(linear(), wrong(nn.Identity())), "takes neurons such as QBLIF"),
    "a strange time": (lambda: LIF(fires_at=wrong("sometimes")), "unknown fires_at 'sometimes'"),
    "theta": (lambda: LIF(0.0), "theta 0.0 is outside"),
    "a decimal leak": (lambda: QBLIF(current_leak=wrong(0.5)), "leak 0.5 is not a Leak"),
    "limits above 0": (lambda: QBLIF(membrane_limits=(0.5, 1)), "membrane_limits 0.5 and 1 are not"),
    "endless limits": (lambda: QBLIF(membrane_limits=(-math.inf, 1)), "are not finite"),
    "one limit": (lambda: LIF(current_leak=SLOW, current_limits=wrong((3,))), "are not two numbers"),
    "limits of nothing": (lambda: LIF(current_limits=(-1, 1)), "limits of a synaptic current, but no leak"),
    "nothing to learn": (lambda: ReadoutLayer(linear(), learn_leak=True), "has none to learn"),
    "direct stream": (lambda: Over(dense(QBLIF), coding="direct", mode="stream"), "differs at every timestep"),
    "a strange mode": (lambda: Over(dense(QBLIF), mode="frame"), "unknown mode 'frame'"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_refused_where_it_is_made(what):
    make, line = REFUSED[what]
    with pytest.raises(UserError, match=line):
        make()


def test_a_recurrent_convolution_keeps_the_shape():
    model = Over(lambda: SpikingLayer(QuantConv2d(2, 2, 1), QBLIF(), recurrent=QuantConv2d(2, 2, 2, batch_norm=False)))
    with pytest.raises(UserError, match=r"gives \(2, 2, 1\) currents to \(2, 3, 2\) neurons"):
        model(samples_for(model))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"mode": "stream"}, "its sum .* without end"),
        (
            {"mode": "stream", "leak": SLOW, "neuron": {"leak": Leak(multiplier=1, shift=0)}},
            "its membrane .* without end",
        ),
    ],
)
def test_a_stream_without_bounds_is_refused(options, line):
    neuron = options.get("neuron", {})
    model = Over(dense(lambda: QBLIF(2, **neuron)), **{key: value for key, value in options.items() if key != "neuron"})
    with pytest.raises(UserError, match=line):
        quantization.begin(model, samples_for(model))
