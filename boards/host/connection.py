"""Requests to a device over an unreliable line: each is answered once, in order.

Requests that are lost or damaged on the line are sent again. An inference does not depend on earlier ones, and a
timestep has a number by which the device recognises a repetition, so a repetition does no harm. When in doubt the
driver closes a partial frame with a zero byte and sends ``IDENTIFY``, which the device accepts with any id. Answers
come in order, so no older answer can follow the answer to ``IDENTIFY``; all requests that are still unanswered are then
sent again with new ids.

One timestep is under way at a time. Then its number is the next one or the last one for the device, whatever the line
does to requests and answers, and a device that refuses it as ``OUT_OF_SEQUENCE`` has been restarted.
"""

import itertools
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from boards.host.framing import END, DamagedFrameError, Frame
from boards.host.serial_pipe import Pipe
from qblif.errors import UserError
from qblif.protocol import (
    ANSWER,
    BAUD_RATES,
    COUNTER_BYTES,
    CRC_BYTES,
    HEADER_BYTES,
    LARGEST_ANSWER,
    NUMBERS,
    Command,
    Error,
    Identity,
    ProtocolError,
)

TIMEOUT_SECONDS = 1.0
LONGEST_TIMEOUT = 3600.0
SEARCHES = 2 * len(BAUD_RATES)
"""How often the driver asks for an identity before it decides that there is no device."""
PATIENCE = 20
"""Failures in a row, without an answer in between, before the driver gives up."""
LARGEST_WINDOW = 128
"""Limits the window, so that no id is used again while a request with that id may be unanswered."""
BYTES_UNDER_WAY = 2**16
"""Bytes of unanswered requests, unless two requests alone have more; more bytes would not make the driver faster."""
LINE_BITS_PER_BYTE = 10
"""Start bit, eight data bits, stop bit."""
COBS_BLOCK = 254
"""Bytes to which COBS adds at most one."""
LARGEST_FRAME = 2 * LARGEST_ANSWER
"""Received bytes without an end of a frame; if there are more, they are dropped."""


class TroubleError(Exception):
    """A fault on the line that leaves in doubt what the device has received; the message describes it."""


@dataclass(kw_only=True, eq=False)
class Request:
    """``id``: the id with which it was sent, None while it has to be sent; ``answer``: the data of its answer."""

    data: bytes
    id: int | None = None
    answer: bytes | None = None


