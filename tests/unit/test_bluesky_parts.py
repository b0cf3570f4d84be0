"""Bluesky's parts: what a message is, whether it can be wanted, where to begin at a host, what a deletion is about."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from listener.clock import ManualClock, SteadyClock
from listener.errors import Corrupt
from listener.ingest.matcher import Matcher
from listener.maintenance.post_ids import post_id
from listener.model import keys
from listener.model.gaps import Cause
from listener.model.records import AuthorClass, Origin, Post
from listener.privacy.screen import Screen
from listener.settings.schema import Settings
from listener.sources.bluesky.cursor import Memory
from listener.sources.bluesky.deletions import REMEMBERED, Held
from listener.sources.bluesky.frames import (
    Account,
    Commit,
    Failure,
    Info,
    Message,
    Other,
    Outlook,
    Place,
    onward,
    place_of,
    read_message,
)
from listener.sources.bluesky.hosts import OVERLAP, Rotation, Start, start_at, url_of
from listener.sources.bluesky.inbox import Down, Inbox, Up
from listener.sources.bluesky.payload import read_post, words_of
from listener.sources.bluesky.reading import Found, Reading
from listener.sources.common.fields import Unusable
from listener.sources.common.sieve import Sieve
from listener.sources.contract import DropReason
from tests.fakes.bluesky.host import Entry, written
from tests.fakes.bluesky.network import COLLECTION, Event, Network, did_of

AT = datetime(2026, 11, 1, 9, 0, 0, 123456, tzinfo=UTC)
US = int(AT.timestamp()) * 1_000_000 + AT.microsecond
DID = did_of("kari")
FJORDBY = "did:plc:" + "f" * 24


def commit(
    operation: str = "create", record: Any = None, rev: str = "3k1", did: str = DID, rkey: str = "3kaa"
) -> Commit:
    if operation != "delete":
        record = {"text": "røyk", **(record or {})}
    return Commit(Place(12, US), did, rkey, operation, rev, record)


def entry(**more: Any) -> Entry:
    its = {"rkey": "3kaa", "rev": "3k1", "operation": "create", "record": {"text": "røyk"}, **more}
    return Entry(12, US, Event(AT, DID, its.pop("kind", "commit"), **its))


# --- messages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("v2", [True, False])
def test_a_message_of_either_version_is_read(v2: bool) -> None:
    place = Place(12 if v2 else None, US)

    def read(**more: Any) -> Message:
        return read_message(written(entry(**more), v2=v2))

    assert read() == Commit(place, DID, "3kaa", "create", "3k1", {"text": "røyk"})
    assert read(operation="update", rev="3k2").rev == "3k2"  # type: ignore[union-attr]
    assert read(operation="delete", record=None) == Commit(place, DID, "3kaa", "delete", "3k1", None)
    assert read(kind="account", active=False, status="deleted") == Account(place, DID, False, "deleted")
    assert read(collection="app.bsky.feed.like") == Other(place)
    assert place_of(written(entry(), v2=v2)) == place


def test_what_the_host_tells_of_the_stream_is_known() -> None:
    info = {
        "$type": "message",
        "payload": {"$type": "network.bsky.jetstream.subscribeEvents#info", "name": "OutdatedCursor"},
    }
    assert read_message(json.dumps(info).encode()) == Info("OutdatedCursor")
    assert read_message(b'{"$type":"error","error":"ConsumerTooSlow","message":"x"}') == Failure("ConsumerTooSlow")
    assert read_message(b'{"$type":"error","error":"did:plc:kari\\n said"}') == Failure("error"), "it is logged"
    weather = {"$type": "message", "payload": {"$type": "…#weather", "seq": 1, "time": "2026-11-01T09:00:00Z"}}
    assert read_message(json.dumps(weather).encode()) == Other(Place(1, 1_793_523_600_000_000))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<html>", DropReason.BAD_JSON),
        (b"\xff\xfe", DropReason.BAD_JSON),
        (b"[1]", DropReason.WRONG_TYPE),
        (b"{}", DropReason.NOT_A_POST),
        (b'{"payload":1}', DropReason.WRONG_TYPE),
        (b'{"payload":{"$type":"#commit"}}', DropReason.MISSING_FIELD),
        (b'{"payload":{"$type":"#commit","seq":"1"}}', DropReason.WRONG_TYPE),
        (b'{"payload":{"$type":"#commit","seq":1,"time":"yesterday"}}', DropReason.BAD_DATE),
        (b'{"kind":"commit","time_us":-1}', DropReason.BAD_DATE),
        (b'{"kind":"commit","time_us":1,"did":"kari"}', DropReason.WRONG_TYPE),
        (b'{"kind":"commit","time_us":1,"did":"did:plc:a"}', DropReason.MISSING_FIELD),
        (b'{"kind":"account","time_us":1,"did":"did:plc:a","account":{}}', DropReason.MISSING_FIELD),
    ],
)
def test_what_is_no_message_has_a_reason(raw: bytes, reason: DropReason) -> None:
    with pytest.raises(Unusable) as refused:
        read_message(raw)
    assert refused.value.reason is reason
    assert place_of(raw) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("rkey", "a:tick"), ("rkey", "a/b"), ("rkey", ""), ("operation", "replace"), ("record", "text"), ("record", None)],
)
def test_a_commit_of_another_shape_is_refused(field: str, value: Any) -> None:
    """Among them an id that would end as our own keys of ticks do."""
    raw = json.loads(written(entry(), v2=True))
    raw["payload"][field] = value
    with pytest.raises(Unusable):
        read_message(json.dumps(raw).encode())


# --- what can be wanted --------------------------------------------------------------------------------------------

TRACKS = ("ullevål brann", "ullevål*", "#mittous", "#gra*", "@fjordby.bsky.social", "place:Sørøya", "café", "økern")


@cache
def outlook() -> Outlook:
    """It takes half a second to make, which who only collects this file does not wait for."""
    return Outlook(Sieve(TRACKS), [FJORDBY])


MATCHER = Matcher({"i": TRACKS})


def raw_of(text: str, *, ascii_only: bool = False, **record: Any) -> bytes:
    raw = written(entry(record={"text": text, **record}), v2=True)
    return json.dumps(json.loads(raw), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") if ascii_only else raw


@pytest.mark.parametrize(
    "text",
    [
        "Brann på Ullevål",
        "ULLEVÅL\nbrann nå",
        "Ullevålbrannen",
        "\tÖkern\r\n",
        "dette er #MittOUS!",
        "gråt og graving #Grått",
        "takk @Fjordby.bsky.social",
        "Café", "cafe\u0301", "CAFE", "ｃａｆｅ",
        "Ull\u00adevålsveien",
        '"økern"', "ny\\økern", "<b>økern</b>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("ascii_only", [False, True])
def test_what_a_track_matches_is_let_through(text: str, ascii_only: bool) -> None:
    post = Post(source="bluesky", id="1", at=AT, text=text)
    assert MATCHER.match(post) or "brann på" in text.lower() or "gråt" in text
    assert outlook().wants(raw_of(text, ascii_only=ascii_only)) or not MATCHER.match(post)


@pytest.mark.parametrize("text", ["Fin kveld", "Ullern brann", "mitt ous", "kafé", "ok\\nern"[:2] + "ern", "🎉 ferie"])
def test_nearly_nothing_else_is(text: str) -> None:
    assert not outlook().wants(raw_of(text))


def test_what_is_no_post_and_what_is_not_understood_passes() -> None:
    for raw in (
        written(entry(operation="delete", record=None), v2=True),
        written(entry(kind="account", active=False, status="deleted"), v2=False),
        b"<html>", b"", b'{ "operation" : "create" }',
    ):  # fmt: skip
        assert outlook().wants(raw)


def test_a_post_by_an_account_that_is_named_passes_by_its_identity() -> None:
    raw = written(Entry(1, US, Event(AT, FJORDBY, "commit", "create", record={"text": "hei"})), v2=True)
    assert outlook().wants(raw)


@examples(300)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["ullevål", "brann", "ULLEVÅL", "#mittous", "#", "@", "cafe\u0301", "økern", "Sørøya", "gra"]
            ),
            st.text(max_size=6),
        ),
        max_size=8,
    ),
    st.sampled_from(["", " ", "\n", "\\", '"', "\u00ad", "\u200b"]),
    st.booleans(),
)
def test_no_post_that_matches_is_ever_passed_over(words: list[str], between: str, ascii_only: bool) -> None:
    text = between.join(words)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    if MATCHER.match(Post(source="bluesky", id="1", at=AT, text=text)):
        assert outlook().wants(raw_of(text, ascii_only=ascii_only))


def test_the_look_at_bytes_knows_every_character_that_could_stand_for_a_plain_one() -> None:
    """All there are: in the midst of a track's plain letters, or for one of them, each breaks the word or is seen."""
    sieve, unseen = Sieve(["granvik", "granmvik", "granavik"]), []
    for code in range(0x80, 0x110000):
        if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs"):
            text = f"gran{chr(code)}vik"
            if not sieve.may_let_through(text.encode()):
                unseen.append(text)
    assert len(unseen) > 100_000
    assert not sieve.lets_through("\n".join(unseen))


