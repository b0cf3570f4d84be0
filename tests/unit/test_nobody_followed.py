"""No track follows a person, no medium is fetched, and nothing puts together what one person says. All made up."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from alerts.commands.register import By
from alerts.commands.register_export import OF_STORIES, OF_THEMES
from alerts.rules.load import load_rules
from alerts.rules.table import TYPES
from listener.bus.protocol import open_bus
from listener.clock import ManualClock
from listener.errors import ConfigError, Refusal, Refused
from listener.ingest.context import IngestContext
from listener.ingest.ingestor import Ingestor
from listener.model.incidents import Action, Command
from listener.model.topics import topic_specs
from listener.privacy.screen import Screen
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.runtime.switching import change_command, open_command
from listener.settings.files import RawSettings, YamlFile, merge, parse_yaml
from listener.settings.followed import allowed_accounts, check_standing, left_out
from listener.settings.schema import load_settings
from listener.settings.standing_tracks import load_standing
from listener.sources.contract import source_types

ROOT = Path(__file__).resolve().parents[2]
T0 = datetime(2031, 5, 17, 3, 0, tzinfo=UTC)
SAID: Any = {"why": "meldt", "by": "kari", "now": T0}
NAMED = """
privacy:
  named_accounts:
    public_body: ["@FjordbyUnivsyk", tryggby@samfunn.example]
    media: [fjordbyavisa]
  followed_persons:
    "@Kari.example": avtalt skriftlig 3. mai, sak 2031/17
