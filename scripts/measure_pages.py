"""Look at the HTML reports in a browser: python scripts/measure_pages.py OUT PAGE.html...

Takes a picture of each page at the width of a desktop and of a phone in headless Chromium (apt-get install
chromium), and lists what the page asks of any host, from the browser's own log of the network. A page
with a picture of another host is looked at first, so that a log which shows nothing would be noticed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

WIDTHS = (1280, 390)
CONTROL = '<!doctype html><img src="http://127.0.0.1:9/control.png">'
BROWSER = ("chromium", "chromium-browser", "google-chrome")


def main(out: Path, pages: list[Path]) -> int:
    """Look at every page; 1 when one asks for anything."""
    browser = next((found for name in BROWSER if (found := shutil.which(name))), None)
    if browser is None:
        print("no Chromium: apt-get install chromium")
        return 0
    out.mkdir(parents=True, exist_ok=True)
    control = out / "control.html"
    control.write_text(CONTROL)
    if not asked(browser, control, out, WIDTHS[0]):
        print("the browser's log does not show what a page asks for")
        return 1
    found = 0
    for page in pages:
        for width in WIDTHS:
            urls = asked(browser, page, out, width)
            found += len(urls)
            print(f"{page.name} at {width}: {out / f'{page.stem}-{width}.png'}, asks for {urls or 'nothing'}")
    return 1 if found else 0


def asked(browser: str, page: Path, out: Path, width: int) -> list[str]:
    """Take a picture of a page and return the addresses that the page itself asks for."""
    stem = out / f"{page.stem}-{width}"
    log = stem.with_suffix(".net.json")
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        f"--window-size={width},2400",
        f"--screenshot={stem.with_suffix('.png')}",
        f"--log-net-log={log}",
        page.resolve().as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    events = json.loads(log.read_text())["events"]
    urls = set()
    for event in events:
        said = event.get("params") or {}
        # What the browser asks on its own account has no page as its initiator.
        if said.get("url", "").startswith(("http", "ws")) and said.get("initiator") not in (
            None,
            "not an origin",
        ):
            urls.add(said["url"])
    return sorted(urls)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