class Connection:
    """Requests to the device at the other end of a pipe.

    Args:
        pipe: the connection to it.
        baud: the rate of its link; None tries all of ``BAUD_RATES``.
        timeout: seconds without an answer after which requests are sent again, more than 0 and at most
            ``LONGEST_TIMEOUT``.

    Attributes:
        pipe: as above.
        identity: the device's description of itself.
        retries: how often the driver had to try again.
        resets: how often the driver has begun to reset the device.

    Raises:
        UserError: there is no device, it speaks another protocol, or (any method) it no longer answers, or gives an
            answer that is not possible for a device.
    """

    def __init__(self, pipe: Pipe, *, baud: int | None, timeout: float) -> None:
        check_timeout(timeout)
        self.pipe, self._timeout = pipe, timeout
        self.retries = self.resets = 0
        self._received = bytearray()
        self._last_id = 0
        self._unanswered = 0
        self._failures = 0
        self.identity = self._find(BAUD_RATES if baud is None else (baud,))
        request = frame_bytes(self.identity.request_bytes)
        window = min(self.identity.window, LARGEST_WINDOW, max(2, BYTES_UNDER_WAY // request))
        self._window = 1 if self.identity.command == Command.STEP else window
        self._timeout += self._window * request * LINE_BITS_PER_BYTE / self.identity.baud
        self._answer_bytes = {
            Command.INFER: (self.identity.result_bytes,),
            Command.STEP: (self.identity.result_bytes, 0)[: 2 if self.identity.mode == "window" else 1],
            Command.COUNTERS: (COUNTER_BYTES * len(self.identity.counters),),
            Command.RESET: (0,),
        }

    def reset(self) -> None:
        """Put the network to rest and all counters to 0; the device numbers timesteps from here on."""
        self.resets += 1
        list(self.ask(Command.RESET, [b""]))

    def restarted(self) -> UserError:
        """The error for a device that has lost its earlier timesteps."""
        return UserError(f"the device at {self.pipe.name} was restarted in the middle of its timesteps; begin again")

    def ask(self, command: Command, contents: Iterable[bytes]) -> Iterator[bytes]:
        """Send all requests, as many at a time as the window allows; yield the data of their answers, in order.

        Raises:
            ProtocolError: the length of an answer is wrong for its command.
            UserError: there is no answer, or the device was restarted in the middle of its timesteps.
        """
        contents = iter(contents)
        open_requests: deque[Request] = deque()
        while True:
            room = self._window - len(open_requests)
            open_requests.extend(Request(data=data) for data in itertools.islice(contents, room))
            if not open_requests:
                break
            for request in open_requests:
                if request.id is None and request.answer is None:
                    request.id = self._send(command, request.data)
            try:
                self._take_answer(command, open_requests)
            except (TroubleError, DamagedFrameError) as trouble:
                self._synchronise(command, open_requests, str(trouble))
            while open_requests and (answer := open_requests[0].answer) is not None:
                if len(answer) not in (expected := self._answer_bytes[command]):
                    raise ProtocolError(
                        f"the answer to {command.name} has {len(answer)} bytes, not {' or '.join(map(str, expected))}"
                    )
                self._failures = 0
                open_requests.popleft()
                yield answer

    def _take_answer(self, command: Command, open_requests: Iterable[Request]) -> None:
        """Wait for the next frame, which should answer the oldest request.

        Raises:
            TroubleError, DamagedFrameError: the frame does not answer it or is damaged, or none came.
            UserError: the device was restarted in the middle of its timesteps.
        """
        oldest = next(request for request in open_requests if request.answer is None)
        frame = self._next_frame(time.monotonic() + self._timeout)
        deliver(frame, command, open_requests)
        if (command, frame.kind, frame.id) == (Command.STEP, Error.OUT_OF_SEQUENCE, oldest.id):
            raise self.restarted()
        if oldest.answer is None:
            raise TroubleError(f"the device answered {described(frame)}")

    def _synchronise(self, command: Command, open_requests: Iterable[Request], reason: str) -> None:
        """Reach a known state: no frame is on its way, and all unanswered requests have to be sent again."""
        identity, leave_early = None, True
        while identity is None:
            self.retries += 1
            self._failures += 1
            if self._failures > PATIENCE:
                raise UserError(f"no proper answer from {self.pipe.name} any more ({reason}); check cable and board")
            identity = self._identify(command, open_requests, leave_early=leave_early)
            # Noise can split a frame in two, so the count of frames may be wrong: every other try waits for silence.
            leave_early = not leave_early
        if identity != self.identity:
            raise UserError(f"the device at {self.pipe.name} has become another one; open it anew")
        for request in open_requests:
            request.id = None

    def _identify(self, command: Command, open_requests: Iterable[Request], *, leave_early: bool) -> Identity | None:
        """Ask for the identity after closing any partial frame; answers to ``open_requests`` before it are delivered.

        Args:
            command, open_requests: the earlier requests.
            leave_early: stop waiting once as many frames have arrived as requests were sent.

        Returns:
            The identity, or None if it did not arrive in time.
        """
        self.pipe.write(END)
        asked = self._send(Command.IDENTIFY, b"")
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline and not (leave_early and self._unanswered <= 0):
            try:
                frame = self._next_frame(deadline)
            except TroubleError:
                break
            except DamagedFrameError:
                continue
            if (frame.kind, frame.id) == (Command.IDENTIFY | ANSWER, asked):
                self._unanswered = 0
                return Identity.from_bytes(frame.data)
            deliver(frame, command, open_requests)
        self._unanswered = 0
        return None

    def _find(self, rates: tuple[int, ...]) -> Identity:
        """Find and set the rate at which the device answers; raises UserError if it answers at none."""
        for rate in itertools.islice(itertools.cycle(rates), SEARCHES):
            self.pipe.set_baud(rate)
            self._received.clear()
            identity = self._identify(Command.IDENTIFY, (), leave_early=False)
            if identity is not None:
                return identity
        raise UserError(
            f"no answer from {self.pipe.name} at {', '.join(map(str, rates))} baud; is this the board's port, and is "
            "the board flashed with a bitstream of gen.build?"
        )

    def _send(self, command: Command, data: bytes) -> int:
        """Send one request; returns its id."""
        self._last_id = (self._last_id + 1) % NUMBERS
        self._unanswered += 1
        self.pipe.write(Frame(kind=command, id=self._last_id, data=data).to_bytes())
        return self._last_id

    def _next_frame(self, deadline: float) -> Frame:
        """Wait for a frame.

        Raises:
            TroubleError: none arrived before ``deadline``, in seconds of the monotonic clock.
            DamagedFrameError: a damaged frame arrived, or more bytes than a frame can have.
        """
        while True:
            self._received = self._received.lstrip(END)
            encoded, end, rest = self._received.partition(END)
            if end:
                self._received = rest
                self._unanswered -= 1
                return Frame.from_bytes(bytes(encoded))
            if len(self._received) > LARGEST_FRAME:
                self._received.clear()
                raise DamagedFrameError("a frame without an end")
            if time.monotonic() >= deadline:
                raise TroubleError("the device was silent")
            self._received += self.pipe.read()


def frame_bytes(data: int) -> int:
    """Most bytes on the line of a frame with ``data`` bytes of data."""
    content = HEADER_BYTES + data + CRC_BYTES
    return content + math.ceil(content / COBS_BLOCK) + 1


def check_timeout(seconds: float) -> None:
    """Raise UserError unless a driver can wait this many seconds for an answer."""
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise UserError(f"the timeout must be more than 0 and at most {LONGEST_TIMEOUT:g} seconds, not {seconds:g}")


def deliver(frame: Frame, command: Command, open_requests: Iterable[Request]) -> None:
    """Store an answer in the request that it belongs to, if there is one."""
    for request in open_requests:
        if frame.kind == command | ANSWER and request.id == frame.id:
            request.answer = frame.data


def described(frame: Frame) -> str:
    """A short description of an unexpected frame."""
    return Error(frame.kind).name if frame.kind in list(Error) else f"request {frame.id} before an older one"
