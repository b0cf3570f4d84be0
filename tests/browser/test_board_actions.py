"""What the crisis team does at the board, by clicking, and what it is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pages import Browser
from relay import Relay
from test_board_pages import violations

Browsers = Callable[..., Browser]


def first(browser: Browser, path: str, pattern: str) -> str:
    browser.open(path)
    found = re.search(pattern, browser.driver.page_source)
    assert found, browser.text()
    return found[0]


def an_alert(browser: Browser) -> str:
    """One that is open."""
    browser.open("/alerts")
    found = re.search(r"/alerts/[0-9a-f]+(?=/ack)", browser.driver.page_source)
    assert found, browser.text()
    return found[0]


def test_an_alert_is_taken_noted_assigned_and_silenced(browsers: Browsers) -> None:
    browser = browsers()
    alert = an_alert(browser)
    browser.open(alert)
    browser.press("Skriv en merknad")
    browser.type("#text", "vi ringer brannvesenet")
    browser.press("Lagre merknaden")
    browser.says("Merknaden er lagret")
    browser.press("Be en kollega ta den")
    browser.tick('#to option[value="ola"]')
    browser.press("Be en kollega ta den", "form[action$='/assign']")
    browser.says("Ola Vik varsles nå")
    browser.press("Demp")
    browser.type("#silence-why", "vet om det")
    browser.press("Demp", "form[action$='/silence']")
    browser.says("Dempet til")
    browser.open("/alerts")
    browser.says("vet om det")
    browser.type("input[id^=end-]", "likevel ikke")
    browser.press("Avslutt dempingen")
    browser.says("Dempingen er avsluttet")
    browser.open(alert)
    browser.press("Jeg tar den", "form[action$='/ack']")
    browser.says("Du har tatt den")
    browser.says("demo: merknad: vi ringer brannvesenet")
    browser.says("demo: tok den")


def test_an_alert_is_closed_with_a_reason(browsers: Browsers) -> None:
    browser = browsers()
    browser.open(an_alert(browser))
    browser.press("Avslutt varselet")
    browser.type("#close-why", "falsk alarm")
    browser.press("Lukk varselet", "form[action$='/close']")
    browser.says("Lukket:")
    browser.says("lukket det: falsk alarm")


def test_the_questions_of_a_theme_are_answered_once(browsers: Browsers) -> None:
    browser = browsers()
    browser.open("/said/relatives_contact?kind=question")
    browser.press("Svar")
    browser.tick('input[name=verdict][value="true"]')
    browser.type("#answer-words", "Pårørendetelefonen er åpnet")
    browser.type("#answer-link", "https://sykehus.example/parorende")
    browser.press("Svar", "form[action='/decide/answer']")
    browser.says("Svaret er lagret")
    browser.says("Ingen varsles om det igjen")
    browser.open("/")
    browser.wait(lambda: "besvart av demo" in browser.text())


def test_a_story_is_passed_on_noted_and_corrected(browsers: Browsers) -> None:
    browser = browsers()
    story = first(browser, "/said/staff_praise", r"/story/[0-9a-f]+")
    browser.open(story)
    browser.press("Hvordan det står")
    browser.tick('input[name=status][value="passed-on"]')
    browser.press("Lagre", "form[action='/decide/status']")
    browser.says("Det står nå som sendt videre")
    browser.press("Skriv en merknad")
    browser.type("#note-words", "takket på vegne av avdelingen")
    browser.press("Lagre", "form[action='/decide/note']")
    browser.says("Merknaden er lagret")
    browser.press("Rett det maskinen har tolket")
    browser.run("document.querySelectorAll('#post-1 input[name=kind]').forEach((box) => { box.checked = false; })")
    browser.tick("#post-1 input[name=kind][value=wish]")
    browser.press("Lagre", "#post-1 form")
    browser.says("Rettelsen er lagret")
    browser.says("ønske")


def test_a_veil_is_lifted_once_and_only_with_a_reason(browsers: Browsers) -> None:
    browser = browsers()
    browser.open("/said/patient_status")
    browser.press("Teksten kan vise hvem en pasient er", "main")
    browser.says("Teksten kan vise hvem en pasient er, og er skjult.", "h1")
    browser.type("#unveil-why", "må vite om ryktet gjelder oss")
    browser.press("Vis teksten")
    browser.says("og det er loggført")
    assert "er skjult" not in browser.one("h1").text
    browser.open(browser.driver.current_url.removeprefix(browser.address).removesuffix("/unveil"))
    browser.says("er skjult", "h1")


@pytest.mark.parametrize("words", ["tar imot", ""])
def test_what_cannot_be_is_said_and_nothing_is_written(browsers: Browsers, words: str) -> None:
    """A reason that quotes nobody is taken; an empty answer is not even sent."""
    browser = browsers()
    browser.open("/said/access_visiting")
    browser.press("Svar")
    browser.type("#answer-words", words)
    browser.press("Svar", "form[action='/decide/answer']")
    assert "/decide/" not in browser.driver.current_url
    assert "Svaret er lagret" not in browser.text()


def test_tracks_are_changed_a_review_is_said_and_a_crisis_is_opened_and_closed(browsers: Browsers) -> None:
    browser = browsers()
    browser.open("/switch")
    browser.press("Endre sporene")
    browser.type("textarea[name=add]", "ytterlid*")
    browser.type("input[id^=change-why]", "de flyttes dit")
    browser.press("Endre sporene", "form[action='/switch/change']")
    browser.says("Endret: Brann, Fjordby universitetssykehus")
    browser.says("Følger: ")
    browser.press("Det er fortsatt krise")
    browser.type("input[id^=review-why]", "brenner ennå")
    browser.press("Det er fortsatt krise", "form[action='/switch/review']")
    browser.says("Vurdert: ")
    browser.type("#name", "Prøve av tavlen")
    browser.type("#why", "vi prøver")
    browser.type("#tracks", "granvik sykehus")
    browser.tick("input[name=exercise]")
    browser.press("Åpne en krise", "form[action='/switch/open']")
    browser.says("Åpnet: Prøve av tavlen")
    browser.open("/")
    browser.wait(lambda: "Prøve av tavlen" in browser.text())
    browser.open("/switch")
    sections = [each for each in browser.all("section.card") if "Prøve av tavlen" in each.text]
    browser.bring(sections[0])
    next(each for each in sections[0].find_elements("tag name", "button") if each.text == "Avslutt krisen").click()
    browser.says("Avslutte?")
    assert "Brann, Fjordby" not in browser.one("main").text
    browser.type("#why", "prøven er over")
    browser.press("Avslutt krisen")
    browser.says("Avsluttet: Prøve av tavlen")


def test_a_highlight_that_the_crisis_holds_is_edited_and_another_dropped(browsers: Browsers) -> None:
    browser = browsers()
    browser.open("/")
    browser.says("2 egne saker holdes tilbake.")
    browser.press("Egne saker", "main")
    browser.says("Alt holdes tilbake så lenge en hendelse er åpen")
    browser.press("Endre teksten", "#highlight-demo0")
    browser.type("#text-demo0", "Ny MR-maskin for barn https://fjordby-sykehus.example/nytt/0")
    browser.press("Lagre teksten", "#highlight-demo0")
    browser.says("Teksten er endret. Ellers står saken som før.")
    browser.says("Ny MR-maskin for barn", "#highlight-demo0")
    browser.press("Forkast", "#highlight-demo2")
    browser.says("Forkastet.")
    assert browser.count("#highlight-demo2") == 0
    assert browser.count("#part-highlights form[action$='/release']") == 0


def test_two_at_once_see_one_state_and_are_told_what_the_other_did(browsers: Browsers) -> None:
    one, other = browsers(), browsers()
    alert = an_alert(one)
    one.open(alert)
    other.open(alert)
    one.press("Jeg tar den", "form[action$='/ack']")
    one.says("Du har tatt den")
    took = other.wait(lambda: "demo: tok den" in other.text())
    assert took < 5, "a second on a machine of one's own"
    other.press("Jeg tar den", "form[action$='/ack']")
    other.says("demo tok den allerede kl.")


def test_a_cut_cable_is_told_and_the_page_comes_up_to_date_by_itself(browsers: Browsers, played: str) -> None:
    with Relay(played) as cable:
        browser, other = browsers(address=cable.address), browsers()
        browser.open("/alerts")
        browser.wait(lambda: not browser.one("#stale").is_displayed())
        cable.cut()
        browser.wait(lambda: "Ingen forbindelse siden" in browser.one("#stale").text)
        alert = an_alert(other)
        other.open(alert)
        other.press("Jeg tar den", "form[action$='/ack']")
        assert browser.count(f"form[action='{alert}/ack']")
        cable.mend()
        browser.wait(lambda: not browser.count(f"form[action='{alert}/ack']"), 40)
        assert not browser.one("#stale").is_displayed()


def test_what_somebody_is_writing_is_not_taken_from_their_hands(browsers: Browsers) -> None:
    browser, other = browsers(), browsers()
    browser.open("/switch")
    browser.press("Endre sporene")
    browser.type("textarea[name=add]", "noe langt som")
    other.open(an_alert(other))
    other.press("Jeg tar den", "form[action$='/ack']")
    browser.wait(lambda: True)
    other.open("/")
    other.wait(lambda: True, 2)
    browser.run("return new Promise((done) => setTimeout(done, 1500))")
    assert browser.one("textarea[name=add]").get_attribute("value") == "noe langt som"


def test_after_the_crisis_a_held_highlight_waits_until_somebody_releases_it(browsers: Browsers, checker: str) -> None:
    """The last one of this file: it ends the demo's crisis."""
    browser = browsers()
    browser.open("/switch")
    browser.press("Avslutt krisen", "section.card")
    browser.type("#why", "slukket")
    browser.press("Avslutt krisen")
    browser.says("Avsluttet: ")
    browser.open("/highlights")
    browser.says("Holdt tilbake i", "#highlight-demo1")
    for language in ("nb", "en"):
        browser.open(f"/highlights?lang={language}")
        browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert violations(browser, checker) == []
    browser.open("/highlights?lang=nb")
    browser.press("Frigi", "#highlight-demo1")
    browser.says("Frigitt. Publiseres")
    browser.says("Godkjent av demo", "#highlight-demo1")