def test_a_track_without_a_plain_letter_is_found_all_the_same() -> None:
    for track, text in (("øå", "Ø Å øå"), ("æææ*", "ÆÆÆH"), ("大阪", "大阪 の病院")):
        outlook = Outlook(Sieve([track, "granvik"]))
        assert outlook.wants(raw_of(text))


# --- a post --------------------------------------------------------------------------------------------------------

HANDLES = {FJORDBY: "fjordby.bsky.social"}
SAID = st.text(max_size=3) | st.sampled_from(
    ["ullevål", "brann", "#mittous", "mittous", "graut", "Café", "økern", "Sørøya"]
)
BY = st.sampled_from([DID, FJORDBY])
RECORDS = st.fixed_dictionaries(
    {"text": SAID},
    optional={
        "tags": st.lists(SAID, max_size=2),
        "facets": st.lists(
            st.fixed_dictionaries({
                "index": st.just({"byteStart": 0, "byteEnd": 4}),
                "features": st.lists(st.one_of(
                    st.fixed_dictionaries({"$type": st.just("app.bsky.richtext.facet#tag"), "tag": SAID}),
                    st.fixed_dictionaries({"$type": st.just("app.bsky.richtext.facet#mention"), "did": BY}),
                ), max_size=2),
            }), max_size=2,
        ),
        "reply": st.fixed_dictionaries({"parent": st.fixed_dictionaries({"uri": BY.map(lambda d: f"at://{d}/c/r")})}),
        "embed": st.fixed_dictionaries({"external": st.fixed_dictionaries({"title": SAID, "description": SAID})})
        | st.fixed_dictionaries({"images": st.lists(st.fixed_dictionaries({"alt": SAID}), max_size=2)}),
    },
)  # fmt: skip


