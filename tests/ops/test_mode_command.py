"""`lyttepost mode` and `lyttepost bus` as a person at a terminal meets them: real processes, a real data folder."""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import forked
import pytest

from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock

ROOT = Path(__file__).parents[2]
ENTRY = [sys.executable, "-c", "import lyttepost; lyttepost.main()"]
Env = Mapping[str, str]
NO_MORE: Env = {}
PATIENCE = 30.0
"""Seconds after which something that should happen never will."""
TRIES = 5


@dataclass(frozen=True)
class CommandDeployment:
    """A deployment of its own: data folder, key, environment."""

    folder: Path
    env: dict[str, str]

    @contextmanager
    def started(self, *words: str, env: Env = NO_MORE) -> Iterator[subprocess.Popen[str]]:
        """A command that runs; killed when the block is left, should it be there still."""
        process = subprocess.Popen(
            [*ENTRY, *words],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def says(self, *words: str, env: Env = NO_MORE) -> subprocess.CompletedProcess[str]:
        return forked.command(words, {**self.env, **env}, Path.cwd(), PATIENCE)

    def done(self, *words: str, code: int = 0, env: Env = NO_MORE) -> str:
        """Standard output of a command that must end with `code`."""
        result = self.says(*words, env=env)
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout

    def mode(self) -> Any:
        return json.loads(self.done("mode", "--json"))

    def history(self) -> Any:
        return json.loads(self.done("mode", "history", "--json"))

    def crisis(self, *words: str, name: str = "Brann, Ullevål", code: int = 0, env: Env = NO_MORE) -> Any:
        said = "mode", "crisis", "--name", name, "--why", "meldt", "--json"
        return json.loads(self.done(*said, *words, code=code, env=env))

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """`lyttepost run`, from when it is there until the block is left."""
        with self.started("run", "--port", "0", *words) as process:
            self.until(lambda: process.pid in [f["pid"] for f in self.mode()["followers"]])
            yield process
            process.terminate()
            process.communicate(timeout=PATIENCE)

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def deployment(tmp_path: Path) -> CommandDeployment:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    ours.pop("PYTHONUNBUFFERED", None)  # a person's shell has no such thing
    folder = tmp_path / "data"
    return CommandDeployment(
        folder,
        {
            **ours,
            "PYTHONPATH": str(ROOT),
            "LYTTEPOST_DATA": str(folder),
            "LYTTEPOST_BOARD": "null",
            "LYTTEPOST_PRIVACY__NAMED_ACCOUNTS__PUBLIC_BODY": "[fjordbyunivsyk]",
            "LYTTEPOST_PRIVACY__KEY_FILE": str(tmp_path / "keys" / "pseudonym.key"),
        },
    )


def next_line(stream: IO[str] | None) -> str:
    assert stream is not None
    readable, _, _ = select.select([stream], [], [], PATIENCE)
    assert readable, "nothing was said"
    return stream.readline()


# --- switching -------------------------------------------------------------------------------------------------------


def test_mode_before_anything_happened_is_calm_and_followed_by_nobody(deployment: CommandDeployment) -> None:
    shown = deployment.mode()
    assert "fjordby sykehus" in shown.pop("standing")
    assert shown == {"mode": "calm", "since": None, "incidents": [], "followers": [], "sources": {}}
    said = deployment.done("mode")
    assert said.startswith("calm\n")
    assert "standing tracks (counted in calm; each incident has them): fjordby" in said


def test_a_crisis_has_all_that_was_said_of_it(deployment: CommandDeployment) -> None:
    before = datetime.now(UTC)
    words = "--track", "Ullevål  brann", "--track", "røyk*", "--account", "@FjordbyUnivsyk", "--place", "Ullevål"
    said = deployment.crisis(*words, "--lookback", "2h", "--review-after", "1h30m", "--by", "kari", "--no-wait")
    (incident,) = said["incidents"]
    opened = datetime.fromisoformat(incident["opened_at"])
    assert before <= opened <= datetime.now(UTC)
    assert said["mode"] == "crisis"
    assert said["since"] == incident["opened_at"]
    assert datetime.fromisoformat(incident["review_at"]) - opened == timedelta(hours=1.5)
    assert incident == {
        "id": "brann-ullevaal-0",
        "name": "Brann, Ullevål",
        "tracks": ["ullevål brann", "røyk*", "@fjordbyunivsyk", "place:Ullevål"],
        "exercise": False,
        "opened_at": incident["opened_at"],
        "opened_by": "kari",
        "why": "meldt",
        "review_at": incident["review_at"],
    }
    assert deployment.mode() == said


def test_who_is_the_operating_system_s_user_where_nobody_is_named(deployment: CommandDeployment) -> None:
    for words in ((), ("--by", " ")):
        deployment.crisis(*words, "--no-wait", env={"LOGNAME": "another", "USER": "another"})
    assert {entry["by"] for entry in deployment.history()} == {pwd.getpwuid(os.getuid()).pw_name}


USAGE = {
    "no reason": "mode crisis --name Brann",
    "a blank reason": "mode crisis --name Brann --why \xa0",
    "no name": "mode crisis --why meldt",
    "a blank name": "mode crisis --name \xa0 --why meldt",
    "a track that matches everything": "mode crisis --name Brann --why meldt --track a",
    "an account that cannot be": "mode crisis --name Brann --why meldt --account @ø",
    "a duration without a unit": "mode crisis --name Brann --why meldt --lookback 6",
    "a duration that never ends": "mode crisis --name Brann --why meldt --review-after 9999999999999d",
    "a duration of a lifetime": "mode crisis --name Brann --why meldt --lookback 4000d",
    "no incident to change": "mode change --why meldt --add-track brann",
    "nothing to change": "mode change --why meldt --incident brann-0",
    "no reason to change": "mode change --incident brann-0 --add-track brann",
    "no reason to calm": "mode calm",
    "a blank reason to calm": "mode calm --why \xa0",
    "no reason to review": "mode review",
    "a blank incident to review": "mode review --why still --incident \xa0",
    "a review for no time": "mode review --why still --for 4",
    "a reason to review without an end": f"mode review --why {'x' * 1_001}",
    "a blank incident to calm": "mode calm --why over --incident \xa0",
    "a name without an end": f"mode crisis --name {'x' * 101} --why meldt",
    "a reason without an end": f"mode crisis --name Brann --why {'x' * 100_000}",
    "a reason to calm without an end": f"mode calm --why {'x' * 1_001}",
    "a reason to change without an end": f"mode change --incident b-0 --add-track brann --why {'x' * 1_001}",
    "a person without an end": f"mode crisis --name Brann --why meldt --by {'x' * 101}",
    "tracks without an end": "mode crisis --name Brann --why meldt" + "".join(f" --track t{n}" for n in range(1_001)),
    "a purge for a reason without an end": f"privacy purge 1 --by kari --why {'x' * 1_001}",
    "a purge by a person without an end": f"privacy purge 1 --why bedt --by {'x' * 101}",
    "a budget for a reason without an end": f"x budget raise --to 5 --why {'x' * 1_001}",
    "an unknown flag": "mode --shout",
    "an unknown switch": "mode panic",
    "an unknown command": "panic",
    "a beginning that is no instant": "bus read control --from yesterday",
    "a beginning without a zone": "bus read control --from 2031-05-17T03:00:00",
}


@pytest.mark.parametrize("words", USAGE.values(), ids=USAGE)
def test_wrong_words_are_refused_with_2_and_nothing_is_written(deployment: CommandDeployment, words: str) -> None:
    result = deployment.says(*words.split(" "))
    assert result.returncode == 2, result.stderr
    assert result.stderr
    assert not result.stdout
    assert not deployment.folder.exists()


def test_what_is_at_a_bound_is_within_it(deployment: CommandDeployment) -> None:
    words = "--name", "ø" * 100, "--why", "å" * 1_000, "--by", "æ" * 100, "--no-wait", "--json"
    opened = json.loads(deployment.done("mode", "crisis", *words))
    assert (opened["incidents"][0]["name"], opened["incidents"][0]["why"]) == ("ø" * 100, "å" * 1_000)


def test_an_incident_grows_to_its_bound_and_no_further(deployment: CommandDeployment) -> None:
    """By the same name again, and by a change; what takes away is always taken."""
    tracks = [word for n in range(999) for word in ("--track", f"ord{n}")]
    deployment.done("mode", "crisis", "--name", "Brann", "--why", "meldt", "--no-wait", *tracks)
    again = "mode", "crisis", "--name", "brann", "--why", "mer", "--no-wait"
    change = "mode", "change", "--incident", "brann-0", "--why", "mer", "--no-wait"
    for words in ((*again, "--track", "a1", "--track", "a2"), (*change, "--add-track", "a1", "--add-track", "a2")):
        result = deployment.says(*words)
        assert result.returncode == 2
        assert "1,001 tracks; an incident has at most 1,000" in result.stderr
    deployment.done(*again, "--track", "a1", "--track", "ord7")
    assert deployment.says(*change, "--add-track", "a2").returncode == 2
    deployment.done(*change, "--add-track", "a2", "--drop-track", "a1")
    shown = json.loads(deployment.done("mode", "--json"))
    assert len(shown["incidents"][0]["tracks"]) == 1_000
    assert len(deployment.history()) == 3, "what was refused is not kept"


def test_bytes_that_are_no_text_are_refused(deployment: CommandDeployment) -> None:
    command: list[str | bytes] = [*ENTRY, "mode", "crisis", "--name", b"Brann \xff", "--why", "meldt", "--no-wait"]
    result = subprocess.run(command, env=deployment.env, capture_output=True, check=False)
    assert result.returncode == 2
    assert deployment.history() == []


def test_the_same_name_adds_new_tracks_else_changes_nothing_and_says_so(deployment: CommandDeployment) -> None:
    deployment.crisis("--track", "brann", "--no-wait")
    first = deployment.says(
        "mode", "crisis", "--name", "BRANN, ullevål", "--track", "røyk", "--why", "mer", "--no-wait"
    )
    again = deployment.says(
        "mode", "crisis", "--name", "brann, ullevål", "--track", "Røyk", "--why", "mer", "--no-wait"
    )
    assert (first.returncode, again.returncode) == (0, 0)
    assert "new tracks were added" in first.stderr
    assert "Nothing changed" in again.stderr
    (incident,) = deployment.mode()["incidents"]
    assert incident["tracks"] == ["brann", "røyk"]
    assert [entry["result"] for entry in deployment.history()] == ["opened", "joined", "unchanged"]


def test_another_name_or_an_exercise_is_a_second_incident(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait")
    deployment.crisis("--no-wait", name="Flom")
    deployment.crisis("--no-wait", "--exercise")
    assert [(i["name"], i["exercise"]) for i in deployment.mode()["incidents"]] == [
        ("Brann, Ullevål", False),
        ("Flom", False),
        ("Brann, Ullevål", True),
    ]


def test_an_exercise_is_marked_wherever_it_is_named(deployment: CommandDeployment) -> None:
    opened = deployment.says("mode", "crisis", "--name", "Brann", "--why", "øving", "--exercise", "--no-wait")
    shown = deployment.done("mode")
    closed = deployment.says("mode", "calm", "--why", "over", "--no-wait")
    assert all("ØVELSE / EXERCISE" in text for text in (opened.stdout, opened.stderr, shown, closed.stderr))
    lines = deployment.done("mode", "history").splitlines()
    assert len(lines) == 2
    assert all("ØVELSE / EXERCISE" in line for line in lines)
    assert [entry["exercise"] for entry in deployment.history()] == [True, True]


def test_change_adds_and_drops_tracks(deployment: CommandDeployment) -> None:
    deployment.crisis("--track", "brann", "--account", "@FjordbyUnivsyk", "--no-wait")
    words = "--incident", "brann-ullevaal-0", "--add-track", "#røyk", "--drop-track", "@fjordbyUNIVSYK", "--why", "støy"
    said = json.loads(deployment.done("mode", "change", *words, "--no-wait", "--json"))
    assert said["incidents"][0]["tracks"] == ["brann", "#røyk"]


def test_calm_closes_all_and_lists_them(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait")
    deployment.crisis("--no-wait", name="Flom")
    result = deployment.says("mode", "calm", "--why", "over", "--no-wait", "--json")
    assert result.returncode == 0
    assert "Brann, Ullevål (brann-ullevaal-0), Flom (flom-1)" in result.stderr
    assert json.loads(result.stdout)["mode"] == "calm"
    assert deployment.mode()["incidents"] == []
    assert deployment.done("mode", "calm", "--why", "igjen", "--no-wait")


def test_calm_of_one_incident_leaves_the_other(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait")
    deployment.crisis("--no-wait", name="Flom")
    deployment.done("mode", "calm", "--why", "over", "--incident", "brann-ullevaal-0", "--no-wait")
    said = deployment.mode()
    assert (said["mode"], [i["id"] for i in said["incidents"]]) == ("crisis", ["flom-1"])


def test_a_review_moves_on_when_it_is_asked_for_again_and_is_kept_with_who_and_why(
    deployment: CommandDeployment,
) -> None:
    deployment.crisis("--no-wait", "--review-after", "1s")
    deployment.until(lambda: "THE REVIEW IS OVERDUE" in deployment.done("mode"))
    result = deployment.says(
        "mode", "review", "--why", "ilden er ikke slukket", "--for", "2h", "--by", "kari", "--no-wait"
    )
    assert result.returncode == 0
    assert "Reviewed: Brann, Ullevål (brann-ullevaal-0); the next review is " in result.stderr
    assert "OVERDUE" not in deployment.done("mode")
    (incident,), entry = deployment.mode()["incidents"], deployment.history()[-1]
    said_at = datetime.fromisoformat(entry["at"])
    assert datetime.fromisoformat(incident["review_at"]) - said_at == timedelta(hours=2)
    assert (entry["action"], entry["result"], entry["by"], entry["why"]) == (
        "review", "reviewed", "kari", "ilden er ikke slukket",
    )  # fmt: skip


@pytest.mark.parametrize("words", ["calm", "review", "change --add-track røyk"])
def test_an_incident_that_is_not_open_is_refused_with_3(deployment: CommandDeployment, words: str) -> None:
    deployment.crisis("--no-wait")
    deployment.done("mode", "calm", "--why", "over", "--no-wait")
    for incident, code in (("brann-ullevaal-0", 3), ("flom-7", 2)):
        result = deployment.says("mode", *words.split(), "--why", "x", "--incident", incident, "--no-wait")
        assert result.returncode == code
        assert incident in result.stderr
    assert len(deployment.history()) == 2


NOBODY_NAMED = {"LYTTEPOST_PRIVACY__NAMED_ACCOUNTS__PUBLIC_BODY": "[]"}


def test_a_track_on_a_person_is_refused_with_3_and_the_reason_unless_a_basis_is_written(
    deployment: CommandDeployment,
) -> None:
    words = ("mode", "crisis", "--name", "Brann", "--account", "@Kari", "--why", "meldt", "--no-wait")
    refused = deployment.says(*words)
    assert refused.returncode == 3
    assert "--account: @kari follows an account of nobody that is named: no person is followed" in refused.stderr
    assert "privacy.followed_persons" in refused.stderr
    assert deployment.history() == []
    written = {"LYTTEPOST_PRIVACY__FOLLOWED_PERSONS": "{'@kari': avtalt 3. mai}"}
    assert deployment.says(*words, env=written).returncode == 0
    # The basis is gone: the incident stays, and what is not listened for any more is said.
    shown = deployment.says("mode", env=NOBODY_NAMED)
    assert shown.returncode == 0
    assert "@kari is not listened for: it would follow a person" in shown.stderr


def test_too_common_a_track_on_a_paid_source_is_refused_unless_it_is_meant(deployment: CommandDeployment) -> None:
    paid = {"LYTTEPOST_X__BEARER_TOKEN": "a-token-of-no-account"}
    said = ("mode", "crisis", "--name", "Brann", "--why", "meldt", "--no-wait", "--track", "brann", "--track")
    for track in ("på", "er", "the", "det er", "for*"):
        result = deployment.says(*said, track, env=paid)
        assert (result.returncode, result.stdout) == (3, "")
        assert "--anyway" in result.stderr
    assert deployment.history() == []
    deployment.done(*said, "på", "--anyway", env=paid)
    result = deployment.says("mode", "change", "--incident", "brann-0", "--add-track", "og", "--why", "x", env=paid)
    assert result.returncode == 3
    assert deployment.mode()["incidents"][0]["tracks"] == ["brann", "på"]


def test_a_common_track_is_only_told_of_where_nothing_is_paid(deployment: CommandDeployment) -> None:
    result = deployment.says("mode", "crisis", "--name", "Brann", "--track", "på", "--why", "meldt", "--no-wait")
    assert result.returncode == 0
    assert "'på' is in every other sentence" in result.stderr


def test_a_lookback_on_an_open_incident_is_told(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait", "--lookback", "1h")
    again = ("mode", "crisis", "--name", "Brann, Ullevål", "--why", "mer", "--no-wait")
    assert "looks back 12h" in deployment.says(*again, "--lookback", "12h").stderr
    assert "Nothing changed" in deployment.says(*again, "--lookback", "2h").stderr
    assert "Nothing changed" in deployment.says(*again).stderr


@pytest.mark.parametrize("value", ["8d", "999999999d", "soon"])
def test_a_lookback_of_the_settings_beyond_its_bounds_is_told_with_its_place(
    deployment: CommandDeployment, value: str
) -> None:
    result = deployment.says(
        "mode", "crisis", "--name", "Brann", "--why", "x", "--no-wait", env={"LYTTEPOST_MODE__LOOKBACK": value}
    )
    assert result.returncode == 4
    assert result.stderr.startswith("lyttepost: LYTTEPOST_MODE__LOOKBACK: ")


def test_a_bus_that_is_none_is_told_with_its_place(deployment: CommandDeployment) -> None:
    result = deployment.says("mode", env={"LYTTEPOST_BUS__URL": "kafkaa://a:9092"})
    assert result.returncode == 4
    assert result.stderr.startswith("lyttepost: LYTTEPOST_BUS__URL: no bus is called 'kafkaa'")


def test_history_tells_who_when_and_why(deployment: CommandDeployment) -> None:
    deployment.crisis("--track", "brann", "--by", "kari", "--no-wait")
    deployment.done("mode", "calm", "--why", "slukket", "--by", "ola", "--no-wait")
    opened, closed = deployment.history()
    assert (opened["action"], opened["by"], opened["why"], opened["add"]) == ("open", "kari", "meldt", ["brann"])
    assert (closed["action"], closed["by"], closed["why"]) == ("close", "ola", "slukket")
    assert closed["incidents"] == opened["incidents"] == ["brann-ullevaal-0"]
    assert datetime.fromisoformat(opened["at"]) <= datetime.fromisoformat(closed["at"])


def test_what_somebody_wrote_neither_breaks_a_line_nor_steers_the_terminal(deployment: CommandDeployment) -> None:
    deployment.crisis("--by", "kari\n  99  calm", "--no-wait", name="Brann\x1b[2J")
    shown, history = deployment.done("mode"), deployment.done("mode", "history")
    assert "\x1b" not in shown + history
    assert len(history.splitlines()) == 1


def test_flags_before_the_switch_s_name_are_not_lost(deployment: CommandDeployment, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    words = "mode", "--data", str(elsewhere), "--json", "crisis", "--name", "Brann", "--why", "meldt", "--no-wait"
    assert json.loads(deployment.done(*words))["mode"] == "crisis"
    assert deployment.mode()["mode"] == "calm"
    assert json.loads(deployment.done("mode", "--data", str(elsewhere), "--json"))["mode"] == "crisis"


# --- two at once -----------------------------------------------------------------------------------------------------


def at_once(deployment: CommandDeployment, *switches: tuple[str, ...]) -> list[int]:
    def switch(words: tuple[str, ...]) -> int:
        return deployment.says("mode", *words, "--no-wait").returncode

    with ThreadPoolExecutor(len(switches)) as pool:
        return list(pool.map(switch, switches))


def test_two_who_open_the_same_incident_at_the_same_instant_open_it_once(deployment: CommandDeployment) -> None:
    for turn in range(6):
        name = f"Brann {turn}"
        kari = "crisis", "--name", name, "--why", "w", "--by", "kari", "--track", "brann"
        ola = "crisis", "--name", name.upper(), "--why", "w", "--by", "ola", "--track", "røyk"
        assert at_once(deployment, kari, ola) == [0, 0]
        said, history = deployment.mode(), deployment.history()
        assert len(said["incidents"]) == turn + 1
        assert sorted(said["incidents"][-1]["tracks"]) == ["brann", "røyk"]
        assert [entry["result"] for entry in history[-2:]] == ["opened", "joined"]
        assert {entry["by"] for entry in history[-2:]} == {"kari", "ola"}


def test_eight_at_once_on_a_new_folder_are_all_in_one_history(deployment: CommandDeployment) -> None:
    switches = [("crisis", "--name", f"Brann {n % 3}", "--why", "w", "--by", f"p{n}") for n in range(7)]
    assert at_once(deployment, *switches, ("calm", "--why", "w", "--by", "p7")) == [0] * 8
    history = deployment.history()
    assert sorted(entry["by"] for entry in history) == [f"p{n}" for n in range(8)]
    opened = {i for entry in history if entry["result"] == "opened" for i in entry["incidents"]}
    closed = {i for entry in history if entry["result"] == "closed" for i in entry["incidents"]}
    assert {i["id"] for i in deployment.mode()["incidents"]} == opened - closed
    assert deployment.mode() == deployment.mode()


# --- bad weather -----------------------------------------------------------------------------------------------------


def test_a_bad_or_newer_record_is_shown_and_breaks_nothing(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait")
    bus = open_bus("embedded:", deployment.folder, SystemClock())
    bus.publish([Message("control", "x", b"\xff\x00"), Message("control", "x", b'{"type":"command","v":2}')])
    bus.close()
    deployment.crisis("--no-wait", name="Flom")
    assert [i["id"] for i in deployment.mode()["incidents"]] == ["brann-ullevaal-0", "flom-3"]
    assert [entry["result"] for entry in deployment.history()] == ["opened", "unreadable", "unreadable", "opened"]
    assert "schema version 2" in deployment.done("mode", "history")


@pytest.mark.parametrize("mistake", ["colour: blue", "web: {port: red}", "x: [1, 2]", "retention: {content: soon}"])
def test_an_error_elsewhere_in_the_settings_does_not_stop_a_switch(
    deployment: CommandDeployment, tmp_path: Path, mistake: str
) -> None:
    (tmp_path / "settings.yaml").write_text(f"{mistake}\nmode: {{review_after: 2h}}\n")
    said = deployment.crisis("--no-wait", env={"LYTTEPOST_CONFIG": str(tmp_path)})
    opened, review = (datetime.fromisoformat(said["incidents"][0][name]) for name in ("opened_at", "review_at"))
    assert review - opened == timedelta(hours=2)


def test_a_default_that_is_wrong_is_named_and_can_be_gone_round(deployment: CommandDeployment, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("mode:\n  review_after: soon\n")
    words = "mode", "crisis", "--name", "Brann", "--why", "meldt", "--no-wait"
    result = deployment.says(*words, env={"LYTTEPOST_CONFIG": str(tmp_path)})
    assert result.returncode == 4
    assert f"{tmp_path / 'settings.yaml'}:2: mode.review_after" in result.stderr
    assert "--review-after" in result.stderr
    deployment.done(*words, "--review-after", "4h", env={"LYTTEPOST_CONFIG": str(tmp_path)})


def test_a_data_folder_that_cannot_be_used_is_named_with_its_mend(
    deployment: CommandDeployment, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    result = deployment.says("mode", "--data", str(tmp_path / "file"))
    assert result.returncode == 4
    assert str(tmp_path / "file") in result.stderr
    assert "--data or LYTTEPOST_DATA" in result.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="to become a user who may not, one must be root")
def test_a_data_folder_of_somebody_else_is_named_with_its_mend(deployment: CommandDeployment, tmp_path: Path) -> None:
    deployment.crisis("--no-wait")
    deployment.folder.chmod(0o500)
    # Run once as root, so that all is imported that somebody else may not read.
    script = (
        "import os, sys, lyttepost\n"
        f"lyttepost.app(['mode', '--data', {str(tmp_path / 'mine')!r}], standalone_mode=False)\n"
        f"os.setuid(65534); sys.argv[1:] = ['mode', '--data', {str(deployment.folder)!r}]; lyttepost.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], env=deployment.env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 4, result.stderr
    assert str(deployment.folder) in result.stderr


def test_a_clock_that_was_set_back_does_not_matter(deployment: CommandDeployment) -> None:
    bus = open_bus("embedded:", deployment.folder, SystemClock())
    future = "2099-01-01T00:00:00Z"
    said = {"type": "command", "v": 1, "action": "open", "at": future, "by": "kari", "why": "w", "name": "Brann"}
    there = {"type": "presence", "v": 1, "process": "all@x", "roles": ["listener", "alerts"], "host": "x", "pid": 1}
    deployment.mode()
    bus.publish([Message("control", "brann", json.dumps(said).encode())])
    bus.publish([Message("presence", "all@x", json.dumps({**there, "epoch": 9, "at": future}).encode())])
    bus.close()
    closed = json.loads(deployment.done("mode", "calm", "--why", "over", "--no-wait", "--json"))
    assert (closed["mode"], closed["followers"]) == ("calm", [])


def test_a_terminal_without_our_letters_sees_the_switch_through(deployment: CommandDeployment) -> None:
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with deployment.started(
        "mode", "crisis", "--name", "Brann, Ullevål", "--why", "meldt", "--no-wait", "--json", env=env
    ) as process:
        out, _ = process.communicate(timeout=PATIENCE)
    assert json.loads(out)["incidents"][0]["name"] == "Brann, Ullevål"
    with deployment.started("mode", env=env) as process:
        out, _ = process.communicate(timeout=PATIENCE)
    assert "Ullev\\xe5l" in out


def test_a_reader_that_has_gone_does_not_make_the_switch_fail(deployment: CommandDeployment) -> None:
    with deployment.started("mode", "crisis", "--name", "Brann", "--why", "meldt", "--no-wait") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
    assert deployment.mode()["mode"] == "crisis"


# --- who follows -----------------------------------------------------------------------------------------------------


def test_nobody_follows_is_said_in_capitals_with_5_and_the_switch_stands(deployment: CommandDeployment) -> None:
    started = time.monotonic()
    result = deployment.says("mode", "crisis", "--name", "Brann", "--why", "meldt")
    assert time.monotonic() - started > 2
    assert result.returncode == 5
    assert "NO LISTENER AND NO ALERTS FOLLOWED" in result.stderr
    assert deployment.mode()["mode"] == "crisis"


def first_followed(folder: Path, pid: int, epoch: int) -> datetime:
    """When this process first said that it follows so far. What a command shows is its newest word: it speaks each
    second, so that a command that comes late to hear it, on a busy machine, hears a later one."""
    bus = open_bus("embedded:", folder, SystemClock())
    try:
        said = [json.loads(record.value or b"") for record in bus.reader(["presence"]).poll(0, 10_000)]
    finally:
        bus.close()
    return min(datetime.fromisoformat(each["at"]) for each in said if (each["pid"], each["epoch"]) == (pid, epoch))


def test_a_running_service_follows_within_a_second(deployment: CommandDeployment) -> None:
    with deployment.running() as process:
        # It is among the followers from when it begins to start, which takes seconds on a busy machine.
        assert "runs on" in next_line(process.stderr)
        for turn in range(3):
            said = deployment.crisis(name=f"Brann {turn}")
            (follower,) = said["followers"]
            opened = datetime.fromisoformat(said["incidents"][-1]["opened_at"])
            assert first_followed(deployment.folder, process.pid, turn) - opened < timedelta(seconds=1)
            assert (follower["follows"], follower["epoch"], follower["pid"]) == (True, turn, process.pid)
            assert sorted(follower["roles"]) == ["alerts", "listener"]
        assert "follows: all@" in deployment.done("mode", "calm", "--why", "over")
    assert process.returncode == 0
    assert deployment.mode()["followers"] == []


def test_a_listener_alone_is_not_enough(deployment: CommandDeployment) -> None:
    with deployment.running("--role", "listener"):
        result = deployment.says("mode", "crisis", "--name", "Brann", "--why", "meldt", "--json")
        assert result.returncode == 5
        assert "NO ALERTS FOLLOWED" in result.stderr
        assert "NO LISTENER" not in result.stderr
        assert [f["roles"] for f in json.loads(result.stdout)["followers"]] == [["listener"]]
        with deployment.running("--role", "alerts"):
            assert len(deployment.crisis(name="Flom")["followers"]) == 2


def test_a_killed_service_is_no_follower_after_three_seconds(deployment: CommandDeployment) -> None:
    with deployment.running() as process:
        process.kill()
        process.wait(PATIENCE)
        killed = time.monotonic()
        deployment.crisis(code=5)
        deployment.until(lambda: deployment.mode()["followers"] == [])
        assert time.monotonic() - killed < 5


def test_a_service_that_hangs_is_named(deployment: CommandDeployment) -> None:
    with deployment.running() as process:
        # Its last word counts for three seconds. A machine that starts no command in that time is given another try.
        for number in range(TRIES):
            process.send_signal(signal.SIGSTOP)
            try:
                result = deployment.says("mode", "crisis", "--name", f"Brann {number}", "--why", "meldt")
            finally:
                process.send_signal(signal.SIGCONT)
            assert result.returncode == 5
            if "THERE BUT NOT FOLLOWING" in result.stderr:
                break
            deployment.until(lambda: process.pid in [f["pid"] for f in deployment.mode()["followers"]])
        assert "THERE BUT NOT FOLLOWING: all@" in result.stderr


def test_who_interrupts_the_wait_was_told_of_the_switch(deployment: CommandDeployment) -> None:
    with deployment.started("mode", "crisis", "--name", "Brann", "--why", "meldt") as process:
        assert next_line(process.stderr) == "Opened: Brann (brann-0)\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert deployment.mode()["mode"] == "crisis"


# --- the bus ---------------------------------------------------------------------------------------------------------


def test_bus_topics_lists_what_is_there(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait")
    (control,) = [t for t in json.loads(deployment.done("bus", "topics", "--json")) if t["topic"] == "control"]
    assert (control["partitions"], control["records"]) == (1, 1)
    assert control["oldest"] == control["newest"] is not None
    assert any(line.split()[:3] == ["control", "1", "1"] for line in deployment.done("bus", "topics").splitlines())


def test_bus_read_gives_one_record_a_line(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait")
    deployment.crisis("--no-wait", name="Flom")
    bus = open_bus("embedded:", deployment.folder, SystemClock())
    bus.publish([Message("control", "x", b"two\nlines\x1b"), Message("control", "y", None)])
    bus.close()
    records = [json.loads(line) for line in deployment.done("bus", "read", "control", "--json").splitlines()]
    assert [r["offset"] for r in records] == [0, 1, 2, 3]
    assert [r["key"] for r in records] == ["brann-ullevaal", "flom", "x", "y"]
    assert records[0]["value"]["name"] == "Brann, Ullevål"
    assert records[2]["value"] == {"unreadable_bytes": 10}
    assert records[3]["value"] is None
    lines = deployment.done("bus", "read", "control").splitlines()
    assert len(lines) == 4
    assert all(line.split("  ")[0] == r["key"] for line, r in zip(lines, records, strict=True))
    assert "\x1b" not in lines[2]


def test_bus_read_begins_at_an_instant_in_any_zone(deployment: CommandDeployment) -> None:
    deployment.crisis("--no-wait")
    between = datetime.now(UTC)
    deployment.crisis("--no-wait", name="Flom")
    local = between.astimezone(datetime.fromisoformat("2031-01-01T00:00:00+02:00").tzinfo).isoformat()
    for start in (between.isoformat().replace("+00:00", "Z"), local):
        found = deployment.done("bus", "read", "control", "--from", start, "--json").splitlines()
        assert [json.loads(line)["key"] for line in found] == ["flom"]
    assert deployment.done("bus", "read", "control", "--from", "2099-01-01T00:00:00Z") == ""
    assert len(deployment.done("bus", "read", "control", "--from", "start").splitlines()) == 2


def test_bus_read_of_no_topic_of_ours_is_refused(deployment: CommandDeployment) -> None:
    result = deployment.says("bus", "read", "rumours")
    assert result.returncode == 2
    assert "mentions" in result.stderr


def test_bus_read_of_a_topic_that_nobody_wrote_to_is_empty(deployment: CommandDeployment) -> None:
    result = deployment.says("bus", "read", "mentions")
    assert (result.returncode, result.stdout) == (0, "")
    assert "nothing was ever written" in result.stderr


def test_bus_read_follows_until_it_is_interrupted(deployment: CommandDeployment) -> None:
    with deployment.started("bus", "read", "control", "--follow", "--json") as process:
        for turn, name in enumerate(["Brann", "Flom"]):
            deployment.crisis("--no-wait", name=name)
            assert json.loads(next_line(process.stdout))["offset"] == turn
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["", "mode", "mode crisis", "mode change", "mode calm", "mode history", "bus read"])
def test_help_is_plain_and_complete(deployment: CommandDeployment, words: str) -> None:
    text = deployment.done(*words.split(), "--help")
    assert text.startswith(f"Usage: lyttepost {words}".rstrip() + " ")
    assert "completion" not in text
    flags = [line.split() for line in text.splitlines() if line.startswith("  --")]
    assert flags
    assert all(len(flag) > 2 for flag in flags), "a flag without a word of what it does"
