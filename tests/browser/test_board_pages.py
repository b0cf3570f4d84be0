"""Every page of the board as people see it: both languages, light and dark, on a phone, enlarged, without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pages import TAB, Browser

Browsers = Callable[..., Browser]
PAGES = (
    "/",
    "/alerts",
    "/said",
    "/said/relatives_contact",
    "/switch",
    "/accessibility",
    "/report",
    "/handover",
    "/highlights",
)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


def found(browser: Browser) -> list[str]:
    """All pages: those with an address of their own, an alert, a story, one whose words are veiled, and none."""
    browser.open("/")
    html = browser.driver.page_source
    alert = re.search(r"/alerts/[0-9a-f]+(?=\")", html)
    stories = list(dict.fromkeys(re.findall(r"/story/[0-9a-f]+", html)))
    assert alert
    assert stories
    return [*PAGES, alert[0], *stories[:2], "/no/such/page"]


def violations(browser: Browser, checker: str) -> list[str]:
    browser.run(checker)
    answer: Any = browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {runOnly: {type: 'tag', values: arguments[0]}}).then(done, (error) => done(String(error)));",
        list(RULES),
    )
    assert isinstance(answer, dict), answer
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in answer["violations"]]


@pytest.mark.parametrize(("language", "dark"), [("nb", False), ("en", True)])
def test_a_checker_of_accessibility_finds_nothing(browsers: Browsers, checker: str, language: str, dark: bool) -> None:
    browser = browsers(dark=dark)
    for path in found(browser):
        browser.open(f"{path}?lang={language}")
        browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert violations(browser, checker) == [], path
        assert browser.one("html").get_attribute("lang") == language
    complaints = [each for each in browser.complaints() if "404" not in each]
    assert complaints == []


@pytest.mark.parametrize(("language", "dark"), [("nb", True), ("en", False)])
def test_nor_where_a_page_tells_of_itself(browsers: Browsers, checker: str, language: str, dark: bool) -> None:
    """That it is old, that something waits, that what was written is there again, that nobody is logged in."""
    browser = browsers(dark=dark)
    browser.open(f"/switch?lang={language}")
    browser.run(
        "const stale = document.getElementById('stale'), form = document.querySelector('main form');"
        "stale.textContent = stale.dataset.lost; stale.hidden = document.getElementById('waits').hidden = false;"
        "for (const id of ['kept', 'kept-elsewhere'])"
        "  form.prepend(document.getElementById(id).content.cloneNode(true))"
    )
    assert violations(browser, checker) == []
    browser.run("window.fetch = async () => new Response('', {status: 401})")
    browser.wait(lambda: browser.count("main > h1 ~ p a[href^='/login?next=']"))
    assert violations(browser, checker) == []


@pytest.mark.parametrize(("width", "zoom"), [(390, 1.0), (1280, 2.0), (1280, 4.0)], ids=["phone", "200 %", "400 %"])
def test_nothing_is_cut_off_and_nobody_scrolls_sideways(browsers: Browsers, width: int, zoom: float) -> None:
    browser = browsers(width=width, zoom=zoom)
    for path in found(browser):
        browser.open(path)
        wide, shown = browser.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= shown, f"{path} is {wide} wide where {shown} are shown"


def test_without_scripts_everything_can_be_done(browsers: Browsers) -> None:
    browser = browsers(script=False)
    browser.open("/")
    before = browser.count("#open-alerts ~ .rows .alert")
    browser.press("Jeg tar den")
    browser.says("Du har tatt den")
    browser.open("/alerts")
    browser.says("av demo")
    assert before


def test_all_is_reached_by_keyboard_alone(browsers: Browsers) -> None:
    browser = browsers()
    browser.open("/alerts")
    browser.keys(TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    assert browser.run("return document.activeElement.getBoundingClientRect().left") >= 0
    reached = set()
    for _ in range(200):
        browser.keys(TAB)
        what = browser.run(
            "const e = document.activeElement; const s = getComputedStyle(e);"
            "return e === document.body ? null : [e.tagName, e.innerText.trim().slice(0, 40), s.outlineStyle]"
        )
        if what is None:
            break
        assert what[2] != "none", f"{what} does not show that it has the focus"
        reached.add(what[1])
    assert {"Nå", "Hva folk sier", "Åpne/avslutt krise", "Jeg tar den"} <= reached
