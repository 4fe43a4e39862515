"""Damage and edits, at random from a seed: on bytes, on JSON, on archives of torch.save and on what is in them."""

import copy
import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import torch

Mutator = Callable[[bytes, Random], bytes]
NUMBERS = (-1, 0, 1, 2, 3, 127, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 10**9, 2**63, 2**64, 10**30, 10**4200)
VALUES: tuple[Any, ...] = (
    None, True, False, *NUMBERS, -0.5, 0.5, 1.0, 1e308, math.nan, math.inf, "", "x", "input", "readout", "x" * 10_000,
    "../../../../etc/passwd", "\ud800", "\0", [], {}, [[]], [1, 1], {"x": 1},
)  # fmt: skip
UNKNOWN = (("dilation", 2), ("groups", 4), ("threshold", 1.0), ("stride", 2), ("padding", 1), ("bias", 1), ("x", None))
DEPTH = 3000


def flip_bit(content: bytes, random: Random) -> bytes:
    return flip(content, random.randrange(8 * len(content)))


def flip(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def set_bytes(content: bytes, random: Random) -> bytes:
    """A few bytes replaced by a number that sizes and counts go wrong with."""
    width, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
    number = random.choice(NUMBERS) % 2 ** (8 * width)
    at = random.randrange(len(content))
    return content[:at] + number.to_bytes(width, order) + content[at + width :]


def cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


def lengthen(content: bytes, random: Random) -> bytes:
    return content + random.choice((b"\0", b"\n", b"\xff" * 100, random.randbytes(1000), content))


def drop(content: bytes, random: Random) -> bytes:
    first, last = sorted(random.choices(range(len(content) + 1), k=2))
    return content[:first] + content[last:]


def repeat(content: bytes, random: Random) -> bytes:
    first, last = sorted(random.choices(range(len(content) + 1), k=2))
    return content[:last] + content[first:last] * random.choice((1, 2)) + content[last:]


def blank(content: bytes, random: Random) -> bytes:
    first = random.randrange(len(content))
    last = min(len(content), first + random.choice((1, 4, 16, 512)))
    return content[:first] + random.choice((b"\0", b"\xff", b" ")) * (last - first) + content[last:]


def shuffle(content: bytes, random: Random) -> bytes:
    first, middle, last = sorted(random.choices(range(len(content) + 1), k=3))
    return content[:first] + content[middle:last] + content[first:middle] + content[last:]


BYTES: tuple[Mutator, ...] = (flip_bit, flip_bit, flip_bit, set_bytes, set_bytes, cut, lengthen, drop, repeat, blank,
                              shuffle)  # fmt: skip


def places(value: Any, most: int = 2000) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting and len(found) < most:
        one = waiting.pop(0)
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys]
    return found


def edited(value: Any, random: Random) -> Any:
    """A copy of plain data in which one thing is different."""
    result = copy.deepcopy(value)
    container, key = random.choice(places(result))
    old = container[key]
    kind = random.randrange(10)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container.update([random.choice(UNKNOWN)])
    elif kind == 2 and isinstance(container, list):
        container.insert(key, copy.deepcopy(random.choice(container)))
    elif kind == 3 and isinstance(old, list | dict):
        many = random.choice((2, 300, 20_000))
        container[key] = old * many if isinstance(old, list) else old | {f"x{i}": 1 for i in range(many)}
    elif kind == 4:
        other, its = random.choice(places(result))
        container[key], other[its] = copy.deepcopy(other[its]), copy.deepcopy(old)
    elif kind <= 6 and isinstance(old, torch.Tensor):
        container[key] = edited_tensor(old, random)
    elif kind <= 6 and isinstance(old, int | float):
        close = (old + 1, old - 1, -old, 2 * old, str(old), [old])
        container[key] = random.choice((*close, int(old), float(old)) if math.isfinite(old) else close)
    else:
        container[key] = copy.deepcopy(random.choice(VALUES))
    return result