@examples(300)
@given(RECORDS, BY, st.booleans())
def test_whatever_of_a_record_a_track_matches_it_is_never_passed_over(
    record: dict[str, Any], did: str, ascii_only: bool
) -> None:
    event = Event(AT, did, "commit", "create", rkey="3kaa", rev="3k1", record=record)
    raw = written(Entry(12, US, event), v2=True)
    if ascii_only:
        raw = json.dumps(json.loads(raw)).encode()
    try:
        post = read_post(read_message(raw), AT, "bluesky", HANDLES)  # type: ignore[arg-type]
    except Unusable:
        return
    if MATCHER.match(post):
        assert outlook().wants(raw)
        assert Sieve(TRACKS, [FJORDBY]).lets_through(words_of(post))


def mention_facet(text: str, name: str, did: str) -> dict[str, Any]:
    start = text.encode().index(name.encode())
    feature = {"$type": "app.bsky.richtext.facet#mention", "did": did}
    return {"index": {"byteStart": start, "byteEnd": start + len(name.encode())}, "features": [feature]}


def test_a_record_becomes_a_post() -> None:
    text = "Røyk ved @kari.bsky.social"
    record = {
        "text": text, "createdAt": "1999-01-01T00:00:00Z", "langs": ["nb", "nn"], "tags": ["ous"],
        "facets": [
            mention_facet(text, "@kari.bsky.social", DID),
            {"index": {}, "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "Fjordby"}]},
            {"index": {}, "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://example.org/a"}]},
        ],
        "reply": {"parent": {"uri": f"at://{FJORDBY}/{COLLECTION}/3kzz"}},
        "embed": {
            "$type": "app.bsky.embed.recordWithMedia",
            "record": {"record": {"uri": f"at://{DID}/{COLLECTION}/3kbb"}},
            "media": {"external": {"uri": "https://nrk.no/b", "title": "Brann", "description": "på Ullevål"}},
        },
    }  # fmt: skip
    post = read_post(commit(record=record), AT, "bluesky", HANDLES)
    assert (post.id, post.at, post.lang) == (f"at://{DID}/{COLLECTION}/3kaa", AT, "nb")
    assert post.author is not None
    assert (post.author.id, post.author.handle) == (DID, None)
    assert post.hashtags == ("ous", "Fjordby")
    assert post.links == ("https://example.org/a", "https://nrk.no/b")
    assert post.handles == {"kari.bsky.social": DID, "fjordby.bsky.social": FJORDBY}
    assert post.reply_to == f"at://{FJORDBY}/{COLLECTION}/3kzz"
    assert post.quote_of == f"at://{DID}/{COLLECTION}/3kbb"
    assert post.quoted is not None
    assert post.quoted.text == "Brann på Ullevål"
    assert post.version is None
    assert set(Matcher({"i": ["@fjordby.bsky.social", "brann på ullevål"]}).match(post)["i"]) == {
        "@fjordby.bsky.social", "brann på ullevål",
    }  # fmt: skip
    assert "på Ullevål" in words_of(post)


