"""A serial port as a pipe of bytes, with helpful messages for its errors."""

import contextlib
import errno
import re
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import serial
from serial.tools import list_ports

from qblif.errors import UserError

try:
    from termios import error as terminal_error

    WENT_AWAY: tuple[type[Exception], ...] = (OSError, terminal_error)
except ImportError:
    WENT_AWAY = (OSError,)
"""Exceptions of a port that has disappeared; Windows has no terminals."""
CANNOT_OPEN: tuple[type[Exception], ...] = (ValueError, *WENT_AWAY)

POLL_SECONDS = 0.02
WRITE_SECONDS = 10
WRITTEN_AT_ONCE = 2**14
"""Bytes that a link carries within WRITE_SECONDS at any rate; a large request takes longer."""
LARGEST_READ = 2**16
WINDOWS_ERROR = re.compile(r"Error\(\d+, .*, None, (\d+)\)")
"""pyserial reports Windows errors as text in the system's language, with their number at the end."""
WINDOWS_ERRORS = {
    2: errno.ENOENT,
    3: errno.ENOENT,
    5: errno.EBUSY,
    31: errno.EIO,
    32: errno.EBUSY,
    121: errno.EIO,
    433: errno.EIO,
    1167: errno.EIO,
}
"""Not found; access denied, which means that the port is open elsewhere; a device that is gone or does not work."""
Result = TypeVar("Result")


class Pipe(Protocol):
    """The connection to a device."""

    name: str

    def read(self) -> bytes:
        """The bytes that have arrived; empty if none arrive for a short time."""

    def write(self, content: bytes) -> None:
        """Send all of ``content``."""

    def set_baud(self, baud: int) -> None:
        """Change the rate in both directions."""

    def close(self) -> None:
        """Close the connection."""


class SerialPipe:
    """A serial port, of a USB adapter or a pseudo-terminal, for exclusive use by this program.

    Raises:
        UserError: the port is missing, not permitted, in use, or goes away.
    """

    def __init__(self, port: str) -> None:
        self.name = port
        try:
            self._port = serial.Serial(port, timeout=POLL_SECONDS, write_timeout=WRITE_SECONDS, exclusive=True)
        except CANNOT_OPEN as error:
            raise UserError(refusal(port, error)) from error
        # Otherwise an FTDI chip delays short answers by 16 ms. Not every system or port supports this.
        with contextlib.suppress(AttributeError, NotImplementedError, ValueError, OSError):
            self._port.set_low_latency_mode(True)

    def read(self) -> bytes:
        return self._try(lambda: self._port.read(min(max(1, self._port.in_waiting), LARGEST_READ)))

    def write(self, content: bytes) -> None:
        for begin in range(0, len(content), WRITTEN_AT_ONCE):
            self._try(partial(self._port.write, content[begin : begin + WRITTEN_AT_ONCE]))

    def set_baud(self, baud: int) -> None:
        try:
            if baud < 1:
                raise ValueError("a rate of 0 would hang up")
            self._try(lambda: setattr(self._port, "baudrate", baud))
        except (ValueError, OverflowError) as error:
            raise UserError(f"{self.name} cannot run at {baud} baud; name another --baud") from error

    def close(self) -> None:
        self._port.close()

    def _try(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except serial.SerialTimeoutException as error:
            raise UserError(f"{self.name} takes no more bytes; is the board still there?") from error
        except WENT_AWAY as error:
            raise UserError(f"{self.name} went away; was the board unplugged?") from error


def refusal(port: str, error: Exception) -> str:
    """Why a port could not be opened, and the way out."""
    number = getattr(error, "errno", None)
    on_windows = WINDOWS_ERROR.search(str(error))
    if on_windows is not None:
        number = WINDOWS_ERRORS.get(int(on_windows[1]))
    if number == errno.ENOENT:
        found = ", ".join(sorted(entry.device for entry in list_ports.comports())) or "none; is the board plugged in?"
        return f"there is no port {port}; serial ports here: {found}"
    if number == errno.EACCES:
        return f"no permission for {port}; add your user to the group that owns it (Debian: adduser $USER dialout)"
    if number == errno.EBUSY or "exclusively lock" in str(error):
        return f"{port} is in use by another program; close it first"
    if number in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return f"the device at {port} does not work; unplug the board and plug it in again ({error})"
    return f"{port} is not a serial port that can be used ({error})"
