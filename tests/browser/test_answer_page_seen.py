"""The page behind a message's link as a person sees it on a telephone: in both languages, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pages import Browser, chromium, start
from selenium import webdriver
from test_board_pages import violations

from tests.ops.answer_page_support import Phone

Looks = Callable[..., Browser]


@pytest.fixture
def looks(drivers: list[webdriver.Chrome]) -> Iterator[Looks]:
    """Makes somebody who opens an address on a telephone."""
    taken: list[webdriver.Chrome] = []

    def make(address: str, **options: Any) -> Browser:
        driver = drivers.pop() if drivers else start(chromium() or "")
        taken.append(driver)
        return Browser(driver, address, **{"width": 360, "height": 740, **options})

    yield make
    drivers.extend(taken)


@pytest.mark.parametrize(("who", "dark", "says"), [("kari", True, "Hvem er du?"), ("ola", False, "Who are you?")])
def test_it_is_whole_on_a_telephone_and_fetches_nothing_from_elsewhere(
    looks: Looks, checker: str, tmp_path: Path, who: str, dark: bool, says: str
) -> None:
    with closing(Phone(tmp_path, texts=True)) as phone:
        address = f"http://127.0.0.1:{phone.receiver.port}"
        person = looks(address, dark=dark)
        person.open(f"/a/{phone.tokens[who]}")
        person.says(says)
        assert violations(person, checker) == []
        wide, shown = person.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= shown
        fetched = person.run("return performance.getEntriesByType('resource').map((each) => each.name)")
        assert [each for each in fetched if not each.startswith(f"{address}/a/")] == []
        assert person.one("button").size["height"] >= 44
        assert phone.said() == []
        person.tick(f"input[value={who}]")
        person.one("button").click()
        person.wait(lambda: person.count(".answered"))
        assert violations(person, checker) == []
        assert len(phone.said()) == 2
        assert person.complaints() == []


def test_a_link_that_leads_nowhere_is_a_page_that_can_be_read(looks: Looks, checker: str, tmp_path: Path) -> None:
    with closing(Phone(tmp_path)) as phone:
        person = looks(f"http://127.0.0.1:{phone.receiver.port}", dark=True)
        person.open("/a/AAAAAAAAAAAAAAAAAAAAAAAA")
        person.says("Lenken virker ikke")
        assert person.one("a").get_attribute("href") == "tel:55000000"
        assert violations(person, checker) == []
