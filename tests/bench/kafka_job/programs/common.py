"""What the programs that are not ours share: finding phrases, and the time a post was said."""

from __future__ import annotations

import os
from datetime import datetime

import ahocorasick_rs
import orjson

PHRASES = os.environ["JOB_PHRASES"].split(",")
THRESHOLD = int(os.environ["JOB_THRESHOLD"])
WINDOW = 60
_automaton = ahocorasick_rs.AhoCorasick(PHRASES)


def found(text):
    low = text.lower()
    hits = _automaton.find_matches_as_indexes(low, overlapping=True)
    if not hits:
        return ()
    end = len(low)
    return {
        PHRASES[number]
        for number, start, stop in hits
        if not (start and low[start - 1].isalnum()) and not (stop < end and low[stop].isalnum())
    }


def seconds(post):
    return datetime.fromisoformat(post["at"]).timestamp()


def alert(phrase, minute):
    return orjson.dumps({"phrase": phrase, "minute": int(minute)})
