"""The pictures of the board that the README shows: `python deploy/screenshots/make.py` makes them anew.

It plays the demo and looks at it with Chromium, by selenium (`pip install -e '.[test]'`). Nobody in them is real.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

HERE = Path(__file__).parent
PICTURES = {"now.png": ("/", 1400, 1050), "phone.png": ("/alerts", 390, 844)}
"""File → page, width, height."""
ROOM_SECONDS = 300


def address_of(process: subprocess.Popen[str]) -> str:
    """What `lyttepost board demo` says first."""
    if process.stdout is None:
        raise RuntimeError("the demo says nothing")
    for line in process.stdout:
        if found := re.search(r"The board is at (\S+)", line):
            return found[1]
    raise RuntimeError("the demo did not start")


def take(address: str) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for word in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{word}")
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver") or ""))
    try:
        until = time.monotonic() + ROOM_SECONDS
        while time.monotonic() < until:
            driver.get(address)
            if "kan være avkreftet" in driver.page_source:
                break
            time.sleep(1)
        for name, (path, width, height) in PICTURES.items():
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(f"{address}{path}")
            time.sleep(1)
            driver.save_screenshot(str(HERE / name))
    finally:
        driver.quit()


def main() -> None:
    command = [sys.executable, "-m", "lyttepost", "board", "demo", "--no-browser", "--port", "0", "--speed", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 -- ours
        try:
            take(address_of(process))
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
