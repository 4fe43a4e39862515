"""How every command line of the project reports errors to its user.

A user's mistake (a missing file, an unknown board, a damaged checkpoint) is a :class:`UserError`: one line that
names the problem and the way out. :func:`command_line` turns it into exit code 2 and never shows a traceback for
it; a traceback always means a bug in this project.
"""

import argparse
import errno
import functools
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

EXIT_USER_ERROR = 2
EXIT_NO_BITSTREAM_TOOL = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""Full disk, exceeded quota, read-only file system, file too large: any write can fail so, and the user can fix it."""


class UserError(Exception):
    """An error that the user can fix; the message is one line and says how."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, or the terminal was closed: the same as ctrl-C, except for the exit code."""


class Arguments(argparse.ArgumentParser):
    """A parser that reports errors like the rest of the project: a UserError of one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")

    def command(self, options: argparse.Namespace, *, without: Iterable[str] = ()) -> str:
        """The command line that gives these options; those that have their default value are left out, and so are those
        in ``without``."""
        words = self.prog.split()
        for action in self._actions:
            value = getattr(options, action.dest, action.default)
            if value == action.default or action.dest in without:
                continue
            words += action.option_strings[:1]
            if value is not True:
                words += [str(part) for part in value] if isinstance(value, list) else [str(value)]
        return shlex.join(words)


def check_output_file(path: Path | None, option: str) -> None:
    """Raise UserError now if ``path`` cannot be written, instead of after hours of work."""
    if path is not None and (path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK)):
        raise UserError(f"{option} {path} cannot be written; name a file in a folder that exists")


class CommandLine(Protocol):
    """Entry point of a program: takes the arguments (those of the process if None), returns the exit code."""

    def __call__(self, arguments: list[str] | None = None) -> int: ...


def command_line(main: CommandLine) -> CommandLine:
    """Decorate ``main(arguments) -> exit code`` so that user errors, ctrl-C and SIGTERM print one line to stderr."""

    @functools.wraps(main)
    def wrapper(arguments: list[str] | None = None) -> int:
        try:
            with terminated():
                try:
                    return main(arguments)
                finally:
                    sys.stdout.flush()
        except UserError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return EXIT_USER_ERROR
        except BrokenPipeError:
            # The reader of the output has gone, as with "| head"; nothing more can be said to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_BROKEN_PIPE
        except OSError as error:
            if error.errno not in STORAGE_ERRORS:
                raise
            print(f"error: cannot write {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
            return EXIT_USER_ERROR
        except KeyboardInterrupt as interrupt:
            line = str(interrupt) or "interrupted; nothing unfinished was kept as a result"
            print(f"error: {line}", file=sys.stderr)
            return EXIT_TERMINATED if isinstance(interrupt, Terminated) else EXIT_INTERRUPTED

    return wrapper


@contextmanager
def terminated() -> Iterator[None]:
    """Raise Terminated instead of letting a signal end the process at once, so that open files are closed and child
    processes ended."""
    main_thread = threading.current_thread() is threading.main_thread()
    ending = [number for number in ENDING_SIGNALS if main_thread and signal.getsignal(number) is signal.SIG_DFL]

    def end(*_: object) -> NoReturn:
        raise Terminated

    for number in ending:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)
