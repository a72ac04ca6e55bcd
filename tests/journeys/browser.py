"""A real headless Chromium, spoken to over its DevTools protocol: pages as customers see them, scripts switched off."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One tab. Its own scripts are off; `look` evaluates from outside."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol and its result."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async for message in self._socket:
            told = json.loads(message.data)
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]
        raise AssertionError("the browser is gone")

    async def begin(self, width: int, height: int, lang: str) -> None:
        """A screen of this size and a browser of this language, without JavaScript."""
        await self.call("Page.enable")
        await self.call("Emulation.setScriptExecutionDisabled", value=True)
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.call("Network.enable")
        await self.call("Network.setExtraHTTPHeaders", headers={"accept-language": lang})

    async def go(self, url: str) -> None:
        """Opens an address and waits for it."""
        await self.call("Page.navigate", url=url)
        await self.settled()

    async def settled(self) -> None:
        """Waits until the document that is there has been there for a moment."""
        for _ in range(100):
            await asyncio.sleep(0.1)
            with suppress(AssertionError, KeyError):
                if await self.look("document.readyState") == "complete":
                    return
        raise AssertionError("the page never came")

    async def look(self, expression: str) -> Any:
        """The value of an expression in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    async def press(self, key: str, code: int, text: str = "") -> None:
        """One key, down and up."""
        about = {"key": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    async def write(self, text: str) -> None:
        """Text into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def names(self, *roles: str) -> list[tuple[str, str]]:
        """What a screen reader is told: (role, name) of every node with one of these roles."""
        tree = await self.call("Accessibility.getFullAXTree")
        found = [(node.get("role", {}).get("value"), node.get("name", {}).get("value", "")) for node in tree["nodes"]]
        return [one for one in found if one[0] in roles]

    async def picture(self) -> bytes:
        """The whole page as PNG."""
        told = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(told["data"])


def _start(home: Path) -> subprocess.Popen[bytes]:
    assert PROGRAM is not None
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={home}")
    quiet = subprocess.DEVNULL
    return subprocess.Popen([PROGRAM, *flags, "about:blank"], stdout=quiet, stderr=quiet, start_new_session=True)


@asynccontextmanager
async def chromium() -> AsyncIterator[aiohttp.ClientSession]:
    """A running browser; its session speaks to its DevTools."""
    home = Path(tempfile.mkdtemp(prefix="genki-chromium-"))
    process = _start(home)
    try:
        told = home / "DevToolsActivePort"
        for _ in range(300):
            if told.exists() and told.read_text().strip():
                break
            await asyncio.sleep(0.1)
        port = told.read_text().split()[0]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own group: the browser and its children
        process.wait(10)
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def page(browser: aiohttp.ClientSession, width: int, lang: str, height: int = 900) -> AsyncIterator[Page]:
    """A new tab."""
    async with browser.put("/json/new?about:blank") as answer:
        url = (await answer.json())["webSocketDebuggerUrl"]
    async with browser.ws_connect(url, max_msg_size=0) as socket:
        opened = Page(socket)
        await opened.begin(width, height, lang)
        yield opened
