"""Files and folders that appear complete or not at all, even with several writers or when a process is killed.

Every writer fills a partial file or folder with a unique name beside the target, and renames it when it is complete.
So two writers of one target never mix their contents: the last one to finish wins.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from qblif.errors import UserError

PARTIAL = ".partial"
"""Suffix of everything that is not finished; .gitignore lists it."""
FAILED = ".failed"
"""Suffix of a folder that is kept for its logs after a failure, and the name of a file that marks such a folder."""
RENAMES = 100
"""How often a folder's swap is tried when another process puts its own folder there at the same moment."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a partial file to write; it replaces ``path`` if the block succeeds, and is removed otherwise.

    A link stays, and the file that it leads to is replaced. A device or a pipe stays as well and gets the content.

    Raises:
        UserError: the folder of ``path`` cannot be written to, or the disk is full.
    """
    try:
        target = path.resolve()
        replaced = target.is_file() or not target.exists()
        folder = target.parent if replaced else None
        handle, name = tempfile.mkstemp(dir=folder, prefix=f"{target.name}.", suffix=PARTIAL)
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes private files; the result gets the permissions of any other new file.
        partial.chmod(0o666 & ~current_umask())
        if replaced:
            partial.replace(target)
        else:
            target.write_bytes(partial.read_bytes())
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``, or leave ``path`` as it was; raises UserError."""
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path) as partial:
        partial.write_bytes(data)


@contextmanager
def whole_folder(path: Path, *, replace: bool = True, keep_failed: bool = False) -> Iterator[Path]:
    """Yield an empty partial folder; it becomes ``path`` if the block succeeds, and is removed otherwise.

    The caller decides whether an existing ``path`` may be replaced.

    Args:
        path: the folder.
        replace: the last writer wins; otherwise the first, whose folder others may be using already.
        keep_failed: after a UserError the partial folder becomes ``path`` with the suffix :data:`FAILED`, and paths in
            the error message are changed to that folder.

    Raises:
        UserError: the parent of ``path`` cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{path.name}.", suffix=PARTIAL))
        partial.chmod(0o777 & ~current_umask())
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield partial
        if replace:
            swap(partial, path)
        else:
            with suppress(FileExistsError):
                rename_folder(partial, path)
    except UserError as error:
        failed = path.with_name(f"{path.name}{FAILED}")
        # A folder of this name without the mark is the user's.
        if keep_failed and (not failed.exists() or (failed / FAILED).is_file()):
            (partial / FAILED).touch()
            swap(partial, failed)
            error.args = (str(error).replace(str(partial), str(failed)),)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def rename_folder(folder: Path, target: Path) -> None:
    """Rename ``folder`` to ``target``; raises FileExistsError if ``target`` exists already, and UserError."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(target) from error
        raise cannot_write(target, error) from error


def swap(folder: Path, target: Path) -> None:
    """Rename ``folder`` to ``target``, and remove a folder that is already there. Raises UserError."""
    for _ in range(RENAMES):
        replaced = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.", suffix=PARTIAL))
        with suppress(FileNotFoundError):
            target.rename(replaced)
        try:
            with suppress(FileExistsError):
                rename_folder(folder, target)
                return
        finally:
            shutil.rmtree(replaced, ignore_errors=True)
    raise UserError(f"cannot write {target}: other processes keep writing it")


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Keep other processes from working on ``path`` during the block; the lock ends with the process.

    Raises:
        UserError: another process works on it, or no lock can be created there.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        file = lock.open("w")
    except OSError as error:
        raise cannot_write(lock, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder of the lock may have removed this file after it was opened here.
            ours = lock.exists() and os.path.samestat(lock.stat(), os.fstat(file.fileno()))
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            raise UserError(f"another process is writing {path}; wait until it has ended, or name another file")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> UserError:
    """The error to raise when ``path`` could not be written."""
    return UserError(f"cannot write {path}: {error.strerror or error}")


def current_umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts, by path, into an existing folder and folders in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
