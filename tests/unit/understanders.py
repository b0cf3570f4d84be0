"""What understands texts, loaded when it is first asked for: each worker collects every file, and runs a few of them.

`another`: one that has not read what the first has read.
"""

from __future__ import annotations

from functools import cache

from alerts.annotate.better import ENCODER
from alerts.annotate.understanding import Understander
from listener.settings.files import packaged_config


@cache
def default(*, another: bool = False) -> Understander:
    return Understander.load(packaged_config())


@cache
def better(*, another: bool = False) -> Understander:
    return Understander.load(packaged_config(), encoder=ENCODER)
