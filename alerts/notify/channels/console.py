"""The console: a card as lines of text, for whoever watches `lyttepost run` and for the demo.

Text of posts is shown on a terminal only, unless the settings say otherwise: where standard output goes to a journal
or a file, it would be kept beyond the posts' retention, and no purge would reach it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, TextIO

from pydantic import BaseModel, ConfigDict

from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import (
    ChannelError,
    ChannelType,
    Deliver,
    FailureReason,
    SendNote,
    checked,
    no_target,
)

RULE = "─" * 72


class ConsoleSettings(BaseModel):
    """`texts`: whether up to three posts are shown with a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: Literal["on_terminal", "always", "never"] = "on_terminal"


class Console:
    wakes = False

    def __init__(self, stream: TextIO, settings: ConsoleSettings | None = None) -> None:
        texts = (settings or ConsoleSettings()).texts
        self._stream = stream
        self._lock = threading.Lock()
        self.in_house = texts == "always" or (texts == "on_terminal" and stream.isatty())

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        checked(no_target, target)
        block = f"{RULE}\n{card.text}\n{RULE}\n"
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        # A terminal without UTF-8 shows question marks; an alert is not lost over a letter.
        return partial(self._print, block.encode(encoding, "replace").decode(encoding))

    def _print(self, printable: str) -> tuple[str, ...]:
        with self._lock:
            try:
                self._stream.write(printable)
                self._stream.flush()
            except (OSError, ValueError):
                raise ChannelError(FailureReason.UNREACHABLE, permanent=False) from None
        return ()


def open_channel(settings: Mapping[str, Any]) -> Console:
    return Console(sys.stdout, ConsoleSettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=no_target)
