"""Hostile settings: whatever can be known without asking anybody is found, with its place and what to write."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from listener.errors import ConfigError
from listener.maintenance.preflight import doubts, mistakes
from listener.settings.bus_address import check_url, embedded_file, kafka_address
from listener.settings.files import RawSettings, YamlFile, environment, merge, parse_yaml
from listener.settings.hosts import host_problem
from listener.settings.schema import Settings, load_settings

PLACED = re.compile(r"^(settings\.yaml:\d+: [\w.]+: |LYTTEPOST_\w+: )\S")


def raw(text: str, **environ: str) -> RawSettings:
    file: YamlFile = parse_yaml(text, Path("settings.yaml"))
    env, names = environment({f"LYTTEPOST_{name}": value for name, value in environ.items()})
    return RawSettings(merge(file.data or {}, env), file, env, Path(), names)


@dataclass
class Place:
    """A folder with what hostile settings name."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "data").mkdir()
        (self.folder / "file").write_text("x\n", encoding="utf-8")
        (self.folder / "secret").write_text("a-token\n", encoding="utf-8")
        (self.folder / "empty").write_text("", encoding="utf-8")
        (self.folder / "open.key").write_text("ab" * 32, encoding="utf-8")
        os.chmod(self.folder / "open.key", 0o644)
        (self.folder / "data" / "own.key").write_text("ab" * 32, encoding="utf-8")
        os.chmod(self.folder / "data" / "own.key", 0o600)

    def told(self, text: str) -> list[str]:
        """What is told of settings; `HERE` in them is this folder."""
        these = raw(text.replace("HERE", str(self.folder)))
        try:
            settings = load_settings(these)
        except ConfigError as error:
            return str(error).splitlines()
        return mistakes(these, settings, self.folder / "data")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def one(section: str, key: str, *values: str) -> list[tuple[str, str]]:
    """`section.key` with each of these values → text, and the setting that must be named."""
    *parents, last = [*section.split("."), *key.split(".")]
    out = []
    for value in values:
        lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(parents)]
        out.append(("\n".join([*lines, f"{'  ' * len(parents)}{last}: {value}"]) + "\n", f"{section}.{key}"))
    return out


