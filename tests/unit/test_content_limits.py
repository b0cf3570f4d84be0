"""How long content of a source may lie: as the settings say, and never longer than the platform's terms allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from listener.bus.protocol import Message, Record
from listener.errors import ConfigError
from listener.privacy.expiry import overdue, source_of
from listener.settings.schema import RetentionSettings, Settings
from listener.sources.contract import SourceType, content_limits, source_types

DAY = timedelta(days=1)


def a_source(limit: timedelta | None) -> SourceType:
    return SourceType(make=lambda *_: None, setting=("a",), check=lambda settings: None, content_limit=limit)


TYPES = {"a": a_source(2 * DAY), "b": a_source(None)}


def settings(content: timedelta = 30 * DAY, **sources: timedelta) -> Settings:
    return Settings(retention=RetentionSettings(content=content, sources=sources))


def test_terms_hold_where_the_settings_name_nothing_and_the_settings_may_name_less() -> None:
    assert content_limits(settings(), TYPES) == {"a": 2 * DAY}
    assert content_limits(settings(a=DAY, b=7 * DAY), TYPES) == {"a": DAY, "b": 7 * DAY}


def test_nothing_may_lie_longer_than_content_of_any_source() -> None:
    assert content_limits(settings(content=DAY, b=7 * DAY), TYPES) == {"a": DAY, "b": DAY}


def test_more_than_the_terms_allow_is_refused_with_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"retention\.sources\.a: 3d is longer than .* terms .* write 2d or less"):
        content_limits(settings(a=3 * DAY), TYPES)


def test_a_source_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"retention\.sources\.c: no source is called so; known: a, b"):
        content_limits(settings(c=DAY), TYPES)


def test_what_the_sources_declare_can_be_enforced() -> None:
    for name, its in source_types().items():
        assert its.content_limit is None or its.content_limit >= timedelta(hours=4), name


@pytest.mark.parametrize(
    ("topic", "key", "source"),
    [
        ("mentions", "linkedin:urn:li:comment:(urn:li:activity:1,2)", "linkedin"),
        ("findings", "brann-0:linkedin:urn:li:comment:(urn:li:activity:1,2)", "linkedin"),
        ("mentions", "bluesky:at://did:plc:a/app.bsky.feed.post/1", "bluesky"),
        ("mentions", "linkedin:tick", ""),
        ("mentions", "linkedin:deletion", ""),
        ("findings", "linkedin:gap", ""),
        ("findings", "brann-0:answered", ""),
    ],
)
def test_the_source_of_a_record_is_in_its_key(topic: str, key: str, source: str) -> None:
    assert source_of(Record(topic, 0, 1, key, b"{}", 0)) == source
    assert source_of(Message(topic, key, b"{}")) == source


def test_too_old_is_said_to_the_second() -> None:
    now = datetime(2031, 1, 1, tzinfo=UTC)
    oldest = {"a": now - 2 * DAY, "b": now - 7 * DAY - timedelta(seconds=1)}
    assert list(overdue(oldest, {"a": 2 * DAY, "b": 7 * DAY}, now)) == ["b"]
