"""What a token is, by `debug_token`: of what kind, for whom, with which permissions, and until when.

Each field of the answer may be missing, and then nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from listener.sources.common.fields import as_id, as_text, dicts, texts
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.client import GraphClient


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """`kind`: USER, PAGE, APP or SYSTEM_USER; empty where it is not told. `targets`: permission → the ids for which
    alone it was given. `expires` None: never, or not told; `data_expires`: when its data may not be read any more,
    which comes where nobody has used the app for 90 days."""

    valid: bool
    kind: str
    app: str | None
    profile: str | None
    scopes: frozenset[str]
    targets: Mapping[str, frozenset[str]]
    expires: datetime | None
    data_expires: datetime | None

    @property
    def ends(self) -> datetime | None:
        """When it can be used no more, by whichever of both comes first."""
        return min((at for at in (self.expires, self.data_expires) if at is not None), default=None)


def ask_token(client: GraphClient) -> tuple[TokenInfo | None, Answer]:
    """Costs a call. Asked with the app's own token, where app and secret are set, for that sees every kind."""
    answer = client.get("debug_token", {"input_token": client.key.token}, token=client.app.token)
    return (read_token(answer.data) if answer.outcome is Outcome.OK else None), answer


def read_token(data: Mapping[str, Any]) -> TokenInfo | None:
    """From a decoded answer; None where it is none."""
    raw = data.get("data")
    if not isinstance(raw, dict) or not isinstance(raw.get("is_valid"), bool):
        return None
    targets = {
        scope: frozenset(filter(None, map(as_id, each.get("target_ids") or ())))
        for each in dicts(raw.get("granular_scopes"))
        if (scope := as_text(each.get("scope"))) and isinstance(each.get("target_ids", []), list)
    }
    return TokenInfo(
        valid=raw["is_valid"],
        kind=(as_text(raw.get("type")) or "").upper(),
        app=as_id(raw.get("app_id")),
        profile=as_id(raw.get("profile_id")) or as_id(raw.get("user_id")),
        scopes=frozenset(texts(raw.get("scopes"))),
        targets={scope: ids for scope, ids in targets.items() if ids},
        expires=_instant(raw.get("expires_at")),
        data_expires=_instant(raw.get("data_access_expires_at")),
    )


def _instant(raw: Any) -> datetime | None:
    """Unix seconds; 0 is never."""
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 < raw < 4e9:
        return None
    return datetime.fromtimestamp(raw, UTC)