HOSTILE = [
    ("language: klingon\n", "language"),
    ("language: [nb]\n", "language"),
    ("timezone: Norway/Bergen\n", "timezone"),
    ("understanding: {tier: best}\n", "understanding.tier"),
    ("timezone: 1\n", "timezone"),
    ("timezone: ../../etc/passwd\n", "timezone"),
    *one(
        "bus",
        "url",
        "kafkaa://a:9092",
        "kafka://:9092",
        "kafka://a:0",
        "kafka://a:99999",
        "kafka://a",
        "kafka://a:9092,",
        "kafka://a b:9092",
        "kafka://-a:9092",
        "kafka://10.0.0.300:9092",
        "kafka://sykehus.å:9092",
        "kafka://::1:9092",
        "'kafka://[::g]:9092'",
        "kafka://bruker:hemmelig@a:9092",
        "kafka://a:9092?prefix=",
        "kafka://a:9092?prefix=nord.øst",
        "kafka://a:9092?prefix=a&prefix=b",
        "kafka://a:9092?acks=0",
        "'kafka:'",
        "KAFKA://a:9092",
        "http://a:9092",
        "embedded",
        "embedded://srv/x.db",
        "'embedded:srv/x.db'",
        "'embedded:/'",
        "'embedded:///'",
        "'embedded:/srv/x.db?mode=ro'",
        "'embedded: /srv/x.db'",
        "'embedded:HERE'",
        "'embedded:~nobody-here/x.db'",
        "'embedded:HERE/file/x.db'",
        "'embedded:/dev/null'",
        "''",
        "null",
        "7",
    ),
    *one("bus", "partitions", "0", "-1", "257", "1.5", "true", "many"),
    *one("bus.kafka", "replication", "0", "10", "true"),
    *one("bus.kafka", "min_in_sync", "0", "true"),
    *one("bus.kafka", "purge_lag", "0s", "8d", "1", "-5m"),
    *one("bus.kafka", "segment", "0s", "999999999d"),
    *one("bus.kafka", "buffer", "1KB", "999999999999GB", "-1", "much"),
    *one("bus.kafka", "tls.ca_file", "ca.pem", "~nobody-here/a", "HERE/none", "HERE/file", "HERE"),
    ("bus:\n  kafka:\n    tls: {cert_file: HERE/file, key_file: HERE/file}\n", "bus.kafka.tls.cert_file"),
    ("bus:\n  kafka:\n    tls: {cert_file: HERE/file}\n", "bus.kafka.tls"),
    ("bus:\n  kafka:\n    sasl: {username: a}\n", "bus.kafka.sasl"),
    ("bus:\n  kafka:\n    sasl: {username: a, password: b, password_file: HERE/secret}\n", "bus.kafka.sasl.password"),
    ("bus:\n  kafka:\n    sasl: {username: a, password_file: HERE/none}\n", "bus.kafka.sasl.password_file"),
    ("bus:\n  kafka:\n    sasl: {username: a, password_file: HERE/empty}\n", "bus.kafka.sasl.password_file"),
    ("bus:\n  kafka:\n    sasl: {mechanism: GSSAPI}\n", "bus.kafka.sasl.mechanism"),
    *one("x", "deletions.by", "nothing", "true", "1"),
    *one("x", "prices.compliance", "-1", ".inf"),
    *one("retention", "sources.x", "3h", "0d", "4000d", "7", "much"),
    *one("retention", "sources.fjesbok", "7d"),
    ("retention: {sources: 7d}\n", "retention.sources"),
    *one("mode", "lookback", "-1h", "8d", "999999999d", "99999999999999999999h", "6"),
    *one("mode", "review_after", "0s", "31d", "soon"),
    *one("canary", "every", "0s", "25h", "1", "often"),
    *one("report", "every", "0s", "29m", "25h", "1", "often"),
    *one("deadman", "every", "0s", "25h", "60"),
    *one(
        "deadman",
        "url",
        "hc-ping.com/hemmelig",
        "ftp://hc-ping.com/hemmelig",
        "https://",
        "https://:443/hemmelig",
        "https://hc-ping.com:99999/hemmelig",
        "https://a b.com/hemmelig",
        "https://hc-ping.com/hem melig",
        "https://1.2.3.400/hemmelig",
        "'https://[::1/hemmelig'",
        "https://bruker:hemmelig@hc-ping.com",
        "''",
    ),
    ("deadman: {url: 'https://a.no/hemmelig', url_file: HERE/secret}\n", "deadman.url"),
    *one("deadman", "url_file", "./url", "~nobody-here/a", "HERE/none", "HERE", "HERE/empty", "HERE/secret"),
    *one("sources.recording", "path", "~nobody-here/a", f"/{'a' * 300}", "HERE/none", "HERE", "7"),
    *one("sources.recording", "speed", "0", "-1", "nan", "1e300", "1e-300", "fast"),
    *one(
        "x",
        "base_url",
        "api.x.com",
        "ftp://api.x.com",
        "https://",
        "https://:443",
        "https://api.x.com:99999",
        "https://api.x.com:0",
        "https://api.x.com:https",
        "https://a b.com",
        "https://api..x.com",
        "https://1.2.3.400",
        "'https://[::1'",
        "https://bruker:hemmelig@api.x.com",
        "https://api.x.com/?a=1",
        "https://api.x.com/2",
        "https://api.x.com/2/",
        "https://x.com/sti med blank",
    ),
    ("x: {bearer_token: a, bearer_token_file: HERE/secret}\n", "x.bearer_token"),
    *one("x", "bearer_token_file", "./token", "~nobody-here/a", f"/{'a/' * 3000}", "HERE/none", "HERE", "HERE/empty"),
    *one("x", "reposts", "maybe", "2"),
    *one("x.counts", "every", "59s", "61m", "0s", "5"),
    *one("x.prices", "post", "-1", ".inf", "1e300", "true", "cheap"),
    *one("x.budget", "soft", "-1", "true"),
    ("x:\n  budget: {soft: 5000}\n", "x.budget"),
    *one("x.budget", "ceiling", "1e300"),
    ("x:\n  budget: {soft: 0, hard: 0, ceiling: 0}\n", "x"),
    *one(
        "privacy",
        "key_file",
        "pseudonym.key",
        "../keys/pseudonym.key",
        "~nobody-here/a",
        "HERE",
        "HERE/file",
        "HERE/empty",
        "HERE/open.key",
        "HERE/data/own.key",
        "HERE/file/k",
    ),
    ("privacy: {named_accounts: {media: ['']}}\n", "privacy.named_accounts.media.0"),
    ("privacy: {named_accounts: {media: [a b]}}\n", "privacy.named_accounts.media.0"),
    ("privacy: {named_accounts: {media: ['@A'], public_body: [a]}}\n", "privacy.named_accounts"),
    ("privacy: {named_accounts: {media: a}}\n", "privacy.named_accounts.media"),
    ("privacy: {followed_persons: {a: ' '}}\n", "privacy.followed_persons"),
    ("privacy: {followed_persons: [a]}\n", "privacy.followed_persons"),
    ("bluesky: {accounts: {kari.example: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'}}\n", "bluesky.accounts"),
    *one("retention", "content", "0s", "59m", "999999999d", "99999999999999999999d", "30"),
    *one("retention", "baseline", "0s", "999999999d"),
    *one("retention", "archive", "0s", "999999999d"),
    *one("retention", "deadletters", "0s", "999999999d"),
    ("retention: {content: 60d, archive: 30d}\n", "retention"),
    *one("rules", "allowed_lateness", "-1s", "2h", "10"),
    *one(
        "published",
        "feeds",
        "feed.xml",
        "[feed.xml]",
        "['']",
        "[7]",
        "[HERE]",
        "[HERE/none.xml]",
        "[~nobody-here/feed.xml]",
        "['https://']",
        "['https://a b.no/feed']",
        "['https://a.no:99999/feed']",
        "['https://a.no:http/feed']",
        "['https://sykehus.å/feed']",
        "['https://sykehus.no/nyhéter']",
        "['https://bruker:hemmelig@sykehus.no/feed']",
        "['https://1.2.3.400/feed']",
        "['https://[::1/feed']",
        "['feed://sykehus.no/feed']",
        "['file:///srv/feed.xml']",
        "[https://sykehus.no/feed, HERE/none.xml]",
    ),
    *one(
        "highlights", "feeds", "feed.xml", "[feed.xml]", "[HERE/none.xml]", "['https://bruker:hemmelig@sykehus.no/f']"
    ),
    *one("highlights", "courses", "[7]", "[HERE]", "['feed://sykehus.no/feed']"),
    ("highlights: {feeds: [https://a.no/f], courses: [https://a.no/f]}\n", "highlights"),
    *one("highlights", "every", "4m", "2d", "often"),
    *one("highlights", "newest", "0s", "91d"),
    *one("highlights", "hours", "8-20", "20:00-08:00", "08:00-08:00", "08:00-24:30", "24:00-25:00", "''", "8"),
    *one("highlights", "apart", "0s", "8d"),
    *one("highlights", "late", "0s", "8d", "1"),
    *one("highlights", "base_url", "api.x.com", "https://api.x.com/2", "https://bruker:hemmelig@api.x.com"),
    ("highlights: {consumer_secret: a, access_token: b, access_token_secret: c}\n", "highlights.consumer_key"),
    ("highlights: {consumer_key: a}\n", "highlights.consumer_secret"),
    ("highlights: {consumer_key: a, consumer_key_file: HERE/secret}\n", "highlights.consumer_key"),
    *one("highlights", "consumer_secret_file", "./a", "~nobody-here/a", "HERE/none", "HERE", "HERE/empty"),
    *one("highlights", "access_token_file", "./a", "HERE/none", "HERE/empty"),
    *one("highlights", "access_token_secret", "'a b'", "''", "7"),
    *one("bluesky", "enabled", "maybe", "3"),
    *one("bluesky", "version", "0", "3", "two"),
    ("bluesky: {hosts: [jetstream.example]}\n", "bluesky.hosts.0"),
    ("bluesky: {hosts: ['wss://jetstream.example/subscribe']}\n", "bluesky.hosts.0"),
    ("bluesky: {hosts: ['wss://jetstream.example', 'https://Jetstream.example/']}\n", "bluesky.hosts"),
    *one("bluesky", "silence", "0s", "6m", "20"),
    ("bluesky: {accounts: {sykehus.example: did:plc:kort}}\n", "bluesky.accounts"),
    ("linkedin: {enabled: true}\n", "linkedin"),
    ("linkedin: {enabled: true, basis: ja, organization: 1}\n", "linkedin.token"),
    *one("linkedin", "enabled", "kanskje"),
    ("linkedin: {basis: [1]}\n", "linkedin.basis"),
    *one("linkedin", "organization", "sykehuset", "urn:li:person:1"),
    ("linkedin: {token: 7}\n", "linkedin.token"),
    *one("linkedin", "token_file", "./a", "~nobody-here/a"),
    *one("linkedin", "token_expires", "snart", "2026-13-01"),
    *one("linkedin", "version", "2026", "202613", "v1"),
    *one("linkedin", "base_url", "api.linkedin.com", "https://api.linkedin.com/rest", "https://b:h@a.no"),
    *one("linkedin", "every", "30s", "2h"),
    *one("linkedin", "in_calm", "1m", "1d"),
    *one("linkedin", "calls", "0", "mange"),
    ("feeds: {read: [{url: 'feed.xml', name: Posten}]}\n", "feeds.read.0.url"),
    ("feeds: {read: [{url: 'https://bruker:hemmelig@a.no/', name: Posten}]}\n", "feeds.read.0.url"),
    ("feeds: {read: [{url: 'https://a.no/', name: ' '}]}\n", "feeds.read.0.name"),
    ("feeds: {read: [{url: 'https://a.no/'}]}\n", "feeds.read.0.name"),
    ("feeds: {read: [{url: 'https://a.no/', name: A, by: venn}]}\n", "feeds.read.0.by"),
    ("feeds: {read: [{url: 'https://a.no/', name: A, account: 'a b'}]}\n", "feeds.read.0.account"),
    ("feeds: {read: [{url: 'https://a.no/', name: A, by: own, account: a}]}\n", "feeds.read.0"),
    ("feeds: {read: [{url: 'https://a.no/', name: A}, {url: 'https://a.no/b', name: A}]}\n", "feeds"),
    ("feeds: {read: [{url: 'https://a.no/', name: A}, {url: 'https://a.no/', name: B}]}\n", "feeds"),
    ("feeds: {read: [{url: 'https://a.no/', name: A, inside: kanskje}]}\n", "feeds.read.0.inside"),
    *one("feeds", "every", "10s", "2h", "120"),
    *one("feeds", "in_calm", "30s", "1d"),
    ("mastodon: {servers: [{url: mastodon.example, token: t}]}\n", "mastodon.servers.0.url"),
    ("mastodon: {servers: [{url: 'https://a.example/@kari', token: t}]}\n", "mastodon.servers.0.url"),
    ("mastodon: {servers: [{url: 'https://bruker:hemmelig@a.example', token: t}]}\n", "mastodon.servers.0.url"),
    ("mastodon: {servers: [{url: 'https://a.example'}]}\n", "mastodon.servers"),
    ("mastodon: {servers: [{url: 'https://a.example', token: 'a b'}]}\n", "mastodon.servers"),
    ("mastodon: {servers: [{url: 'https://a.example', token_file: HERE/none}]}\n", "mastodon.servers"),
    ("mastodon: {servers: [{url: 'https://a.example', token: t, timeline: all}]}\n", "mastodon.servers.0.timeline"),
    (
        "mastodon: {servers: [{url: 'https://a.example', token: t}, {url: 'https://A.example/', token: t}]}\n",
        "mastodon.servers",
    ),
    *one("mastodon", "silence", "9s", "6m", "20"),
    *one("mastodon", "probe", "0s", "2h", "20"),
    *one("meta", "base_url", "graph.facebook.com", "https://graph.facebook.com/v26.0", "https://bruker:hemmelig@a.no"),
    *one("meta", "version", "26", "v26", "26.0", "7"),
    *one("meta", "app_id", "appen", "-1"),
    *one("meta", "app_secret_file", "./a", "~nobody-here/a"),
    *one("meta", "verify_token", "7"),
    *one("meta", "verify_token_file", "./a", "~nobody-here/a"),
    *one("facebook", "page_id", "fjordbysyk", "-1"),
    ("facebook: {page_id: 1000}\n", "facebook.access_token"),
    ("facebook: {access_token: a}\n", "facebook.page_id"),
    ("facebook: {page_id: 1000, access_token: 'a b'}\n", "facebook.access_token"),
    ("facebook: {page_id: 1000, access_token_file: HERE/none}\n", "facebook.access_token_file"),
    ("facebook: {page_id: 1000, access_token: a}\nmeta: {verify_token: ord}\n", "meta.verify_token"),
    *one("facebook", "handle", "'a b'", "''"),
    *one("facebook", "lists", "[]", "[likes]", "feed"),
    *one("facebook", "every", "9s", "1m", "30"),
    *one("facebook", "calm_every", "4m", "2d"),
    *one("facebook", "posts_for", "1h", "91d"),
    *one("webhooks", "host", "''", "'*'", "http://localhost"),
    *one("webhooks", "port", "-1", "65536", "true"),
    *one("webhooks", "url", "lyttepost.no", "http://lyttepost.no", "https://a.no/?b=1"),
    ("youtube: {channels: {'@fjordbysykehus': ''}}\n", "youtube.channels"),
    ("youtube: {channels: {UCfjordbysykehus00000000: 'https://youtube.com/@fjordby'}}\n", "youtube.channels"),
    ("youtube: {api_key: a}\n", "youtube"),
    *one("youtube", "base_url", "www.googleapis.com", "ftp://a.no", "https://bruker:hemmelig@a.no"),
    *one("youtube", "api_key", "7"),
    *one("youtube", "api_key_file", "./a", "HERE/none", "HERE/empty"),
    *one("youtube.every", "crisis", "4s", "11m", "15"),
    *one("youtube.every", "calm", "59s", "2d", "off"),
    *one("youtube", "units", "99", "true", "many"),
    *one("youtube", "replies", "59m", "31d", "3"),
    *one("youtube", "deletions", "59s", "25h"),
    ("youtube: {owner: {token_url: oauth2.googleapis.com}}\n", "youtube.owner.token_url"),
    *one("instagram", "account", "fjordbysykehus", "0"),
    *one("instagram", "media", "0", "101", "many"),
    *one(
        "instagram", "hashtags", "['to ord']", "['#']", "mittous", "[" + ", ".join(f"tag{n}" for n in range(31)) + "]"
    ),
    *one("instagram", "every", "9s", "11m"),
    *one("instagram", "calm_every", "59s", "13h"),
    *one("instagram", "recheck", "9m", "8d"),
    *one("instagram", "enabled", "maybe", "3"),
    *one("instagram", "tagged", "maybe", "3"),
    ("instagram: {enabled: true}\n", "instagram.account"),
    ("instagram: {enabled: true, account: 17841400000000001}\n", "instagram.access_token"),
    ("instagram: {enabled: true, account: 1, access_token: 'a b'}\n", "instagram.access_token"),
    *one("instagram", "access_token_file", "./a", "~nobody-here/a"),
    ("instagram: {enabled: true, account: 1, access_token: a}\nmeta: {verify_token: ord}\n", "meta.verify_token"),
    *one("meta", "verify_token_file", "./a", "~nobody-here/a"),
    *one("meta", "app_secret", "[1]"),
    *one("webhooks", "host", "''", "http://localhost", "256.1.1.1", "a b", "null"),
    *one("webhooks", "port", "-1", "65536", "true", "http"),
    *one("webhooks", "url", "lyttepost.no", "https://bruker:hemmelig@lyttepost.no"),
    *one("web", "host", "''", "'*'", "http://localhost", "localhost:9469", "256.1.1.1", "'[::1]'", "a b", "null"),
    *one("web", "port", "-1", "65536", "true", "http"),
    *one("receiver", "host", "''", "'*'", "http://localhost", "256.1.1.1", "a b", "null"),
    *one("receiver", "port", "-1", "65536", "true", "http"),
    ("receiver: 9470\n", "receiver"),
    *one("board", "host", "''", "'*'", "http://localhost", "256.1.1.1", "a b", "null", "0.0.0.0", "'::'"),  # noqa: S104
    *one("board", "port", "-1", "65536", "true", "http"),
    *one("board", "url", "tavle.no", "http://tavle.no", "https://tavle.no/board", "https://bruker:hemmelig@tavle.no"),
    ("board: {certificate: {file: HERE/file, key_file: HERE/secret}}\n", "board.certificate"),
    ("board: {certificate: {file: board.crt, key_file: HERE/secret}}\n", "board.certificate.file"),
    *one("board.sessions", "idle", "0s", "59s", "25h", "60"),
    *one("board.sessions", "longest", "4m", "8d", "soon"),
    ("board: {sessions: {idle: 2h, longest: 1h}}\n", "board.sessions"),
    ("board: {proxy: {}}\n", "board.proxy.addresses"),
    ("board: {proxy: {addresses: [10.0.0.1/8]}}\n", "board.proxy.addresses.0"),
    ("board: {proxy: {addresses: [0.0.0.0/0]}}\n", "board.proxy.addresses.0"),
    ("board: {proxy: {addresses: [10.0.0.1], user_header: Cookie}}\n", "board.proxy.user_header"),
    ("board: {proxy: {addresses: [10.0.0.1], user_header: X-User}}\n", "board.proxy"),
    ("board: {proxy: {addresses: [10.0.0.1], roles: {a: ops}}}\n", "board.proxy"),
    ("board: {oidc: {issuer: 'http://a.no', client_id: a, client_secret_file: /a, roles: {}}}\n", "board.oidc.issuer"),
    ("webb: {port: 1}\n", "webb"),
]


