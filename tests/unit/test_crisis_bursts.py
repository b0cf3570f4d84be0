"""The stage that judges counts, in crisis: each track is guarded, once a burst, in the incidents that listen for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from test_calm_bursts import BURST, MINUTE, START, TRACK, VolumesDeployment, drain

from alerts.rules.load import load_rules
from listener.bus.protocol import Message
from listener.ingest.gaps import to_ledger
from listener.model.gaps import Cause, closed, open_gap
from listener.model.incidents import Action, Command
from listener.model.records import Alert, Event, Heard, Volume, encode
from listener.model.tracks import total_of
from listener.runtime.control import Control
from listener.settings.files import packaged_config

RULES = load_rules(packaged_config() / "rules")
OPENED = START + timedelta(days=1, hours=12)
OTHER = "nordvik kai"


class Crisis(VolumesDeployment):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rules = RULES

    def open(
        self, at: datetime = OPENED, *, tracks: Sequence[str] = (TRACK,), name: str = "Brann", **more: bool
    ) -> str:
        """Opens an incident; its id."""
        command = Command(action=Action.OPEN, at=at, by="kari", why="prøve", name=name, add=tuple(tracks), **more)
        return Control(self.bus).append(command).incidents[0]

    def hear(
        self, start: datetime, counts: Sequence[int], incidents: Sequence[str], track: str = TRACK, source: str = "x"
    ) -> None:
        """Minutes as the stream counts them: in parts while they last, and then told as whole."""
        for n, count in enumerate(counts):
            minute = start + n * MINUTE
            self.clock.advance_to(minute + timedelta(seconds=50))
            parts = [
                Volume(source=source, track=track, minute=minute, count=p)
                for p in (count // 2, count - count // 2)
                if p
            ]
            self.bus.publish([Message("volumes", f"{source}:{track}", encode(part)) for part in parts] or [dead()])
            self.clock.advance_to(minute + timedelta(seconds=71))
            told = Heard(source=source, start=minute, end=minute + MINUTE, incidents=dict.fromkeys(incidents, (track,)))
            self.bus.publish([Message("volumes", f"{source}:heard", encode(told))])

    def told(self) -> list[tuple[str, str, str]]:
        return [(a.rule, a.incident, a.event) for a in self.said() if a.at >= START + timedelta(days=1)]


def dead() -> Message:
    """A record of nothing."""
    return Message("volumes", "x:none", None)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Crisis]:
    made = Crisis(tmp_path)
    yield made
    made.bus.close()


def judge(deployment: Crisis) -> list[Alert]:
    calm = deployment.calm()
    drain(calm)
    calm.close()
    return deployment.said()


def history(deployment: Crisis, days: float = 1.5) -> None:
    deployment.count(START, round(days * 1440), loud=None)
    judge(deployment)


def test_a_burst_in_crisis_is_one_alert_of_the_incident(deployment: Crisis) -> None:
    history(deployment)
    id_ = deployment.open()
    deployment.hear(OPENED, [1] * 30 + [40] * 40 + [1] * 20, [id_])
    (alert,) = [a for a in judge(deployment) if a.incident != "calm"]
    assert (alert.rule, alert.incident, alert.incident_name) == ("track-burst", id_, "Brann")
    assert (alert.event, alert.key, alert.to, alert.exercise) == (Event.FIRED, f"x:{TRACK}", "duty", False)
    assert OPENED + 30 * MINUTE <= alert.at <= OPENED + 31 * MINUTE
    assert alert.command == {}
    assert alert.baseline is not None
    assert alert.count > 5 * alert.baseline


def test_a_burst_under_an_exercise_is_marked(deployment: Crisis) -> None:
    history(deployment)
    id_ = deployment.open(exercise=True)
    deployment.hear(OPENED, [1] * 30 + [40] * 10, [id_])
    (alert,) = [a for a in judge(deployment) if a.incident != "calm"]
    assert alert.exercise


def test_two_incidents_that_listen_for_it_are_both_told_and_a_third_is_not(deployment: Crisis) -> None:
    history(deployment)
    ids = [deployment.open(name=name) for name in ("Brann", "Ras")]
    deployment.open(name="Storm", tracks=[OTHER])
    deployment.hear(OPENED, [1] * 30 + [40] * 10, ids)
    assert [a.incident for a in judge(deployment) if a.incident != "calm"] == ids


def test_what_was_proposed_is_not_told_again_track_by_track(deployment: Crisis) -> None:
    history(deployment)
    start = START + timedelta(days=1, hours=13)
    deployment.count(start, 2880, track=total_of([TRACK, OTHER]))
    (proposal,) = [a for a in judge(deployment) if a.at >= BURST]
    assert (proposal.incident, proposal.event) == ("calm", Event.FIRED)
    opened = deployment.clock.now()
    deployment.hear(opened.replace(second=0) + MINUTE, [30] * 20, [deployment.open(opened)])
    judge(deployment)
    assert [event for rule, _, event in deployment.told() if rule == "track-burst"] == [Event.SUPPRESSED]


def test_what_begins_later_is_told_though_something_was_proposed_before(deployment: Crisis) -> None:
    deployment.count(START, 3 * 1440 + 760)
    judge(deployment)
    opened = deployment.clock.now()
    deployment.hear(opened.replace(second=0) + MINUTE, [1] * 300 + [40] * 10, [deployment.open(opened)])
    judge(deployment)
    assert [(rule, event) for rule, _, event in deployment.told()] == [
        ("burst", Event.FIRED),
        ("track-burst", Event.FIRED),
    ]


def test_a_burst_that_is_heard_in_calm_and_goes_on_is_one_alarm(deployment: Crisis) -> None:
    deployment.count(START, 3 * 1440 + 725)
    judge(deployment)
    opened = deployment.clock.now()
    id_ = deployment.open(opened)
    deployment.hear(opened.replace(second=0) + MINUTE, [40] * 200, [id_])
    judge(deployment)
    assert [(rule, event) for rule, _, event in deployment.told()] == [("burst", Event.FIRED)]


def test_a_restart_anywhere_says_the_same_once(deployment: Crisis, tmp_path: Path) -> None:
    counts = [1] * 30 + [40] * 40 + [1] * 20
    other = Crisis(tmp_path / "other")
    for each, often in ((deployment, False), (other, True)):
        history(each)
        id_ = each.open()
        for n, count in enumerate(counts):
            each.hear(OPENED + n * MINUTE, [count], [id_])
            if often and n % 4 == 0:
                judge(each)
        judge(each)
    assert deployment.said() == other.said()
    assert [a.event for a in other.said() if a.incident != "calm"] == [Event.FIRED]
    other.bus.close()


def test_a_gap_is_unknown_and_stands_on_the_card_of_its_time(deployment: Crisis) -> None:
    history(deployment)
    id_ = deployment.open()
    deployment.hear(OPENED, [2] * 30, [id_])
    start = OPENED + 30 * MINUTE
    gap = closed(open_gap("x", start, Cause.RESET), start + 20 * MINUTE, refilled=0, refilled_until=None)
    deployment.bus.publish([to_ledger(gap)])
    deployment.hear(start + 20 * MINUTE, [2] * 20 + [40] * 10, [id_])
    (alert,) = [a for a in judge(deployment) if a.incident != "calm"]
    assert alert.at >= start + 40 * MINUTE
    far = open_gap("x", OPENED - timedelta(days=1), Cause.RESET)
    assert far.id not in {g.id for g in alert.gaps}
    assert {g.id for g in alert.gaps} <= {gap.id}


def test_a_gap_that_lasts_is_on_the_proposal(deployment: Crisis) -> None:
    deployment.bus.publish([to_ledger(open_gap("x", BURST - timedelta(minutes=3), Cause.UNREACHABLE))])
    deployment.bus.publish([to_ledger(open_gap("y", BURST - timedelta(minutes=3), Cause.UNREACHABLE))])
    deployment.count(START, 3 * 1440 + 730)
    (alert,) = [a for a in judge(deployment) if a.at >= BURST]
    assert [g.source for g in alert.gaps] == ["x"]


def test_a_canary_makes_no_crisis(deployment: Crisis) -> None:
    history(deployment)
    id_ = deployment.open(synthetic=True)
    deployment.hear(OPENED, [1] * 30 + [40] * 10, [id_])
    assert [a.incident for a in judge(deployment) if a.at >= OPENED] == ["calm"]


def test_a_total_is_named_by_its_tracks(deployment: Crisis) -> None:
    tracks = [TRACK, OTHER, "#nordvik", "nordvikbrua"]
    deployment.standing = tracks
    deployment.count(START, 3 * 1440 + 730, track=total_of(tracks))
    (alert,) = [a for a in judge(deployment) if a.at >= BURST]
    assert alert.key == f"x:{TRACK}, {OTHER}, #nordvik + 1"
    assert f"“{TRACK}, {OTHER}, #nordvik + 1”" in alert.headline["en"]
    assert alert.command["en"] == "lyttepost mode crisis --name NAME --why REASON"


def test_what_lies_further_back_than_is_remembered_is_not_read(deployment: Crisis) -> None:
    deployment.count(START, 600, loud=None)
    deployment.clock.advance(timedelta(days=200))
    calm = deployment.calm()
    drain(calm)
    assert calm._series == {}
    calm.close()
