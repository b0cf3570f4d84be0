from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerts.annotate.story import story
from alerts.annotate.understanding import Understander
from alerts.annotate.worker import Annotator
from listener.model.records import (
    FINDINGS,
    AuthorClass,
    Captured,
    Finding,
    Kind,
    Mention,
    Origin,
    Reach,
    decode,
    encode,
)
from listener.settings.files import packaged_config

AT = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
MENTION = Mention(
    source="x", id="17", at=AT, captured_at=AT, origin=Origin.GAP_FILL, synthetic=True, exercise=True,
    text="Kan dere sende en tolk? ‹tlf›", lang="nb", author="p_0123456789abcdef", author_class=AuthorClass.PERSON,
    reach=Reach.UNDER_1K, repost_of="1", reply_to="2", quote_of="3", edits=("17",), hashtags=("brann",),
    links=("https://a.example/",), place="Fjellheim", url="https://x.example/17",
    incidents={"brann": ("ullevål*", "#brann"), "ovelse": ("tolk",)},
)  # fmt: skip


@pytest.fixture(scope="module")
def understander() -> Understander:
    return Understander.load(packaged_config())


def test_a_mention_becomes_one_finding_for_each_incident_with_its_tracks(understander: Understander) -> None:
    findings = Annotator(understander).findings(MENTION)
    assert [(f.incident, f.tracks) for f in findings] == [("brann", ("ullevål*", "#brann")), ("ovelse", ("tolk",))]
    assert [f.key for f in findings] == ["brann:x:17", "ovelse:x:17"]


def test_everything_captured_is_carried_over(understander: Understander) -> None:
    for finding in Annotator(understander).findings(MENTION):
        for name in Captured.model_fields:
            assert getattr(finding, name) == getattr(MENTION, name), name


def test_findings_bear_kinds_and_story(understander: Understander) -> None:
    finding = Annotator(understander).findings(MENTION)[0]
    assert finding.kinds == (Kind.WISH, Kind.QUESTION)
    assert finding.cues[0].words
    assert finding.story == story(MENTION.text)


def test_the_class_of_the_author_counts(understander: Understander) -> None:
    mention = MENTION.model_copy(update={"author_class": AuthorClass.PUBLIC_BODY})
    assert Kind.MEDIA in Annotator(understander).findings(mention)[0].kinds


def test_each_finding_is_an_exercise_where_its_own_incident_is_one(understander: Understander) -> None:
    findings = Annotator(understander, exercises={"ovelse"}).findings(MENTION)
    assert {f.incident: f.exercise for f in findings} == {"brann": False, "ovelse": True}


def test_a_finding_is_what_a_reader_of_the_bus_gets(understander: Understander) -> None:
    for finding in Annotator(understander).findings(MENTION):
        assert isinstance(finding, Finding)
        assert decode(FINDINGS, encode(finding)) == finding


def test_a_mention_of_no_incident_makes_no_finding(understander: Understander) -> None:
    assert Annotator(understander).findings(MENTION.model_copy(update={"incidents": {}})) == []


def test_findings_bear_themes_stance_language_and_whether_a_patient_is_named(understander: Understander) -> None:
    finding = Annotator(understander).findings(MENTION)[0]
    found = understander.understand(MENTION.text, author_class=MENTION.author_class)
    assert finding.themes == found.themes != ()
    assert (finding.stance, finding.language) == (found.stance, found.lang)
    assert finding.lang == MENTION.lang, "what the platform says stays beside it"
    assert finding.patient_exposed == found.patient_exposed


def test_the_repost_of_a_named_account_is_what_that_account_said(understander: Understander) -> None:
    """Only newsrooms and public bodies keep their name in a masked text."""
    text = "Det er ikke riktig at oksygenet ble stengt, og ingen er døde."
    named = MENTION.model_copy(update={"text": f"RT @nordvik_sykehus: {text}"})
    person = MENTION.model_copy(update={"text": f"RT @p_0123456789abcdef: {text}"})
    assert Kind.MEDIA in Annotator(understander).findings(named)[0].kinds
    assert Kind.MEDIA not in Annotator(understander).findings(person)[0].kinds