def test_there_are_enough_of_them_and_they_reach_every_setting() -> None:
    def keys(tree: dict[str, object], at: str = "") -> set[str]:
        out: set[str] = set()
        for name, value in tree.items():
            out |= keys(value, f"{at}{name}.") if isinstance(value, dict) and value else {f"{at}{name}"}
        return out

    assert len(HOSTILE) >= 60
    told = {where for _, where in HOSTILE}
    every = keys(Settings().model_dump(mode="json"))
    left = {key for key in every if not any(key.startswith(t) or t.startswith(key) for t in told)}
    as_x_prices_post = {f"x.prices.{name}" for name in ("referenced_post", "user", "counts", "search", "other")}
    assert left <= as_x_prices_post | {"channels", "bus.kafka.tls.enabled", "x.budget.hard"}


@pytest.mark.parametrize(("text", "where"), HOSTILE, ids=lambda value: str(value).strip().replace("\n", " "))
def test_a_hostile_setting_is_reported_with_its_place(place: Place, text: str, where: str) -> None:
    told = place.told(text)
    assert told
    assert all(PLACED.match(line) for line in told), told
    assert any(line.split(": ")[1].startswith(where) for line in told), told
    assert "hemmelig" not in "\n".join(told)


SOUND = [
    "bus: {url: 'embedded:'}\n",
    "bus: {url: 'embedded://'}\n",
    "bus: {url: 'embedded:HERE/own/bus.sqlite'}\n",
    "bus: {url: 'embedded://HERE/own/bus.sqlite'}\n",
    "bus: {url: 'kafka://kafka_1:9092,10.0.0.3:9092'}\n",
    "bus: {url: 'kafka://[::1]:9092/?prefix=north'}\n",
    "timezone: UTC\n",
    "mode: {lookback: 0s, review_after: 30d}\n",
    "retention: {content: 1h, archive: 100d}\n",
    "x: {prices: {post: 0, counts: 0}, budget: {soft: 0, hard: 0, ceiling: 0}}\n",
    "x: {base_url: 'http://127.0.0.1:8080/', bearer_token_file: HERE/secret}\n",
    "x: {base_url: 'https://[::1]:443/v'}\n",
    "web: {host: '::1', port: 0}\n",
    "web: {host: vakt1.sykehus.example}\n",
    "privacy: {key_file: HERE/new/pseudonym.key}\n",
    "privacy: {named_accounts: {media: ['@fjordby_avis'], public_body: [fjordby.example.no]}}\n",
    "sources: {recording: {path: HERE/file, speed: max}}\n",
    "canary: {every: null}\n",
    "deadman: {url: 'http://127.0.0.1:8080/ping/a?b=c', every: 30s}\n",
    "published: {feeds: ['https://sykehus.no/feed?type=rss&n=20', 'http://[::1]:8080/', HERE/file]}\n",
]


