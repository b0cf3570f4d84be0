"""ntfy, Slack, Teams, Alertmanager and Apprise: what arrives there, and that no text of ours becomes more than text."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import Channel, ChannelError, FailureReason, SendNote, channel_type, uncertain
from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.ops.test_alertmanager import alertmanager
from tests.ops.test_prometheus import program

AT = datetime.now(UTC).replace(microsecond=0)
NOTE = SendNote("a" * 32, "9bb45e18320003e7", 2, 1, False, AT)
HOSTILE = "<!channel> @everyone <@U1> [klikk](https://evil.example) *ØVELSE* <at>Kari</at> & &lt;!here&gt;"
FIELDS = {
    "severity": "critical", "rule": "question-many-ask", "incident": "brann-ullevaal", "exercise": True,
    "board_url": "https://lytt.sykehus.example/tavle",
}  # fmt: skip


def card(subject: str = "ØVELSE · KRITISK: røyk", *lines: str) -> Card:
    return Card(subject, (subject, *(lines or ("27 treff på 5 min",))), FIELDS, True)


@pytest.fixture
def hook() -> Iterator[FakeWebhook]:
    with webhook_server() as fake:
        yield fake


def opened(name: str, fake: FakeWebhook, **more: Any) -> Channel:
    url = f"http://127.0.0.1:{fake.port}" + ("" if name == "ntfy" else "/rom/nøkkel")
    return channel_type(name).open({"url": url, "timeout": 0.3, **more})


def send(channel: Channel, made: Card | None = None, target: str = "") -> tuple[str, ...]:
    return channel.prepare(made or card(), target, note=NOTE)()


def failure(channel: Channel, target: str = "") -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        send(channel, target=target)
    return caught.value


def texts(data: Any) -> str:
    """All texts of a message, one a line."""
    if isinstance(data, Mapping):
        return "\n".join(texts(each) for each in data.values())
    if isinstance(data, list):
        return "\n".join(texts(each) for each in data)
    return data if isinstance(data, str) else ""


@pytest.mark.parametrize("name", ["slack", "teams", "ntfy", "alertmanager"])
@pytest.mark.parametrize(
    ("fault", "reason", "permanent"),
    [
        ("429", FailureReason.BUSY, False),
        ("503", FailureReason.BUSY, False),
        ("403", FailureReason.LOGIN, True),
        ("400", FailureReason.REFUSED, True),
        ("302 http://127.0.0.1:9/", FailureReason.REDIRECTED, True),
        ("hang", FailureReason.NO_ANSWER, False),
    ],
)
def test_what_is_answered_decides_whether_to_try_again(
    hook: FakeWebhook, caplog: pytest.LogCaptureFixture, name: str, fault: str, reason: FailureReason, permanent: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.faults.append(fault)
    error = failure(opened(name, hook), "vakt" if name in ("ntfy", "alertmanager") else "")
    assert (error.reason, error.permanent) == (reason, permanent)
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["slack", "teams"])
def test_a_card_of_half_surrogates_arrives(hook: FakeWebhook, name: str) -> None:
    send(opened(name, hook), card("R\ud83dyk", "x" * 50_000))
    assert "R?yk" in texts(hook.seen[0].json)
    assert len(hook.seen[0].body) < 28_000


def test_slack_shows_the_text_and_pings_nobody(hook: FakeWebhook) -> None:
    channel = opened("slack", hook)
    send(channel, card(HOSTILE))
    message = hook.seen[0].json
    (block,) = message["blocks"]
    assert block["text"]["type"] == "plain_text"
    assert block["text"]["text"].startswith(HOSTILE)
    assert not re.search(r"[<>]", message["text"])
    assert message["text"].startswith("&lt;!channel&gt; @everyone")
    assert (message["mrkdwn"], message["link_names"]) == (False, False)
    assert (channel.wakes, channel.in_house) == (False, False)


def test_teams_shows_the_text_and_pings_nobody(hook: FakeWebhook) -> None:
    channel = opened("teams", hook)
    send(channel, card(HOSTILE, "", "14 spør"))
    (attachment,) = hook.seen[0].json["attachments"]
    content = attachment["content"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert {block["type"] for block in content["body"]} == {"RichTextBlock"}  # TextBlock would read Markdown
    assert [run["text"] for block in content["body"] for run in block["inlines"]] == [HOSTILE, "14 spør"]
    assert "entities" not in content["msteams"]
    assert not channel.wakes


def test_ntfy_rings_and_gives_its_id(hook: FakeWebhook) -> None:
    hook.answer = b'{"id": "Xq9", "event": "message"}'
    channel = opened("ntfy", hook, token="tk_hemmelig")
    assert send(channel, card(HOSTILE, "x" * 9000), "lyttepost-kari") == ("Xq9",)
    (call,) = hook.seen
    assert call.path == "/"
    assert call.headers["Authorization"] == "Bearer tk_hemmelig"
    message = call.json
    assert (message["topic"], message["priority"], message["title"]) == ("lyttepost-kari", 5, HOSTILE)
    assert message["click"] == FIELDS["board_url"]
    assert len(message["message"].encode()) < 4096
    assert "markdown" not in message
    assert channel.wakes


def test_a_server_that_is_no_ntfy_has_woken_nobody(hook: FakeWebhook) -> None:
    hook.answer = b"<html>welcome</html>"
    error = failure(opened("ntfy", hook), "vakt")
    assert (error.reason, error.permanent) == (FailureReason.REFUSED, True)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("ntfy", {"url": "https://ntfy.example/topic"}), ("ntfy", {"token": "a", "user": "u", "password": "p"}),
        ("ntfy", {"token": "Bearer x"}), ("ntfy", {"token_file": "/nowhere"}), ("ntfy", {"url": "ntfy.example"}),
        ("slack", {"url": "hooks.slack.example"}), ("slack", {"token": "x"}), ("slack", {"url": "https://a b/"}),
        ("teams", {"url": "https://u:p@teams.example/"}), ("teams", {"timeout": 0}),
        ("alertmanager", {"lasts": "10s"}), ("alertmanager", {"user": "u"}), ("alertmanager", {"lasts": 5}),
        ("apprise", {"services": {}}), ("apprise", {"services": {"kari": "nosuch://x"}}), ("apprise", {}),
        ("apprise", {"services": {"kari": "pover://"}}), ("apprise", {"services": {"to ord": "json://localhost"}}),
        ("apprise", {"services": {"kari": "json://localhost\nx"}}), ("apprise", {"services": ["json://localhost"]}),
    ],
)  # fmt: skip
def test_settings_that_can_never_send_are_refused(name: str, more: dict[str, Any]) -> None:
    base = {} if name == "apprise" else {"url": "https://here.example"}
    with pytest.raises(ValidationError):
        channel_type(name).open({**base, **more})


def seen_by(amtool: str, port: int) -> list[dict[str, Any]]:
    words = [amtool, f"--alertmanager.url=http://127.0.0.1:{port}", "alert", "query", "-o", "json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.slow  # a real Alertmanager starts
def test_alertmanager_has_one_alert_whatever_the_step_and_amtool_shows_it(tmp_path: Path, hook: FakeWebhook) -> None:
    with alertmanager(tmp_path, hook) as port:
        channel = channel_type("alertmanager").open({"url": f"http://127.0.0.1:{port}", "lasts": "2h"})
        send(channel, card(HOSTILE), "vaktrom")
        later = SendNote("b" * 32, NOTE.alert, 3, 1, True, AT + timedelta(minutes=5))
        channel.prepare(card("PÅMINNELSE 1 · røyk"), "vaktrom", note=later)()
        deadline = time.monotonic() + 10
        while not (found := seen_by(program("amtool"), port)) and time.monotonic() < deadline:
            time.sleep(0.1)
        (alert,) = found
        assert alert["labels"] == {
            "alertname": "LyttepostAlert", "alert_id": NOTE.alert, "severity": "critical", "exercise": "true",
            "rule": "question-many-ask", "incident": "brann-ullevaal", "to": "vaktrom",
        }  # fmt: skip
        assert alert["annotations"]["summary"] == "PÅMINNELSE 1 · røyk"
        assert alert["generatorURL"] == FIELDS["board_url"]
        ends = datetime.fromisoformat(alert["endsAt"])
        assert ends == later.at + timedelta(hours=2)
        assert not channel.wakes


def services(fake: FakeWebhook) -> dict[str, Any]:
    return {"services": {"vaktrom": f"json://127.0.0.1:{fake.port}/nøkkel?cto=1&rto=1"}}


def test_apprise_reaches_what_we_have_no_channel_for(hook: FakeWebhook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    channel = channel_type("apprise").open({**services(hook), "wakes": True})
    assert send(channel, card(HOSTILE), "vaktrom") == ()
    message = hook.seen[0].json
    assert message["title"].startswith("‹!channel› ＠everyone")
    assert "27 treff" in message["message"]
    assert not re.search(r"[<>@]", message["title"] + message["message"])
    assert channel.wakes
    assert caplog.text == ""


@pytest.mark.parametrize("fault", ["500", "403", "reset", "302 http://127.0.0.1:9/", "hang"])
def test_what_apprise_could_not_send_may_have_arrived(
    hook: FakeWebhook, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.faults.append(fault)
    error = failure(channel_type("apprise").open(services(hook)), "vaktrom")
    assert (error.permanent, uncertain(error.word)) == (False, True)
    assert hook.tries == 1
    assert caplog.text == ""


def test_a_service_that_the_settings_do_not_name_is_refused_for_good(hook: FakeWebhook) -> None:
    error = failure(channel_type("apprise").open(services(hook)), "ola")
    assert (error.reason, error.permanent, hook.tries) == (FailureReason.BAD_TARGET, True, 0)


def test_an_address_of_apprise_shows_nowhere(hook: FakeWebhook) -> None:
    channel = channel_type("apprise").open(services(hook))
    assert "nøkkel" not in repr(vars(channel))
    with pytest.raises(ValidationError) as caught:
        channel_type("apprise").open({"services": {"kari": "nosuch://hemmelig"}})
    assert "hemmelig" not in str(caught.value.errors(include_input=False, include_context=False)[0]["msg"])


def test_without_the_library_the_settings_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ValidationError, match=r"pip install 'lyttepost\[apprise\]'"):
        channel_type("apprise").open({"services": {"kari": "json://localhost"}})
