"""Readers of data sets and of the host link, for the table."""

import binascii
import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import numpy as np
from PIL import Image

from boards.host.device import Device
from boards.host.framing import DamagedFrameError, Frame
from boards.host.samples import read_sample
from qblif.errors import UserError
from qblif.payloads import unpack_counters, unpack_results
from qblif.protocol import Identity
from snn.datasets import data
from snn.datasets.aedat import read_dvs128
from snn.datasets.events import gestures_of
from snn.datasets.mitbih import read_record
from snn.datasets.recordings import Decoded, FaultError, read_nmnist
from tests.boards.host.fake_device import IDENTITY, cobs_encode, framed
from tests.fuzz import formats
from tests.fuzz.campaign import Reader
from tests.fuzz.mutators import BYTES
from tests.snn.datasets import event_files as files
from tests.snn.datasets.ecg_files import write_record

LABELS = "class,startTime_usec,endTime_usec\n1,0,40000\n11,40000,99000\n5,99000,123456789\n"
SESSION = files.aedat31(np.array([[1, 2, 5, 1], [3, 4, 50_000, 0], [5, 6, 100_000, 1]]))
IMAGES = np.random.default_rng(1).integers(0, 256, (3, 1, 5, 7), dtype=np.uint8)
TIMEOUT = 0.003


def recordings(*contents: bytes) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        return [files.write(folder / f"{place}.rec", content) for place, content in enumerate(contents)]

    return write


def events(reader: Callable[[Path], Decoded]) -> Callable[[Path], object]:
    """What a recording says, as a list of events; a fault is what the user would read."""

    def read(path: Path) -> object:
        try:
            found = reader(path).events
        except FaultError as error:
            raise UserError(f"{path}: {error}") from error
        return [tuple(int(event[name]) for name in ("x", "y", "t", "p")) for event in found]

    return read


def by(decode: Callable[[bytes], object]) -> Callable[[object, object, Path], bool]:
    """A damaged file may be another one, if it is read as an independent decoder has it."""
    return lambda found, _, path: found == decode(path.read_bytes())


