"""A page that is open for hours: what is written on it stays, presses hit what was meant, and it tells its age."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pages import ENTER, TAB, Browser
from relay import Relay

Browsers = Callable[..., Browser]
REPLACED_SECONDS = 3.0
"""Within which a page that nobody is at shows what another did, on a machine that does more than this."""


def an_alert(browser: Browser) -> str:
    """One that nobody has."""
    browser.open("/alerts")
    found = re.search(r"/alerts/[0-9a-f]+(?=/ack)", browser.driver.page_source)
    assert found, browser.text()
    return found[0]


def note(browser: Browser, alert: str, text: str) -> None:
    """What makes every page look anew, and can be done without end."""
    browser.open(alert)
    browser.press("Skriv en merknad")
    browser.type("#text", text)
    browser.press("Lagre merknaden")
    browser.says("Merknaden er lagret")


def opened(browser: Browser, name: str) -> None:
    browser.open("/switch")
    browser.type("#name", name)
    browser.type("#why", "vi prøver")
    browser.tick("input[name=exercise]")
    browser.press("Åpne en krise", "form[action='/switch/open']")
    browser.says(f"Åpnet: {name}")


def closed(browser: Browser, name: str) -> None:
    browser.open("/switch")
    section = next(each for each in browser.all("#open-incidents section") if name in each.text)
    button = next(each for each in section.find_elements("tag name", "button") if each.text == "Avslutt krisen")
    browser.bring(button)
    button.click()
    browser.says("Avslutte?")
    browser.type("#why", "prøven er over")
    browser.press("Avslutt krisen")
    browser.says(f"Avsluttet: {name}")


def value(browser: Browser, css: str) -> str:
    return str(browser.run("return document.querySelector(arguments[0])?.value ?? null", css))


def first_and_last(browser: Browser) -> tuple[str, str]:
    """Of the listed alerts that nobody has."""
    actions = browser.run(
        "return [...document.querySelectorAll('#part-open form')].map((each) => each.getAttribute('action'))"
    )
    assert len(actions) > 1, "the demo has several alerts that nobody has"
    return actions[0].removesuffix("/ack"), actions[-1].removesuffix("/ack")


def test_what_is_written_stays_while_another_acts_wherever_the_focus_is(browsers: Browsers) -> None:
    browser, other = browsers(), browsers()
    browser.open("/switch")
    browser.press("Endre sporene")
    browser.type("details[open] textarea[name=add]", "noe langt som")
    why = "details[open] input[name=why]"
    browser.type(why, "de flyttes")
    browser.keys(TAB, TAB)
    assert browser.run("return document.activeElement.tagName") == "BUTTON"
    opened(other, "Øver at noe skrives")
    browser.says("Det vises når du har sendt eller lukket skjemaet")
    assert value(browser, "textarea[name=add]") == "noe langt som"
    browser.run("document.activeElement.blur()")
    browser.sleep(REPLACED_SECONDS)
    assert [value(browser, "textarea[name=add]"), value(browser, why)] == ["noe langt som", "de flyttes"]
    assert "Øver at noe skrives" not in browser.one("#open-incidents").text
    # Nothing is written any more, and the form is closed: what waited is shown.
    browser.run("document.querySelectorAll('#open-incidents form').forEach((form) => form.reset())")
    browser.press("Endre sporene", "details[open]")
    browser.wait(lambda: "Øver at noe skrives" in browser.one("#open-incidents").text)
    assert not browser.one("#waits").is_displayed()
    closed(other, "Øver at noe skrives")


def test_a_form_that_was_refused_is_filled_in_again_once_and_stays_while_another_acts(browsers: Browsers) -> None:
    browser, other = browsers(), browsers()
    alert = an_alert(other)
    browser.open(alert)
    browser.press("Demp")
    browser.type("#silence-why", "prøve på demping")
    browser.press("Demp", "#silence form")
    browser.says("Dempet til")
    browser.open("/alerts")
    words = "z" * 1001
    browser.run(
        "const field = document.querySelector('#part-silences [name=why]');"
        "field.removeAttribute('maxlength'); field.value = arguments[0]; field.form.requestSubmit();",
        words,
    )
    browser.says("1001 tegn er for langt")
    assert value(browser, "#part-silences [name=why]") == words
    assert browser.count("#part-silences .kept") == 1, "by the server, and not by the script too"
    note(other, alert, "vi ser på det, og det vises hos den som skriver")
    browser.sleep(REPLACED_SECONDS)
    assert value(browser, "#part-silences [name=why]") == words
    browser.type("#part-silences [name=why]", "prøven er over")
    browser.press("Avslutt dempingen")
    browser.says("Dempingen er avsluttet")


def test_an_open_form_stays_with_its_incident(browsers: Browsers) -> None:
    browser, other = browsers(), browsers()
    opened(other, "Øver at skjemaer hører til")
    browser.open("/switch")
    ids = browser.run("return [...document.querySelectorAll('#open-incidents details')].map((each) => each.id)")
    theirs = browser.run(
        "return [...document.querySelectorAll('#open-incidents details')]"
        ".map((each) => each.querySelector('[name=incident]').value)"
    )
    assert all(id_.endswith(incident) for id_, incident in zip(ids, theirs, strict=True))
    assert len(set(ids)) == len(ids)
    closed(other, "Øver at skjemaer hører til")


def test_a_graph_is_not_drawn_anew_for_a_note(browsers: Browsers) -> None:
    """What did not change stays as it is, and what was opened stays open."""
    browser, other = browsers(), browsers()
    alert = an_alert(other)
    browser.open("/")
    browser.press("Vis tallene")
    browser.run(
        "window.alerts = document.getElementById('part-alerts');"
        "window.voices = document.getElementById('part-voices');"
        "window.before = window.voices.innerText"
    )
    other.open(alert)
    other.press("Jeg tar den", "form[action$='/ack']")
    browser.wait(lambda: browser.run("return !window.alerts.isConnected"))
    said = "document.getElementById('part-voices').innerText"
    assert browser.run(f"return window.voices.isConnected || {said} !== window.before"), "it says the same as before"
    assert browser.count("#part-loud details[open]") == 1


def test_a_press_that_began_hits_what_it_began_on(browsers: Browsers) -> None:
    browser, other = browsers(), browsers()
    browser.open("/alerts")
    first, last = first_and_last(browser)
    browser.sleep(1)
    browser.hold(f"form[action='{last}/ack'] button")
    other.open(first)
    other.press("Jeg tar den", "form[action$='/ack']")
    other.says("Du har tatt den")
    browser.sleep(REPLACED_SECONDS / 2)
    browser.let_go()
    browser.says("Du har tatt den")
    assert browser.driver.current_url.partition("?")[0] == browser.address + last


def test_a_list_keeps_its_order_under_a_pointer_but_not_for_ever(browsers: Browsers) -> None:
    browser, other = browsers(), browsers()
    alert = an_alert(other)
    browser.open("/alerts")
    browser.sleep(1)
    browser.point("#open-alerts")
    other.open(alert)
    other.press("Jeg tar den", "form[action$='/ack']")
    other.says("Du har tatt den")
    browser.sleep(1.5)
    assert browser.count(f"#part-open form[action='{alert}/ack']")
    browser.wait(lambda: not browser.count(f"#part-open form[action='{alert}/ack']"))


def test_a_press_on_a_row_that_just_came_there_is_not_taken(browsers: Browsers) -> None:
    """A row is taken away above it: what lies under the finger now is not what was aimed at."""
    browser = browsers()
    alert = an_alert(browser)
    browser.open("/alerts")
    browser.sleep(1)
    pressed = """
        const done = arguments[arguments.length - 1];
        const rows = document.querySelectorAll("#part-open .alert");
        const [first, next] = rows;
        let taken = false;
        document.addEventListener("submit", (event) => { taken = true; event.preventDefault(); });
        const real = window.fetch;
        window.fetch = async (...its) => {
            const text = (await (await real(...its)).text()).replace('id="' + first.id + '"', 'id="gone" hidden');
            setTimeout(() => {
                const button = document.querySelector("#" + next.id + " button");
                const click = () => button.dispatchEvent(
                    new MouseEvent("click", {bubbles: true, cancelable: true, detail: 1}));
                click();
                const early = taken;
                setTimeout(() => { click(); done([early, taken]); }, 900);
            }, 150);
            window.fetch = () => new Promise(() => {});
            return new Response(text);
        };
    """
    assert alert
    assert browser.driver.execute_async_script(pressed) == [False, True]


def test_a_refused_form_comes_back_as_it_was_written(browsers: Browsers) -> None:
    browser = browsers()
    browser.open("/said/relatives_contact?since=all&kind=question")
    browser.open(re.search(r"/story/[0-9a-f]+", browser.driver.page_source)[0])  # type: ignore[index]
    quoted, story = browser.one("#post-1 blockquote").text, browser.driver.current_url
    browser.press("Svar")
    browser.tick('input[name=verdict][value="false"]')
    browser.type("#answer-words", quoted)
    browser.type("#answer-link", "https://sykehus.example/svar")
    browser.press("Svar", "form[action='/decide/answer']")
    browser.says("Ikke registrert")
    browser.says("Det du skrev, er satt inn igjen", "details#answer[open]")
    assert value(browser, "#answer-words") == quoted
    assert value(browser, "#answer-link") == "https://sykehus.example/svar"
    assert browser.run("return document.querySelector('input[name=verdict]:checked').value") == "false"
    token = browser.run("return document.querySelector('[name=token]').value")
    assert token not in browser.run("return sessionStorage.getItem('drafts')")
    browser.type("#answer-words", "Nei, det er ikke slik")
    browser.press("Svar", "form[action='/decide/answer']")
    browser.says("Svaret er lagret")
    browser.driver.get(story)
    assert value(browser, "#answer-words") == ""


def test_a_form_that_was_too_old_is_found_again(browsers: Browsers) -> None:
    browser = browsers()
    alert = an_alert(browser)
    browser.open(alert)
    browser.press("Skriv en merknad")
    browser.type("#text", "vi ringer brannvesenet")
    browser.run("document.querySelector('#note [name=token]').value = 'gammelt'")
    browser.press("Lagre merknaden")
    browser.says("Skjemaet var for gammelt")
    browser.press("Tilbake til Nå")
    browser.says("Det du skrev sist, er tatt vare på")
    browser.press("Vis skjemaet")
    browser.wait(lambda: value(browser, "#text") == "vi ringer brannvesenet")
    assert browser.count("#note[open] .kept") == 1
    browser.press("Lagre merknaden")
    browser.says("Merknaden er lagret")
    browser.open(alert)
    assert value(browser, "#text") == ""
    # Nothing of it is there for the next person at this screen.
    browser.run("sessionStorage.setItem('drafts', JSON.stringify({who: 'en annen', last: '', kept: {a: {}}}))")
    browser.open(alert)
    assert browser.run("return JSON.parse(sessionStorage.getItem('drafts')).kept") == {}


def test_a_story_follows_what_another_says_of_it_and_is_gone_when_it_was_removed(
    browsers: Browsers, played: str
) -> None:
    with Relay(played) as cable:
        browser, other = browsers(address=cable.address), browsers()
        other.open("/said/relatives_contact?since=all&kind=question")
        story = re.findall(r"/story/[0-9a-f]+", other.driver.page_source)[-1]
        browser.open(story)
        text = browser.one("h1").text

        def say(words: str) -> None:
            other.open(story)
            other.press("Skriv en merknad")
            other.type("#note-words", words)
            other.press("Lagre", "form[action='/decide/note']")
            other.says("Merknaden er lagret")

        say("vi ringer dem opp")
        browser.wait(lambda: "vi ringer dem opp" in browser.one("#part-history").text)
        browser.press("Skriv en merknad")
        browser.type("#note-words", "det gjør vi også")
        say("det er gjort")
        browser.wait(lambda: "det er gjort" in browser.one("#part-history").text)
        assert value(browser, "#note-words") == "det gjør vi også"
        cable.refuse(404, story)
        say("en gang til")
        browser.wait(lambda: text not in browser.driver.page_source)


def test_who_is_logged_out_is_told_and_the_words_are_gone_from_the_screen(browsers: Browsers, played: str) -> None:
    with Relay(played) as cable:
        browser = browsers(address=cable.address)
        alert = an_alert(browser)
        browser.open(alert)
        headline = browser.one("h1").text
        browser.press("Skriv en merknad")
        browser.type("#text", "brannvesenet er ringt")
        cable.refuse(401)
        browser.says("Du er logget ut", "h1")
        assert headline not in browser.driver.page_source
        assert headline not in browser.driver.title
        assert "brannvesenet" not in browser.driver.page_source
        assert "Ingen forbindelse" not in browser.text()
        leads = str(browser.link("Logg inn").get_attribute("href"))
        assert leads == f"{cable.address}/login?next={alert.replace('/', '%2F')}"
        cable.allow()
        browser.open(alert)
        browser.wait(lambda: value(browser, "#text") == "brannvesenet er ringt")


def test_a_page_that_fails_is_told_though_the_server_still_pings(browsers: Browsers, played: str) -> None:
    with Relay(played) as cable:
        browser, other = browsers(address=cable.address), browsers()
        browser.open("/alerts")
        browser.sleep(1)
        cable.refuse(503, "/alerts")
        note(other, an_alert(other), "noe nytt")
        browser.wait(lambda: "Ingen forbindelse siden kl. " in browser.one("#stale").text)
        # The page's own time, not the browser's clock.
        time = browser.one("#banner .as-of").get_attribute("data-time")
        assert f"siden {time}." in browser.one("#stale").text
        assert time
        assert time in browser.one("#banner .as-of").text
        cable.allow()
        note(other, an_alert(other), "og mer")
        browser.wait(lambda: not browser.one("#stale").is_displayed(), 40)


def test_a_board_that_stands_still_is_told(browsers: Browsers) -> None:
    """The server answers, and always with the same."""
    browser = browsers()
    browser.open("/")
    browser.run(
        "const real = window.fetch, as = document.getElementById('banner').dataset.asOf;"
        "window.fetch = async (...its) => new Response((await (await real(...its)).text())"
        '.replace(/data-as-of="[^"]*" data-late="[^"]*"/, `data-as-of="${as}" data-late="2"`))'
    )
    browser.wait(lambda: "Tavlen har stått stille siden kl. " in browser.one("#stale").text, 40)


def test_where_there_is_no_room_the_page_looks_by_itself(browsers: Browsers, played: str) -> None:
    with Relay(played) as cable:
        cable.refuse(503, "/events")
        browser, other = browsers(address=cable.address), browsers()
        alert = an_alert(other)
        browser.open("/alerts")
        assert browser.count(f"#part-open form[action='{alert}/ack']")
        other.open(alert)
        other.press("Jeg tar den", "form[action$='/ack']")
        browser.wait(lambda: not browser.count(f"#part-open form[action='{alert}/ack']"), 30)
        assert not browser.one("#stale").is_displayed()


def test_without_scripts_a_page_says_that_it_stands_still(browsers: Browsers) -> None:
    browser = browsers(script=False)
    browser.open("/")
    browser.says("Siden oppdateres ikke av seg selv. Last den på nytt.")
    scripted = browsers()
    scripted.open("/")
    assert "Siden oppdateres ikke av seg selv" not in scripted.text()


@pytest.mark.parametrize("path", ["/said?kind=question&since=3h", "/report?since=1h"])
def test_the_other_language_shows_the_same(browsers: Browsers, path: str) -> None:
    browser = browsers()
    browser.open(path)
    browser.link("English").click()
    browser.wait(lambda: browser.one("html").get_attribute("lang") == "en")
    assert path.partition("?")[2] in browser.driver.current_url
    browser.open(f"{path}&lang=nb")


def test_a_key_pressed_on_a_button_is_not_lost(browsers: Browsers) -> None:
    """The list is replaced under the focus, which stays on the same alert's button."""
    browser, other = browsers(), browsers()
    browser.open("/alerts")
    first, last = first_and_last(browser)
    browser.run("document.querySelector(arguments[0]).focus()", f"form[action='{last}/ack'] button")
    other.open(first)
    other.press("Jeg tar den", "form[action$='/ack']")
    browser.wait(lambda: not browser.count(f"#part-open form[action='{first}/ack']"))
    browser.keys(ENTER)
    browser.says("Du har tatt den")
    assert last in browser.driver.current_url
