"""Folders from elsewhere, put in place whole or not at all: out of a Debian package, or from a publisher's address."""

import gzip
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
from pathlib import Path
from urllib.error import URLError

from hw.errors import UserError

CACHE = Path(__file__).resolve().parent.parent / ".cache"


@dataclass(frozen=True, kw_only=True)
class Official:
    """Where a data set's publisher keeps its .gz files, with the sha256 that pins the content of each."""

    address: str
    sha256: dict[str, str]


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A temporary folder from which a folder becomes ``target`` in one step (:func:`place`)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as folder:
        yield Path(folder)


def place(folder: Path, target: Path) -> None:
    """Make ``folder`` the folder ``target``, unless another process was faster: then its copy stays."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def fetch_debian(package: str, inside: str, target: Path) -> bool:
    """Put the folder ``inside`` of a Debian package at ``target`` without root; False where apt cannot give it."""
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
    """Download the files that ``source`` pins; raises UserError when one cannot be had or is not the pinned one."""
    with scratch_beside(target) as scratch:
        files = scratch / "files"
        files.mkdir()
        for name, sha256 in source.sha256.items():
            try:
                with urllib.request.urlopen(f"{source.address}/{name}.gz", timeout=60) as response:
                    content = gzip.decompress(response.read())
            except (URLError, HTTPException, OSError, EOFError, zlib.error) as error:
                raise UserError(
                    f"{target.name} is not to be had: there is no package, and {source.address} does not answer as it "
                    f"should ({error}); name a folder that has it with --data-dir"
                ) from error
            if hashlib.sha256(content).hexdigest() != sha256:
                raise UserError(f"{source.address}/{name} is not the file that is expected here (sha256 differs)")
            (files / name).write_bytes(content)
        place(files, target)
