"""What can be known of the settings without asking anybody: files, folders, secrets, certificates.

The types in `listener.settings.schema` say what a setting may be; here it is looked whether what it names is there and
fit. Nothing is written, no network is used, and no answer holds a secret.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from listener.errors import ConfigError
from listener.model.tracks import too_common
from listener.privacy.pseudonyms import check_key_outside, load_key
from listener.settings.board import check_exposed
from listener.settings.bus_address import LOG, embedded_file
from listener.settings.feeds import is_web
from listener.settings.files import Loc, RawSettings, expanded
from listener.settings.hosts import is_in_the_clear
from listener.settings.schema import Settings
from listener.settings.types import read_secret
from listener.sources.contract import content_limits, source_types

_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104 -- compared, and not bound to
_DOTTED = re.compile(r"([a-z_]+(?:\.[a-z_]+)+):? ?")


def mistakes(raw: RawSettings, settings: Settings, data: Path) -> list[str]:
    """One line each, with file and line or variable and what to write. `data` is the data folder."""
    checks: list[tuple[Loc, Callable[[], object]]] = [
        (("bus", "url"), lambda: _bus_file(settings, data)),
        (("bus", "kafka"), lambda: _kafka(settings)),
        (("deadman", "url"), settings.deadman.address),
        (("privacy", "key_file"), lambda: _key(settings, data)),
        *([(("board", "host"), partial(check_exposed, settings.board))] if settings.board else []),
        (("board", "certificate"), lambda: _certificate(settings)),
        (("board", "oidc"), lambda: settings.board and settings.board.oidc and settings.board.oidc.secret()),
        *((("published", "feeds", n), partial(_feed, feed)) for n, feed in enumerate(settings.published.feeds)),
        *(
            ((*("highlights", name), n), partial(_feed, feed))
            for name in ("feeds", "courses")
            for n, feed in enumerate(getattr(settings.highlights, name))
        ),
        (("highlights", "access_token"), lambda: _own_keys(settings)),
        *((its.setting, partial(its.check, settings)) for its in source_types().values()),
        (("retention", "sources"), partial(content_limits, settings)),
    ]
    found = [problem for problem in (_tried(raw, loc, check) for loc, check in checks) if problem]
    if why := _no_folder(data):
        found.append(f"{_data_says(data)}: {why}")
    return found


def doubts(raw: RawSettings, settings: Settings, standing: Collection[str]) -> Iterator[str]:
    """What may be meant so and most often is not."""
    # What sources share, as those of Meta's do, is told once.
    of_sources = dict.fromkeys(doubt for its in source_types().values() for doubt in its.doubts(settings))
    yield from (str(raw.error(loc, why)) for loc, why in of_sources)
    if settings.bus.url.startswith("embedded:") and (settings.bus.kafka.sasl.username or settings.bus.kafka.tls.on):
        yield str(raw.error(("bus", "kafka"), "is not used, because bus.url is no kafka:// address"))
    its_highlights = settings.highlights
    if is_in_the_clear(its_highlights.base_url):
        yield str(raw.error(("highlights", "base_url"), "sends what is published in the clear; write https://"))
    if settings.retention.archive < its_highlights.newest:
        problem = "is longer than decisions are kept (retention.archive): what is forgotten is proposed once more"
        yield str(raw.error(("highlights", "newest"), problem))
    if its_highlights.publishes and not its_highlights.all_feeds:
        yield str(raw.error(("highlights", "feeds"), "is empty: nothing is ever proposed, so nothing is published"))
    yield from (str(raw.error(loc, why)) for loc, why in _ports_twice(settings))
    for track in standing:
        if why := too_common(track):
            yield f"{raw.folder / 'tracks.yaml'}: {track!r} {why}; a paid source bills every post that has it"


def _tried(raw: RawSettings, loc: Loc, check: Callable[[], object]) -> str | None:
    try:
        check()
    except ConfigError as error:
        found = _DOTTED.match(str(error))
        if found is None:
            return str(raw.error(loc, str(error)))
        named: Loc = tuple(found[1].split("."))
        plain = str(error)[found.end() :] if found[0].endswith(": ") else str(error)
        return str(raw.error(named, plain))
    return None


def _ports_twice(settings: Settings) -> Iterator[tuple[Loc, str]]:
    """One process cannot listen twice at one place, and which of the two goes without depends on who comes first."""
    parts = {name: getattr(settings, name) for name in ("web", "board", "receiver", "webhooks")}
    taken: dict[int, str] = {}
    for name, its in parts.items():
        if its is None or its.port == 0:
            continue
        other = taken.setdefault(its.port, name)
        hosts = {its.host, parts[other].host}
        if other != name and (len(hosts) == 1 or hosts & _ANYWHERE):
            yield (name, "port"), f"is {its.port}, as {other}.port is: one of the two cannot listen; set another"


def _own_keys(settings: Settings) -> None:
    """Who listens and who publishes share no key: X can take one away without the other."""
    keys, x = settings.highlights.keys(), settings.x
    if keys is None:
        return
    token = read_secret(x.bearer_token, x.bearer_token_file, "x.bearer_token", header=True)
    if token is not None and token.get_secret_value() in {each.get_secret_value() for each in keys}:
        raise ConfigError("highlights.access_token: x.bearer_token is one of the four keys; publishing has its own")


def _bus_file(settings: Settings, data: Path) -> None:
    scheme, _, rest = settings.bus.url.partition(":")
    if scheme != "embedded" or (named := embedded_file(rest)) is None:
        return
    path = Path(named).expanduser()
    if path.is_dir():
        raise ConfigError(f"bus.url: {path} is a folder; name a file in it, such as embedded:{path / LOG}")
    if os.path.lexists(path) and not path.is_file():
        raise ConfigError(f"bus.url: {path} is no file that can hold a log; name another, such as embedded:/srv/x.db")
    if why := _no_folder(path.parent):
        raise ConfigError(f"bus.url: {path.parent}: {why}")


def _no_folder(folder: Path) -> str | None:
    """None where it is a folder that we may write to, or may be made one; else what is wrong."""
    here = Path(os.path.abspath(folder))
    while not os.path.lexists(here) and here != here.parent:
        here = here.parent
    if not here.is_dir():
        return f"cannot be a folder, because {here} is none; choose another"
    if not os.access(here, os.W_OK | os.X_OK):
        return f"cannot be written to by this user; choose another, or `chown USER {here}`"
    return None


def _data_says(data: Path) -> str:
    return "LYTTEPOST_DATA" if os.environ.get("LYTTEPOST_DATA") == str(data) else f"data folder {data}"


def _kafka(settings: Settings) -> None:
    kafka = settings.bus.kafka
    kafka.client()
    tls = kafka.tls
    if not tls.on:
        return
    context = ssl.create_default_context()
    if tls.ca_file is not None:
        try:
            context.load_verify_locations(tls.ca_file.expanduser())
        except (ssl.SSLError, OSError):
            raise ConfigError(f"bus.kafka.tls.ca_file: {tls.ca_file} holds no certificate in PEM") from None
    if tls.cert_file is not None and tls.key_file is not None:
        try:
            context.load_cert_chain(tls.cert_file.expanduser(), tls.key_file.expanduser(), password=_no_password)
        except (ssl.SSLError, OSError, ValueError):
            raise ConfigError(
                f"bus.kafka.tls.cert_file: {tls.cert_file} and {tls.key_file} are not a certificate and its own key, "
                "both in PEM, the key without a password"
            ) from None


def _certificate(settings: Settings) -> None:
    if settings.board is None or (its := settings.board.certificate) is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(its.file.expanduser(), its.key_file.expanduser(), password=_no_password)
    except (ssl.SSLError, OSError, ValueError):
        raise ConfigError(
            f"board.certificate: {its.file} and {its.key_file} are not a certificate and its own key, both in PEM, the "
            "key without a password"
        ) from None


def _no_password() -> str:
    """Else OpenSSL asks for it on the terminal."""
    raise ValueError


def _feed(feed: str) -> None:
    if not is_web(feed) and not expanded(feed).is_file():
        raise ConfigError("no such file is there; write the whole path of one, or a web address")


def _key(settings: Settings, data: Path) -> None:
    path = settings.privacy.key_path
    check_key_outside(path, data)
    if path.is_dir():
        raise ConfigError(f"privacy.key_file: {path} is a folder; name a file in it, such as {path / 'pseudonym.key'}")
    if os.path.lexists(path):
        load_key(path, create=False)
    elif settings.privacy.key_file is not None and (why := _no_folder(path.parent)):
        raise ConfigError(f"privacy.key_file: {path.parent}: {why}")
