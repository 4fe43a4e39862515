"""The command line against a fake device on a pseudo-terminal: what it prints, and every refusal in one line."""

import contextlib
import errno
import re
import struct
import subprocess
import sys
import termios
import zlib

import numpy as np
import pytest
import serial
from PIL import Image

from boards.host import __main__ as host
from boards.host import serial_pipe
from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold, references
from qblif import golden
from qblif.network.file import network_sha256
from qblif.protocol import BAUD_RATES, Identity
from qblif.streams import BurstStream
from sim.evaluation import evaluate_network
from snn.datasets.data import load
from tests.boards.host.fake_device import COUNTERS, FakeDevice, Noise, OnTerminal
from tests.searching import found_in


@pytest.fixture(scope="module")
def digits(digits_checkpoint):
    loaded = load_checkpoint(digits_checkpoint)
    return fold(loaded)


@pytest.fixture
def terminal(digits, digits_checkpoint):
    """Starts a device that computes what the golden model says, unless ``wrong`` images are to differ."""
    known = references(load_checkpoint(digits_checkpoint), digits)
    bits = digits.input.bits
    identity = Identity(
        network_sha256=bytes.fromhex(network_sha256(digits, known)),
        shape=digits.input.shape,
        coding="direct",
        bits=bits,
        mode="sample",
        timesteps=digits.timesteps,
        stream=BurstStream(steps=1, beats=8, group=8, burst_bits=bits),
        classes=10,
        logit_bytes=2,
        fraction_bits=6,
        clock_hz=25_000_000,
        baud=3_000_000,
        window=4,
        counters=COUNTERS,
    )

    def logits_of(bursts):
        return golden.run(digits, bursts.astype(np.int64).reshape(1, 1, *digits.input.shape)).logits.numpy()[0]

    def start(change=lambda logits: logits, **arguments):
        return OnTerminal(FakeDevice(identity, lambda bursts: change(logits_of(bursts)), **arguments))

    return start


def run(terminal, capsys, *arguments):
    code = host.main(["--port", terminal.path, "--timeout", "0.3", *map(str, arguments)])
    return code, capsys.readouterr().out


def test_bench(terminal, digits, digits_checkpoint, capsys):
    images = load("digits", "test").first(50)
    right = evaluate_network(digits, images)["accuracy"]
    with terminal(noise=Noise(flipped=1e-3, dropped=1e-4, seed=3)) as port:
        code, output = run(port, capsys, "bench", "--data", "digits", "--count", 50, "--ckpt", digits_checkpoint)
    assert code == 0
    assert "50 images in" in output
    assert f"accuracy: {right:.2%}" in output
    assert "mismatches against golden: 0 of 50" in output
    assert int(found_in(r"(\d+) retries", output)[1]) > 0


def test_bench_finds_a_wrong_logit(terminal, digits_checkpoint, capsys):
    calls: list[None] = []

    def change(logits):
        calls.append(None)
        return logits + (np.arange(10) == 9) if len(calls) == 4 else logits

    with terminal(change) as port:
        code, output = run(port, capsys, "bench", "--data", "digits", "--count", 7, "--ckpt", digits_checkpoint)
    assert code == 1
    assert "mismatches against golden: 1 of 7" in output