def edited_tensor(tensor: torch.Tensor, random: Random) -> torch.Tensor:
    """A tensor that differs in one value, its shape, its type or its layout."""
    flat = tensor.flatten().clone()
    if len(flat) and random.random() < 0.4:
        at = random.randrange(len(flat))
        flat[at] = flat[at] + random.choice((1, -1, 3, 60))
        return flat.reshape(tensor.shape)
    types = (torch.float16, torch.float64, torch.bfloat16, torch.int8, torch.int64, torch.uint8, torch.bool,
             torch.complex64)  # fmt: skip
    change = random.choice(
        (
            lambda: torch.zeros(1, dtype=tensor.dtype).expand(10**5, 10**4),
            lambda: tensor[..., :1].expand(tensor.shape) if tensor.dim() else tensor.expand(7),
            lambda: torch.zeros(10**6, 10**6, device="meta"),
            lambda: torch.empty_like(tensor, device="meta"),
            lambda: tensor.to(random.choice(types)),
            lambda: tensor.to_sparse(),
            lambda: torch.zeros(10**6, 10**6, layout=torch.sparse_coo),
            lambda: tensor.reshape(-1),
            lambda: tensor.flatten()[0],
            lambda: tensor.unsqueeze(0),
            lambda: tensor[:0],
            lambda: tensor.flip(0).clone(),
            lambda: tensor.transpose(0, -1),
            lambda: torch.zeros_like(tensor),
            lambda: torch.full_like(tensor, 100),
            lambda: torch.nn.Parameter(tensor.float()),
            lambda: torch.full(tensor.shape, math.nan),
        )
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what is made here on purpose
            return change()
    except (RuntimeError, IndexError):
        return torch.zeros(())


def edit_json(content: bytes, random: Random) -> bytes:
    """Valid JSON in which one value or key is another one."""
    return json.dumps(edited(json.loads(content), random), indent=random.choice((None, 1))).encode()


def nest_json(content: bytes, random: Random) -> bytes:
    """One value deep inside lists or objects, a number beyond floats, or a key that comes twice."""
    text = json.dumps(json.loads(content))
    at = random.choice([place for place, sign in enumerate(text) if sign == ":"])
    depth = random.choice((1, 50, DEPTH, 200_000))
    inserted = random.choice(("[" * depth, '{"x":' * depth, "[" * depth + "]" * depth + ",", "1e999,", "-", "NaN,"))
    return (text[: at + 1] + inserted + text[at + 1 :]).encode()


JSON: tuple[Mutator, ...] = (*BYTES, *[edit_json] * 20, nest_json, nest_json)


def edit_header(content: bytes, random: Random) -> bytes:
    """A file of safetensors whose header, or the structure in it, is another one."""
    length = int.from_bytes(content[:8], "little")
    header, tensors = json.loads(content[8 : 8 + length]), content[8 + length :]
    if random.random() < 0.3:
        header = edited(header, random)
    else:
        structure = edited(json.loads(header["__metadata__"]["network"]), random)
        header["__metadata__"]["network"] = json.dumps(structure)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


SAFETENSORS: tuple[Mutator, ...] = (*BYTES, *[edit_header] * 15)


def damage_entry(content: bytes, random: Random) -> bytes:
    """An archive in which one file has other bytes and the checksum of these."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = random.choice([name for name, data in files.items() if data])
    if random.random() < 0.5:
        name = next(found for found in files if found.endswith("data.pkl"))
    files[name] = random.choice(BYTES)(files[name], random)
    return archived(files, zipfile.ZIP_STORED)


def repack(content: bytes, random: Random) -> bytes:
    """The same files in an archive of another kind: compressed, one missing, one twice."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = random.choice(list(files))
    if random.random() < 0.5:
        del files[name]
    return archived(files, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))


def archived(files: dict[str, bytes], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def edit_checkpoint(content: bytes, random: Random) -> bytes:
    """A checkpoint, sound in itself, in which one value, key or tensor is another one."""
    buffer = io.BytesIO()
    loaded = torch.load(io.BytesIO(content), weights_only=True)
    state = {key: loaded.pop(key) for key in ("state", "model") if key in loaded and random.random() < 0.9}
    torch.save(edited(loaded, random) | state, buffer)
    return buffer.getvalue()


CHECKPOINT: tuple[Mutator, ...] = (*BYTES, *[damage_entry] * 8, repack, *[edit_checkpoint] * 15)
