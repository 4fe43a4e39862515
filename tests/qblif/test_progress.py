"""What long steps say, on a terminal and elsewhere; the clock is a script, the streams are the test's."""

import io
import itertools
import re
import sys
import threading
import time

import pytest

from qblif import progress
from qblif.progress import Reporter, Step, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Time passes only when the test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def reporter(stream, clock, **seconds) -> Reporter:
    return Reporter(stream, clock, **{"slow_seconds": 2.0, "sign_seconds": 30.0, **seconds})


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_step_ends_with_a_line_that_has_its_time(kind, monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    stream, clock = kind(), Clock()
    with reporter(stream, clock).step("ulx3s_85f: synthesis"):
        clock.now += 41.4
    assert stream.getvalue().splitlines()[-1].endswith("ulx3s_85f: synthesis, 41 s")
    assert capsys.readouterr() == ("", "")


def test_a_short_step_says_nothing():
    stream, clock = io.StringIO(), Clock()
    with reporter(stream, clock).step("packing"):
        clock.now += 1.9
    assert stream.getvalue() == ""


def test_a_step_that_fails_has_no_time():
    stream, clock = io.StringIO(), Clock()
    with pytest.raises(ZeroDivisionError), reporter(stream, clock).step("synthesis"):
        clock.now += 60 / 0
    assert stream.getvalue() == ""


def test_without_a_terminal_signs_of_life(monkeypatch):
    """A line as soon as it is slow, then one per interval, with how far it is and how long it may still take."""
    stream, clock, heard = io.StringIO(), Clock(), threading.Event()
    write = stream.write

    def listening(text: str) -> int:
        count = write(text)
        if stream.getvalue().count("\n") == 3:
            heard.set()
        return count

    monkeypatch.setattr(stream, "write", listening)
    with reporter(stream, clock, slow_seconds=0.01, sign_seconds=0.01).step("images", 1000) as step:
        step.advance(250)
        step.describe("12 wrong")
        clock.now += 30
        assert heard.wait(10)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "images ..."
    assert lines[1] == lines[2] == "images: 250 of 1,000 (12 wrong), 30 s, about 1 min 30 s left ..."
    assert lines[-1] == "images, 30 s"


def test_nobody_waits_longer_than_half_a_minute_for_a_sign():
    assert progress.SLOW_SECONDS <= 2
    assert progress.SIGN_SECONDS <= 30


def test_steps_in_steps_and_side_by_side_share_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream, ticks = Terminal(), itertools.count(0, 100)
    shown = reporter(stream, lambda: float(next(ticks)))

    def work(name: str) -> None:
        with shown.step(name):
            time.sleep(0.05)

    with shown.step("outer"):
        threads = [threading.Thread(target=work, args=(name,)) for name in ("left", "right")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", stream.getvalue())
    for name in ("outer", "left", "right"):
        assert re.search(rf"^{name}, \d+ (s|min \d+ s|h \d+ min)$", plain, re.MULTILINE), name
    assert shown.display is None


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream, clock = Terminal(), Clock()
    with reporter(stream, clock).step("synthesis"):
        clock.now += 3
    assert stream.getvalue() == "synthesis, 3 s\n"


def test_quiet_and_no_stream_at_all(monkeypatch):
    stream, clock = io.StringIO(), Clock()
    with reporter(stream, clock).step("synthesis", quiet=True):
        clock.now += 3
    assert stream.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)
    with progress.step("synthesis") as step:
        step.advance()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (187, "3 min 7 s"), (7500, "2 h 5 min")]
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def test_nothing_is_left_when_all_is_done():
    step = Step("images", 10, 0.0, print)
    step.advance(10)
    assert step.state(5.0) == "images: 10 of 10, 5 s"