def test_infer(terminal, digits, tmp_path, capsys):
    images = load("digits", "test").first(3).pixels
    Image.fromarray(images[0, 0]).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", images[1])
    np.save(tmp_path / "c.npy", images[2, 0])
    known = golden.run(digits, (2 * images[:, None].astype(np.int64) * digits.input.burst_ceiling + 255) // 510)
    with terminal() as port:
        code, output = run(port, capsys, "infer", *(tmp_path / name for name in ("a.png", "b.npy", "c.npy")))
    assert code == 0
    for line, name, logits in zip(output.splitlines(), ("a.png", "b.npy", "c.npy"), known.logits.tolist(), strict=True):
        winner = logits.index(max(logits))
        assert line == f"{tmp_path / name}: class {winner}; logits {' '.join(map(str, logits))}"


def test_identify_counters_and_reset(terminal, capsys):
    with terminal() as port:
        code, output = run(port, capsys, "identify")
        assert code == 0
        assert f"network {port.device.identity.network_sha256.hex()}" in output
        assert "25 MHz, link 3000000 baud" in output
        assert run(port, capsys, "counters") == (0, "frames 3\nerrors 0\n")
        assert run(port, capsys, "reset") == (0, "the board was reset\n")
    assert port.device.requests[-1][0] == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((9, 8), np.uint8), "has shape 1 x 9 x 8, but the network takes 1 x 8 x 8"),
        (np.zeros((2, 1, 8, 8), np.uint8), "has shape 2 x 1 x 8 x 8"),
        (np.zeros((8, 8), np.float32), "holds float32, but the network takes unsigned bytes"),
        (np.array([None]), "is not a whole array"),
        (b"", "is not a whole array"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(content, words, terminal, tmp_path, fails):
    path = tmp_path / "x.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with terminal() as port:
        assert words in fails(host.main, "--port", port.path, "infer", path)


def test_images_that_do_not_fit_are_refused(terminal, tmp_path, fails):
    Image.new("L", (28, 28)).save(tmp_path / "large.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "colour.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "short.png").write_bytes((tmp_path / "large.png").read_bytes()[:50])
    with terminal() as port:
        for name, words in (
            ("large.png", "has shape 1 x 28 x 28"),
            ("colour.png", "has shape 3 x 8 x 8"),
            ("text.png", "is not an image"),
            ("short.png", "short.png "),
            ("none.png", "No such file"),
        ):
            assert words in fails(host.main, "--port", port.path, "infer", tmp_path / name)


def test_another_network_is_refused(terminal, zoo, fails):
    other = zoo / "digits_resnet.pt"
    with terminal() as port:
        own = port.device.identity.network_sha256.hex()[:16]
        line = fails(host.main, "--port", port.path, "bench", "--data", "digits", "--ckpt", other)
    assert own in line
    assert str(other) in line
    assert len(re.findall(r"\b[0-9a-f]{16}\b", line)) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--count", "0"), "--count must be at least 1"),
        (("--data", "nonsense"), "nonsense"),
        (("--ckpt", "missing.pt"), "missing.pt"),
    ],
)
def test_bench_refuses_in_one_line(arguments, words, terminal, fails):
    with terminal() as port:
        assert words in fails(host.main, "--port", port.path, "bench", "--data", "digits", *arguments)


def test_data_of_another_shape_is_refused(terminal, monkeypatch, fails):
    monkeypatch.setattr(
        "snn.datasets.data.load",
        lambda *_: load("digits", "test").__class__(
            pixels=np.zeros((4, 1, 28, 28), np.uint8), labels=np.zeros(4, np.int64)
        ),
    )
    with terminal() as port:
        line = fails(host.main, "--port", port.path, "bench", "--data", "mnist")
    assert "mnist holds direct input 1 x 28 x 28, but the network takes direct input 1 x 8 x 8" in line


def test_ports_that_cannot_be_used(terminal, tmp_path, fails):
    assert "there is no port /dev/nothing; serial ports here:" in fails(host.main, "--port", "/dev/nothing", "identify")
    (tmp_path / "file").write_text("")
    assert "is not a serial port" in fails(host.main, "--port", tmp_path / "file", "identify")
    with terminal() as port:
        with host.Device.open(port.path, timeout=0.3):
            assert "is in use by another program" in fails(host.main, "--port", port.path, "identify")
        assert "timeout must be more than 0" in fails(host.main, "--port", port.path, "--timeout", "0", "identify")
        assert "baud" in fails(host.main, "--port", port.path, "--baud", "-3", "identify")


@pytest.mark.parametrize("seconds", ["inf", "nan", "0", "-1", "1e300"])
def test_timeouts_that_never_end_are_refused_before_anything_else(seconds, fails):
    line = fails(host.main, "--port", "/dev/nothing", f"--timeout={seconds}", "identify")
    assert "timeout must be more than 0 and at most 3600 seconds" in line


@pytest.mark.parametrize("baud", ["0", "-3", "1000000000000", "99999999999999999999"])
def test_rates_that_no_port_has_are_refused(baud, terminal, fails):
    with terminal() as port:
        line = fails(host.main, "--port", port.path, f"--baud={baud}", "--timeout", "0.01", "identify")
    assert f"cannot run at {baud} baud" in line


@pytest.mark.parametrize("port", ["", "a\0b", "/dev", "/dev/null"])
def test_names_that_no_port_has_are_refused(port, fails):
    assert "port" in fails(host.main, "--port", port, "--timeout", "0.01", "identify")


WINDOWS = [
    ("could not open port 'COM9': FileNotFoundError(2, 'Das System kann die Datei nicht finden.', None, 2)", "no port"),
    ("could not open port 'COM3': PermissionError(13, 'Zugriff verweigert', None, 5)", "in use by another program"),
    ("could not open port 'COM3': PermissionError(13, 'Accès refusé.', None, 5)", "in use by another program"),
    (
        "could not open port 'COM4': OSError(22, 'The semaphore timeout period has expired.', None, 121)",
        "does not work",
    ),
    (
        "Cannot configure port, something went wrong. Original message: PermissionError(13, 'A device attached to the "
        "system is not functioning.', None, 31)",
        "does not work",
    ),
    ("could not open port 'COM4': OSError(22, 'The parameter is incorrect.', None, 87)", "not a serial port that can"),
]


