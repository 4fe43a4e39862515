"""A plan in the making: what the planner has chosen so far, stage by stage from the input on."""

import dataclasses

from hw.configuration import LayerConfig, PoolingConfig
from hw.configure import input_stream, layer_config, pooling_config
from hw.plan import LayerPlan, Plan, PoolingPlan
from qblif.network.graph import Network
from qblif.network.nodes import Pooling
from qblif.streams import BurstStream

WIDEST_GROUP = 32
INPUT_GROUPS = (1, 2, 4, 7, 8, 14, 16, 28, 32)


class Draft:
    """What has been chosen of a network's stages, and the streams between them.

    The first layer that reads a stream chooses how wide its beats are; the stages before it then follow.

    Args:
        network: the network that is planned.

    Attributes:
        stages: configurations of the layers and poolings so far.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.stages: list[LayerConfig | PoolingConfig] = []
        self._input_group = 1
        self._layers: dict[str, LayerPlan] = {}
        self._poolings: dict[str, PoolingPlan] = {}
        self._decided: dict[str, int] = {}

    def add_layer(self, plan: LayerPlan, config: LayerConfig) -> None:
        """The next layer, as it will be built."""
        self._layers[plan.name] = plan
        self.stages.append(config)

    def add_pooling(self, plan: PoolingPlan, config: PoolingConfig) -> None:
        """The next pooling, as it will be built."""
        self._poolings[plan.name] = plan
        self.stages.append(config)

    def decided_group(self, source: str) -> int | None:
        """The width of the beats of ``source``, None where no reader has chosen it yet."""
        return self._decided.get(self.network.origin(source))

    def possible_groups(self, source: str) -> list[int]:
        """Widths that the beats of ``source`` can have, ascending; the one that is decided, if one is."""
        origin = self.network.origin(source)
        if origin in self._decided:
            return [self._decided[origin]]
        if origin == self.network.input.name:
            stream = input_stream(self.network, 1)
            if stream.height * stream.width > 1:
                return [group for group in divisors(stream.channels) if group <= WIDEST_GROUP]
            return [group for group in INPUT_GROUPS if group <= max(1, stream.channels)]
        layer = self._layers[origin]
        return [group for group in divisors(layer.lanes) if group % layer.cores == 0 and group <= WIDEST_GROUP]

    def decide_group(self, source: str, group: int) -> None:
        """Fix the width of the beats of ``source``, in everything that was chosen with another one too."""
        origin = self.network.origin(source)
        self._decided[origin] = group
        if origin == self.network.input.name:
            self._input_group = group
        else:
            self._layers[origin] = dataclasses.replace(self._layers[origin], group=group)
        chosen, self.stages = self.stages, []
        for stage in chosen:
            self.stages.append(self._rebuilt(stage.name))

    def _rebuilt(self, name: str) -> LayerConfig | PoolingConfig:
        """The stage ``name`` behind those before it."""
        node, streams = self.network.node(name), self.streams()
        if isinstance(node, Pooling):
            return pooling_config(node, self._poolings[name], streams[node.source], self.network)
        target = next(target for target in self.network.targets if target.name == name)
        return layer_config(target, self._layers[name], streams, self.network, self.stages)

    def streams(self) -> dict[str, BurstStream]:
        """Every stream so far."""
        streams = {self.network.input.name: input_stream(self.network, self._input_group)}
        return streams | {stage.name: stage.output for stage in self.stages if stage.output is not None}

    def stream(self, source: str, group: int) -> BurstStream:
        """The stream of ``source`` as it would be in beats of ``group``."""
        if source == self.network.input.name:
            return input_stream(self.network, group)
        stream = self.streams()[source]
        return dataclasses.replace(stream, group=group, beats=stream.beats * stream.group // group)

    def plan(self, board: str, clock_mhz: float, sha256: str, self_test_samples: int) -> Plan:
        """The draft as a plan of ``network_sha256`` for a board at a clock, with a self-test of so many samples."""
        return Plan(
            board=board,
            clock_mhz=clock_mhz,
            network_sha256=sha256,
            input_group=self._input_group,
            layers=tuple(self._layers.values()),
            poolings=tuple(self._poolings.values()),
            self_test_samples=self_test_samples,
        )


def divisors(number: int) -> list[int]:
    """The divisors of ``number``, ascending."""
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
