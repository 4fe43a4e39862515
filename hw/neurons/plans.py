"""How the neurons of a population are built: a bank with its states in memory, or one unrolled over time."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from hw.divisors import divisors
from hw.memory import MemoryStyle
from qblif.errors import UserError


@dataclass(frozen=True, kw_only=True)
class NeuronPlan:
    """How a bank of neurons is built.

    Attributes:
        cores: M, neuron cores; each updates one neuron per cycle.
        group: G, channels per beat of the stream that leaves; a multiple of ``cores``.
        membrane_memory, constants_memory: memory styles of membranes, and of biases and exponents.
        skip_memory: memory style of the queues.
    """

    cores: int
    group: int
    membrane_memory: MemoryStyle
    constants_memory: MemoryStyle
    skip_memory: MemoryStyle

    def memories(self) -> dict[str, MemoryStyle]:
        """Style of each memory that the hardware writes, by name."""
        return {"membranes": self.membrane_memory}

    def with_memories(self, styles: Mapping[str, MemoryStyle], queues: MemoryStyle) -> Self:
        """The same plan with other styles of the memories, and of the queues."""
        membranes = styles.get("membranes", self.membrane_memory)
        return dataclasses.replace(self, membrane_memory=membranes, skip_memory=queues)

    def check(self, layer: str, lanes: int, steps: int, *, shared_sums: bool, keeps_states: bool, skips: int) -> None:
        """Raise UserError unless the plan fits a layer.

        Args:
            layer: its name.
            lanes: of its engines.
            steps: timesteps per frame.
            shared_sums: one sum serves all of them.
            keeps_states: states are needed after the frame.
            skips: identity skips into it.
        """
        del steps, shared_sums, keeps_states, skips
        if lanes % self.group or self.group % self.cores:
            raise UserError(
                f"layer {layer}: {lanes} lanes, beats of {self.group} channels and {self.cores} neuron cores "
                f"do not divide each other"
            )

    def beat_widths(self, lanes: int, most: int) -> list[int]:
        """Possible bursts per beat, ascending; at most ``most`` channels."""
        return [group for group in divisors(lanes) if group % self.cores == 0 and group <= most]

    def repeats(self, steps: int, source_steps: int) -> int:
        """How often each sum has to be handed on, if its source sends ``source_steps`` timesteps."""
        return steps // source_steps

    def beats(self, lanes: int, steps: int) -> dict[str, int]:
        """The fields of the stream that leaves which follow from it."""
        return {"steps": steps, "merged": 1, "beats": lanes // self.group, "group": self.group}

    def config(self) -> dict[str, Any]:
        """The fields of :class:`hw.neurons.config.NeuronConfig` that follow from it."""
        return {"membrane_memory": self.membrane_memory, "constants_memory": self.constants_memory}


@dataclass(frozen=True, kw_only=True)
class UnrolledPlan:
    """How a bank of neurons is built that has cores for every timestep.

    Attributes:
        cores: M, neuron cores of each timestep; each updates one neuron per cycle.
        steps: timesteps.
        group: G, bursts per beat of the stream that leaves: a divisor of ``cores`` or, where all timesteps share a
            beat, the bursts of all cores of all timesteps.
    """

    type: ClassVar[str] = "unrolled"
    constants_memory: ClassVar[MemoryStyle] = "logic"
    skip_memory: ClassVar[MemoryStyle] = "distributed"
    cores: int
    steps: int
    group: int

    @property
    def merges(self) -> bool:
        """Whether all timesteps share a beat."""
        return self.group > self.cores

    def memories(self) -> dict[str, MemoryStyle]:
        """None."""
        return {}

    def with_memories(self, styles: Mapping[str, MemoryStyle], queues: MemoryStyle) -> Self:
        """The same plan: there are no memories."""
        del styles, queues
        return self

    def check(self, layer: str, lanes: int, steps: int, *, shared_sums: bool, keeps_states: bool, skips: int) -> None:
        """As in :class:`NeuronPlan`."""
        if keeps_states or skips:
            raise UserError(
                f"layer {layer}: unrolled neurons keep no state between frames and take no skips; make a new plan"
            )
        if steps != self.steps:
            raise UserError(f"layer {layer}: neurons unrolled over {self.steps} timesteps, but each frame has {steps}")
        whole = self.group == self.cores * steps if self.merges else self.cores % self.group == 0
        # Otherwise the beats of several passes through the cores would have to be sorted by timestep.
        sorted_already = lanes == self.cores or steps == 1 or (shared_sums and self.merges)
        if lanes % self.cores or not whole or not sorted_already:
            raise UserError(
                f"layer {layer}: {lanes} lanes cannot leave {self.cores} unrolled neuron cores in beats of "
                f"{self.group} bursts; make a new plan"
            )

    def beat_widths(self, lanes: int, most: int) -> list[int]:
        """As in :class:`NeuronPlan`."""
        narrow = divisors(self.cores) if lanes == self.cores or self.steps == 1 else []
        merged = [self.cores * self.steps] if self.steps > 1 and self.cores <= most else []
        return [group for group in narrow if group <= most] + merged

    def repeats(self, steps: int, source_steps: int) -> int:
        """As in :class:`NeuronPlan`: once, since one sum serves all timesteps."""
        del steps, source_steps
        return 1

    def beats(self, lanes: int, steps: int) -> dict[str, int]:
        """The fields of the stream that leaves which follow from it."""
        if self.merges:
            return {"steps": 1, "merged": steps, "beats": lanes // self.cores, "group": self.group}
        return {"steps": steps, "merged": 1, "beats": lanes // self.group, "group": self.group}

    def config(self) -> dict[str, Any]:
        """The fields of :class:`hw.neurons.config.NeuronConfig` that follow from it."""
        return {"membrane_memory": "distributed", "constants_memory": self.constants_memory, "unrolled": True}
