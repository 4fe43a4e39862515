"""A real browser for tests of HTML pages: headless Chromium (Debian's package ``chromium``), driven through its own
debugging pipe, so that no package is needed."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
WIDTHS = (1280, 390)
"""Widths of a desk's and of a phone's window, in pixels."""
PHONE = 600
"""Windows narrower than this are those of a phone."""
HEIGHT = 900
TALLEST = 16_000
"""Pixels of the tallest picture that Chromium makes."""
SECONDS = 120
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root in a container, where the sandbox cannot
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-pipe",
)
MEASURE = """
(() => {
  const root = document.documentElement, wide = [];
  const clipped = one => {
    for (let up = one.parentElement; up && up !== document.body; up = up.parentElement)
      if (up.getBoundingClientRect().right <= root.clientWidth + 1 && getComputedStyle(up).overflowX !== 'visible')
        return true;
    return false;
  };
  for (const one of document.body.querySelectorAll('*')) {
    const box = one.getBoundingClientRect();
    if (box.width && (box.right > root.clientWidth + 1 || box.left < -1) && !clipped(one)) {
      const name = one.className && one.className.baseVal === undefined ? '.' + one.className : '';
      wide.push(one.tagName.toLowerCase() + name + ' ' + Math.round(box.left) + '..' + Math.round(box.right));
    }
  }
  return {shown: root.clientWidth, needed: root.scrollWidth, height: root.scrollHeight, title: document.title,
          language: root.lang, wide: wide.slice(0, 10)};
})()
"""
"""Measures the loaded page; elements inside a part that scrolls by itself do not make the page wide."""


class BrowserError(Exception):
    """The browser refused a command, ended, or did not answer in time."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a page did at one width.

    Attributes:
        errors: errors and warnings on the console, exceptions, and resources that did not load.
        requests: every address that the page asked for, its own first.
        shown: width of the window's content in pixels.
        needed: width that the page takes; more than ``shown`` means that it must be scrolled sideways.
        wide: the first elements that reach beyond the window.
        height: height of the page.
        title, language: as the page states them.
        picture: the screenshot of the whole page.
    """

    errors: tuple[str, ...]
    requests: tuple[str, ...]
    shown: int
    needed: int
    wide: tuple[str, ...]
    height: int
    title: str
    language: str
    picture: Path

    def faults(self, width: int) -> list[str]:
        """What is wrong with the page in a window of ``width``, in words; empty for a good page."""
        found = [*self.errors]
        if self.needed > self.shown or self.shown != width:
            found.append(f"{self.needed} pixels wide in a window of {width}: {', '.join(self.wide)}")
        if not self.title or not self.language:
            found.append("no title, or no language")
        return found


class Browser:
    """A running browser with one page; make it with :func:`browser`."""

    def __init__(self, sending: int, receiving: int) -> None:
        self._sending, self._receiving = sending, receiving
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self._command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._command(f"{domain}.enable")

    def visit(self, address: str | Path, width: int, picture: Path, *, dark: bool = False) -> Visit:
        """Load a page in a window of ``width`` pixels and take a screenshot of all of it.

        Args:
            address: an address, or the path of a file.
            picture: file for the screenshot (.png).
            dark: whether the user prefers dark colours.
        """
        address = address.resolve().as_uri() if isinstance(address, Path) else address
        size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1}
        self._command("Emulation.setDeviceMetricsOverride", mobile=width < PHONE, **size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._command("Emulation.setEmulatedMedia", features=scheme)
        self._events.clear()
        self._command("Page.navigate", url=address)
        self._wait_for("Page.loadEventFired")
        found = self.evaluate(MEASURE)
        whole = {"x": 0, "y": 0, "width": width, "height": min(found["height"], TALLEST), "scale": 1}
        shot = self._command("Page.captureScreenshot", captureBeyondViewport=True, clip=whole)
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(base64.b64decode(shot["data"]))
        return Visit(
            errors=tuple(filter(None, map(complaint, self._events))),
            requests=tuple(
                event["params"]["request"]["url"]
                for event in self._events
                if event["method"] == "Network.requestWillBeSent"
            ),
            shown=found["shown"],
            needed=found["needed"],
            wide=tuple(found["wide"]),
            height=found["height"],
            title=found["title"],
            language=found["language"],
            picture=picture,
        )

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self._command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def print_to(self, path: Path) -> None:
        """Print the page that is shown into a PDF file."""
        path.write_bytes(base64.b64decode(self._command("Page.printToPDF", printBackground=True)["data"]))

    def _command(self, method: str, **arguments: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": arguments}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._sending, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != number:
                self._events.append(answer)
            elif "error" in answer:
                raise BrowserError(f"{method}: {answer['error']['message']}")
            else:
                result: dict[str, Any] = answer["result"]
                return result

    def _wait_for(self, method: str) -> None:
        while all(event.get("method") != method for event in self._events):
            self._events.append(self._read())

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._receiving], [], [], SECONDS)[0]:
                raise BrowserError(f"the browser has not answered for {SECONDS} seconds")
            part = os.read(self._receiving, 1 << 20)
            if not part:
                raise BrowserError("the browser has ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        content: dict[str, Any] = json.loads(message)
        return content


def complaint(event: dict[str, Any]) -> str:
    """An event of the browser in words if it is an error; otherwise ""."""
    method, content = event["method"], event["params"]
    if method == "Runtime.exceptionThrown":
        return f"exception: {content['exceptionDetails']['text']}"
    if method == "Runtime.consoleAPICalled" and content["type"] in ("error", "warning", "assert"):
        return f"console: {' '.join(str(one.get('value')) for one in content['args'])}"
    if method == "Log.entryAdded" and content["entry"]["level"] in ("error", "warning"):
        return f"{content['entry']['text']} {content['entry'].get('url', '')}".rstrip()
    if method == "Network.loadingFailed":
        return f"did not load: {content['errorText']}"
    return ""


def pipe() -> tuple[int, int]:
    """The ends of a pipe, none of which is one of the browser's own file descriptors."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless browser with a profile of its own, which is removed; it ends with the block."""
    assert CHROMIUM is not None
    to_browser, sending = pipe()
    receiving, from_browser = pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The browser reads commands from file descriptor 3 and answers on 4.
        redirected = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        process = subprocess.Popen(
            ["bash", "-c", redirected, CHROMIUM, *OPTIONS, f"--user-data-dir={profile}"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Browser(sending, receiving)
        finally:
            os.close(sending)
            process.terminate()
            process.wait(SECONDS)
            os.close(receiving)
