"""What people see of steps that take long, on stderr: that they run, how far they are, and how long they took.

On a terminal a running step has a spinner. Elsewhere (a log, a pipe, a cluster's job) it writes a line when it turns
out to be long and then a sign of life now and then. Either way it ends with one line: its name and its time. Steps
that are done at once say nothing, and stdout is left to results.
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
"""What takes less is not worth a line."""
SIGN_SECONDS = 20.0
"""Between two signs of life in a log; thirty seconds without one look like a program that hangs."""


def duration(seconds: float) -> str:
    """A time span for people: ``41 s``, ``3 min 7 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Step:
    """A running step: how far it is, out of ``total`` where that is known; several threads may look at it."""

    def __init__(self, name: str, total: int | None, begun: float, say: Callable[[str], None]) -> None:
        self.name = name
        self.total = total
        self.begun = begun
        self.say = say
        """Writes a line for people, above spinners that turn."""
        self.done = 0
        self.note = ""

    def advance(self, count: int = 1) -> None:
        """``count`` more are done."""
        self.done += count

    def describe(self, note: str) -> None:
        """Say what it is at, or what it has found so far."""
        self.note = note

    def state(self, now: float) -> str:
        """The step in words: what, how far, for how long, and for how much longer if it goes on like this."""
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
        stream: where; the process's stderr, as it is when a step begins, if None.
        clock: seconds.
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
        # One display shows all steps of the process, those inside another and those of other threads too.
        self.display: Progress | None = None
        self.lock = threading.Lock()

    @contextmanager
    def step(self, name: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Step]:
        """Show that the block runs, and how long it took if it ends well.

        Args:
            name: what it does.
            total: how many things it does, if it counts them with :meth:`Step.advance`.
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
        """Show the step on a terminal, and nothing of it afterwards."""
        with self.lock:
            if self.display is None:
                self.display = Progress(
                    SpinnerColumn(),
                    StateColumn(self.clock),
                    console=Console(file=stream, force_terminal=True),
                    transient=True,
                    # The display must not get what the program prints meanwhile: results belong to stdout.
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
        """Write that the step runs, as soon as it is slow, and then now and then."""
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
        """Write a line at once; the work goes on even if the stream is closed."""
        if stream is None:
            return
        with suppress(OSError, ValueError), self.lock:
            if self.display is None:
                stream.write(f"{line}\n")
                stream.flush()
            else:
                self.display.console.print(Text(line), soft_wrap=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether a spinner can turn there."""
    return stream.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown")


REPORTER = Reporter()
"""The process's own."""


def counted(things: Iterable[Thing], total: int, name: str, *, quiet: bool = False) -> Iterator[Thing]:
    """The things, ``total`` of them, one by one, as a step that counts them."""
    with step(name, total, quiet=quiet) as running:
        for thing in things:
            yield thing
            running.advance()


@contextmanager
def step(name: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Step]:
    """A step of this process, see :meth:`Reporter.step`."""
    with REPORTER.step(name, total, quiet=quiet) as running:
        yield running