@pytest.mark.parametrize(("text", "words"), WINDOWS)
def test_windows_carries_errors_as_text(text, words, monkeypatch, fails):
    def refused(*_, **__):
        raise serial.SerialException(text)

    monkeypatch.setattr("serial.Serial", refused)
    assert words in fails(host.main, "--port", "COM9", "identify")


def test_a_terminal_that_is_gone_when_its_rate_is_set(terminal, monkeypatch, fails):
    rates = serial.Serial.baudrate

    def gone(port, rate):
        if rate == 115_200:
            raise termios.error(5, "Input/output error")
        rates.fset(port, rate)

    with terminal() as port:
        monkeypatch.setattr("serial.Serial.baudrate", property(rates.fget, gone))
        assert "went away" in fails(host.main, "--port", port.path, "--baud", "115200", "identify")


def image_file(path, mode):
    image = Image.new("L", (8, 8), 200).convert(mode)
    image.save(path)
    return path.read_bytes()


def npy_header(shape):
    return f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(0x75).encode() + b"\n"


def archive(path):
    np.savez(path.with_suffix(".npz"), np.zeros((8, 8), np.uint8))
    return path.with_suffix(".npz").read_bytes()


def wide_png(width, height):
    """The header of a grey PNG and pixels that are not there."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    parts = [b"IDAT" + zlib.compress(b""), b"IEND"]
    return start + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.npy", b"\x93NUMPY\1\0\x76\0" + npy_header("(1000000, 1000000)"), "is not a whole array"),
        ("x.npy", b"\x93NUMPY\1\0\x76\0" + npy_header("(1, 8, 8)"), "is not a whole array"),
        ("x.npy", b"\x93NUMPY\1\0\x76\0" + npy_header("(" * 50), "is not a whole array"),
        ("x.npy", b"\x93NUMPY\7\0\x76\0" + npy_header("(1, 8, 8)"), "is not a whole array"),
        ("x.npy", b"\x80\4cos\nsystem\n.", "is not a whole array"),
        ("x.npy", archive, "is an archive of arrays"),
        ("x.png", lambda path: image_file(path, "L").replace(b"IEND", b"IENE"), "is not a whole array or image"),
        ("x.png", lambda path: image_file(path, "L")[:-20] + bytes(20), "is not a whole array or image|cannot be read"),
        ("x.png", lambda path: image_file(path, "P"), "pixels of the kind P; save it as L or RGB or RGBA"),
        ("x.png", lambda path: image_file(path, "1"), "pixels of the kind 1"),
        ("x.png", lambda path: image_file(path, "I;16"), "pixels of the kind I;16"),
        ("x.png", lambda path: image_file(path, "RGBA"), "has shape 4 x 8 x 8, but"),
        ("x.png", wide_png(60_000, 60_000), "is not a whole array or image"),
        ("x.png", wide_png(10_000, 10_000), "is not a whole array or image"),
        ("x.png", wide_png(9_000, 9_000), "has shape 1 x 9000 x 9000, but"),
        ("x.png", wide_png(8, 8), "is not a whole array or image|cannot be read"),
    ],
)
def test_files_that_are_not_inputs_are_refused(name, content, words, terminal, tmp_path, fails):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content(path))
    with terminal() as port:
        line = fails(host.main, "--port", port.path, "infer", path)
    assert re.search(words, line)
    assert str(path) in line


def test_a_port_without_permission(monkeypatch, fails):
    def forbidden(*_, **__):
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr("serial.Serial", forbidden)
    assert "dialout" in fails(host.main, "--port", "/dev/ttyUSB0", "identify")


def test_short_answers_are_not_held_back(terminal, monkeypatch):
    asked = []
    monkeypatch.setattr("serial.Serial.set_low_latency_mode", lambda _, low: asked.append(low))
    with terminal() as port, host.Device.open(port.path, timeout=0.3):
        assert asked == [True]


def test_a_large_request_may_take_longer_than_a_write_may(terminal, monkeypatch):
    written = []
    with terminal() as port, contextlib.closing(serial_pipe.SerialPipe(port.path)) as pipe:
        monkeypatch.setattr("serial.Serial.write", lambda _, content: written.append(content))
        pipe.write(bytes(range(256)) * 4000)
    assert b"".join(written) == bytes(range(256)) * 4000
    assert max(map(len, written)) * 10 / min(BAUD_RATES) < serial_pipe.WRITE_SECONDS / 2


def test_a_port_that_goes_away(terminal):
    port = terminal()
    with port:
        device = host.Device.open(port.path, timeout=0.3)
    with pytest.raises(host.UserError, match="went away"):
        device.counters()


def test_the_driver_is_light():
    heavy = {"torch", "amaranth", "sklearn", "gen", "sim", "snn"}
    program = f"import sys, boards.host.__main__; print(*{heavy} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""
