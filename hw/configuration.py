"""What each hardware component is built from: derived once from network and plan, checked once."""

import math
from dataclasses import dataclass
from typing import Literal

from hw.errors import UserError
from hw.network import Dense, InputSpec, IntArray, Leak, Network, Population, Readout
from hw.plan import LayerPlan, MemoryStyle, Plan
from hw.weights import pack_weights


@dataclass(frozen=True, kw_only=True)
class BurstStream:
    """Shape of a stream of bursts: fold -> timestep -> beat, each beat ``group`` neighbouring channels.

    Attributes:
        group: G, channels a beat.
        burst_bits: bits of one burst.
        beats: beats of one timestep of one fold.
        folds: folds of the population that sends it.
        steps: timesteps; 1 for a direct input, which is sent once for all of them.
    """

    group: int
    burst_bits: int
    beats: int
    folds: int
    steps: int

    @property
    def rows(self) -> int:
        """Channels of all folds, padding included."""
        return self.group * self.beats * self.folds


@dataclass(frozen=True, kw_only=True)
class ProjectionConfig:
    """What a :class:`hw.projection_engine.ProjectionEngine` is built from.

    Attributes:
        source: the stream that comes in.
        lanes, folds, cores: P, passes, M as in :class:`hw.plan.LayerPlan`.
        merged_steps: timesteps that are accumulated into one sum (readout: all; populations: 1).
        repeats: how often each sum is handed on (direct input: once for every timestep).
        weight_bits: B.
        weight_words: the weight memory, see :func:`hw.weights.pack_weights`.
        weight_memory: what it is kept in.
        accumulator_bits: proved width of every partial sum.
    """

    source: BurstStream
    lanes: int
    folds: int
    cores: int
    merged_steps: int
    repeats: int
    weight_bits: int
    weight_words: tuple[int, ...]
    weight_memory: MemoryStyle
    accumulator_bits: int

    @property
    def accumulations(self) -> int:
        """Sums that each fold gives."""
        return self.source.steps // self.merged_steps

    @property
    def replayed(self) -> bool:
        """Whether the source must be kept: it is read once a fold, or arrives fold by fold."""
        return self.folds > 1 or (self.source.folds > 1 and self.source.steps > 1)


@dataclass(frozen=True, kw_only=True)
class NeuronConfig:
    """What a :class:`hw.neuron_bank.NeuronBank` is built from; ``bias`` and ``exponent`` are (folds * lanes,)."""

    lanes: int
    folds: int
    cores: int
    group: int
    timesteps: int
    fraction_bits: int
    burst_ceiling: int
    leak: Leak
    reset: Literal["soft", "hard"]
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    membrane_memory: MemoryStyle
    accumulator_bits: int
    current_bits: int
    potential_bits: int
    membrane_bits: int

    @property
    def burst_bits(self) -> int:
        return self.burst_ceiling.bit_length()


@dataclass(frozen=True, kw_only=True)
class ReadoutConfig:
    """What a :class:`hw.readout.Readout` is built from; ``bias`` (of all timesteps) and ``exponent``: (classes,).

    ``repeats``: how often the one sum counts (direct input into the readout: T).
    """

    classes: int
    repeats: int
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    accumulator_bits: int
    logit_bits: int


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """One layer: its projection, and either its neurons or the readout."""

    name: str
    projection: ProjectionConfig
    target: NeuronConfig | ReadoutConfig


@dataclass(frozen=True, kw_only=True)
class TopConfig:
    """The whole network: input stream and the chain of layers, the readout last."""

    input: BurstStream
    layers: tuple[LayerConfig, ...]