def test_an_edit_keeps_its_id_and_has_a_version_and_an_account_that_is_named_its_name() -> None:
    post = read_post(commit("update", rev="3k9", did=FJORDBY), AT, "bluesky", HANDLES)
    assert (post.id, post.version) == (f"at://{FJORDBY}/{COLLECTION}/3kaa", "3k9")
    assert post.author is not None
    assert post.author.handle == "fjordby.bsky.social"


@pytest.mark.parametrize(
    "record",
    [
        {"text": ""},
        {"text": None},
        {"text": "a", "facets": "x", "embed": [], "reply": 1, "langs": 3, "tags": {"a": 1}},
        {"text": "a", "facets": [{"features": [{"$type": "app.bsky.richtext.facet#mention", "did": 7}]}]},
        {"text": "å", "facets": [{"index": {"byteStart": 1, "byteEnd": 99}, "features": [
            {"$type": "app.bsky.richtext.facet#mention", "did": DID}]}]},
        {"text": "a", "embed": {"images": [{"alt": "røyk over sykehuset"}]}},
    ],
)  # fmt: skip
def test_a_post_can_do_without_everything_but_its_place(record: dict[str, Any]) -> None:
    assert read_post(commit(record=record), AT, "bluesky", {}).id.endswith("/3kaa")


