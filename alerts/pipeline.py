"""The flow, in one readable table: which workers there are, in the order in which a post meets them.

    source ▶ match ▶ privacy ▶ mentions ▶ annotate ▶ findings ▶ rules ▶ alerts ▶ dispatch ▶ person
                                  └──▶ purge            └──▶ register

Workers share nothing but the bus. `run` gives each a thread, `replay` and `demo` turn them one after another with a
clock of the recording's own; the workers are the same. The role `alerts` is three: `annotate`, `judge` (rules, calm
and what people answered) and `dispatch` (with the register, whose texts it sends, what reads these once more, the
purge of what was deleted at its platform, the receiver of what gateways tell later, and the ping to a dead-man
service); each may have processes of its own, as many as it needs. The crisis team's web pages are a role of their
own, `board`; so are the calm highlights, `highlights`, for what publishes has neither keys nor threads in common with
what listens. Beside them `run` has workers that look after the bus as a whole: `listener.runtime.housekeeping`, and
`listener.runtime.expiring` for content that may lie for less long than its topic says.

Why here and not in `lyttepost.py`: commands live in both packages and must wire the same parts, and nothing may import
the entry point.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from alerts.app import (
    AlertsParts,
    App,
    Context,
    ListenerParts,
    Made,
    WorkerPart,
    absent,
    annotate,
    answers,
    board,
    canary,
    deadman,
    dispatch,
    follow,
    ingest,
    judge,
    propose,
    publish,
    purge,
    receive,
    register,
    reread,
    volumes,
    webhooks,
)
from listener.errors import LyttepostError
from listener.model.canary import CANARY
from listener.model.roles import (
    ABSENT,
    ANNOTATE,
    ANSWERS,
    BOARD,
    CALM,
    DEADMAN,
    DISPATCH,
    EVERY,
    FOLLOW,
    HIGHLIGHTS,
    JUDGE,
    LISTENER,
    PROPOSE,
    PUBLISH,
    PURGE,
    RECEIVER,
    REGISTER,
    REREAD,
    WEBHOOKS,
    listen_to,
    with_parts,
)

if TYPE_CHECKING:
    from alerts.board.make import BoardParts
    from alerts.highlights.parts import HighlightsParts

Topics = tuple[str, ...]


class Step(NamedTuple):
    """One kind of worker: its name, the role that it runs in, how it is made, and all it has to do with the bus."""

    worker: str
    role: str
    made_by: Callable[[Context], Made]
    consumes: Topics = ()
    """As a consumer group of the worker's name: its processes share the records, each of which is handled once."""
    reads: Topics = ()
    """By itself, from where it likes: what it must know beside."""
    writes: Topics = ()


# fmt: off
PIPELINE = (
    Step(FOLLOW, EVERY, follow,
         reads=("control",),
         writes=("presence",)),
    Step(listen_to("*"), LISTENER, ingest,
         reads=("mentions", "volumes", "gaps", "spending", "decisions"),
         writes=("mentions", "volumes", "gaps", "spending", "alerts", "deadletters")),
    Step(WEBHOOKS, LISTENER, webhooks),
    Step(ABSENT, LISTENER, absent,
         reads=("mentions", "gaps"),
         writes=("mentions", "gaps")),
    Step(CANARY, LISTENER, canary,
         reads=("alerts",),
         writes=("mentions",)),
    Step(ANNOTATE, ANNOTATE, annotate,
         consumes=("mentions",),
         reads=("control", "decisions"),
         writes=("findings", "deadletters")),
    Step(ANSWERS, JUDGE, answers,
         consumes=("decisions",),
         writes=("findings",)),
    Step(JUDGE, JUDGE, judge,
         consumes=("findings",),
         reads=("control", "alerts", "decisions"),
         writes=("alerts", "decisions", "deadletters")),
    Step(CALM, JUDGE, volumes,
         consumes=("volumes",),
         reads=("control", "alerts", "gaps"),
         writes=("alerts", "deadletters")),
    Step(REGISTER, DISPATCH, register,
         reads=("findings",)),
    Step(REREAD, DISPATCH, reread,
         reads=("findings", "decisions")),
    Step(PURGE, DISPATCH, purge,
         consumes=("mentions",),
         reads=("findings", "decisions"),
         writes=("mentions", "findings", "decisions")),
    Step(DISPATCH, DISPATCH, dispatch,
         reads=("control", "presence", "findings", "volumes", "gaps", "spending", "alerts", "deliveries", "decisions",
                "deadletters"),
         writes=("alerts", "deliveries", "decisions", "deadletters")),
    Step(RECEIVER, DISPATCH, receive,
         reads=("alerts", "deliveries", "decisions"),
         writes=("deliveries", "decisions")),
    Step(DEADMAN, DISPATCH, deadman),
    Step(BOARD, BOARD, board,
         reads=("control", "presence", "findings", "volumes", "gaps", "spending", "alerts", "deliveries", "decisions"),
         writes=("control", "decisions")),
    Step(PROPOSE, HIGHLIGHTS, propose,
         reads=("decisions",),
         writes=("decisions",)),
    Step(PUBLISH, HIGHLIGHTS, publish,
         reads=("control", "decisions"),
         writes=("decisions", "alerts")),
)
# fmt: on

GROUPS = tuple(step.worker for step in PIPELINE if step.consumes)
"""The consumer groups."""


def flow(
    app: App,
    roles: Collection[str],
    listener: ListenerParts | None,
    alerts: AlertsParts | None,
    board: BoardParts | None = None,
    highlights: HighlightsParts | None = None,
) -> list[WorkerPart]:
    """The workers of these roles, in the order of the flow. Where one cannot be made, those before it are closed."""
    context, its_roles = Context(app, sorted(roles), listener, alerts, board, highlights), {EVERY, *with_parts(roles)}
    try:
        for step in PIPELINE:
            if step.role in its_roles:
                context.made.extend(step.made_by(context))
    except BaseException:
        for worker, _ in context.made:
            with suppress(LyttepostError):
                worker.close()
        raise
    return context.made