@pytest.mark.parametrize("text", SOUND)
def test_what_is_sound_is_let_be(place: Place, text: str) -> None:
    assert place.told(text) == []


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"X__BEARER_TOKEN": "a", "X__BEARER_TOKEN_FILE": "/none"}, "LYTTEPOST_X__BEARER_TOKEN"),
        ({"X__BEARER_TOKEN_FILE": "/"}, "LYTTEPOST_X__BEARER_TOKEN_FILE"),
        ({"SOURCES__RECORDING__PATH": "/none"}, "LYTTEPOST_SOURCES__RECORDING__PATH"),
        ({"BUS__URL": "embedded:/tmp"}, "LYTTEPOST_BUS__URL"),
    ],
)
def test_a_variable_is_named_where_it_gave_the_setting(place: Place, environ: dict[str, str], name: str) -> None:
    these = raw("", **environ)
    (told,) = mistakes(these, load_settings(these), place.folder / "data")
    assert told.startswith(f"{name}: ")


def test_a_data_folder_that_is_a_file_is_reported(place: Place) -> None:
    (told,) = mistakes(raw(""), Settings(), place.folder / "file")
    assert str(place.folder / "file") in told


@pytest.mark.parametrize(
    ("text", "standing", "words"),
    [
        ("x: {base_url: 'http://api.x.com'}\n", (), "in the clear"),
        ("bus: {kafka: {sasl: {username: a, password: b}}}\n", (), "is not used"),
        ("webhooks: {port: 9471}\n", (), "webhooks.port: is 9471, as board.port is"),
        ("board: {host: 0.0.0.0, port: 9469}\n", (), "board.port: is 9469, as web.port is"),
        ("", ("på",), "every other sentence"),
        ("", ("the",), "every other sentence"),
        ("", ("for*",), "finds 'for' too"),
    ],
)
def test_a_doubt_is_reported(text: str, standing: tuple[str, ...], words: str) -> None:
    these = raw(text)
    (told,) = doubts(these, load_settings(these), standing)
    assert words in told