def test_nothing_that_names_a_person_is_left_in_a_mention_but_in_ids() -> None:
    text = "Er @kari.bsky.social der? kari.bsky.social svarer ikke"
    record = {"text": text, "facets": [mention_facet(text, "@kari.bsky.social", DID), {"index": {}, "features": [
        {"$type": "app.bsky.richtext.facet#link", "uri": f"https://bsky.app/profile/{DID}/post/3kaa"},
        {"$type": "app.bsky.richtext.facet#link", "uri": "https://bsky.app/profile/kari.bsky.social"},
        {"$type": "app.bsky.richtext.facet#link", "uri": "https://deer.social/profile/karis-egen.no"}]}]}  # fmt: skip
    ola = did_of("ola")
    post = read_post(commit(record=record, did=ola), AT, "bluesky", {})
    mention = Screen(b"k" * 32, {}).mention(
        post, incidents={"i": ()}, origin=Origin.LIVE, captured_at=AT, exercise=False
    )
    shown = mention.model_copy(update={"id": ""}).model_dump_json()
    assert not [name for name in ("kari", DID, ola, DID[8:], ola[8:]) if name in shown]


def test_a_named_body_keeps_its_name_where_its_identity_is_known() -> None:
    post = read_post(commit(did=FJORDBY), AT, "bluesky", HANDLES)
    screen = Screen(b"k" * 32, {"fjordby.bsky.social": AuthorClass.PUBLIC_BODY})
    mention = screen.mention(post, incidents={"i": ()}, origin=Origin.LIVE, captured_at=AT, exercise=False)
    assert (mention.author, mention.author_class) == ("@fjordby.bsky.social", AuthorClass.PUBLIC_BODY)


def test_where_a_hosts_numbers_go_on_its_time_does_not_go_back() -> None:
    assert onward(None, Place(1, 5)) == Place(1, 5)
    assert onward(Place(1, 5), Place(2, 9)) == Place(2, 9)
    assert onward(Place(1, 5), Place(2, 3)) == Place(2, 5), "a time that an operator imported"
    assert onward(Place(5, 5), Place(2, 3)) == Place(2, 3), "read again from an earlier place"
    assert onward(Place(None, 5), Place(None, 3)) == Place(None, 3), "version 1 has no numbers"


# --- hosts ---------------------------------------------------------------------------------------------------------


def test_on_its_own_host_a_number_counts_elsewhere_time_does_some_seconds_back() -> None:
    place = Place(12, US)
    assert start_at("a", "a", place, US, version=2) == Start("a", 12)
    assert start_at("b", "a", place, US, version=2) == Start("b", US - OVERLAP, by_time=True)
    assert start_at("a", "a", place, US, version=2, by_time=True) == Start("a", US - OVERLAP, by_time=True)
    assert start_at("a", "a", Place(None, US), US, version=1) == Start("a", US - OVERLAP, by_time=True)
    assert start_at("a", "", None, US, version=2) == Start("a", None)
    hour = 3_600_000_000
    assert start_at("b", "a", Place(12, US + hour), US, version=2).cursor == US - OVERLAP, "nothing lies ahead"


def test_what_is_asked_of_a_host() -> None:
    two = url_of(Start("wss://east.example", 12), 2)
    assert two.startswith("wss://east.example/xrpc/network.bsky.jetstream.subscribeEvents?kinds=commit&kinds=account&")
    assert "collections=app.bsky.feed.post" in two
    assert two.endswith("&cursor=12")
    one = url_of(Start("http://127.0.0.1:80", None), 1)
    assert one.startswith("ws://127.0.0.1:80/subscribe?wantedCollections=app.bsky.feed.post")
    assert "cursor" not in one


def test_hosts_are_asked_one_after_another_and_then_ever_more_rarely() -> None:
    rotation = Rotation(["a", "b"], lambda: 1.0)
    rotation.begin_with("b")
    asked, waits = [], []
    for _ in range(12):
        asked.append(rotation.host)
        waits.append(rotation.ended(0.0))
    assert asked[:4] == ["b", "a", "b", "a"]
    assert waits[:2] == [0.25, 0.25]
    assert waits[2:] == sorted(waits[2:])
    assert waits[-1] <= 60
    assert rotation.ended(40.0) == 0.25, "one that was heard for long begins anew"
    before = rotation.host
    rotation.ended(0.0, stay=True)
    assert rotation.host == before


# --- the inbox -----------------------------------------------------------------------------------------------------