"""


def raw(text: str = NAMED) -> RawSettings:
    file: YamlFile = parse_yaml(text, Path("settings.yaml"))
    return RawSettings(merge(file.data or {}, {}), file, {}, Path(), {})


@pytest.mark.parametrize("account", ["fjordbyunivsyk", "@FJORDBYAVISA", "tryggby@samfunn.example", "@kari.example"])
def test_who_is_named_may_be_followed_and_whoever_a_basis_is_written_for(account: str) -> None:
    command = open_command("Brann", accounts=[account], settings=raw, **SAID)
    assert command.add == (f"@{account.lstrip('@').casefold()}",)
    assert set(change_command("brann-0", add=[f"@{account.lstrip('@')}"], settings=raw, **SAID).add) == set(command.add)


@pytest.mark.parametrize("account", ["ola_nordmann", "@kari", "univsyk", "fjordbyunivsyk.example"])
def test_anybody_else_is_refused_with_the_reason_and_what_may_be_done(account: str) -> None:
    for command in (
        lambda: open_command("Brann", tracks=["brann"], accounts=[account], settings=raw, **SAID),
        lambda: open_command("Brann", tracks=[f"@{account.lstrip('@')}"], settings=raw, **SAID),
        lambda: change_command("brann-0", add=[f"@{account.lstrip('@')}"], settings=raw, **SAID),
    ):
        with pytest.raises(Refused, match=r"no person is followed; name it under privacy\.named_accounts") as caught:
            command()
        assert caught.value.exit_code == 3
        assert caught.value.refusal is Refusal.FOLLOWS_PERSON


def test_words_hashtags_and_places_need_no_account_and_ask_no_settings() -> None:
    def none() -> RawSettings:
        raise AssertionError("read for nothing")

    named: Any = {"lookback": "1h", "review_after": "4h"}
    command = change_command("brann-0", add=["brann", "#mittous", "place:Fjord"], settings=none, **SAID)
    assert len(command.add) == 3
    assert open_command("Brann", tracks=["ola nordmann"], settings=raw, **named, **SAID).add


@pytest.mark.parametrize(
    "text",
    [
        "privacy: {followed_persons: {'@ola': ''}}",
        "privacy: {followed_persons: {'@ola': ' '}}",
        "privacy: {followed_persons: {'@ola': 7}}",
        "privacy: {followed_persons: [ola]}",
        "privacy: {named_accounts: {media: ola}}",
        "privacy: {named_accounts: [ola]}",
        "privacy: ola",
        "",
    ],
)
def test_a_basis_that_is_none_allows_nobody(text: str) -> None:
    with pytest.raises(Refused):
        open_command("Brann", accounts=["ola"], settings=lambda: raw(text), **SAID)
    if text:
        with pytest.raises(ConfigError):
            load_settings(raw(text))


def test_both_ways_to_read_the_settings_allow_the_same() -> None:
    assert load_settings(raw()).privacy.may_be_followed == allowed_accounts(raw())


def test_a_standing_track_on_a_person_is_a_mistake_with_its_line() -> None:
    file = parse_yaml("phrases: [brann]\naccounts:\n  - fjordbyavisa\n  - '@Ola'\n  - per\n", Path("tracks.yaml"))
    with pytest.raises(ConfigError) as caught:
        check_standing(file, load_standing(file), allowed_accounts(raw()))
    lines = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["tracks.yaml:4:", "tracks.yaml:5:"]
    assert "@ola follows an account" in lines[0]


def test_what_is_shipped_follows_nobody() -> None:
    for file in (ROOT / "config" / "tracks.yaml", *ROOT.glob("config/demo/*tracks*.yaml")):
        read = parse_yaml(file.read_text(encoding="utf-8"), file)
        check_standing(read, load_standing(read), frozenset())


def test_an_account_of_bluesky_that_is_heard_by_name_is_a_named_one() -> None:
    did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
    settings = load_settings(raw(f"bluesky: {{enabled: true, accounts: {{kari.bsky.social: '{did}'}}}}"))
    with pytest.raises(ConfigError, match=r"bluesky\.accounts\.kari\.bsky\.social: @kari\.bsky\.social follows"):
        source_types()["bluesky"].check(settings)
    with pytest.raises(ConfigError):
        source_types()["bluesky"].make(settings, ManualClock(T0))
    named = "privacy: {named_accounts: {media: [Kari.bsky.social]}}\n"
    source_types()["bluesky"].check(load_settings(raw(f"{named}bluesky: {{accounts: {{kari.bsky.social: '{did}'}}}}")))


class Told:
    """A live source that says nothing, and what it was told to follow."""

    name, only_exercise = "x", False

    def __init__(self) -> None:
        self.incidents: list[tuple[str, ...]] = []

    def follow(self, incidents: Any, standing: Any, over: Any = ()) -> None:
        self.incidents.append(tuple(track for each in incidents for track in each.tracks))

    def __getattr__(self, name: str) -> Any:
        if name in ("recall", "tend", "open", "close"):
            return lambda *_: None
        if name == "read":
            return lambda timeout: None
        if name == "state":
            return lambda: {"state": "listening"}
        raise AttributeError(name)


def test_an_incident_that_runs_is_heard_without_a_track_that_is_no_longer_allowed(tmp_path: Path) -> None:
    clock = ManualClock(T0)
    with closing(open_bus("embedded:", tmp_path, clock)) as bus:
        bus.ensure(topic_specs(1, {}))
        control = Control(bus)
        tracks = ("brann", "@ola", "@fjordbyavisa")
        control.append(Command(action=Action.OPEN, at=T0, by="kari", why="meldt", name="Brann", add=tracks))
        metrics, health = Metrics(CollectorRegistry(), "0"), Health(clock)
        reporter = PresenceReporter(bus, "p", ["listener"], clock=clock, metrics=metrics, part=health.part("follow"))
        source: Any = Told()
        listen = Ingestor(
            source,
            IngestContext(
                bus=bus, reporter=reporter, lease=bus.lease("source:x", "p", 5.0), standing=(), clock=clock,
                screen=Screen(b"k" * 32, {}), metrics=metrics, part=health.part("listen-x"),
                allowed=allowed_accounts(raw()),
            ),
        )  # fmt: skip
        for _ in range(3):
            reporter.step(0.0)
            listen.step(0.0)
            clock.advance(timedelta(seconds=1))
        assert source.incidents[-1] == ("brann", "@fjordbyavisa")
        assert left_out(control.refresh().open, allowed_accounts(raw())) == ["@ola"]


OPTIONS: dict[str, dict[str, Any]] = {
    "any": {},
    "blacklist": {"compare_key": "place", "blacklist": ["a"]},
    "whitelist": {"compare_key": "place", "whitelist": ["a"], "ignore_null": True},
    "change": {"compare_key": "place", "ignore_null": False, "timeframe": "5m", "query_key": "track"},
    "frequency": {"timeframe": "5m", "num_events": 2},
    "spike": {"timeframe": "5m", "spike_height": 2, "spike_type": "both"},
    "flatline": {"timeframe": "5m", "threshold": 1},
    "new_term": {"fields": "place", "timeframe": "5m", "terms_window_size": "10d", "learn": "5m"},
    "cardinality": {"timeframe": "5m", "cardinality_field": "place", "max_cardinality": 1},
    "percentage_match": {"timeframe": "5m", "max_percentage": 50, "match_bucket_filter": {"place": "a"}},
    "metric_aggregation": {
        "timeframe": "5m", "metric_agg_key": "lang", "metric_agg_type": "sum", "max_threshold": 1
    },
}  # fmt: skip


def load(tmp_path: Path, kind: str, **more: Any) -> None:
    file = tmp_path / "rule.yaml"
    file.write_text(json.dumps({"name": "a", "type": kind, "why": "b", **OPTIONS[kind], **more}), encoding="utf-8")
    load_rules(file)


@pytest.mark.parametrize("kind", sorted(TYPES.keys() - {"burst", "story"}))
def test_no_rule_may_put_together_what_one_person_says(tmp_path: Path, kind: str) -> None:
    load(tmp_path, kind)
    for option in ("query_key", "compare_key", "fields"):
        if option == "query_key" or option in OPTIONS[kind]:
            with pytest.raises(ConfigError, match="by 'author' what one person says would be put together"):
                load(tmp_path, kind, **{option: "author"})
    for option in ("filter", "exclude"):
        with pytest.raises(ConfigError, match="singles out what one person says"):
            load(tmp_path, kind, **{option: {"author": "p_abcdefghijklmnop"}})
        load(tmp_path, kind, **{option: {"author": "fjordbyavisa"}})


def test_authors_may_be_counted(tmp_path: Path) -> None:
    load(tmp_path, "cardinality", cardinality_field="author")
    load(tmp_path, "frequency", count_by="authors")


def test_no_rule_that_is_shipped_has_authors_as_keys() -> None:
    for spec in load_rules(ROOT / "config" / "rules"):
        assert not any("author" in names for option, names in spec.names.items() if option != "cardinality_field")


def test_the_register_and_its_sheets_have_no_row_or_column_by_author() -> None:
    assert {each.value for each in By} == {"theme", "story"}
    for columns in (OF_STORIES, OF_THEMES):
        assert not [name for name, _ in columns if re.search("author|sender|account|pseudonym", name)]


def code() -> list[Path]:
    return [*(ROOT / "alerts").rglob("*.py"), *(ROOT / "listener").rglob("*.py")]


def texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


BY_AUTHOR = re.compile(r"(?is)(group|order|partition)\s+by\s[^;]*\bauthor\b|where\s[^;]*\bauthor\s*(=|in\b)")


def test_no_query_groups_orders_or_selects_by_author() -> None:
    assert [path.name for path in code() for text in texts(path) if BY_AUTHOR.search(text)] == []
    assert BY_AUTHOR.search("SELECT author, count(*) FROM findings GROUP BY author")
    assert BY_AUTHOR.search("SELECT * FROM findings WHERE incident = ? AND author = ?")


def test_no_page_of_the_board_shows_who_said_it() -> None:
    for page in (ROOT / "alerts" / "board").rglob("*.html"):
        assert not re.search(r"\bauthors?\b(?!_)", page.read_text(encoding="utf-8")), page.name


ADDRESS_OF_A_MEDIUM = re.compile(r"(?i)(media|image|video|picture|thumbnail|avatar)_url|fullsize")


def test_no_source_reads_the_address_of_a_medium() -> None:
    """What is not read cannot be fetched: of a post its words count, and never what it shows."""
    found = [
        f"{path.parent.name}/{path.name}: {text[:40]}"
        for path in (ROOT / "listener" / "sources").rglob("*.py")
        for text in texts(path)
        if ADDRESS_OF_A_MEDIUM.search(text)
    ]
    assert found == []
