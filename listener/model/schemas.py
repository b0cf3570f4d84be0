"""The name of each record → what reads it: for `lyttepost config schema`, and for tests that try them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from listener.model.answers import Answered
from listener.model.decisions import Answer, Correction, Note, Silence, Status, Swap, WayConfirmed, WayTest
from listener.model.deliveries import Delivery, Page
from listener.model.highlights import Highlight, HighlightStep, HighlightWord
from listener.model.incidents import Command, Incident, Presence
from listener.model.receipts import Receipt
from listener.model.records import (
    ALERTS,
    DEADLETTERS,
    GAPS,
    KEYS,
    Decision,
    Deletion,
    Finding,
    Heard,
    Mention,
    Post,
    Tick,
    Volume,
)
from listener.model.spending import QuotaUse, Spending

SCHEMAS: Mapping[str, TypeAdapter[Any]] = {
    "post": TypeAdapter(Post),
    "mention": TypeAdapter(Mention),
    "tick": TypeAdapter(Tick),
    "gap": GAPS.adapter,
    "deletion": TypeAdapter(Deletion),
    "finding": TypeAdapter(Finding),
    "answered": TypeAdapter(Answered),
    "volume": TypeAdapter(Volume),
    "heard": TypeAdapter(Heard),
    "spending": TypeAdapter(Spending),
    "quota": TypeAdapter(QuotaUse),
    "incident": TypeAdapter(Incident),
    "command": TypeAdapter(Command),
    "presence": TypeAdapter(Presence),
    "alert": ALERTS.adapter,
    "page": TypeAdapter(Page),
    "delivery": TypeAdapter(Delivery),
    "receipt": TypeAdapter(Receipt),
    "decision": TypeAdapter(Decision),
    "silence": TypeAdapter(Silence),
    "note": TypeAdapter(Note),
    "status": TypeAdapter(Status),
    "answer": TypeAdapter(Answer),
    "correction": TypeAdapter(Correction),
    "swap": TypeAdapter(Swap),
    "way_test": TypeAdapter(WayTest),
    "way_confirmed": TypeAdapter(WayConfirmed),
    "highlight": TypeAdapter(Highlight),
    "highlight_word": TypeAdapter(HighlightWord),
    "highlight_step": TypeAdapter(HighlightStep),
    "deadletter": DEADLETTERS.adapter,
    "key": KEYS.adapter,
}
