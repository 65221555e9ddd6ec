"""OHIF in headless Chromium: its static files and the DICOMweb of an archive from one origin, and what it shows."""

from __future__ import annotations

import http.server
import io
import mimetypes
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

CONFIG = """window.config = {
  routerBasename: null, showStudyList: true, extensions: [], modes: [], customizationService: {},
  maxNumberOfWebWorkers: 2, defaultDataSourceName: 'test',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'test',
    configuration: {
      friendlyName: 'test', name: 'test', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web', wadoUriRoot: '/dicom-web',
      qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true, supportsFuzzyMatching: false, supportsWildcard: true,
      omitQuotationForMultipartRequest: true,
    },
  }],
};"""

# WebGL without a graphics card.
CHROMIUM = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE_MS = 120_000
SETTLING_MS, SETTLING_ROUNDS, UNCHANGED = 700, 60, 4

COLOURED = """() => {
  const canvas = document.querySelector('[data-cy="viewport-pane"] canvas');
  if (!canvas || !canvas.width) return 0;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const [r, g, b] = [pixels[i], pixels[i + 1], pixels[i + 2]];
    if (Math.max(r, g, b) - Math.min(r, g, b) > 60) count += 1;
  }
  return count;
}"""
"""Pixels of the first viewport that are no shade of grey."""

BRIGHT = """() => {
  const canvas = document.querySelector('[data-cy="viewport-pane"] canvas');
  if (!canvas || !canvas.width) return false;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.some((value, index) => index % 4 === 0 && value > 100);
}"""
"""Whether the first viewport shows an image."""


@dataclass(frozen=True)
class Shown:
    """What the viewer showed of a segmentation.

    Attributes
    ----------
    labels : list of str
        Of the segments in its panel.
    coloured_before : int
        Pixels of the viewport that were not grey without the segmentation.
    viewport : array of shape (height, width, 3)
    image_number : int
        Of the slice, from 1.
    hosts : set of str
        Everybody who was asked for something.
    page : bytes
        PNG of the whole window.
    """

    labels: list[str]
    coloured_before: int
    viewport: np.ndarray
    image_number: int
    hosts: set[str]
    page: bytes

    @property
    def coloured(self) -> np.ndarray:
        """Where the viewport is not grey."""
        return np.ptp(self.viewport.astype(int), axis=-1) > 60


def ohif_site() -> Path:
    """Folder of the viewer's files."""
    folder = Path(os.environ.get("SPINEMRI_OHIF", ""))
    if not (folder / "app-config.js").is_file():
        pytest.skip("OHIF is absent: set SPINEMRI_OHIF to the folder 'dist' of the npm package @ohif/app")
    if shutil.which("chromium") is None:
        pytest.skip("chromium is absent: install Debian's chromium")
    return folder


@contextmanager
def served(site: Path, dicomweb: str) -> Iterator[str]:
    """Serve the viewer and, under ``/dicom-web``, an archive; give the address of both."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/dicom-web"):
                status, kind, body = _forwarded(dicomweb + self.path.removeprefix("/dicom-web"), self.headers)
            else:
                status, kind, body = 200, *_file(site, path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """Let the browser hang up when it has seen enough."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _file(site: Path, path: str) -> tuple[str, bytes]:
    if path == "/app-config.js":
        return "text/javascript", CONFIG.encode()
    file = site / path.lstrip("/")
    if not file.is_file():
        file = site / "index.html"
    kind = "application/wasm" if file.suffix == ".wasm" else mimetypes.guess_type(file.name)[0]
    return kind or "application/octet-stream", file.read_bytes()


def _forwarded(url: str, headers: object) -> tuple[int, str, bytes]:
    # With the browser's host: the archive writes addresses of itself into its answers.
    own = {"Accept": headers.get("Accept", "*/*"), "Host": headers.get("Host", "")}  # type: ignore[attr-defined]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=own), timeout=60) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Content-Type", ""), error.read()


def show_segmentation(address: str, study_uid: str, series: str) -> Shown:
    """Open a study, open one of its segmentations by its series description, and say what is seen."""
    hosts: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: hosts.add(request.url.partition("://")[2].partition("/")[0]))
        page.goto(f"{address}/segmentation?StudyInstanceUIDs={study_uid}")
        page.locator('[data-cy="confirm-and-hide-button"]').click()
        page.wait_for_function(BRIGHT)
        before = page.evaluate(COLOURED)
        page.locator('[data-cy="study-browser-thumbnail-no-image"]', has_text=series).dblclick()
        page.get_by_role("button", name="Yes", exact=True).click()
        page.get_by_role("button", name="Yes", exact=True).wait_for(state="detached")
        page.wait_for_function(f"() => ({COLOURED})() > 100")
        shown = _read(page, before, hosts)
        browser.close()
    return shown


def _settled(page: Page) -> tuple[str, str]:
    """Number and picture of the slice once both rest: the viewer goes on to a slice that shows a segment."""
    pane = page.locator('[data-cy="viewport-pane"]').first
    seen: list[tuple[str, str]] = []
    for _ in range(SETTLING_ROUNDS):
        number = pane.locator('[data-cy="viewport-overlay-bottom-right"]').inner_text()
        seen.append((number, pane.locator("canvas").first.evaluate("canvas => canvas.toDataURL('image/png')")))
        if len(seen) >= UNCHANGED and len(set(seen[-UNCHANGED:])) == 1:
            return seen[-1]
        page.wait_for_timeout(SETTLING_MS)
    raise AssertionError(f"the viewport still changes after {SETTLING_ROUNDS * SETTLING_MS / 1000:.0f} s")


def _read(page: Page, before: int, hosts: set[str]) -> Shown:
    number, picture = _settled(page)
    labels = page.locator('[data-cy="segmentation-select-Labelmap"]').locator("xpath=ancestor::*[4]").inner_text()
    encoded = picture.partition(",")[2]
    with urllib.request.urlopen(f"data:image/png;base64,{encoded}") as data:
        viewport = np.array(Image.open(io.BytesIO(data.read())).convert("RGB"))
    return Shown(
        labels=[line.strip() for line in labels.splitlines() if line.strip()],
        coloured_before=before,
        viewport=viewport,
        image_number=int(number.partition(":")[2].split("(")[0]),
        hosts={host for host in hosts if host},
        page=page.screenshot(),
    )
