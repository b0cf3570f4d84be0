"""The proxy in front of the board: what it says of a request counts, and what anybody else says there does not."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.requests import Request

from alerts.board.access.names import fit_name
from alerts.board.access.roles import BoardRole, Who
from listener.settings.board import EVERYBODY, ProxySettings

log = logging.getLogger(__name__)

MOST_HOPS = 20


class Nobody(StrEnum):
    """Why the proxy names nobody whom we let in."""

    UNNAMED = "unnamed"
    """It says nothing of who it is, or the request came past it."""
    NO_ROLE = "no_role"
    """Who it names has no role here."""


class Proxy:
    """For one thread. `settings`: None where there is no proxy, so that no such header counts."""

    def __init__(self, settings: ProxySettings | None) -> None:
        self._settings = settings
        self._networks = settings.networks if settings else ()
        self._told: set[str] = set()

    @property
    def names_people(self) -> bool:
        return self._settings is not None and self._settings.user_header is not None

    def is_from_it(self, request: Request) -> bool:
        return self._trusts(_peer(request))

    def address(self, request: Request) -> str:
        """Whose request it is: the last address before our proxies, or whoever is connected to us."""
        peer = _peer(request)
        if self._trusts(peer):
            hops = [each.strip() for line in request.headers.getlist("x-forwarded-for") for each in line.split(",")]
            for hop in hops[: -MOST_HOPS - 1 : -1]:
                found = _address(hop)
                if found is None:
                    break
                peer = found
                if not self._trusts(found):
                    break
        return str(peer) if peer is not None else "an unknown address"

    def says_https(self, request: Request) -> bool:
        said = request.headers.getlist("x-forwarded-proto")
        return bool(said) and self._counts(request, "X-Forwarded-Proto") and said[-1].strip().lower() == "https"

    def host(self, request: Request) -> str:
        """The host that the browser asked for."""
        said = request.headers.getlist("x-forwarded-host")
        if said and self._counts(request, "X-Forwarded-Host"):
            return said[-1].strip().lower()
        return request.headers.get("host", "").lower()

    def who(self, request: Request) -> Who | Nobody:
        its = self._settings
        if its is None or its.user_header is None:
            return Nobody.UNNAMED
        named = request.headers.getlist(its.user_header)
        if not named or not self._counts(request, its.user_header):
            return Nobody.UNNAMED
        try:
            (text,) = named  # a second one would be somebody's own
            name = fit_name(_decoded(text))
        except ValueError:
            self._tell(f"{its.user_header} from the proxy holds no name that can stand beside decisions, or several")
            return Nobody.UNNAMED
        lines = request.headers.getlist(its.role_header) if its.role_header else ()
        groups = [_decoded(each).strip() for line in lines for each in line.split(",")]
        role = role_of(groups, its.roles)
        return Nobody.NO_ROLE if role is None else Who(name, role)

    def _counts(self, request: Request, header: str) -> bool:
        """Whether such a header is the proxy's. The first that is not is told; its value never."""
        if self.is_from_it(request):
            return True
        self._tell(f"{header} from {_peer(request)} is ignored: that is no address of board.proxy.addresses")
        return False

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in each for each in self._networks)

    def _tell(self, what: str) -> None:
        kind = what.partition(" ")[0]
        if kind not in self._told:
            self._told.add(kind)
            log.warning("board: %s; told once", what)


def role_of(groups: Iterable[str], roles: Mapping[str, str]) -> BoardRole | None:
    """The role of whoever is in these groups; of several the one that stands first in BoardRole."""
    found = {roles[each] for each in groups if each in roles and each != EVERYBODY}
    if not found and EVERYBODY in roles:
        found = {roles[EVERYBODY]}
    return next((role for role in BoardRole if role in found), None)


def _decoded(text: str) -> str:
    """A header's bytes as UTF-8, which is what proxies send."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _peer(request: Request) -> IPv4Address | IPv6Address | None:
    return _address(request.client.host) if request.client else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    bare = text.strip().removeprefix("[").partition("]")[0]
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
