"""A real browser for the tests of the site: Chromium over its own protocol, one page, a few calls.

with Browser() as page:
    page.size(390, 800)
    page.go("http://localhost:8000/")
    page.run("document.title")
"""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str | None:
    "Where Chromium is, or None."
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    "Chromium with a profile of its own, gone with the `with` block."

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        self.process = subprocess.Popen(
            [executable(), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.connect(Path(self.profile) / "DevToolsActivePort")
        except BaseException:
            self.__exit__()
            raise
        return self

    def connect(self, told: Path, patience: float = 60) -> None:
        import websocket

        until = time.monotonic() + patience
        while not (told.exists() and told.read_text().strip()):
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError("Chromium did not start")
            time.sleep(0.05)
        port = told.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(p for p in json.load(answer) if p["type"] == "page")
        self.ids = itertools.count(1)
        self.socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=patience)
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method: str, **params) -> dict:
        "One command of the protocol, and its answer."
        me = next(self.ids)
        self.socket.send(json.dumps({"id": me, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv())).get("id") != me:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def size(self, width: int, height: int = 900) -> None:
        "The size of the window in CSS pixels."
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def dark(self, dark: bool) -> None:
        value = "dark" if dark else "light"
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": value}],
        )

    def run(self, code: str):
        "The value of an expression on the page; promises are awaited."
        done = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(
                done["exceptionDetails"].get("exception", {}).get("description", code)
            )
        return done["result"].get("value")

    def until(self, code: str, patience: float = 30):
        "Wait until an expression is true; its value."
        end = time.monotonic() + patience
        while not (value := self.run(code)):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {code}")
            time.sleep(0.05)
        return value

    def go(self, url: str) -> None:
        "Load a page with its scripts and fonts."
        self.call("Page.navigate", url=url)
        self.until(
            f"location.href.split('#')[0] === {json.dumps(url.partition('#')[0])} "
            "&& document.readyState === 'complete'"
        )
        self.run("document.fonts.ready.then(() => true)")

    def key(self, name: str) -> None:
        "Press one key."
        text = name if len(name) == 1 else ""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name)

    def shot(self, path: str | Path, whole: bool = False) -> None:
        "A picture of what is seen, or of the whole page."
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)[
            "data"
        ]
        Path(path).write_bytes(base64.b64decode(data))
