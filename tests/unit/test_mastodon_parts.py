"""Mastodon's parts without a socket: HTML, statuses, messages, feeds, the cursor, and what is known of deletions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.rules.engine.watermark import Watermark
from listener.clock import ManualClock
from listener.errors import ConfigError, Corrupt
from listener.ingest.matcher import Matcher
from listener.maintenance.post_ids import post_id
from listener.model.gaps import Cause, open_gap
from listener.model.records import MENTIONS as MENTIONS_TOPIC
from listener.model.records import Gap, Mention, Origin, Post, Tick, decode, encode
from listener.privacy.screen import Screen
from listener.runtime.checks import CheckLevel
from listener.settings.schema import Settings
from listener.sources.common.fields import Unusable
from listener.sources.common.key import Key
from listener.sources.contract import DropReason
from listener.sources.mastodon.access import Access, accesses
from listener.sources.mastodon.cursor import OVERLAP, Memory, Place, Seat
from listener.sources.mastodon.deafness import Deafness
from listener.sources.mastodon.doctor import tracks
from listener.sources.mastodon.feeds import address, feed_of, feeds_of, order, subscription, tag_of
from listener.sources.mastodon.frames import Failure, Gone, Other, Said, read_message
from listener.sources.mastodon.held import Held
from listener.sources.mastodon.instance import Unfit, read_instance
from listener.sources.mastodon.payload import is_public, read_status
from listener.sources.mastodon.plain_text import LONGEST, plain_text
from listener.sources.mastodon.plugin import TYPE

AT = datetime(2031, 3, 2, 21, tzinfo=UTC)
URI = "https://a.example/users/kari_v/statuses/77"


def status(**more: Any) -> dict[str, Any]:
    return {
        "id": "115", "uri": URI, "url": "https://a.example/@kari_v/77", "created_at": "2031-03-02T20:59:00.000Z",
        "edited_at": None, "content": "<p>det brenner <a href='https://a.example/tags/granvik' class='mention hashtag'>"
        "#<span>granvik</span></a></p>", "spoiler_text": "", "language": "nb", "visibility": "public",
        "in_reply_to_id": None, "reblog": None, "tags": [{"name": "granvik"}], "mentions": [],
        "account": {"id": "9", "acct": "kari_v", "followers_count": 120},
        **more,
    }  # fmt: skip


def read(**more: Any) -> Post:
    return read_status(status(**more), "mastodon", "a", "a.example", AT)


# --- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>en</p><p>to</p>", "en\n\nto"),
        ("en<br>to<br/>tre", "en\nto\ntre"),
        ("blålys &amp; r&oslash;yk &lt;nå&gt; &#128562;", "blålys & røyk <nå> 😲"),
        ("<p>  mange   \n ord </p>", "mange ord"),
        ("<ul><li>en</li><li>to</li></ul>", "en\nto"),
        ("<blockquote><p>sitat</p></blockquote><p>svar</p>", "sitat\n\nsvar"),
        ("før<script>alert('x')</script> etter<style>p{}</style>", "før etter"),
        ("<p>uten slutt <b>fet", "uten slutt fet"),
        ("5 < 6 og </ > rart &nope;", "5 < 6 og rart &nope;"),
        ("", ""),
    ],
)
def test_html_becomes_its_plain_text(html: str, text: str) -> None:
    assert plain_text(html)[0] == text


def test_a_link_stands_whole_in_the_text_and_names_and_hashtags_are_no_links() -> None:
    html = (
        '<p><a href="https://nrk.no/sak/1234567890123"><span class="invisible">https://</span><span class="ellipsis">'
        'nrk.no/sak/12345</span><span class="invisible">67890123</span></a> <a class="u-url mention" '
        'href="https://b.example/@ola">@<span>ola</span></a> <a class="mention hashtag" href="https://a.example/tags/x">#x'
        '</a> <a href="javascript:alert(1)">her</a></p>'
    )
    assert plain_text(html) == ("https://nrk.no/sak/1234567890123 @ola #x her", ("https://nrk.no/sak/1234567890123",))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            '@<a class="u-url mention" href="https://f.example/profile/kari"><span>Kari Fjell</span></a>, hei',
            "@kari, hei",
        ),
        ('<a class="mention" href="https://f.example/profile/kari/?x=1">Kari Fjell</a> hei', "@kari hei"),
        ('<a class="mention" href="https://f.example/profile/kari">Kari</a>', "@Kari"),
        ('<a class="mention" href="">Kari Fjell</a>', "@nobody"),
        ('<a class="mention" href="https://b.example/@kari">@kari@b.example</a>', "@kari@b.example"),
        ('hei <a class="mention" href="https://b.example/@kari">Kari Fjell', "hei @kari"),
    ],
)
def test_a_mention_shows_an_account_and_no_person_s_name(html: str, text: str) -> None:
    assert plain_text(html) == (text, ())


def test_html_that_is_no_posts_is_refused_and_a_strange_one_costs_no_time() -> None:
    with pytest.raises(Unusable) as refused:
        plain_text("x" * (LONGEST + 1))
    assert refused.value.reason is DropReason.TOO_LONG
    for piece in ("<", "<!--", "&", "<a ", "</", "<![CDATA[", "<p><b>"):
        plain_text(piece * 2_000)


# --- a status ------------------------------------------------------------------------------------------------------


def test_a_status_is_a_post_whose_id_is_the_uri_and_whose_person_is_name_and_server() -> None:
    post = read(spoiler_text="brann", mentions=[{"id": "3", "acct": "ola@b.example"}, {"id": "4", "acct": "per"}])
    assert (post.id, post.aliases, post.version) == (URI, ("a/115",), None)
    assert post.text == "brann\n\ndet brenner #granvik"
    assert post.author is not None
    assert (post.author.id, post.author.handle, post.author.followers) == ("kari_v@a.example", "kari_v@a.example", 120)
    assert post.handles["ola"] == post.handles["ola@b.example"] == "ola@b.example"
    assert post.handles["per@a.example"] == "per@a.example"
    assert post.hashtags == ("granvik",)
    remote = read_status(status(account={"acct": "Kari_V@A.example"}), "mastodon", "b", "b.example", AT)
    assert remote.author is not None
    assert remote.author.id == post.author.id, "the same on every server"


def test_what_was_edited_is_a_version_and_nothing_is_said_later_than_now() -> None:
    edited = read(edited_at="2031-03-02T20:59:30.000Z")
    assert edited.version is not None
    assert edited.at == datetime(2031, 3, 2, 20, 59, 30, tzinfo=UTC)
    assert read(created_at="2031-03-02T22:00:00.000Z").at == AT


def test_a_boost_is_a_repost_and_a_quote_is_matched_and_not_kept() -> None:
    other = status(uri="https://b.example/1", content="<p>ordet fra en annen</p>")
    boost = read(reblog=other, content="", tags=[])
    assert (boost.id, boost.repost_of, boost.text) == (URI, "https://b.example/1", "ordet fra en annen")
    quote = read(content="<p>se her</p>", quote={"state": "accepted", "quoted_status": other})
    assert (quote.quote_of, quote.text) == ("https://b.example/1", "se her")
    assert quote.quoted is not None
    assert Matcher({"i": ["ordet fra"]}).match(quote)


def test_what_is_said_beside_the_text_is_matched() -> None:
    post = read(
        content="", media_attachments=[{"description": "røyk over havna"}], card={"title": "Brann i Sørøya"},
        poll={"options": [{"title": "kommer ferga"}]},
    )  # fmt: skip
    assert post.text == ""
    assert all(Matcher({"i": [word]}).match(post) for word in ("røyk over havna", "brann i sørøya", "kommer ferga"))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"uri": None}, DropReason.MISSING_FIELD),
        ({"uri": "to ord"}, DropReason.WRONG_TYPE),
        ({"id": "../9"}, DropReason.WRONG_TYPE),
        ({"id": None}, DropReason.MISSING_FIELD),
        ({"created_at": "i går"}, DropReason.BAD_DATE),
        ({"created_at": "1999-01-01T00:00:00Z"}, DropReason.BAD_DATE),
        ({"content": None}, DropReason.MISSING_FIELD),
        ({"content": 7}, DropReason.WRONG_TYPE),
        ({"tags": [{"name": f"t{n}"} for n in range(1001)]}, DropReason.TOO_LONG),
    ],
)
def test_what_will_not_do_is_refused_with_the_reason(more: dict[str, Any], reason: DropReason) -> None:
    with pytest.raises(Unusable) as refused:
        read(**more)
    assert refused.value.reason is reason


def test_only_what_is_meant_for_everybody_is_taken() -> None:
    assert is_public(status())
    assert not any(is_public(status(visibility=v)) for v in ("unlisted", "private", "direct", None, 7))


def test_no_name_is_left_in_a_mention_but_in_its_id() -> None:
    post = read(
        content='<p>@ola_8 og <a href="https://b.example/@ola_8/12">dette</a>, hilsen kari_v</p>',
        mentions=[{"id": "3", "acct": "ola_8@b.example"}],
    )
    made = Screen(b"k" * 32, {}).mention(
        post, incidents={"i": ("x",)}, origin=Origin.LIVE, captured_at=AT, exercise=False
    )
    rest = made.model_copy(update={"id": ""}).model_dump_json()
    assert "ola_8" not in rest
    assert "kari_v" not in rest
    assert made.aliases == ("a/115",)
    assert decode(MENTIONS_TOPIC, encode(made)) == made
    assert b"aliases" not in encode(made.model_copy(update={"aliases": None}))
    assert isinstance(made, Mention)


# --- messages, feeds -----------------------------------------------------------------------------------------------


def message(event: str, payload: Any, stream: Any = ("hashtag", "Granvik")) -> bytes:
    return json.dumps({"stream": list(stream), "event": event, "payload": payload}).encode()


def test_messages_are_what_they_say() -> None:
    said = read_message(message("update", json.dumps(status())))
    assert isinstance(said, Said)
    assert (said.feed, said.edited, said.status["uri"]) == ("#granvik", False, URI)
    edited = read_message(message("status.update", json.dumps(status()), ["public:local"]))
    assert isinstance(edited, Said)
    assert (edited.feed, edited.edited) == ("public:local", True)
    assert read_message(message("delete", "115")) == Gone("115")
    assert read_message(message("delete", 115)) == Gone("115")
    assert read_message(message("notification", "{}")) == Other()
    assert read_message(b'{"error":"no","status":403}') == Failure(403)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b'{"event":7}', b'{"event":"update"}', b'{"event":"update","payload":"{"}',
     b'{"event":"delete","payload":"../1"}', b'{"event":"delete","payload":null}', b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(Unusable):
        read_message(raw)


def test_hashtags_and_single_words_have_a_feed_and_nothing_else_has() -> None:
    tagged = {
        track: tag_of(track) for track in ("#Granvik", "Ullevål", "ullevål brann", "ous*", "#mitt*", "@ola", "22")
    }
    assert tagged == {
        "#Granvik": "granvik", "Ullevål": "ullevål", "ullevål brann": None, "ous*": None, "#mitt*": None, "@ola": None,
        "22": None,
    }  # fmt: skip
    assert feeds_of(["#granvik", "ullevål brann"], "none") == {"#granvik"}
    assert feeds_of(["ullevål brann"], "local") == {"public:local"}
    assert feeds_of([], "public") == frozenset()
    assert subscription("#granvik") == {"type": "subscribe", "stream": "hashtag", "tag": "granvik"}
    assert feed_of(["hashtag:local", "X"]) == "#x"
    assert feed_of("hashtag") is None
    assert address("#sørøya/..")[0] == "/api/v1/timelines/tag/s%C3%B8r%C3%B8ya%2F.."
    assert sorted(["99", "100", "9"], key=order) == ["9", "99", "100"]


def test_what_nobody_can_hear_at_mastodon_is_told() -> None:
    bare = [Access("a.example", "https://a.example", Key("mastodon.servers.0.token", "t"))]
    told = tracks(bare, ["#granvik", "ullevål brann", "@ola@a.example"])
    assert told.level is CheckLevel.WARNING
    assert "'ullevål brann', '@ola@a.example'" in told.says
    assert told.says.endswith("in posts with a hashtag that is asked for")
    assert tracks(bare, ["#granvik"]).level is CheckLevel.OK


def test_where_a_server_streams_and_what_it_closes_is_read() -> None:
    found = read_instance(
        {
            "domain": "A.example",
            "configuration": {
                "urls": {"streaming": "wss://stream.a.example"},
                "timelines_access": {
                    "hashtag_feeds": {"local": "authenticated", "remote": "disabled"},
                    "live_feeds": {"local": "disabled", "remote": "disabled"},
                },
            },
        },
        "https://www.a.example",
    )
    assert (found.streaming, found.domain) == ("wss://stream.a.example/api/v1/streaming", "a.example")
    assert found.gives("#x")
    assert not found.gives("public")
    assert found.partly == ("hashtags (remote)",)
    plain = read_instance([], "https://a.example")
    assert (plain.streaming, plain.domain, plain.closed) == (
        "wss://a.example/api/v1/streaming",
        "a.example",
        None,
    )
    for wrong in ("ws://elsewhere.example", "ftp://a", "wss://user:x@a.example", "wss://"):
        with pytest.raises(Unfit):
            read_instance({"configuration": {"urls": {"streaming": wrong}}}, "https://a.example")


# --- the cursor ----------------------------------------------------------------------------------------------------


def test_the_cursor_is_read_as_it_was_written() -> None:
    place = Place.first("7", AT)
    place.reach("9", AT + timedelta(seconds=5))
    memory = Memory({"a": Seat(AT, {"#x": place}), "b": Seat()}, {"source_silent": AT}, {"i/a/12"})
    assert Memory.parse(str(memory)) == memory
    for wrong in ("", "[]", '{"servers":{"a":{}}}', '{"servers":{"a":{"heard":null,"feeds":{"#x":[1,2,3,4,5]}}}}'):
        with pytest.raises(Corrupt):
            Memory.parse(wrong)


def test_the_anchor_is_older_than_the_last_by_the_overlap_and_never_runs_back() -> None:
    place = Place.first("100", AT)
    for minute in range(1, 61):
        place.reach(str(100 + minute), AT + timedelta(minutes=minute))
        place.reach("90", AT)
        age = place.at - (AT + timedelta(minutes=int(place.anchor) - 100))
        assert age >= OVERLAP or place.anchor == "100"
        assert age <= 2 * OVERLAP + timedelta(minutes=1)
    assert place.last == "160"


# --- a stream that is deaf ------------------------------------------------------------------------------------------


def test_a_stream_is_deaf_when_it_does_not_bring_in_a_while_what_the_timeline_shows() -> None:
    deafness = Deafness(120.0, 0.0)
    assert not deafness.is_due(119.0)
    assert deafness.is_due(120.0)
    assert not deafness.is_due(121.0)
    deafness.connected(AT)
    deafness.shows("1", 121.0)
    deafness.brings("1")
    assert not deafness.is_deaf(200.0), "it brought it after all"
    deafness.shows("2", 200.0)
    deafness.probed(AT + timedelta(minutes=2))
    assert deafness.sure == AT, "not sure of what came since"
    assert not deafness.is_deaf(210.0)
    assert deafness.is_deaf(216.0)
    assert not deafness.is_deaf(217.0)
    deafness.shows("3", 300.0)
    assert not deafness.is_deaf(400.0), "no new connection each time"
    deafness.probed(AT + timedelta(minutes=9))
    assert deafness.sure == AT + timedelta(minutes=9)


# --- deletions -----------------------------------------------------------------------------------------------------


def post(uri: str = "u1", alias: str = "a/1", version: str | None = None) -> Post:
    return Post(source="mastodon", id=uri, at=AT, text="x", aliases=(alias,), version=version)


def test_a_post_is_given_once_whoever_gives_it_and_a_newer_version_once_more() -> None:
    held = Held()
    assert held.meet(post())
    assert not held.meet(post(alias="b/9"))
    assert held.meet(post(version="2031"))
    assert not held.meet(post())
    assert not held.meet(post(version="2031"))


def test_a_deletion_is_news_of_what_is_held_by_whichever_servers_number() -> None:
    held = Held()
    held.meet(post())
    held.meet(post(alias="b/9"))
    assert held.deleted("c/1") == (None, ())
    held.learn(["u1"])
    assert held.deleted("b/9") == ("u1", ("u1",))
    assert not held.meet(post(version="9"))


def test_what_was_learnt_from_the_bus_is_known_by_its_alias_and_can_be_asked_for() -> None:
    held = Held()
    held.learn(["u1", "u2"])
    held.learn_aliases([("u1", ("a/1",)), ("u2", ("b/2",))])
    assert list(held.of("a")) == [("u1", "a/1")]
    assert held.deleted("a/1") == ("u1", ("u1",))
    assert list(held.of("a")) == []


def test_a_creation_behind_its_deletion_is_not_taken_and_one_that_another_server_brought_is_news() -> None:
    held = Held()
    held.deleted("a/1")
    assert not held.meet(post())
    held = Held()
    held.meet(post(uri="u2", alias="b/2"))
    held.learn(["u2"])
    held.deleted("a/2")
    assert not held.meet(post(uri="u2", alias="a/2"))
    assert held.news() == ("u2",)


# --- settings, ids -------------------------------------------------------------------------------------------------


def test_a_server_without_a_token_is_told_what_to_make() -> None:
    settings = Settings.model_validate({"mastodon": {"servers": [{"url": "https://a.example"}]}})
    with pytest.raises(ConfigError, match=r"mastodon\.servers\.0\.token is not set.*read:statuses"):
        accesses(settings)
    assert TYPE.make(Settings(), ManualClock(AT)) is None


def test_settings_that_can_be_and_are_doubtful_are_told() -> None:
    clear = Settings.model_validate({"mastodon": {"servers": [{"url": "http://a.example", "token": "t"}]}})
    doubts = dict(TYPE.doubts(clear))
    assert "https://" in doubts["mastodon", "servers", 0, "url"]
    assert "one server" in doubts["mastodon", "servers"]


def test_a_uri_is_an_id_and_a_page_is_not() -> None:
    assert post_id(f"mastodon:{URI}") == f"mastodon:{URI}"
    assert post_id(f"<{URI}/activity>") == f"mastodon:{URI}"
    for page in ("https://a.example/@kari_v/77", "https://b.example/@kari_v@a.example/99"):
        with pytest.raises(ValueError, match="uri") as refused:
            post_id(page)
        assert "kari" not in str(refused.value)


# --- a part of a source in a gap -----------------------------------------------------------------------------------


def test_a_gap_of_one_server_holds_no_watermark_and_one_of_all_does() -> None:
    mark = Watermark(timedelta())
    mark.tick(Tick(source="mastodon", until=AT))
    mark.gap(open_gap("mastodon", AT, Cause.RESET, "a.example"))
    mark.tick(Tick(source="mastodon", until=AT + timedelta(seconds=5)))
    assert mark.value == AT + timedelta(seconds=5)
    assert not mark.unheard
    mark.gap(open_gap("mastodon", AT, Cause.RESET))
    assert mark.unheard


def test_a_gap_says_whose_it_is() -> None:
    one, whole = open_gap("mastodon", AT, Cause.RESET, "a.example"), open_gap("mastodon", AT, Cause.RESET)
    assert (one.part, whole.part) == ("a.example", None)
    assert one.id != whole.id
    assert Gap.model_validate_json(one.model_dump_json(by_alias=True)) == one
