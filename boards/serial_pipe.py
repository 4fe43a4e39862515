"""A serial port as a pipe of bytes, and what can be wrong with one in words that help."""

import contextlib
import errno
from collections.abc import Callable
from typing import Protocol, TypeVar

import serial
from serial.tools import list_ports

from hw.errors import UserError

POLL_SECONDS = 0.02
WRITE_SECONDS = 10
Result = TypeVar("Result")


class Pipe(Protocol):
    """What a device is reached through."""

    name: str

    def read(self) -> bytes:
        """What has come in; after a short while without any, nothing."""

    def write(self, content: bytes) -> None:
        """Send all of ``content``."""

    def set_baud(self, baud: int) -> None:
        """Change the rate, both ways."""

    def close(self) -> None:
        """Give it back."""


class SerialPipe:
    """A serial port, a USB adapter's or a pseudo-terminal, for this program alone.

    Raises:
        UserError: the port is missing, not permitted, in use, or goes away.
    """

    def __init__(self, port: str) -> None:
        self.name = port
        try:
            self._port = serial.Serial(port, timeout=POLL_SECONDS, write_timeout=WRITE_SECONDS, exclusive=True)
        except serial.SerialException as error:
            raise UserError(refusal(port, error)) from error
        # An FTDI chip holds back short answers for 16 ms otherwise. Not every system or port can do it.
        with contextlib.suppress(AttributeError, NotImplementedError, ValueError, OSError):
            self._port.set_low_latency_mode(True)

    def read(self) -> bytes:
        return self._try(lambda: self._port.read(max(1, self._port.in_waiting)))

    def write(self, content: bytes) -> None:
        self._try(lambda: self._port.write(content))

    def set_baud(self, baud: int) -> None:
        try:
            self._try(lambda: setattr(self._port, "baudrate", baud))
        except ValueError as error:
            raise UserError(f"{self.name} cannot run at {baud} baud; name another --baud") from error

    def close(self) -> None:
        self._port.close()

    def _try(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except serial.SerialTimeoutException as error:
            raise UserError(f"{self.name} takes no more bytes; is the board still there?") from error
        except OSError as error:
            raise UserError(f"{self.name} went away; was the board unplugged?") from error


def refusal(port: str, error: serial.SerialException) -> str:
    """Why a port could not be opened, and the way out."""
    if error.errno == errno.ENOENT:
        found = ", ".join(sorted(entry.device for entry in list_ports.comports())) or "none; is the board plugged in?"
        return f"there is no port {port}; serial ports here: {found}"
    if error.errno == errno.EACCES:
        return f"no permission for {port}; add your user to the group that owns it (Debian: adduser $USER dialout)"
    if error.errno == errno.EBUSY or "exclusively lock" in str(error):
        return f"{port} is in use by another program; close it first"
    return f"{port} is no serial port ({error})"
