"""Folders from elsewhere, put in place complete or not at all: from a Debian package or a publisher's address.

They are kept in the user's cache folder (:mod:`qblif.kept`), since the program's own folder may be read-only.
"""

import hashlib
import shutil
import subprocess
import tempfile
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

from qblif.errors import UserError
from snn.datasets.unzip import Unzipped

LARGEST_DOWNLOAD = 256 * 2**20
"""Bytes of one file, before and after it is unzipped."""


@dataclass(frozen=True, kw_only=True)
class Official:
    """The address of a data set's .gz files at its publisher, and the sha256 of each file's unzipped content."""

    address: str
    sha256: dict[str, str]


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Yield a temporary folder, from which a folder can become ``target`` in one step (:func:`place`).

    Raises:
        UserError: the folder around ``target`` cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.")
    except OSError as error:
        raise UserError(
            f"cannot write {target.parent} ({error.strerror}); name another folder with XDG_CACHE_HOME"
        ) from error
    with scratch as folder:
        yield Path(folder)


def place(folder: Path, target: Path) -> None:
    """Rename ``folder`` to ``target``; if another process was faster, its copy stays."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def fetch_debian(package: str, inside: str, target: Path) -> bool:
    """Put the folder ``inside`` of a Debian package at ``target`` without root; False if apt cannot provide it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return False
    with scratch_beside(target) as scratch:
        if subprocess.run(["apt-get", "download", package], cwd=scratch, capture_output=True, check=False).returncode:
            return False
        archive = next(scratch.glob("*.deb"), None)
        if archive is None:
            return False
        unpacked = scratch / "unpacked"
        if subprocess.run(["dpkg-deb", "-x", archive, unpacked], capture_output=True, check=False).returncode:
            return False
        place(unpacked / inside, target)
    return True


def fetch_official(source: Official, target: Path) -> None:
    """Download the files of ``source``; raises UserError if one is not available or its hash differs."""
    with scratch_beside(target) as scratch:
        files = scratch / "files"
        files.mkdir()
        for name, sha256 in source.sha256.items():
            try:
                with urllib.request.urlopen(f"{source.address}/{name}.gz", timeout=60) as response:
                    content = unzipped(response.read(LARGEST_DOWNLOAD))
            except (URLError, HTTPException, OSError, EOFError, zlib.error) as error:
                raise UserError(
                    f"{target.name} cannot be downloaded: there is no package, and {source.address} does not answer as "
                    f"it should ({error}); name a folder that has it with --data-dir"
                ) from error
            if hashlib.sha256(content).hexdigest() != sha256:
                raise UserError(f"{source.address}/{name} is not the file that is expected here (sha256 differs)")
            (files / name).write_bytes(content)
        place(files, target)


def unzipped(content: bytes) -> bytes:
    """A gzip file's content, at most :data:`LARGEST_DOWNLOAD` bytes; raises EOFError or zlib.error."""
    result = Unzipped(BytesIO(content)).read(LARGEST_DOWNLOAD + 1)
    if len(result) > LARGEST_DOWNLOAD:
        raise EOFError(f"it holds more than {LARGEST_DOWNLOAD} bytes")
    return result
