"""Progress of long steps, on stderr: that they run, how far they are, and how long they took.

On a terminal a running step has a spinner. Elsewhere (a log, a pipe, a cluster's job) a slow step writes one line, and
then a sign of life from time to time. Either way it ends with one line: its name and its duration. Steps that end
quickly print nothing. Stdout is reserved for results.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TextIO, TypeVar

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task
from rich.text import Text

Thing = TypeVar("Thing")

SLOW_SECONDS = 2.0
"""Steps that take less print no line."""
SIGN_SECONDS = 20.0
"""Time between two signs of life in a log; after thirty seconds of silence a program seems to hang."""


def duration(seconds: float) -> str:
    """A time span for people: ``41 s``, ``3 min 7 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Step:
    """A running step: its progress, out of ``total`` if that is known; several threads may read it."""

    def __init__(self, name: str, total: int | None, begun: float, say: Callable[[str], None]) -> None:
        self.name = name
        self.total = total
        self.begun = begun
        self.say = say
        """Prints a line, above any spinners."""
        self.done = 0
        self.note = ""

    def advance(self, count: int = 1) -> None:
        """Add ``count`` to the things done."""
        self.done += count

    def describe(self, note: str) -> None:
        """Set a note about the current work, or about what was found so far."""
        self.note = note

    def state(self, now: float) -> str:
        """The step in words: its name, its progress, the time taken, and an estimate of the time left."""
        text = self.name if self.total is None else f"{self.name}: {self.done:,} of {self.total:,}"
        text += f" ({self.note})" if self.note else ""
        taken = now - self.begun
        text += f", {duration(taken)}"
        if self.total is not None and 0 < self.done < self.total:
            text += f", about {duration(taken / self.done * (self.total - self.done))} left"
        return text


class StateColumn(ProgressColumn):
    """The step in words."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock

    def render(self, task: Task) -> Text:
        step: Step = task.fields["step"]
        return Text(step.state(self.clock()))


class Reporter:
    """Shows steps on a stream.

    Args:
        stream: where to show them; if None, the process's stderr at the time when a step begins.
        clock: current time in seconds.
        slow_seconds, sign_seconds: see :data:`SLOW_SECONDS` and :data:`SIGN_SECONDS`.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        slow_seconds: float = SLOW_SECONDS,
        sign_seconds: float = SIGN_SECONDS,
    ) -> None:
        self.stream = stream
        self.clock = clock
        self.slow_seconds = slow_seconds
        self.sign_seconds = sign_seconds
        # One display shows all steps of the process, including nested ones and those of other threads.
        self.display: Progress | None = None
        self.lock = threading.Lock()

    @contextmanager
    def step(self, name: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Step]:
        """Show that the block runs, and how long it took if it succeeds.

        Args:
            name: description of the step.
            total: number of things to do, if they are counted with :meth:`Step.advance`.
            quiet: show nothing.
        """
        stream = None if quiet else self.stream or sys.stderr
        step = Step(name, total, self.clock(), partial(self.write, stream))
        if stream is None:
            yield step
            return
        with self.spinner(step, stream) if is_terminal(stream) else self.signs(step):
            yield step
        taken = self.clock() - step.begun
        if taken >= self.slow_seconds:
            step.say(f"{name}, {duration(taken)}")

    @contextmanager
    def spinner(self, step: Step, stream: TextIO) -> Iterator[None]:
        """Show the step on a terminal while it runs, and remove it afterwards."""
        with self.lock:
            if self.display is None:
                self.display = Progress(
                    SpinnerColumn(),
                    StateColumn(self.clock),
                    console=Console(file=stream, force_terminal=True),
                    transient=True,
                    # The display must not capture the program's output: results belong to stdout.
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self.display.start()
            display = self.display
            task = display.add_task("", total=step.total, step=step)
        try:
            yield
        finally:
            with self.lock:
                display.remove_task(task)
                if not display.tasks:
                    display.stop()
                    self.display = None

    @contextmanager
    def signs(self, step: Step) -> Iterator[None]:
        """Write a line once the step is slow, and then a sign of life from time to time."""
        ended = threading.Event()

        def tell() -> None:
            if ended.wait(self.slow_seconds):
                return
            step.say(f"{step.name} ...")
            while not ended.wait(self.sign_seconds):
                step.say(f"{step.state(self.clock())} ...")

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def write(self, stream: TextIO | None, line: str) -> None:
        """Write a line at once; the work continues even if the stream is closed."""
        if stream is None:
            return
        with suppress(OSError, ValueError), self.lock:
            if self.display is None:
                stream.write(f"{line}\n")
                stream.flush()
            else:
                self.display.console.print(Text(line), soft_wrap=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream can show a spinner."""
    return stream.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown")


REPORTER = Reporter()
"""The reporter of this process."""


def counted(things: Iterable[Thing], total: int, name: str, *, quiet: bool = False) -> Iterator[Thing]:
    """Yield the ``total`` things one by one, as a step that counts them."""
    with step(name, total, quiet=quiet) as running:
        for thing in things:
            yield thing
            running.advance()


@contextmanager
def step(name: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Step]:
    """A step of this process, see :meth:`Reporter.step`."""
    with REPORTER.step(name, total, quiet=quiet) as running:
        yield running
