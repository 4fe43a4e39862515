"""A flashed board as a Python object: numpy in, numpy out. Runs without torch and without Amaranth.

    with Device.open("/dev/ttyUSB1") as device:
        results = device.infer(images)          # uint8 (count, C, H, W)
        results.winners, results.logits         # int64 (count,), (count, classes)

    with device.stream() as stream:             # a network whose timesteps come without end
        logits = stream.step(frame)             # (C, H, W) -> int64 (classes,)

:mod:`boards.host.connection` says what happens when the line loses or damages something.
"""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from boards.host.connection import TIMEOUT_SECONDS, Connection
from boards.host.serial_pipe import Pipe, SerialPipe
from boards.host.stream import Stream
from qblif.errors import UserError
from qblif.payloads import Results, pack_samples, unpack_counters, unpack_results
from qblif.progress import counted
from qblif.protocol import NUMBERS, Command, Identity

BYTES_PACKED_AT_ONCE = 2**20


class Device:
    """A device at the other end of a pipe; :meth:`open` connects to one at a serial port.

    Args:
        pipe, baud, timeout: as in :class:`boards.host.connection.Connection`.

    Raises:
        UserError: there is no device, it speaks another protocol, or (any method) it no longer answers, was restarted
            in the middle of timesteps, or gives an answer that is not possible for a device.
    """

    def __init__(self, pipe: Pipe, *, baud: int | None = None, timeout: float = TIMEOUT_SECONDS) -> None:
        self._connection = Connection(pipe, baud=baud, timeout=timeout)

    @classmethod
    def open(cls, port: str, *, baud: int | None = None, timeout: float = TIMEOUT_SECONDS) -> Self:
        """The device at a serial port, such as ``/dev/ttyUSB1``; arguments as in the class."""
        pipe = SerialPipe(port)
        try:
            return cls(pipe, baud=baud, timeout=timeout)
        except BaseException:
            pipe.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def identity(self) -> Identity:
        """The device's description of itself."""
        return self._connection.identity

    @property
    def retries(self) -> int:
        """How often the driver had to try again."""
        return self._connection.retries

    def close(self) -> None:
        """Close the port."""
        self._connection.pipe.close()

    def infer(self, samples: NDArray[Any], *, progress: bool = False) -> Results:
        """Run inferences, each from rest; of a stream, the results are those after the last timestep of each sample.

        A device that takes timesteps is reset for that, which ends every :class:`Stream`.

        Args:
            samples: as :func:`qblif.network.coding.encode` takes them for the device's input; raises its NetworkError
                otherwise.
            progress: show the progress on stderr.
        """
        shown = counted(self._inferences(samples), len(samples), "inferences", quiet=not progress)
        return unpack_results(list(shown), self.identity)

    def _inferences(self, samples: NDArray[Any]) -> Iterator[bytes]:
        """The data of the answer that has the result of each sample."""
        identity = self.identity
        if identity.mode == "stream":
            for sample in samples:
                *_, answer = self._from_rest(pack_samples(sample[np.newaxis], identity))
                yield answer
            return
        at_once = max(1, BYTES_PACKED_AT_ONCE // (identity.burst_bytes * identity.requests_per_result))
        chunks = (samples[start : start + at_once] for start in range(0, len(samples), at_once))
        packed = (data for chunk in chunks for data in pack_samples(chunk, identity))
        if identity.mode == "sample":
            yield from self._connection.ask(Command.INFER, packed)
        else:
            yield from (answer for answer in self._from_rest(packed) if answer)

    def _from_rest(self, timesteps: Iterable[bytes]) -> Iterator[bytes]:
        """Reset the device and execute timesteps of packed bursts; the data of the answer to each."""
        self.reset()
        numbered = (bytes([number % NUMBERS]) + bursts for number, bursts in enumerate(timesteps))
        yield from self._connection.ask(Command.STEP, numbered)

    def stream(self) -> Stream:
        """Begin a stream at rest: the device is reset, which ends every other stream.

        Raises:
            UserError: the device takes whole samples.
        """
        if self.identity.command != Command.STEP:
            name = self._connection.pipe.name
            raise UserError(f"the device at {name} takes whole samples, not timesteps; use infer")
        return Stream(self._connection)

    def counters(self) -> dict[str, int]:
        """The activity counters, by name; each begins again at 0 after 2^32 - 1."""
        (answer,) = self._connection.ask(Command.COUNTERS, [b""])
        return unpack_counters(answer, self.identity)

    def reset(self) -> None:
        """Reset the device to its state after power-on, which ends every stream."""
        self._connection.reset()
