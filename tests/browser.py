"""Chromium without a window, driven over its DevTools pipe: plain standard library."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE = 150.0  # seconds for an answer: the machine may be busy


class Browser:
    """One page. What the page asks for or complains about is kept in `events`."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._unread = b""
        self._last_id = 0
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A command to the page."""
        return self._ask(method, session=self._session, **params)

    def open(self, path: Path, width: int, height: int, scheme: str = "light") -> None:
        """Load a file as a device of that size shows it, and wait until it has loaded."""
        phone = width < 700
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=preferred)
        self.events.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, *, whole: bool = False) -> bytes:
        """PNG of what is in view, or of the whole page."""
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def complaints(self) -> list[str]:
        """What the console would show in red or yellow."""
        logged = [e["params"]["entry"] for e in self.events if e["method"] == "Log.entryAdded"]
        thrown = [e for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        said = [e for e in self.events if e["method"] == "Runtime.consoleAPICalled"]
        return [entry["text"] for entry in logged] + [
            json.dumps(e["params"]) for e in thrown + said
        ]

    def requests(self) -> list[str]:
        """Addresses that the page asked for."""
        sent = [e for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [e["params"]["request"]["url"] for e in sent]

    def _ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])
            self._keep(answer)

    def _keep(self, message: dict[str, Any]) -> None:
        if "method" in message:  # not a late answer to a command that was given up
            self.events.append(message)

    def _wait_for(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            self._keep(self._read())

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            read = os.read(self._answers, 1 << 20) if ready else b""
            if not read:
                raise TimeoutError("chromium does not answer")
            self._unread += read
        message, self._unread = self._unread.split(b"\0", 1)
        return dict(json.loads(message))


@contextlib.contextmanager
def started_browser(profile: Path) -> Iterator[Browser]:
    """:param profile: a new folder, for what Chromium keeps."""
    assert CHROMIUM is not None
    # Chromium reads commands from descriptor 3 and answers on 4.
    (from_test, commands), (answers, from_chromium) = os.pipe(), os.pipe()
    reads, writes = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (from_test, from_chromium))
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--autoplay-policy=no-user-gesture-required",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{writes}', "bash", CHROMIUM, *options],
        pass_fds=(reads, writes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for fd in (from_test, from_chromium, reads, writes):
        os.close(fd)
    browser = None
    try:
        browser = Browser(commands, answers)
        yield browser
    finally:
        if browser is not None:
            with contextlib.suppress(OSError, TimeoutError):
                browser._ask("Browser.close")
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(commands)
        os.close(answers)
