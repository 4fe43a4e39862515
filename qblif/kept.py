"""What slow tools make, kept in the user's cache folder under a hash of everything that decides about it.

Every entry is a folder that is there whole or not at all. Any process may read, add or remove entries at any time, and
the folder may be emptied by hand: an entry that is missing is made again, and a cache that cannot be written is not
used.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from qblif.errors import UserError
from qblif.files import PARTIAL

LARGEST = 2**30
"""Bytes of all entries of one kind; the ones that were not used for longest are removed."""
NO_HOME = "there is no home folder to keep downloads in; name a folder with XDG_CACHE_HOME"


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/qblif``, or ``~/.cache/qblif`` if that is unset or relative (XDG Base Directory 0.8).

    Raises:
        UserError: the user has no home folder.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named / "qblif"
    try:
        return Path.home() / ".cache" / "qblif"
    except RuntimeError as error:
        raise UserError(NO_HOME) from error


def digest(decides: Sequence[str]) -> str:
    """The name of what these texts decide about."""
    return hashlib.sha256("\0".join(decides).encode()).hexdigest()[:24]


def fill(folder: Path, kind: str, decides: Sequence[str], make: Callable[[], object]) -> None:
    """Fill the empty ``folder`` from the cache, or else with ``make``, and keep what that wrote.

    Args:
        folder: an empty folder.
        kind: the name of the part of the cache.
        decides: all that decides about the content.
        make: writes the content into ``folder``; what it raises is passed on, and nothing is kept.
    """
    try:
        entry = cache_folder() / kind / digest(decides)
    except UserError:
        make()
        return
    if recall(entry, folder):
        return
    make()
    keep(folder, entry)


def recall(entry: Path, folder: Path) -> bool:
    """Copy an entry into the empty ``folder``; False, and an empty folder, if it is not there or is being removed."""
    try:
        shutil.copytree(entry, folder, dirs_exist_ok=True)
        os.utime(entry)
    except OSError:
        # copytree reports what it could not copy at its end.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        return False
    return True


def keep(folder: Path, entry: Path) -> None:
    """Copy ``folder`` into the cache, and remove the oldest entries beside it that make it too large."""
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f"{entry.name}.", suffix=PARTIAL))
        try:
            shutil.copytree(folder, partial, dirs_exist_ok=True)
            os.utime(partial)
            # Another process may have kept the same content meanwhile.
            partial.rename(entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        remove_oldest(entry.parent)


def remove_oldest(place: Path) -> None:
    """Remove the entries of ``place`` that were not used for longest until the others take :data:`LARGEST` bytes."""
    used: list[tuple[float, int, Path]] = []
    for entry in place.iterdir():
        # Other processes remove entries too.
        with suppress(OSError):
            size = sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
            used.append((entry.stat().st_mtime, size, entry))
    total = 0
    for _, size, entry in sorted(used, reverse=True):
        total += size
        if total > LARGEST:
            # Under another name first, so that nobody reads half of it as a whole entry.
            gone = entry.with_name(f"{entry.name}.gone{PARTIAL}")
            with suppress(OSError):
                entry.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