def configure(network: Network, plan: Plan) -> TopConfig:
    """Derive the hardware of ``network`` under ``plan``.

    Raises:
        UserError: the network is not a chain of dense layers, or the plan is not one for it.
    """
    targets = [*network.nodes, network.readout]
    if [layer.name for layer in plan.layers] != [target.name for target in targets]:
        raise UserError("the plan's layers are not those of this network; leave out --plan to make a new one")
    stream = input_stream(network.input, plan.input_group, network.steps(network.input.name))
    first, source, layers = stream, network.input.name, list[LayerConfig]()
    for target in targets:
        projections = list(network.projections_into(target.name))
        if len(projections) != 1 or not isinstance(projections[0], Dense) or projections[0].source != source:
            raise UserError(f"layer {target.name}: hardware is generated for chains of dense layers, and this is none")
        layer_plan, population = plan.layer(target.name), target if isinstance(target, Population) else None
        check_plan(layer_plan, len(projections[0].weights))
        projection = projection_config(projections[0], layer_plan, stream, network.timesteps, population is not None)
        if population is None:
            layers.append(LayerConfig(name=target.name, projection=projection, target=readout_config(network, plan)))
        else:
            neurons = neuron_config(population, layer_plan, network.timesteps)
            layers.append(LayerConfig(name=target.name, projection=projection, target=neurons))
            stream = BurstStream(
                group=layer_plan.group,
                burst_bits=neurons.burst_bits,
                beats=layer_plan.lanes // layer_plan.group,
                folds=layer_plan.folds,
                steps=network.timesteps,
            )
        source = target.name
    return TopConfig(input=first, layers=tuple(layers))


def check_plan(plan: LayerPlan, channels: int) -> None:
    """Raise UserError unless the plan's divisors fit together and cover ``channels``."""
    fits = plan.lanes % plan.group == 0 and plan.group % plan.cores == 0
    if plan.name == Readout.name:
        fits = plan.group == plan.cores == 1
    if not fits or plan.folds != math.ceil(channels / plan.lanes):
        raise UserError(
            f"layer {plan.name}: a plan of {plan.lanes} lanes, {plan.folds} folds, {plan.cores} cores and groups of "
            f"{plan.group} does not divide {channels} channels evenly"
        )


def input_stream(spec: InputSpec, group: int, steps: int) -> BurstStream:
    """The network's input, flat in (C, H, W) order, padded to whole beats."""
    return BurstStream(
        group=group, burst_bits=spec.bits, beats=math.ceil(math.prod(spec.shape) / group), folds=1, steps=steps
    )


def projection_config(
    projection: Dense, plan: LayerPlan, source: BurstStream, timesteps: int, spiking: bool
) -> ProjectionConfig:
    """One layer's projection."""
    words = pack_weights(
        projection.weights, lanes=plan.lanes, folds=plan.folds, rows=source.rows, bits=projection.weight_bits
    )
    return ProjectionConfig(
        source=source,
        lanes=plan.lanes,
        folds=plan.folds,
        cores=plan.cores,
        merged_steps=1 if spiking else source.steps,
        repeats=timesteps // source.steps if spiking else 1,
        weight_bits=projection.weight_bits,
        weight_words=words,
        weight_memory=plan.weight_memory,
        accumulator_bits=plan.accumulator_bits,
    )


def neuron_config(population: Population, plan: LayerPlan, timesteps: int) -> NeuronConfig:
    """One layer's neurons, padded to whole folds."""
    channels = plan.lanes * plan.folds
    return NeuronConfig(
        lanes=plan.lanes,
        folds=plan.folds,
        cores=plan.cores,
        group=plan.group,
        timesteps=timesteps,
        fraction_bits=population.fraction_bits,
        burst_ceiling=population.burst_ceiling,
        leak=population.leak,
        reset=population.reset,
        bias=padded(population.bias, channels),
        exponent=padded(population.exponent, channels),
        membrane_memory=plan.membrane_memory,
        accumulator_bits=plan.accumulator_bits,
        current_bits=plan.current_bits,
        potential_bits=plan.potential_bits,
        membrane_bits=plan.membrane_bits,
    )


def readout_config(network: Network, plan: Plan) -> ReadoutConfig:
    """The readout; its bias counts once a timestep."""
    readout, layer = network.readout, plan.layer(network.readout.name)
    source = next(network.projections_into(readout.name)).source
    return ReadoutConfig(
        classes=len(readout.bias),
        repeats=network.timesteps // network.steps(source),
        bias=tuple((readout.bias * network.timesteps).tolist()),
        exponent=tuple(readout.exponent.tolist()),
        accumulator_bits=layer.accumulator_bits,
        logit_bits=layer.current_bits,
    )


def padded(values: IntArray, length: int) -> tuple[int, ...]:
    """``values`` and zeros up to ``length``: neurons that do not exist never fire."""
    return (*values.tolist(), *[0] * (length - len(values)))
