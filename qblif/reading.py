"""Files from elsewhere: read only if their size is plausible, and checked before they are used.

The memory that a file takes is bounded before anything is allocated: bytes by the file's size, JSON and pickles by
their length (every character takes at most some tens of bytes), archives by their directory.
"""

import io
import json
import math
import stat
import zipfile
from pathlib import Path
from typing import Any

from qblif.errors import UserError

MEBIBYTE = 2**20
MOST_JSON = 4 * MEBIBYTE
"""Bytes; plans and reports take less than a kibibyte per layer."""
MOST_PICKLE = MEBIBYTE
"""Bytes of an archive's structure, without its tensors; a network of 100 layers and 1024 timesteps needs this much."""
MOST_ENTRIES = 2**14
"""Files in an archive; a checkpoint has about 12 per layer."""
CENTRAL_ENTRY, ARCHIVE_END, ARCHIVE_END_BYTES = b"PK\x01\x02", b"PK\x05\x06", 22
SHOWN = 60
LONGEST_REASON = 300


def shown(value: object) -> str:
    """A value from a file in a form for error messages, which is always short."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**SHOWN:
        return "a huge number"
    if isinstance(value, bool | int | float | type(None)):
        return repr(value)
    if isinstance(value, str):
        text = ascii(value[:SHOWN])
        return text if len(value) <= SHOWN else f"{text}..."
    return f"a {type(value).__name__}"


def brief(error: Exception) -> str:
    """The message of an error about a file's content, in one line of limited length."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}..."


def check_file(path: Path, what: str) -> None:
    """Raise UserError unless there is a regular file (others might never end); ``what`` it should be."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"cannot read {what} {path}: not a file")
    except OSError as error:
        raise UserError(f"cannot read {what} {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"cannot read {what} {path}: not a file name") from error


def read_whole(path: Path, what: str, most: int) -> bytes:
    """The bytes of a file.

    Args:
        path: path of the file.
        what: the kind of file that it should be, for the message.
        most: largest allowed size in bytes.

    Raises:
        UserError: it is missing, unreadable, not a regular file, or larger.
    """
    check_file(path, what)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UserError(f"cannot read {what} {path}: {error.strerror or error}") from error
    if len(content) > most:
        raise UserError(f"{path} is larger than {most:,} bytes, and so not a {what}")
    return content


def read_json(path: Path, what: str, most: int = MOST_JSON) -> Any:
    """The content of a JSON file; raises UserError like :func:`read_whole`, and for anything but one plain value."""
    content = read_whole(path, what, most)
    try:
        return parse_json(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a {what}, or is damaged: {brief(error)}") from error


def parse_json(content: bytes | str) -> Any:
    """One JSON value; raises ValueError or RecursionError, also for NaN, infinity and duplicate keys."""
    return json.loads(content, parse_constant=refuse_constant, parse_float=finite, object_pairs_hook=unique_keys)


def refuse_constant(name: str) -> None:
    """Raise ValueError for NaN and infinity, which are not JSON."""
    raise ValueError(f"{name} is not a number")


def finite(text: str) -> float:
    """A number; raises ValueError if a float cannot hold it."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; raises ValueError for a duplicate key, of which only one value would count."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key comes twice")
    return result


def read_archive(path: Path, what: str, most: int, most_pickle: int = MOST_PICKLE) -> bytes:
    """The bytes of a file of torch.save that is a sound archive; its checksums are checked here, since torch.load does
    not check them.

    Args:
        path: path of the file.
        what: the kind of file that it should be, for the message.
        most: largest allowed size in bytes.
        most_pickle: largest allowed size of its structure in bytes.

    Raises:
        UserError: as in :func:`read_whole`; it is not such an archive, a checksum is wrong, or it unpacks into more
            than its own size.
    """
    content = read_whole(path, what, most)
    try:
        if content[-ARCHIVE_END_BYTES:][:4] != ARCHIVE_END or content.count(CENTRAL_ENTRY) > MOST_ENTRIES:
            raise zipfile.BadZipFile("no directory, or a huge one")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_entries(archive.infolist(), len(content), most_pickle)
            damaged = archive.testzip()
    except (zipfile.BadZipFile, ValueError, KeyError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        reason = f" ({error})" if isinstance(error, ArchiveError) else ""
        raise UserError(f"{path} is not a {what} or is damaged{reason}; make or copy it again") from error
    if damaged is not None:
        raise UserError(f"{path} is damaged: the checksum of {shown(damaged)} in it is wrong; copy it again")
    return content


class ArchiveError(ValueError):
    """An archive that torch.save did not write."""


def check_entries(entries: list[zipfile.ZipInfo], size: int, most_pickle: int) -> None:
    """Raise ArchiveError unless torch.save could have written ``entries`` into a file of ``size`` bytes."""
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise ArchiveError("a name comes twice in it")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size for entry in entries):
        raise ArchiveError("it is compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise ArchiveError("it would unpack into more than its own size")
    pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
    if len(pickles) != 1 or pickles[0].file_size > most_pickle:
        raise ArchiveError(f"it must hold one structure of at most {most_pickle:,} bytes")
