"""The USB devices of this machine that may be boards, as Linux lists them in ``/sys/bus/usb/devices``."""

from dataclasses import dataclass
from pathlib import Path

from boards.board import Board
from boards.catalogue import CATALOGUE

DEVICES = Path("/sys/bus/usb/devices")
FTDI = "0403"
BRIDGES = {
    "0403:6010": "FT2232H",
    "0403:6014": "FT232H",
    "0403:6015": "FT231X",
    "0d28:0204": "DAPLink",
    "1d50:602b": "iCELink",
    "1209:5af0": "OrangeCrab's bootloader",
}
"""What the chip between USB and FPGA is, by vendor and product."""
LONGEST = 80
"""Characters of a name that are shown; a device may call itself anything."""
EMULATED = {"BL702": "FT2232H"}
"""Chips that present themselves as another one."""


@dataclass(frozen=True, kw_only=True)
class UsbDevice:
    """A USB device that may be a board.

    Attributes:
        busdev: bus and device number, as ``gen.flash --busdev`` takes them.
        kind: vendor and product, hexadecimal.
        title: what the device calls itself.
        serial: its serial number; empty if it has none.
        ports: its serial ports, such as ``/dev/ttyUSB0``.
    """

    busdev: str
    kind: str
    title: str
    serial: str
    ports: tuple[str, ...]

    @property
    def bridge(self) -> str:
        """The name of its chip."""
        return BRIDGES[self.kind]

    @property
    def selectable(self) -> bool:
        """Whether ``gen.flash --serial`` can choose it: openFPGALoader reads the serial numbers of FTDI chips alone."""
        return bool(self.serial) and self.kind.startswith(FTDI)

    def __str__(self) -> str:
        serial = f"serial number {self.serial}" if self.serial else "no serial number"
        ports = f", {' '.join(self.ports)}" if self.ports else ""
        return f"{self.busdev}  {self.title or self.bridge} ({self.kind}, {self.bridge}, {serial}{ports})"


def connected(devices: Path = DEVICES) -> list[UsbDevice]:
    """The devices with a bridge that boards have, in the order of their numbers; empty where Linux lists none."""
    found = [device for folder in sorted(devices.glob("*")) if (device := read_device(folder)) is not None]
    return sorted(found, key=lambda device: device.busdev)


def read_device(folder: Path) -> UsbDevice | None:
    """The device that a folder describes; None if its kind is not one of :data:`BRIDGES`."""

    def attribute(name: str) -> str:
        try:
            text = (folder / name).read_text(errors="replace").strip()
        except OSError:
            # Interfaces have no vendor, some devices no serial number, and any of them may be unplugged meanwhile.
            return ""
        return "".join(filter(str.isprintable, text))[:LONGEST]

    kind = f"{attribute('idVendor')}:{attribute('idProduct')}".lower()
    bus, device = attribute("busnum"), attribute("devnum")
    if kind not in BRIDGES or not (bus.isdecimal() and device.isdecimal()):
        return None
    ports = {path.name for pattern in ("*/ttyUSB*", "*/tty/ttyACM*") for path in folder.glob(pattern)}
    return UsbDevice(
        busdev=f"{int(bus):03}:{int(device):03}",
        kind=kind,
        title=" ".join(filter(None, (attribute("manufacturer"), attribute("product")))),
        serial=attribute("serial"),
        ports=tuple(f"/dev/{name}" for name in sorted(ports)),
    )


def may_be(device: UsbDevice) -> list[Board]:
    """The boards whose serial line goes through this kind of chip."""
    return [
        board
        for board in CATALOGUE.values()
        if board.uart is not None and EMULATED.get(board.uart.bridge, board.uart.bridge) == device.bridge
    ]
