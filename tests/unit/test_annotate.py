from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from alerts.annotate.corrections import Corrections, digest_of
from alerts.annotate.learned import Model
from alerts.annotate.story import story
from alerts.annotate.understanding import Understander
from alerts.annotate.worker import LOOK_SECONDS, Annotating, Annotator
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Message, TopicPartition, open_bus
from listener.bus.scan import scan
from listener.clock import ManualClock
from listener.model.decisions import Correction
from listener.model.records import (
    FINDINGS,
    MENTIONS,
    AuthorClass,
    Captured,
    Finding,
    Kind,
    Mention,
    Origin,
    Reach,
    Tick,
    decode,
    encode,
)
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.stage import AHEAD
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


def corrected(id_: str = "17", themes: tuple[str, ...] | None = None, text: str = "") -> Corrections:
    corrections = Corrections()
    its = {"post": f"x:{id_}", "story": "s", "text": digest_of(text), "kinds": (Kind.VIEWPOINT,), "themes": themes}
    corrections.take(Correction(at=AT, by="Kari", **its))
    return corrections


def test_what_a_person_corrected_stands_before_what_is_understood(understander: Understander) -> None:
    before = Annotator(understander).findings(MENTION)[0]
    after = Annotator(understander, corrections=corrected()).findings(MENTION)[0]
    assert after.kinds == (Kind.VIEWPOINT,)
    assert after == before.model_copy(update={"cues": after.cues}), "nothing but the kinds is another"
    assert Annotator(understander, corrections=corrected(themes=("food",))).findings(MENTION)[0].themes == ("food",)


def test_word_for_word_copies_of_a_corrected_post_come_corrected(understander: Understander) -> None:
    copies = Annotator(understander, corrections=corrected("1", text=MENTION.text))
    assert copies.findings(MENTION)[0].kinds == (Kind.VIEWPOINT,)
    others = Annotator(understander, corrections=corrected("1", text="noe annet"))
    assert others.findings(MENTION)[0].kinds == (Kind.WISH, Kind.QUESTION)


def test_the_worker_takes_corrections_up_as_they_come(tmp_path: Path) -> None:
    clock = ManualClock(AT)
    with closing(open_bus("embedded:", tmp_path, clock)) as bus:
        bus.ensure(topic_specs(1, {}))
        metrics = Metrics(CollectorRegistry(), "test")
        worker = Annotating(
            bus, Model(packaged_config()), clock=clock, metrics=metrics, part=Health(clock).part("annotate")
        )
        bus.publish([message(MENTIONS, MENTION)])
        assert worker.step(0.0)
        hashchain.append(bus, "decisions", next(iter(corrected().all())))
        clock.advance(timedelta(seconds=LOOK_SECONDS))
        bus.publish([message(MENTIONS, MENTION)])
        assert worker.step(0.0)
        kinds = [each.kinds for each in scan(bus, FINDINGS) if isinstance(each, Finding) and each.incident == "brann"]
        worker.close()
    assert kinds == [(Kind.WISH, Kind.QUESTION), (Kind.VIEWPOINT,)]


def test_what_is_read_together_is_found_as_if_alone(understander: Understander, tmp_path: Path) -> None:
    """And what is no record, or is forwarded as it is, stands among them where it stood."""
    clock = ManualClock(AT)
    texts = ("Kan dere sende en tolk?", "Står ved inngangen, og det ryker.", "", "RT @vg: Det brenner.", "Takk!")
    mentions = [MENTION.model_copy(update={"id": str(n), "text": texts[n % len(texts)]}) for n in range(AHEAD + 20)]
    with closing(open_bus("embedded:", tmp_path, clock)) as bus:
        bus.ensure(topic_specs(1, {}))
        metrics = Metrics(CollectorRegistry(), "test")
        worker = Annotating(
            bus, Model(packaged_config()), clock=clock, metrics=metrics, part=Health(clock).part("annotate")
        )
        bus.publish([message(MENTIONS, mention) for mention in mentions[:30]])
        bus.publish([Message("mentions", "x:bad", b"{")])
        bus.publish([message(MENTIONS, Tick(source="x", until=AT))])
        bus.publish([message(MENTIONS, mention) for mention in mentions[30:]])
        assert worker.step(0.0)
        found = list(scan(bus, FINDINGS))
        worker.close()
        assert bus.end_offset(TopicPartition("deadletters", 0)) == 1
    alone = Annotator(understander, set())
    wanted = [finding for mention in mentions for finding in alone.findings(mention)]
    assert [each for each in found if isinstance(each, Finding)] == wanted
    assert isinstance(found[60], Tick)
