"""Chromium, driven by Playwright, and a server for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright import sync_api

from tests.serving import Server, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Watched:
    """A page, and what it should not do: log errors, ask other hosts."""

    page: sync_api.Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", self._request)

    def _console(self, message: sync_api.ConsoleMessage) -> None:
        # Chromium itself logs every refused request; the refusals are what some tests want.
        if message.type in ("error", "warning") and "status of 422" not in message.text:
            self.complaints.append(message.text)

    def _request(self, request: sync_api.Request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.complaints.append(f"asked another host: {request.url}")

    def open(self, hash: str = "") -> sync_api.Page:
        """Load the playground and wait for its first drawing."""
        self.page.goto(f"{self.base}/{hash}")
        self.page.wait_for_selector("#circuit svg")
        return self.page

    def painted(self) -> int:
        """How often the page has been drawn."""
        return int(self.page.evaluate("Number(document.body.dataset.painted ?? 0)"))

    def wait_for_paint(self, before: int) -> None:
        self.page.wait_for_function(
            "before => Number(document.body.dataset.painted) > before", arg=before
        )


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[sync_api.Browser]:
    """Chromium, closed when this folder's tests are done.

    While it is open Playwright keeps an event loop running in this thread, in which other
    tests could not start their own.
    """
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing: apt-get install chromium")
        pytest.skip("Chromium isn't installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def watched(browser: sync_api.Browser, server: Server) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1400, "height": 950})
    context.set_default_timeout(15_000)
    page = Watched(context.new_page(), server.url)
    page.watch()
    yield page
    context.close()
    assert page.complaints == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: the folder that PICTURES names, or one that is thrown away."""
    folder = Path(os.environ.get("PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