def idx_files(suffix: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        contents = (
            b"\0\0\x08\x03" + struct.pack(">III", 3, 4, 5) + bytes(range(60)),
            b"\0\0\x08\x01" + struct.pack(">I", 3) + bytes([0, 9, 5]),
        )
        paths = [folder / f"t10k-{name}-ubyte{suffix}" for name in ("images-idx3", "labels-idx1")]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(gzip.compress(content) if suffix else content)
        return paths

    return write


def images(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        found = data.load(name, "test", path.parent)
        return found.pixels.shape, found.pixels.tobytes(), found.labels.tolist()

    return read


def idx_says(found: Any, _: object, path: Path) -> bool:
    pixels, labels = (
        formats.idx((path.parent / f"t10k-{name}-ubyte").read_bytes(), dimensions)
        for name, dimensions in (("images-idx3", 3), ("labels-idx1", 1))
    )
    if pixels is None or labels is None:
        return False
    (count, height, width), values = pixels
    wanted = ((count, 1, height, width), values, list(labels[1]))
    return found == wanted and len(values) == count * height * width and labels[0] == (count,) and max(labels[1]) < 10


def cifar10_says(found: Any, _: object, path: Path) -> bool:
    records = formats.cifar10(path.read_bytes())
    labels, pixels = zip(*records, strict=True)
    return found == ((len(records), 3, 32, 32), b"".join(pixels), list(labels)) and max(labels) < 10


def cifar10_files(folder: Path) -> list[Path]:
    path = folder / "test_batch.bin"
    path.write_bytes(b"".join(bytes([label]) + Random(label).randbytes(3072) for label in (3, 0, 9)))
    return [path]


def record_files(folder: Path) -> list[Path]:
    values = np.random.default_rng(1).integers(-2048, 2048, (4000, 2))
    write_record(folder, "100", values, [(18, 28), (300, 1), (600, 8), (610, 14), (3000, 5), (3500, 38)])
    return [folder / f"100{suffix}" for suffix in (".hea", ".dat", ".atr")]


def record(path: Path) -> object:
    found = read_record(path.parent, path.stem)
    return found.samples.tolist(), found.peaks.tolist(), found.classes.tolist()


def record_says(found: Any, _: object, path: Path) -> bool:
    said = formats.ecg(*(path.with_suffix(suffix).read_bytes() for suffix in (".hea", ".dat", ".atr")))
    if said is None:
        return False
    classes = {1: 0, 2: 0, 3: 0, 34: 0, 11: 0, 8: 1, 4: 1, 7: 1, 9: 1, 5: 2, 10: 2, 6: 3, 12: 4, 38: 4, 13: 4}
    beats = [(at, classes[code]) for at, code in said[1] if code in classes]
    return found == (said[0], [at for at, _ in beats], [label for _, label in beats])


def label_files(folder: Path) -> list[Path]:
    path = folder / "user_labels.csv"
    path.write_text(LABELS)
    return [path]


def trial_files(folder: Path) -> list[Path]:
    for name in ("user01_led", "user02_lab"):
        (folder / f"{name}_labels.csv").write_text(LABELS)
        (folder / f"{name}.aedat").write_bytes(SESSION)
    path = folder / "trials_to_test.txt"
    path.write_text("user01_led.aedat\nuser02_lab.aedat\n")
    return [path]


def trials(path: Path) -> object:
    images = data.load("dvs128_gesture", "test", path.parent, 1)
    return len(images.labels) // 3, images.labels[:3].tolist(), images.pixels[:3].tobytes()


def trials_say(found: Any, known: Any, path: Path) -> bool:
    """Each session has the same three gestures."""
    return found == (len(path.read_text().split()), *known[1:])


def gestures(path: Path) -> object:
    return [(recording.label, recording.part) for recording in gestures_of(path.with_name("user.aedat"))]


def gestures_say(found: object, _: object, path: Path) -> bool:
    lines = [line for line in path.read_text().splitlines()[1:] if line.strip()]
    rows = [[int(value) for value in line.split(",")] for line in lines]
    good = all(1 <= gesture <= 11 and 0 <= begin < end for gesture, begin, end in rows)
    return good and found == [(gesture - 1, (begin, end)) for gesture, begin, end in rows]


def identity(path: Path) -> object:
    """An identity's fields in the order of the protocol."""
    found = Identity.from_bytes(path.read_bytes())
    stream = found.stream
    beats = (stream.height, stream.width, stream.steps, stream.beats, stream.group)
    sizes = (found.classes, found.logit_bytes, found.fraction_bits, found.clock_hz, found.baud, found.window)
    coding = ("direct", "events", "frames").index(found.coding)
    mode = ("sample", "window", "stream").index(found.mode)
    return (
        found.network_sha256,
        *found.shape,
        coding,
        found.bits,
        mode,
        found.timesteps,
        *beats,
        *sizes,
    ), found.counters


def identity_says(found: Any, _: object, path: Path) -> bool:
    content = path.read_bytes()
    layout = "<4sB32s3HBBBH5HHBBIIB"
    _, _, *fields = struct.unpack_from(layout, content)
    text = content[struct.calcsize(layout) :].decode()
    return found == (tuple(fields), tuple(text.split("\0")) if text else ())


def answers(folder: Path, contents: list[bytes]) -> list[Path]:
    return [files.write(folder / f"{place}.answer", content) for place, content in enumerate(contents)]


def result(logits: list[int]) -> bytes:
    return struct.pack("<10hH", *logits, logits.index(max(logits)))


RESULTS = [result([Random(f"{seed} {place}").randrange(-300, 300) for place in range(10)]) for seed in range(3)]
DIALOGUE = framed(0x81, 1, IDENTITY.to_bytes()) + b"".join(
    framed(0x82, 2 + place, content) for place, content in enumerate(RESULTS)
)


def frame(path: Path) -> object:
    try:
        found = Frame.from_bytes(path.read_bytes())
    except DamagedFrameError as error:
        raise UserError(str(error)) from error
    return found.kind, found.id, found.data


def one_result(path: Path) -> object:
    found = unpack_results([path.read_bytes()], IDENTITY)
    return found.logits[0].tolist(), int(found.winners[0])


def arrays(folder: Path) -> list[Path]:
    paths = [folder / "image.npy", folder / "flat.npy"]
    for path, array in zip(paths, (IMAGES[0], IMAGES[1, 0]), strict=True):
        np.save(path, array)
    return paths


def array_says(found: object, _: object, path: Path) -> bool:
    """numpy's own reader, into memory."""
    array = np.load(path, allow_pickle=False)
    return array.dtype == np.uint8 and array.size == 35 and found == array.tobytes()


def pictures(folder: Path) -> list[Path]:
    paths = [folder / "image.png", folder / "image.bmp"]
    for path, pixels in zip(paths, IMAGES, strict=False):
        Image.fromarray(pixels[0]).save(path)
    return paths


def picture_says(found: object, known: object, path: Path) -> bool:
    """A bitmap has no redundancy; a PNG has checksums, and its colours may be declared anew."""
    if path.suffix == ".png":
        return found == known
    with Image.open(path) as image:
        return image.mode == "L" and found == bytes(cast(tuple[int, ...], image.get_flattened_data()))


class Replay:
    """A device that says what a file holds, whatever it is asked, and then nothing more."""

    name = "replay"

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def read(self) -> bytes:
        self.at += 40
        return self.content[self.at - 40 : self.at]

    def write(self, content: bytes) -> None:
        pass

    def set_baud(self, baud: int) -> None:
        pass

    def close(self) -> None:
        pass


def device(path: Path) -> object:
    """What three inferences give."""
    with Device(Replay(path.read_bytes()), baud=3_000_000, timeout=TIMEOUT) as found:
        results = found.infer(IMAGES)
    return list(zip(results.logits.tolist(), results.winners.tolist(), strict=True))


def device_says(found: Any, _: object, path: Path) -> bool:
    """Each result was in a sound frame, and its class is that of its logits."""
    frames = [formats.frame(part) for part in path.read_bytes().split(b"\0") if part]
    said = [formats.result(one[2], 10, 2) for one in frames if one is not None and one[0] == 0x82]
    return len(found) == len(IMAGES) and all(one in said for one in found)


def reframed(content: bytes, random: Random) -> bytes:
    """An answer that was damaged before its CRC was made: a device that does not do what it should."""
    parts = [part for part in content.split(b"\0") if part]
    place = random.randrange(len(parts))
    kind, number, inside = formats.frame(parts[place]) or (0, 0, b"x")
    damaged = random.choice(BYTES)(bytes([kind, number]) + (inside or b"x"), random)
    parts[place] = cobs_encode(damaged + binascii.crc32(damaged).to_bytes(4, "little"))
    return b"".join(part + b"\0" for part in parts)


def one_file(save: Callable[..., None]) -> Callable[[Path], list[Path]]:
    """A data set of recordings in one file."""

    def write(folder: Path) -> list[Path]:
        arrays = {f"samples_{split}": IMAGES[:, :, np.newaxis] for split in ("train", "test")}
        labels = {f"labels_{split}": np.array([0, 3, 1]) for split in ("train", "test")}
        save(folder / "set.npz", coding=np.array("events"), **arrays, **labels)
        return [folder / "set.npz"]

    return write


def one_set(path: Path) -> object:
    found = data.load(f"npz:{path}", "test")
    return data.coding_of(f"npz:{path}"), found.pixels.shape, found.pixels.tobytes(), found.labels.tolist()


DATA_READERS = (
    Reader(name="one file", samples=one_file(np.savez), read=one_set),
    Reader(name="one file, compressed", samples=one_file(np.savez_compressed), read=one_set),
    Reader(name="IDX", samples=idx_files(""), read=images("mnist"), right=idx_says),
    Reader(name="IDX, gzip", samples=idx_files(".gz"), read=images("mnist")),
    Reader(name="CIFAR-10", samples=cifar10_files, read=images("cifar10"), right=cifar10_says),
    Reader(name="MIT-BIH", samples=record_files, read=record, right=record_says),
    Reader(
        name="N-MNIST",
        samples=recordings(
            files.nmnist(files.some_events(34, 1, 40)),
            files.nmnist(files.some_events(34, 2, 40) + np.array([0, 0, 2**23 - 50_000, 0]))
            + bytes([1, 240, 0, 0, 0] * 2),
        ),
        read=events(read_nmnist),
        right=by(formats.nmnist),
    ),
    Reader(
        name="AEDAT 2.0",
        samples=recordings(
            files.aedat2(files.some_events(128, 1, 40)),
            files.HEADER_2 + b"# Creation time: 1\r\n" + struct.pack(">6I", 1 << 31, 7, 257, 2**32 - 5, 515, 6),
        ),
        read=events(read_dvs128),
        right=by(formats.aedat2),
    ),
    Reader(
        name="AEDAT 3.1",
        samples=recordings(
            files.aedat31(files.some_events(128, 1, 40)),
            files.HEADER_3
            + files.END_HEADER
            + files.packet(0, [bytes(8)] * 2)
            + files.packets(files.some_events(128, 2, 40), 5)
            + files.packet(1, [files.polarity(1, 2, 3, 1), files.polarity(1, 2, 4, 0, valid=0)], 1, valid=1),
        ),
        read=events(read_dvs128),
        right=by(formats.aedat31),
    ),
    Reader(
        name="input: .npy",
        samples=arrays,
        read=lambda path: read_sample(path, IDENTITY).tobytes(),
        right=array_says,
    ),
    Reader(
        name="input: image",
        samples=pictures,
        read=lambda path: read_sample(path, IDENTITY).tobytes(),
        right=picture_says,
    ),
    Reader(name="trials of gestures", samples=trial_files, read=trials, right=trials_say),
    Reader(name="labels of gestures", samples=label_files, read=gestures, right=gestures_say),
    Reader(
        name="link: identity",
        samples=lambda folder: answers(folder, [IDENTITY.to_bytes()]),
        read=identity,
        right=identity_says,
    ),
    Reader(
        name="link: frame",
        samples=lambda folder: answers(folder, [framed(0x82, 7, content)[:-1] for content in (b"", *RESULTS)]),
        read=frame,
    ),
    Reader(
        name="link: result",
        samples=lambda folder: answers(folder, RESULTS),
        read=one_result,
        right=by(lambda content: formats.result(content, 10, 2)),
    ),
    Reader(
        name="link: counters",
        samples=lambda folder: answers(folder, [struct.pack("<II", 5, 2**32 - 1)]),
        read=lambda path: list(unpack_counters(path.read_bytes(), IDENTITY).values()),
        right=by(lambda content: list(struct.unpack("<II", content))),
    ),
    Reader(
        name="link: device",
        samples=lambda folder: answers(folder, [DIALOGUE]),
        read=device,
        mutators=(*BYTES, *[reframed] * 11),
        right=device_says,
    ),
)
