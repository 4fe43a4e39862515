"""A stream of timesteps through a device: state is kept from one timestep to the next."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from qblif.network.checks import IntArray
from qblif.payloads import pack_step, unpack_results
from qblif.protocol import NUMBERS, Identity


class Stream:
    """Timesteps of a device, one after the other; :meth:`boards.host.device.Device.stream` begins one at rest.

    Every timestep has a number. If its answer is lost, the driver sends it again, and the device answers again without
    executing it twice.

    Args:
        identity: the identity of the device.
        ask: sends the data of a ``STEP`` and returns the data of its answer.
        counters: reads the activity counters, which count from the beginning of the stream.
    """

    def __init__(
        self, identity: Identity, ask: Callable[[bytes], bytes], counters: Callable[[], dict[str, int]]
    ) -> None:
        self.identity, self._ask, self._counters = identity, ask, counters
        self._sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is left to do: the next stream begins with a reset."""

    def step(self, frame: NDArray[Any]) -> IntArray | None:
        """Execute one timestep.

        Args:
            frame: raw samples of one timestep, (C, H, W), as :func:`qblif.network.coding.encode` takes them; raises its
                NetworkError otherwise.

        Returns:
            The logits, int64 (classes,); None for a timestep of a window that is not its last.
        """
        answer = self.send(pack_step(frame, self.identity))
        return unpack_results([answer], self.identity).logits[0] if answer else None

    def send(self, bursts: bytes) -> bytes:
        """Execute one timestep of packed bursts; returns the data of the answer."""
        answer = self._ask(bytes([self._sent % NUMBERS]) + bursts)
        self._sent += 1
        return answer

    def cycles_per_result(self) -> float:
        """Mean clock cycles from the first beat of a result's input to the result, over the stream so far.

        One timestep is under way at a time, so this is the latency of a step in a network whose every timestep has a
        result.
        """
        counts = self._counters()
        return counts["cycles"] / max(1, counts["inferences"])
