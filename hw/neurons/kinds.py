"""The two kinds of neuron banks: what a population asks of the one that its configuration describes."""

from collections.abc import Sequence
from typing import Any

from hw.features import Features
from hw.memory import Inventory, MemoryShape, inventory
from hw.neurons.bank import NeuronBank, NeuronBankTiming, bank_latency
from hw.neurons.config import NeuronConfig
from hw.neurons.constants import constants_features
from hw.neurons.skip_queue import SkipTiming
from hw.neurons.unrolled import UnrolledBank, UnrolledTiming, unrolled_features, unrolled_latency
from hw.timing import Consumer, CurrentConsumer


def bank_component(config: NeuronConfig) -> Any:
    """The hardware: a component with the streams ``currents``, ``bursts`` and ``skips``, and the tap ``tap``."""
    return UnrolledBank(config) if config.unrolled else NeuronBank(config)


def bank_timing(config: NeuronConfig, repeats: int, skips: Sequence[SkipTiming], reader: Consumer) -> CurrentConsumer:
    """Its exact timing."""
    if config.unrolled:
        return UnrolledTiming(config, reader)
    return NeuronBankTiming(config, repeats, skips, reader)


def latency(config: NeuronConfig) -> int:
    """Cycles from the sums that complete a beat to the beat."""
    return unrolled_latency(config) if config.unrolled else bank_latency(config)


def bank_memories(config: NeuronConfig) -> Inventory:
    """Its memories."""
    return inventory(config.constants) if config.unrolled else inventory(config.constants, config.membranes)


def choosable_memories(config: NeuronConfig) -> dict[str, MemoryShape]:
    """Those that may be in block RAM or elsewhere."""
    return {} if config.unrolled else {"membranes": config.membranes.shape}


def cycles_per_fold(config: NeuronConfig, steps: int) -> float:
    """Cycles in which the neurons of a fold of one position pass all ``steps`` timesteps of a frame."""
    if config.unrolled:
        sums = config.slots * (1 if config.shared_sums else steps)
        return max(sums, config.slots * config.parts)
    return steps * max(config.slots, config.write_latency // config.turns if config.pause else 1)


def bank_features(config: NeuronConfig) -> Features:
    """Its logic without the memories, for the resource model."""
    cores = config.cores * (config.timesteps if config.unrolled else 1)
    core = "unrolled_core" if config.unrolled else "core"
    features = Features({core: cores * config.potential_bits}) + Features(
        leak=cores * config.membrane_bits * max(0, config.leak.multiplier.bit_count() - 1),
        exponent=cores * config.current_bits * config.exponent_bits,
        beat=config.group * config.burst_bits,
        skip=sum(config.cores * (config.current_bits + skip.stream.burst_bits) for skip in config.skips),
    )
    if config.current_leak is not None:
        # Registers that hold J, and V while J is computed; rom_register counts plain registers.
        features += Features(
            rom_register=cores * (config.summed_bits + config.membrane_bits + 3 * config.synaptic_bits)
        )
    if config.unrolled:
        features += unrolled_features(config)
    return features + constants_features(config)
