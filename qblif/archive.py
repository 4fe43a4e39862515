"""Files of torch.save, read as plain data: no code, no more memory than the file justifies, only plain tensors.

Both training and the compiler import this module. :mod:`qblif.reading` checks the archive around the data.
"""

import io
import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from qblif.errors import UserError
from qblif.reading import MOST_PICKLE, read_archive

MOST_REUSE = 4
"""Tensors of a file may share their storage, but together they take at most this many times the file's size."""
DEEPEST = 8
MOST_VALUES = 2**20


def load_archive(path: Path, what: str, most: int, most_pickle: int = MOST_PICKLE) -> tuple[Any, bytes]:
    """The content of a file of torch.save, and its bytes; arguments and errors of :func:`qblif.reading.read_archive`.

    Raises:
        UserError: also if it holds anything but plain data.
    """
    content = read_archive(path, what, most, most_pickle)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), content
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged or holds something other than plain data; a {what} is never unpickled with code"
        ) from error
    except Exception as error:  # damaged bytes can make the reader raise anything
        raise UserError(f"{path} is not a {what} or is damaged (truncated?); make or copy it again") from error


def check_tensors(values: Iterable[Any], size: int, where: object) -> None:
    """Raise UserError unless the tensors among ``values`` are plain, and not too large for a file of ``size`` bytes."""
    total = 0
    for value in values:
        if isinstance(value, torch.Tensor):
            check_plain(value, where)
            total += value.numel() * value.element_size()
    if total > MOST_REUSE * size:
        raise UserError(f"{where}: its tensors take {total:,} bytes, and the file has {size:,}; it is damaged")


def check_plain(values: torch.Tensor, where: object) -> None:
    """Raise UserError unless a tensor holds real numbers and stores every one of them."""
    fine = values.layout is torch.strided and values.device.type == "cpu"
    fine = fine and not (values.is_quantized or values.is_complex() or values.is_neg() or values.dtype is torch.bool)
    if not fine:
        raise UserError(f"{where}: a tensor is not a plain tensor of numbers")
    if values.numel() * values.element_size() > values.untyped_storage().nbytes():
        raise UserError(f"{where}: a tensor of {values.numel():,} numbers repeats those that it has (expanded?)")


def flat(content: Any, where: object, depth: int = 0) -> list[Any]:
    """Every value in plain data; raises UserError if the data is nested too deeply, or too large."""
    if isinstance(content, dict):
        content = list(content.values())
    if not isinstance(content, list | tuple):
        return [content]
    found: list[Any] = []
    for value in content if depth < DEEPEST else ():
        found += flat(value, where, depth + 1)
        if len(found) > MOST_VALUES:
            break
    if depth >= DEEPEST or len(found) > MOST_VALUES:
        raise UserError(f"{where} is damaged: its values are nested too deeply, or too many")
    return found
