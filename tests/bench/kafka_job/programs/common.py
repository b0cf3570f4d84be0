"""What the programs that are not ours share: reading a post, finding phrases in it, and the minute it was said in.

As the smallest program does it, with `json` and `re`; or, with JOB_TUNED=1, with orjson and Aho-Corasick.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path

PHRASES = Path(os.environ["JOB_PHRASES"]).read_text(encoding="utf-8").splitlines()
THRESHOLD = int(os.environ["JOB_THRESHOLD"])
WINDOW = 60

if os.environ.get("JOB_TUNED") == "1":
    import ahocorasick_rs
    import orjson

    parse = orjson.loads
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

else:
    parse = json.loads
    _any = re.compile(rf"\b(?:{'|'.join(map(re.escape, PHRASES))})\b", re.IGNORECASE)

    def found(text):
        return {hit.lower() for hit in _any.findall(text)}


def seconds(post):
    return datetime.fromisoformat(post["at"]).timestamp()


def alert(phrase, minute):
    return json.dumps({"phrase": phrase, "minute": int(minute)}).encode()
