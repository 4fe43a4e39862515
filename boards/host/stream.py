"""A stream of timesteps through a device: state is kept from one timestep to the next."""

import time
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from boards.host.connection import Connection
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.payloads import pack_step, unpack_counters, unpack_results
from qblif.protocol import COUNTER_BYTES, NUMBERS, Command, ProtocolError

CYCLES, RESULTS = "cycles", "inferences"
"""Counters of a device: cycles with an inference in progress, and results."""
COUNTS = 2 ** (8 * COUNTER_BYTES)
"""After so many counts a counter is 0 again."""


class Stream:
    """Timesteps of a device, one after the other; :meth:`boards.host.device.Device.stream` begins one at rest.

    Every timestep has a number. If its answer is lost, the driver sends it again, and the device answers again without
    executing it twice. A stream ends when a timestep is broken off, by an error or by an interrupt: nobody knows then
    whether the device executed it. It also ends when the device is reset or begins another stream.

    Args:
        connection: to a device that takes timesteps; it is reset.

    Attributes:
        identity: the identity of the device.
    """

    def __init__(self, connection: Connection) -> None:
        connection.reset()
        self.identity = connection.identity
        self._connection, self._resets = connection, connection.resets
        self._broken_off = False
        self._steps = self._results = self._cycles = 0
        self._counts_cycles = {CYCLES, RESULTS} <= set(self.identity.counters)
        self._read_at = time.monotonic()

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
                NetworkError otherwise, and the stream goes on.

        Returns:
            The logits, int64 (classes,); None for a timestep of a window that is not its last.

        Raises:
            UserError: the stream has ended, or the device was restarted, or as in :class:`boards.host.device.Device`.
        """
        bursts = pack_step(frame, self.identity)
        self._check_end()
        self._broken_off = True
        if self._counts_cycles and time.monotonic() - self._read_at > COUNTS / 2 / self.identity.clock_hz:
            self._read_cycles()
        (answer,) = self._connection.ask(Command.STEP, [bytes([self._steps % NUMBERS]) + bursts])
        logits = unpack_results([answer], self.identity).logits[0] if answer else None
        self._steps += 1
        self._results += logits is not None
        self._broken_off = False
        return logits

    def cycles_per_result(self) -> float:
        """Mean clock cycles from the first beat of a result's input to the result, over the stream so far.

        One timestep is under way at a time, so this is the latency of a step in a network whose every timestep has a
        result. In a network of windows the host's pauses between a window's timesteps are a part of it.

        The device's counter of cycles is 0 again after 2^32 cycles, 89 seconds at 48 MHz. :meth:`step` reads it often
        enough, so a stream may have any length. Only a pause of half that time within a window may be counted short.

        Raises:
            UserError: as in :meth:`step`.
            ProtocolError: the device does not count its cycles.
        """
        self._check_end()
        if not self._counts_cycles:
            raise ProtocolError("the device does not count its cycles; build and flash it again")
        self._read_cycles()
        return self._cycles / max(1, self._results)

    def _check_end(self) -> None:
        """Raise UserError if the stream has ended."""
        if self._resets != self._connection.resets:
            raise UserError("the device was reset since this stream began; begin a new stream")
        if self._broken_off:
            raise UserError("a timestep of this stream was broken off; begin a new stream")

    def _read_cycles(self) -> None:
        """Add the cycles since the last reading; raises UserError if the device was restarted."""
        self._read_at = time.monotonic()
        (answer,) = self._connection.ask(Command.COUNTERS, [b""])
        counts = unpack_counters(answer, self.identity)
        if counts[RESULTS] != self._results % COUNTS:
            raise self._connection.restarted()
        self._cycles += (counts[CYCLES] - self._cycles) % COUNTS
