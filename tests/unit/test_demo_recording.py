"""The demonstration's recording: what is of X has the shape of its stream, what is of other platforms is plain posts;
it has all its voices, and nothing of the real world in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from stdnum.no import fodselsnummer

RECORDING = Path(__file__).parents[2] / "config" / "demo" / "crisis.jsonl"
START = datetime(2026, 3, 14, 21, 40, tzinfo=UTC)
X_EPOCH_MS = 1_288_834_974_657
"""The first millisecond that a snowflake id counts."""

FIELDS = {"id", "created_at", "text", "author_id", "lang", "edit_history_tweet_ids", "public_metrics"}

FORBIDDEN = """
    Ullevål Rikshospitalet Radiumhospitalet Haukeland Haraldsplass Olavs Ahus Akershus Aker Diakonhjemmet
    Lovisenberg Bærum Drammen Ålesund Førde Stavanger Haugesund Tromsø Bodø UNN OUS SUS Nordlandssykehuset
    Sørlandet Østfold Innlandet Telemark Vestfold Oslo Bergen Trondheim Helse Hospital-Vest NRK VG TV2 Dagbladet
    Aftenposten Nettavisen Adresseavisen Fædrelandsvennen Nordlys iTromsø Klassekampen Dagsavisen NTB Reuters BBC CNN
    Sykehuspartner Helsetilsynet Statsforvalteren Arbeiderpartiet Høyre Fremskrittspartiet