def test_ordinary_settings_leave_no_doubt() -> None:
    these = raw(
        "x: {base_url: 'http://127.0.0.1:1'}\nweb: {port: 0}\nboard: {port: 0}\nreceiver: {port: 9470}\n"
        "webhooks: {host: 10.0.0.1, port: 9470}\n"
    )
    assert list(doubts(these, load_settings(these), ("fjordby sykehus", "fjordby*", "fjordby us", "#er", "@og"))) == []


@pytest.mark.parametrize("reader", [check_url, embedded_file, kafka_address, host_problem])
@pytest.mark.parametrize(
    "text", ["", ":", "//", "///", "?", "@", "\0", "\ud800", "a" * 10_000, "[", "]", "[]:1", "%00:1"]
)
def test_an_address_never_raises_anything_else(reader: Callable[[str], object], text: str) -> None:
    with suppress(ValueError):
        reader(text)


def test_a_pipe_where_a_secret_should_be_is_refused_and_not_waited_for(place: Place) -> None:
    os.mkfifo(place.folder / "pipe", 0o600)
    for text in (
        "x: {bearer_token_file: HERE/pipe}\n",
        "privacy: {key_file: HERE/pipe}\n",
        "bus: {kafka: {tls: {ca_file: HERE/pipe}}}\n",
    ):
        (told,) = place.told(text)
        assert PLACED.match(told)
        assert "no regular file" in told or "NoRegularFile" in told


def test_what_two_sources_doubt_is_told_once() -> None:
    text = (
        "meta: {base_url: 'http://graph.example.org', verify_token: x, app_secret: y}\n"
        "facebook: {page_id: 1000, access_token: z}\ninstagram: {enabled: true, account: 2000, access_token: z}\n"
    )
    these = raw(text)
    told = list(doubts(these, load_settings(these), []))
    assert sum("meta.base_url" in each for each in told) == 1
