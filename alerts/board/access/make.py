"""What keeps `Access` for a deployment, made of its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.requests import Request

from alerts.board.access.accounts import Accounts
from alerts.board.access.contract import Access
from alerts.board.access.oidc import Oidc
from alerts.board.access.pages import BoardAccess, words_chosen
from alerts.board.access.proxy import Proxy
from alerts.board.access.sessions import Sessions
from alerts.board.access.visitors import OIDC, PASSWORD, Visitors
from alerts.situation.words import Words
from listener.clock import Clock
from listener.settings.board import BoardSettings, check_exposed
from listener.settings.schema import Settings


def make_access(
    settings: Settings,
    folder: Path,
    clock: Clock,
    words_by_language: Mapping[str, Words],
    words_of: Callable[[Request], Words] | None = None,
) -> Access:
    """`folder`: of all state. `words_of`: how the pages choose their language; else `?lang=` does, and the settings.

    Raises ConfigError where nobody may be let in so: in the clear, without a secret, with accounts that are damaged.
    """
    board = settings.board or BoardSettings()
    check_exposed(board)
    accounts = Accounts(folder)
    accounts.all()
    sessions = Sessions(folder, clock, board.sessions.idle, board.sessions.longest)
    oidc = Oidc(board.oidc, board.url, clock) if board.oidc and board.url else None
    ways = (PASSWORD, OIDC) if oidc else (PASSWORD,)
    visitors = Visitors(accounts, sessions, Proxy(board.proxy), ways)
    return BoardAccess(visitors, oidc, clock, words_of or words_chosen(words_by_language, settings.language))
