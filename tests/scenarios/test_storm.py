"""One storm over two incidents, through the whole pipeline to a mail server: few mails, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

from harness import Deployment, Recording, until

from alerts.notify.state import read_book
from tests.fakes.smtp import smtp_server

PEOPLE = """
people:
  kari:
    name: Kari
    contacts: [{channel: email, target: kari@sykehus.example}]
routes: {duty: [kari], crisis_team: [kari], ops: [kari], fallback: [kari]}
repeat_every: {critical: 7d, warning: 7d, info: 7d}
grouping: {by: [alert]}
"""


def test_a_storm_over_two_incidents_mails_each_word_once_and_closing_them_ends_it(
    deploy: Callable[..., Deployment], recording: Recording
) -> None:
    with smtp_server() as smtp:
        mail = {"HOST": "127.0.0.1", "PORT": str(smtp.port), "ENCRYPTION": "none", "FROM": "l@sykehus.example"}
        settings = {f"CHANNELS__EMAIL__{name}": value for name, value in mail.items()}
        deployment = deploy(recording=recording.path, speed="max", settings=settings)
        deployment.configure(people=PEOPLE)
        deployment.exercise("Brann")
        deployment.exercise("Ras")
        running = deployment.start()
        deployment.wait_until_settled()
        with deployment.bus() as bus:
            states = read_book(bus).all()
        fired = [state.alert for state in states]
        words = {(alert.rule, alert.key, alert.at) for alert in fired}
        assert len(fired) == 2 * len(words) >= 6, "each word fired once for each incident"
        until(lambda: len(deployment.sent()) >= len(words), 20, "each word is mailed")
        until(lambda: len(smtp.seen) >= len(words) + 2, 10, "both openings too")
        mails = [mail.text for mail in smtp.seen if "er åpnet av" not in mail.text]
        print(f"{len(fired)} alerts of two incidents: {len(mails)} mails")
        assert len(mails) == len(words) == len(deployment.sent())
        both = ("Brann, Ras (krise)", "Ras, Brann (krise)")
        assert [text for text in mails if not any(names in text for names in both)] == []

        assert deployment.command("mode", "calm", "--why", "ferdig", "--by", "Nina", "--no-wait").returncode == 0
        until(lambda: len(smtp.seen) == len(mails) + 2 + 1, 10, "who was called is told that it is over")
        assert str(smtp.seen[-1].message["Subject"]).startswith("ØVELSE · [Brann, Ras] Hendelsen er avsluttet")
        until(lambda: running.metric("lyttepost_alerts_open", severity="warning", exercise="true") == 0, 10, "closed")
        with deployment.bus() as bus:
            left = read_book(bus)
        assert left.open() == []
        assert {state.handled.by for state in left.all() if state.handled} == {"Nina"}
