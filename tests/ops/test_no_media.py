"""A post that shows something: its words are heard, and nobody asks for what it shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from x_support import Town, town

ASKED: list[str] = []


class Trap(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ASKED.append(self.path)
        self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def trap() -> Iterator[str]:
    ASKED.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path) as its:
        yield its


def test_of_a_campaign_post_that_shows_people_the_text_alone_is_kept(here: Town, trap: str) -> None:
    picture = f"{trap}/mittous.jpg"
    crisis = here.deployment()
    crisis.open("#mittous")
    crisis.turn_until(crisis.hears, 20)
    said = here.fake.post(
        {
            "data": {
                "id": "1906123456789012345",
                "text": f"Fine folk på jobb! #mittous https://t.co/a {picture}",
                "author_id": "77",
                "attachments": {"media_keys": ["3_1"]},
                "entities": {
                    "hashtags": [{"start": 19, "end": 27, "tag": "mittous"}],
                    "urls": [
                        {"start": 28, "end": 42, "url": "https://t.co/a", "expanded_url": picture, "media_key": "3_1"}
                    ],
                },
            },
            "includes": {
                "users": [{"id": "77", "username": "kari", "name": "Kari", "profile_image_url": f"{trap}/kari.jpg"}],
                "media": [{"media_key": "3_1", "type": "photo", "url": picture, "preview_image_url": f"{trap}/p.jpg"}],
            },
        }
    )
    crisis.turn_until(lambda: crisis.captured()[said.id] == 1, 20)
    crisis.turn_for(1.0)
    assert ASKED == []
    (mention,) = crisis.values("mentions", "mention")
    assert mention["text"].startswith("Fine folk på jobb! #mittous")
    assert not {"media", "attachments", "image"} & mention.keys()
