"""A person at a browser: opens pages, reads, presses, types."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

WAIT_SECONDS = 60.0
"""A machine that runs other tests too may be slow."""


def chromium() -> str | None:
    """Where it is; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def start(program: str) -> webdriver.Chrome:
    """A browser without a window. To start one costs seconds."""
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-extensions"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, Service(shutil.which("chromedriver") or ""))


class Browser:
    """A person at a browser with a fresh tab. `script`: whether pages may run any. `dark`: whether the person likes it
    dark. `zoom`: 2 is 200 per cent."""

    def __init__(
        self, driver: webdriver.Chrome, address: str, *, width: int = 1400, height: int = 1000, script: bool = True,
        dark: bool = False, zoom: float = 1.0,
    ) -> None:  # fmt: skip
        self.driver = driver
        self.address = address
        before = driver.window_handles
        driver.switch_to.new_window("tab")
        fresh = driver.current_window_handle
        for each in before:
            driver.switch_to.window(each)
            driver.close()
        driver.switch_to.window(fresh)
        origin = {"origin": address, "storageTypes": "all"}
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", origin)
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        driver.get_log("browser")
        # A window is never narrower than 500; what is shown may be.
        shown = {"width": round(width / zoom), "height": round(height / zoom)}
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", shown | {"deviceScaleFactor": zoom, "mobile": False}
        )
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        if dark:
            media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def open(self, path: str) -> None:
        self.driver.get(self.address + path)

    def text(self) -> str:
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def count(self, css: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, css))

    def one(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, css))

    def link(self, words: str) -> WebElement:
        return self.driver.find_element(By.PARTIAL_LINK_TEXT, words)

    def press(self, words: str, within: str = "body") -> None:
        """The first button, link or heading of something to open, that bears these words; waits until there is one."""

        def pressed() -> bool:
            for element in self.all(f"{within} button, {within} summary, {within} a"):
                if words in element.text and element.is_displayed():
                    self.bring(element)
                    element.click()
                    return True
            return False

        self.wait(pressed)

    def says(self, words: str, within: str = "body") -> None:
        """Waits until it does: a page that is being loaded says nothing yet."""
        self.wait(lambda: words in self.one(within).text)

    def type(self, css: str, text: str) -> None:
        def typed() -> bool:
            field = self.one(css)
            self.bring(field)
            field.clear()
            field.send_keys(text)
            return True

        self.wait(typed)

    def tick(self, css: str) -> None:
        def ticked() -> bool:
            element = self.one(css)
            self.bring(element)
            element.click()
            return True

        self.wait(ticked)

    def keys(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def bring(self, element: WebElement) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def point(self, css: str) -> None:
        """The mouse rests on it."""
        webdriver.ActionChains(self.driver).move_to_element(self.one(css)).perform()

    def hold(self, css: str) -> None:
        """The mouse is pressed on it, and not let go."""

        def held() -> bool:
            element = self.one(css)
            self.bring(element)
            webdriver.ActionChains(self.driver).click_and_hold(element).perform()
            return True

        self.wait(held)

    def let_go(self) -> None:
        webdriver.ActionChains(self.driver).release().perform()

    def sleep(self, seconds: float) -> None:
        """While the page goes on."""
        time.sleep(seconds)

    def offline(self, off: bool) -> None:
        """Cut the net, or mend it."""
        network = {"offline": off, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", network)

    def wait(self, until: Callable[[], object], seconds: float = WAIT_SECONDS) -> float:
        """How long it took. What is being replaced just now is looked at again."""
        began = time.monotonic()
        while True:
            try:
                if until():
                    return time.monotonic() - began
            except (StaleElementReferenceException, WebDriverException):
                pass
            if time.monotonic() - began > seconds:
                raise AssertionError(f"not within {seconds} s; the page says:\n{self.text()[:3000]}")
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        """What the browser complained of: an error of a script, something that a policy forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


ENTER, TAB = Keys.ENTER, Keys.TAB