""".split()  # noqa: SIM905

NYNORSK = re.compile(r"\b(ikkje|eg|kva|frå|dei|berre|kvifor|nokon|noko|vere|sjukehus\w*)\b", re.IGNORECASE)
DIALECT = re.compile(r"\b(æ|dæm|kor|ka|ho)\b", re.IGNORECASE)

Line = dict[str, Any]


@cache
def every_line() -> tuple[Line, ...]:
    return tuple(json.loads(line) for line in RECORDING.read_text(encoding="utf-8").splitlines())


def lines() -> tuple[Line, ...]:
    """Those of X."""
    return tuple(line for line in every_line() if "platform" not in line)


def elsewhere() -> tuple[Line, ...]:
    """Those of the other platforms."""
    return tuple(line for line in every_line() if "platform" in line)


def at(line: Line) -> datetime:
    return datetime.fromisoformat(line["data"]["created_at"])


def minute(line: Line) -> int:
    return int((at(line) - START) / timedelta(minutes=1))


def referenced(line: Line, kind: str) -> list[str]:
    return [ref["id"] for ref in line["data"].get("referenced_tweets", ()) if ref["type"] == kind]


def reposts() -> list[Line]:
    return [line for line in lines() if referenced(line, "retweeted")]


def originals() -> list[Line]:
    return [line for line in lines() if not referenced(line, "retweeted")]


def author(line: Line) -> Line:
    users: dict[str, Line] = {user["id"]: user for user in line["includes"]["users"]}
    return users[line["data"]["author_id"]]


def full_texts() -> list[str]:
    """Texts of all posts, of all platforms, those inside reposts too, which the repost itself cuts short."""
    inner = [tweet["text"] for line in lines() for tweet in line["includes"].get("tweets", ())]
    return [line["data"]["text"] for line in lines()] + inner + [line["text"] for line in elsewhere()]


def test_it_lasts_three_hours_in_order() -> None:
    assert 600 <= len(lines()) <= 800
    times = [at(line) for line in lines()]
    assert times == sorted(times)
    assert times[0] - START < timedelta(minutes=1)
    assert timedelta(minutes=175) < times[-1] - START <= timedelta(hours=3)


def test_what_was_said_elsewhere_stands_among_it_in_order_of_time() -> None:
    times = [datetime.fromisoformat((line.get("data") or line)["created_at"]) for line in every_line()]
    assert times == sorted(times)
    assert Counter(line["platform"] for line in elsewhere()).keys() == {"facebook", "bluesky", "mastodon", "feeds"}
    assert all(15 <= count <= 40 for count in Counter(line["platform"] for line in elsewhere()).values())


def test_its_page_counts_as_it_is() -> None:
    page = " ".join((RECORDING.parent / "README.md").read_text(encoding="utf-8").split())
    of = Counter(line["platform"] for line in elsewhere())
    counted = (
        f"{len(every_line())} posts, one a line",
        f"{len(lines())} are of X, {len(reposts())} of them reposts",
        f"{of['facebook']} on the hospital's Facebook Page",
        f"{of['bluesky']} on Bluesky, {of['mastodon']} on Mastodon, and {of['feeds']} of the feeds",
    )
    assert [words for words in counted if words not in page] == []


def test_plain_posts_have_the_ids_and_accounts_of_their_platform_and_lead_to_nobody() -> None:
    accounts = {
        "facebook": r"9\d{14}",
        "bluesky": r"did:example:[a-z-]+-fjb",
        "mastodon": r"https://prat\.example/users/\w+_fjb",
        "feeds": r"feed:\w+_fjb",
    }
    ids = {
        "facebook": r"9\d{14}_9\d{14}",
        "bluesky": r"at://did:example:[a-z-]+-fjb/app\.bsky\.feed\.post/9\d+",
        "mastodon": r"https://prat\.example/users/\w+_fjb/statuses/9\d+",
        "feeds": r"https://[\w-]+\.example/[\w/]+",
    }
    handles = {
        "facebook": r"(FUSykehus_fjb)?",
        "bluesky": r"[a-z-]+-fjb\.example",
        "mastodon": r"\w+_fjb@prat\.example",
        "feeds": r"\w+_fjb",
    }
    assert len({line["id"] for line in elsewhere()}) == len(elsewhere())
    for line in elsewhere():
        assert re.fullmatch(accounts[line["platform"]], line["author_id"])
        assert re.fullmatch(ids[line["platform"]], line["id"])
        assert re.fullmatch(handles[line["platform"]], line.get("username", ""))
        assert all(link.startswith("https://") and ".example/" in link for link in line.get("links", ()))


def test_every_plain_post_would_be_caught() -> None:
    tracks = re.compile(r"(?i)\b(fjordby\w*|fus|nordbygg\w*|sjukehus\w*)\b")
    assert [line["text"] for line in elsewhere() if not tracks.search(line["text"])] == []


def test_the_rumour_goes_from_one_platform_to_the_others_and_so_does_what_denies_it() -> None:
    rumour = [line for line in elsewhere() if "Fetteren min jobber på FUS. Han sier" in line["text"]]
    denial = [line for line in elsewhere() if re.search(r"IKKE riktig|IKKJE rett", line["text"])]
    assert {line["platform"] for line in rumour} == {"facebook", "bluesky", "mastodon"}
    assert {line["platform"] for line in denial} == {"facebook", "bluesky", "mastodon", "feeds"}
    assert max(line["created_at"] for line in rumour) < min(line["created_at"] for line in denial)


def test_ids_are_snowflakes_of_their_own_time() -> None:
    ids = [line["data"]["id"] for line in lines()]
    assert all(len(post_id) == 19 for post_id in ids)
    assert all(int(before) < int(after) for before, after in pairwise(ids))
    for line in lines():
        made = (int(line["data"]["id"]) >> 22) + X_EPOCH_MS
        assert made == round(at(line).timestamp() * 1000)


def test_every_line_has_the_shape_of_the_stream() -> None:
    for line in lines():
        assert set(line) == {"data", "includes", "matching_rules"}
        data = line["data"]
        assert set(data) >= FIELDS
        assert data["text"].strip()
        assert len(data["text"]) <= 280
        assert data["edit_history_tweet_ids"][-1] == data["id"]
        assert author(line)["public_metrics"]["followers_count"] >= 0
        assert author(line)["verified_type"] in {"none", "blue", "business", "government"}
        assert line["matching_rules"]
        assert all(set(rule) == {"id", "tag"} for rule in line["matching_rules"])


def test_entities_stand_where_they_say() -> None:
    for line in lines():
        text, entities = line["data"]["text"], line["data"].get("entities", {})
        for sign, kind, name in (("#", "hashtags", "tag"), ("@", "mentions", "username"), ("", "urls", "url")):
            for entity in entities.get(kind, ()):
                assert text[entity["start"] : entity["end"]] == sign + entity[name]


def test_what_a_post_refers_to_comes_with_it() -> None:
    kinds = ("retweeted", "replied_to", "quoted")
    for line in lines():
        tweets = {tweet["id"]: tweet for tweet in line["includes"].get("tweets", ())}
        users = {user["id"] for user in line["includes"]["users"]}
        assert all(tweets[ref]["author_id"] in users for kind in kinds for ref in referenced(line, kind))
    assert all(any(referenced(line, kind) for line in lines()) for kind in kinds)


def test_an_edit_and_a_place_are_among_them() -> None:
    assert any(len(line["data"]["edit_history_tweet_ids"]) > 1 for line in lines())
    assert any(line["includes"].get("places") for line in lines())


def test_a_good_third_are_reposts_and_the_rest_differ() -> None:
    assert 0.35 <= len(reposts()) / len(lines()) <= 0.45
    assert len({line["data"]["text"] for line in originals()}) >= 450
    said = {line["data"]["id"]: at(line) for line in lines()}
    for line in reposts():
        assert line["data"]["text"].startswith("RT @")
        assert said[referenced(line, "retweeted")[0]] < at(line)


def test_many_people_of_every_reach_and_a_few_loud_ones() -> None:
    posts = Counter(line["data"]["author_id"] for line in lines())
    assert len(posts) >= 350
    assert sum(count >= 10 for count in posts.values()) >= 4
    followers = {line["data"]["author_id"]: author(line)["public_metrics"]["followers_count"] for line in lines()}
    for low, high in ((0, 100), (100, 1_000), (1_000, 10_000), (10_000, 100_000), (100_000, 10**9)):
        assert sum(low <= count < high for count in followers.values()) >= 3


def test_the_night_has_its_curve() -> None:
    volume = Counter(minute(line) for line in lines())
    quiet, rise = sum(volume[m] for m in range(8)), sum(volume[m] for m in range(10, 16))
    lull, second = sum(volume[m] for m in range(125, 139)), sum(volume[m] for m in range(139, 149))
    last = sum(volume[m] for m in range(170, 180))
    assert quiet < 20 < 70 < rise
    assert lull < second < rise
    assert last < second / 3


def test_the_rumour_runs_seventy_minutes_before_it_is_denied() -> None:
    rumour = next(line for line in originals() if line["data"]["text"].startswith("Fetteren min jobber på FUS"))
    denial = next(line for line in originals() if "Det er IKKE riktig" in line["data"]["text"])
    assert abs(at(denial) - at(rumour) - timedelta(minutes=70)) <= timedelta(minutes=1)
    assert author(denial)["verified_type"] == "government"
    passed_on = Counter(ref for line in reposts() for ref in referenced(line, "retweeted"))
    assert passed_on[rumour["data"]["id"]] >= 20
    assert passed_on[denial["data"]["id"]] >= 20


@pytest.mark.parametrize(("lang", "least"), [("no", 350), ("en", 40), ("pl", 15), ("sv", 4), ("da", 4), ("uk", 1)])
def test_each_language_is_heard(lang: str, least: int) -> None:
    assert sum(line["data"]["lang"] == lang for line in originals()) >= least


@pytest.mark.parametrize(("form", "least"), [(NYNORSK, 40), (DIALECT, 5)])
def test_nynorsk_and_dialect_are_heard(form: re.Pattern[str], least: int) -> None:
    norwegian = [line["data"]["text"] for line in originals() if line["data"]["lang"] == "no"]
    assert sum(bool(form.search(text)) for text in norwegian) >= least


@pytest.mark.parametrize(
    ("voice", "least"),
    [
        (r"trenger|kan dere|kan noen|\bmå\b|burde|treng\b|ønskj|please|could someone|proszę", 40),
        (r"\?", 80),
        (r"tolk|interpreter|tłumacz", 5),
        (r"tepper|pledd|teppe\b|koce", 5),
        (r"lader|stikkontakt", 3),
        (r"telefonlinj|pårørendetelefon|telefonkø", 6),
        (r"nynorsk", 3),
        (r"oksygen|oxygen|tlen|syret", 25),
        (r"hack", 8),
        (r"takk|thank|dziękuję|fantastisk|heltar|stolt", 20),
        (r"ser flamme|står ved|står i |ligger på|eg står|stoję|ser røyk", 10),
        (r"besøk|visit", 5),
        (r"poliklinikk|operasjon|dialyse|cellegift|blodprøve", 8),
        (r"park(er|ing)|\bP2\b", 6),
        (r"legevakt|emergenc|izba przyjęć", 8),
        (r"sprinkler|skandal|ledelsen|granskes|taushet", 6),
        (r"journalist|søker (kontakt|deg)", 3),
        (r"kort\.example/(prk|pwb|cr7|vinn|hs4)", 5),
        (r"[\U0001F300-\U0001FAFF❤]", 25),
    ],
)
def test_each_voice_is_heard(voice: str, least: int) -> None:
    heard = re.compile(voice, re.IGNORECASE)
    assert sum(bool(heard.search(line["data"]["text"])) for line in originals()) >= least


def test_media_public_bodies_and_a_large_account_speak() -> None:
    kinds = Counter(author(line)["verified_type"] for line in originals())
    assert kinds["government"] >= 20
    assert kinds["business"] >= 15
    assert any(
        author(line)["verified_type"] == "blue" and author(line)["public_metrics"]["followers_count"] > 100_000
        for line in originals()
    )


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_real_hospital_newspaper_or_body_is_named(name: str) -> None:
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    users = [f"{user['name']} {user['username']}" for line in lines() for user in line["includes"]["users"]]
    assert not any(word.search(text) for text in [*full_texts(), *users])


def test_nobody_can_be_led_to() -> None:
    for line in lines():
        for user in line["includes"]["users"]:
            assert re.fullmatch(r"\w{1,11}_fjb", user["username"])
            assert user["id"].startswith("9")
            assert len(user["id"]) == 19
    for text in full_texts():
        # A repost is cut at 140 characters, perhaps inside a name.
        whole = text.removesuffix("…").rsplit(maxsplit=1)[0] if text.endswith("…") else text
        assert all(handle.endswith("_fjb") for handle in re.findall(r"(?<![\w.])@(\w+)", whole))
        assert all(host.endswith(".example") for host in re.findall(r"https?://([^/\s]+)", whole))
        assert all(host.endswith(".example") for host in re.findall(r"\w@([\w.-]*\w)", whole))


def test_identity_numbers_look_real_and_are_nobodys() -> None:
    numbers = {
        number.replace(" ", "") for text in full_texts() for number in re.findall(r"(?<!\d)\d{6} ?\d{5}(?!\d)", text)
    }
    valid = {number for number in numbers if fodselsnummer.is_valid(number)}
    assert len(valid) >= 3
    assert all(fodselsnummer.get_birth_date(number).year < 1860 for number in valid)
    assert all(int(number[2:4]) > 80 for number in numbers - valid)


def test_telephone_numbers_and_addresses_are_there_to_be_masked() -> None:
    texts = " ".join(full_texts())
    assert len(set(re.findall(r"(?<!\d)(?:\d0 00 00 00|\d00 00 000|99 99 99 99)(?!\d)", texts))) >= 4
    assert len(set(re.findall(r"[\w.]+@[\w-]+\.example", texts))) >= 3
