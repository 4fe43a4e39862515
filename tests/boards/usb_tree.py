"""A folder as Linux's /sys/bus/usb/devices, with the devices that a test plugs in."""

from pathlib import Path


def plug(devices: Path, place: str, kind: str, number: int, port: str = "", **attributes: str) -> None:
    """Plug a device in at ``place`` (such as 1-2), with a serial port such as ttyUSB0 or ttyACM0."""
    folder = devices / place
    vendor, product = kind.split(":")
    bus = place.partition("-")[0]
    for name, text in {
        "idVendor": vendor,
        "idProduct": product,
        "busnum": bus,
        "devnum": str(number),
        **attributes,
    }.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    if port:
        interface = folder / f"{place}:1.0"
        (interface / ("tty" if "ACM" in port else ".") / port).mkdir(parents=True)
        devices.joinpath(f"{place}:1.0").symlink_to(interface)