def test_the_inbox_tells_how_far_was_read_only_when_nothing_is_left() -> None:
    inbox = Inbox()
    inbox.say(Up("a", AT, US, cut=False))
    inbox.put("a", b"1", AT)
    inbox.pass_over("a", b"2", AT)
    first = inbox.take(1)
    assert (first.items, first.last) == ((Up("a", AT, US, cut=False),), None)
    assert inbox.take(9).last == ("a", b"2")
    inbox.say(Down(Cause.RESET))
    assert [len(inbox), inbox.seen, inbox.heard] == [1, 2, AT]


def test_who_waits_for_room_is_let_go_when_it_is_closed() -> None:
    import threading

    inbox = Inbox(most=1)
    inbox.put("a", b"1", AT)
    waiting = threading.Thread(target=inbox.put, args=("a", b"2", AT), daemon=True)
    waiting.start()
    inbox.close()
    waiting.join(10)
    assert not waiting.is_alive()


# --- deletions -----------------------------------------------------------------------------------------------------


def test_a_deletion_is_news_only_of_what_is_held() -> None:
    held = Held()
    held.learn([commit().uri, commit(rkey="3kbb").uri, "no uri"])
    assert held.deleted(commit("delete")) == (commit().uri,)
    assert held.deleted(commit("delete", rkey="3kzz")) == ()
    assert held.deleted(commit("delete", did=did_of("ola"))) == ()


@pytest.mark.parametrize("status", ["deleted", "takendown", "suspended", "deactivated"])
def test_an_account_that_goes_takes_all_of_its_posts_that_are_held(status: str) -> None:
    held = Held()
    held.learn([commit().uri, commit(rkey="3kbb").uri, commit(did=did_of("ola")).uri])
    assert held.gone(Account(Place(1, US), DID, False, status)) == (commit().uri, commit(rkey="3kbb").uri)


@pytest.mark.parametrize(
    ("active", "status"), [(True, None), (False, "throttled"), (False, "desynchronized"), (False, None)]
)
def test_one_that_is_only_in_trouble_takes_nothing(active: bool, status: str | None) -> None:
    held = Held()
    held.learn([commit().uri])
    assert held.gone(Account(Place(1, US), DID, active, status)) == ()


def test_a_creation_that_comes_behind_its_deletion_is_known_and_one_of_later_is_not() -> None:
    held = Held()
    held.deleted(commit("delete", rev="3k5"))
    assert held.was_deleted(commit(rev="3k1"))
    assert not held.was_deleted(commit(rev="3k6")), "the same id, used again"
    assert not held.was_deleted(commit(rkey="3kbb"))
    for number in range(REMEMBERED):
        held.deleted(commit("delete", rkey=f"x{number}"))
    assert not held.was_deleted(commit(rev="3k1")), "too long ago to be remembered"


def test_a_post_without_a_revision_is_no_deleted_one() -> None:
    assert not Held().was_deleted(commit(rev=""))


def test_what_an_account_that_went_had_said_before_is_never_taken_again() -> None:
    held = Held()
    assert held.gone(Account(Place(1, US), DID, False, "deleted")) == ()
    assert held.was_deleted(commit()), "a host, or a lookback, gives it later"
    assert not held.was_deleted(commit(did=did_of("ola")))
    held.gone(Account(Place(2, US + 1), DID, True, None))
    assert not held.was_deleted(commit()), "the account is back"


def test_that_an_account_went_and_read_once_more_takes_nothing_of_what_it_said_since_it_came_back() -> None:
    held = Held()
    held.learn([commit().uri])
    went = Account(Place(1, US), DID, False, "deactivated")
    assert held.gone(went) == held.gone(went) == (commit().uri,)
    held.gone(Account(Place(2, US + 1), DID, True, None))
    assert held.gone(went) == ()


