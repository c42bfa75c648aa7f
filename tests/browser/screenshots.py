"""Takes the pictures of the README from a running product: ``python -m tests.browser.screenshots URL [FOLDER]``.

Wait until the demonstration has left a node (``forestall up``), then point this at its page.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.test_page_in_browser import FLAGS

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT_MAX, BYTES_MAX = 1240, 1_100, 200_000
PATIENCE_S, SETTLE_S = 60.0, 3.0


def pages(overview: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Each picture's page and whether it is a dark one: of the node that was left, and the command that left it."""
    found = {"fleet": ("", False), "savings": ("savings", False), "pipeline": ("pipeline", True)}
    for job in overview["jobs"]:
        found["job"] = (f"job/{job['job']}", False)
        for command in job["commands"]:
            if command["action"] == "MIGRATE":
                found["node"] = (f"node/{command['node']}", True)
                found["decision"] = (f"decision/{command['id']}", False)
    return found


def picture(driver: webdriver.Chrome, address: str, dark: bool, into: Path) -> None:
    """Load the page, wait until nothing is being read, and keep it as it stands."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    _size(driver, 900)
    driver.get("about:blank")
    driver.get(address)
    quiet = (
        "return document.querySelectorAll('.panel').length > 0"
        " && !/Reading its|Recomputing it|Asking for/.test(document.body.innerText)"
    )
    WebDriverWait(driver, PATIENCE_S).until(lambda _: driver.execute_script(quiet))
    _size(driver, min(int(driver.execute_script("return document.body.scrollHeight")), HEIGHT_MAX))
    time.sleep(SETTLE_S)
    driver.save_screenshot(str(into))
    print(f"{into}: {into.stat().st_size} bytes" + (" (too large)" if into.stat().st_size > BYTES_MAX else ""))


def _size(driver: webdriver.Chrome, height: int) -> None:
    size = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def main(url: str, folder: Path) -> None:
    """Take them all."""
    with urlopen(f"{url}/api/overview", timeout=PATIENCE_S) as answer:
        wanted = pages(json.load(answer))
    options = webdriver.ChromeOptions()
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, "--hide-scrollbars", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, (page, dark) in wanted.items():
                picture(driver, f"{url}/#/{page}", dark, folder / f"{name}.png")
        finally:
            driver.quit()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGES)