@pytest.mark.parametrize(
    "then", [{"operation": "delete", "record": None}, {"kind": "account", "active": False, "status": "deleted"}]
)
def test_of_a_post_that_is_deleted_before_it_was_given_nothing_is_told_not_even_its_id(then: dict[str, Any]) -> None:
    held, found = Held(), Found()
    reading = Reading("bluesky", {}, held, SteadyClock(ManualClock(AT)))
    for said in (entry(), entry(rkey="3kbb"), entry(**then)):
        reading.take(written(said, v2=True), Sieve(["røyk"]), found)
    left = [] if "kind" in then else ["3kbb"]
    assert [post.id.rpartition("/")[2] for post in found.posts] == left
    assert (found.deleted, found.doubles) == ([], 2 - len(left))


# --- ids, cursors, settings ----------------------------------------------------------------------------------------

URI = f"at://{DID}/{COLLECTION}/3kaa"


@pytest.mark.parametrize(
    "typed",
    [
        URI, f"bluesky:{URI}", f"https://bsky.app/profile/{DID}/post/3kaa", f"bsky.app/profile/{DID}/post/3kaa?ref=x",
        f"<https://bsky.app/profile/{DID.replace(':', '%3A')}/post/3kaa>", f"bluesky:https://bsky.app/profile/{DID}/post/3kaa",
    ],
)  # fmt: skip
def test_a_post_is_named_by_its_address_or_its_link(typed: str) -> None:
    assert post_id(typed) == (URI if typed == URI else f"bluesky:{URI}")
    for key in (f"brann-1:bluesky:{URI}", f"bluesky:{URI}"):
        assert {URI, f"bluesky:{URI}"} <= keys.names_of_post(key)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("https://bsky.app/profile/kari.bsky.social/post/3kaa", "names its author by a handle"),
        ("at://kari.bsky.social/app.bsky.feed.post/3kaa", "is no post id"),
        (f"at://{DID}/app.bsky.feed.like/3kaa", "is no post id"),
        ("bluesky:3kaa", "is no post id"),
    ],
)
def test_what_names_no_post_is_refused_without_the_name(typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        post_id(typed)
    assert "kari" not in str(refused.value)


def test_the_cursor_comes_back_as_it_was_and_another_is_refused() -> None:
    memory = Memory("wss://a", Place(12, US), {"source_silent": AT})
    assert Memory.parse(str(memory)) == memory
    assert Memory.parse(str(Memory())) == Memory()
    for text in (
        "",
        "{}",
        "[]",
        '{"host":1,"seq":2,"us":3,"notices":{},"back":{}}',
        '{"host":"a","seq":"2","us":3,"notices":{},"back":{}}',
    ):
        with pytest.raises(Corrupt):
            Memory.parse(text)


@pytest.mark.parametrize(
    "its",
    [
        {"hosts": ["jetstream.example"]}, {"hosts": ["wss://a.example/subscribe"]}, {"hosts": ["wss://u:p@a.example"]},
        {"hosts": ["wss://a.example:0"]}, {"version": 3}, {"silence": "1s"}, {"accounts": {"kari": "kari"}},
        {"accounts": {"": FJORDBY}},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(its: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"bluesky"):
        Settings.model_validate({"bluesky": its})


def test_the_settings_name_accounts_as_people_write_them() -> None:
    found = Settings.model_validate({"bluesky": {"accounts": {"@Fjordby.bsky.social": FJORDBY}}})
    assert found.bluesky.accounts == {"fjordby.bsky.social": FJORDBY}


def test_the_fakes_posts_are_read_as_they_were_said() -> None:
    network = Network()
    post = network.post("Kø", by="kari", reply_to=URI, quote=URI)
    network.edit(post.uri, "Ingen kø")
    network.delete(post.uri)
    network.account("kari", "deactivated")
    raw = [written(Entry(n, US + n, event), v2=True) for n, event in enumerate(network.events)]
    found = [read_message(each) for each in raw]
    assert [getattr(m, "operation", None) for m in found] == ["create", "update", "delete", None]
    revs = [m.rev for m in found if isinstance(m, Commit)]
    assert revs == sorted(revs)
