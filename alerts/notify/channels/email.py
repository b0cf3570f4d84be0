"""E-mail by SMTP, as text and as HTML. Leaves the site: the card it is given holds no post's text.

The Message-ID is made from the intent, so that a repeat carries the same one and mail systems can drop it; `References`
threads all messages of one alert. 4xx answers are temporary, 5xx permanent; a refused login is permanent, because
trying a wrong password again only locks the account: the alert's next step tries anew.

A domain with letters beyond ASCII is written `xn--…` (IDNA), which every server takes. Such letters before the @ need
a server that offers SMTPUTF8; where it does not, the send fails for good and says so. Users and passwords beyond ASCII
are sent as UTF-8, as RFC 4616 has it. Subject and sender's name are written as one run of encoded words: folded word by
word, as `email` does by itself, they lose or gain blanks.
"""

from __future__ import annotations

import ipaddress
import re
import smtplib
import socket
import ssl
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from alerts.notify.channels.addresses import ascii_host
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import (
    LONGEST_SEND,
    ChannelError,
    ChannelType,
    Deliver,
    FailureReason,
    SendNote,
    checked,
)
from alerts.notify.channels.text import one_line
from listener.errors import ConfigError
from listener.runtime.cancel import hold, time_limit, within
from listener.settings.hosts import is_loopback
from listener.settings.types import FilePath, read_secret

ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]")
NAME_SECONDS = 2.0
LONGEST_LOCAL = 64
LONGEST_ADDRESS = 254
LONGEST_NAME = 70
"""Octets, octets (RFC 5321) and characters."""
LONGEST_WORD = 72
"""Of an encoded word RFC 2047 allows 75 characters; `Header` goes a little beyond what it is given."""

Answer = tuple[int, bytes]


class Mailbox(NamedTuple):
    """`Name <address>`; the address as a server is given it."""

    name: str
    address: str


def mailbox(text: str) -> Mailbox:
    """One address, with or without a name before it. Raises ValueError that says what is wrong."""
    text = text.strip()
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise ValueError("an e-mail address must not hold a line break or a control character")
    name, bracket, rest = text.rpartition("<")
    if bracket and not rest.endswith(">"):
        raise ValueError("is no e-mail address: write name@host or Name <name@host>")
    name, address = name.strip(), rest.removesuffix(">").strip() if bracket else text
    quoted = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', name)
    if (quoted is None and re.search(r'[<>@,;"]', name)) or re.search(r"[,;]|@.*@", address):
        raise ValueError("holds more than one e-mail address: write a contact for each")
    local, at, domain = address.rpartition("@")
    if not at:
        raise ValueError("an e-mail contact needs an address as its target: name@host")
    local = unicodedata.normalize("NFC", local)
    address = f"{_local(local)}@{_domain(domain)}"
    if len(address.encode()) > LONGEST_ADDRESS:
        raise ValueError("the e-mail address is too long")
    name = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else name
    if len(name) > LONGEST_NAME:
        raise ValueError(f"the name before the e-mail address is longer than {LONGEST_NAME} characters")
    return Mailbox(name, address)


def _local(text: str) -> str:
    """What stands before the @, of letters that need no quotation marks."""
    fine = all(
        ATOM.fullmatch(c) if c.isascii() else unicodedata.category(c)[0] not in "CZ" for c in text.replace(".", "")
    )
    if not fine or not all(text.split(".")) or len(text.encode()) > LONGEST_LOCAL:
        raise ValueError("is no e-mail address: the part before the @ is not valid")
    return text


def _domain(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        kind, _, number = text[1:-1].rpartition("IPv6:")
        with suppress(ValueError):
            ip = ipaddress.ip_address(number)
            if (ip.version == 6) == (text[1:6] == "IPv6:") and not kind:
                return text
        raise ValueError("is no e-mail address: the part in brackets is no IP address")
    try:
        return ascii_host(text)
    except ValueError as error:
        raise ValueError(f"is no e-mail address: the part after the @ {error}") from None


def check_target(target: str) -> str:
    """The bare address as a server is given it."""
    return mailbox(target).address


class SmtpSettings(BaseModel):
    """`encryption`: STARTTLS, TLS from the first byte, or none. `timeout` is seconds for each step of the talk."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    host: Annotated[str, AfterValidator(ascii_host)]
    port: int = Field(default=587, ge=1, le=65535)
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(validation_alias=AliasChoices("from", "sender"))
    user: str | None = None
    password: SecretStr | None = None
    password_file: FilePath | None = None
    timeout: float = Field(default=10.0, gt=0, le=30)

    @field_validator("sender")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not mailbox(value).address.isascii():
            raise ValueError("must have ASCII letters before the @: not every server takes others")
        return value

    @model_validator(mode="after")
    def _complete(self) -> SmtpSettings:
        if self.user is not None and (self.password is None) == (self.password_file is None):
            raise ValueError("a user needs either password or password_file")
        if self.user is None and (self.password is not None or self.password_file is not None):
            raise ValueError("a password needs a user; without one nobody logs in")
        if self.user is not None and (not self.user.strip() or _has_control(self.user)):
            raise ValueError("user is empty or holds a control character")
        self.secret()
        return self

    def secret(self) -> str:
        """The password; empty where nobody logs in. Raises ValueError, which does not repeat it."""
        if self.password_file is not None:
            try:
                found = read_secret(None, self.password_file, "password")
            except ConfigError as error:
                raise ValueError(str(error)) from None
            secret = found.get_secret_value() if found else ""
        elif self.password is not None:
            secret = self.password.get_secret_value()
        else:
            return ""
        if not secret or _has_control(secret):
            raise ValueError("the password is empty, or holds a line break or a control character")
        return secret


def _has_control(text: str) -> bool:
    return any(unicodedata.category(c) in ("Cc", "Cs") for c in text)


_own_name: list[str] = []


def own_name(ask: Callable[[], str] | None = None, seconds: float = NAME_SECONDS) -> str:
    """What we call ourselves to a server. `smtplib` would ask the name server at each send, for as long as that takes
    to answer; it is asked until it has answered once in time."""
    if not _own_name:
        with suppress(TimeoutError, OSError):
            _own_name.append(within(seconds, ask or _ask_for_name, "own-name"))
    return _own_name[0] if _own_name else "[127.0.0.1]"


def _ask_for_name() -> str:
    name = socket.getfqdn()
    return name if "." in name else f"[{socket.gethostbyname(socket.gethostname())}]"


class _Smtp(smtplib.SMTP):
    """Held by the scope of its send from the first byte on."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return hold(super()._get_socket(host, port, timeout))  # type: ignore[misc, no-any-return]


class _SmtpUnderTls(smtplib.SMTP_SSL):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # Before it, the handshake as a whole has the time of one step.
        return hold(super()._get_socket(host, port, timeout))  # type: ignore[misc, no-any-return]


class Email:
    in_house = False
    wakes = False
    documents = True

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._from = mailbox(settings.sender)

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        address = checked(check_target, target)
        try:
            secret = self._settings.secret()
        except ValueError:
            raise ChannelError(FailureReason.LOGIN, permanent=True) from None
        return partial(self._deliver, address, self._message(card, address, note), secret)

    def _deliver(self, address: str, message: bytes, secret: str) -> tuple[str, ...]:
        server = self._server()
        with time_limit(min(4 * self._settings.timeout, LONGEST_SEND)):
            try:
                self._connect(server)
                self._begin(server, secret)
                options = []
                if not address.isascii():
                    if not server.has_extn("smtputf8"):
                        raise ChannelError(FailureReason.NO_SMTPUTF8, permanent=True)
                    options = ["SMTPUTF8", "BODY=8BITMIME"]
                _check(server.mail(self._from.address, options), FailureReason.REFUSED)
                _check(server.rcpt(address), FailureReason.BAD_TARGET)
                _check(_data(server, message), FailureReason.REFUSED)
            except (smtplib.SMTPException, OSError):
                raise ChannelError(FailureReason.BROKEN_OFF, permanent=False) from None
            finally:
                # The message is accepted or not by now; nobody waits for the answer to a goodbye.
                with suppress(smtplib.SMTPException, OSError):
                    server.putcmd("quit")
                server.close()
        return ()

    def _server(self) -> smtplib.SMTP:
        s = self._settings
        if s.encryption == "tls":
            return _SmtpUnderTls(local_hostname=own_name(), timeout=s.timeout, context=ssl.create_default_context())
        return _Smtp(local_hostname=own_name(), timeout=s.timeout)

    def _connect(self, server: smtplib.SMTP) -> None:
        s = self._settings
        # Else STARTTLS checks the certificate against an empty name: only a host given at once is kept.
        server._host = s.host  # type: ignore[attr-defined]
        try:
            code, _ = server.connect(s.host, s.port)
        except ssl.SSLError as error:
            raise _insecure(error) from None
        except (smtplib.SMTPException, OSError):
            raise ChannelError(FailureReason.UNREACHABLE, permanent=False) from None
        if code != 220:
            raise _error(code, FailureReason.REFUSED)

    def _begin(self, server: smtplib.SMTP, secret: str) -> None:
        s = self._settings
        try:
            if s.encryption == "starttls":
                server.starttls(context=ssl.create_default_context())
            server.ehlo_or_helo_if_needed()
            if s.user is not None:
                _login(server, s.user, secret)
        except smtplib.SMTPAuthenticationError as error:
            raise _error(error.smtp_code, FailureReason.LOGIN) from None
        except smtplib.SMTPResponseException as error:
            raise _error(error.smtp_code, FailureReason.REFUSED) from None
        except smtplib.SMTPNotSupportedError:
            raise ChannelError(FailureReason.INSECURE, permanent=True) from None
        except ssl.SSLError as error:
            raise _insecure(error) from None

    def _message(self, card: Card, address: str, note: SendNote) -> bytes:
        domain = self._from.address.rpartition("@")[2]
        alert = re.sub(r"[^A-Za-z0-9_-]", "-", note.alert)[:LONGEST_LOCAL]
        headers = {
            "Subject": _encoded("Subject", one_line(card.subject)),
            "From": _named(self._from),
            "To": address,
            "Date": format_datetime(note.at),
            "Message-ID": f"<{note.intent}@{domain}>",
            "References": f"<{alert}@{domain}>",
            "Auto-Submitted": "auto-generated",
        }
        if card.urgent:
            headers |= {"Importance": "high", "X-Priority": "1"}
        body = EmailMessage(policy=SMTP)
        body.set_content(_writable(card.text), charset="utf-8", cte="quoted-printable")
        if card.html:
            html = _writable(card.html)
            body.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + body.as_bytes(policy=SMTP)


def _writable(text: str) -> str:
    """Half a surrogate from a command line, which UTF-8 cannot write, must not cost the alert."""
    return text.encode("utf-8", "replace").decode()


def _encoded(header: str, text: str) -> str:
    """Encoded words all through, so that no blank of the text stands where a line is folded."""
    return Header(text, charset="utf-8", header_name=header, maxlinelen=LONGEST_WORD).encode(linesep="\r\n")


def _named(box: Mailbox) -> str:
    if not box.name:
        return box.address
    if box.name.isascii():
        return formataddr((box.name, box.address))
    return f"{_encoded('From', box.name)}\r\n <{box.address}>"


def _login(server: smtplib.SMTP, user: str, secret: str) -> None:
    """In UTF-8 where it is not ASCII, which `smtplib` cannot do. Raises ChannelError or smtplib's errors."""
    offered = server.esmtp_features.get("auth", "").upper().split()
    ascii_only = user.isascii() and secret.isascii()
    if ascii_only and {"CRAM-MD5", "PLAIN", "LOGIN"}.intersection(offered):
        server.login(user, secret)
        return
    if "PLAIN" in offered:
        words = ["AUTH PLAIN", _base64(f"\0{user}\0{secret}")]
    elif "LOGIN" in offered:
        words = ["AUTH LOGIN", _base64(user), _base64(secret)]
    else:
        raise ChannelError(FailureReason.LOGIN, permanent=True)
    # Each on a line of its own: together they may be longer than a command is allowed to be.
    for word in words:
        answer = server.docmd(word)
        if answer[0] != 334:
            break
    _check(answer, FailureReason.LOGIN)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _data(server: smtplib.SMTP, body: bytes) -> Answer:
    try:
        return server.data(body)
    except smtplib.SMTPDataError as error:
        return error.smtp_code, b""
    except (smtplib.SMTPException, OSError):
        # From DATA on the far end may have taken it before the line broke.
        raise ChannelError(FailureReason.NO_ANSWER, permanent=False) from None


def _check(answer: Answer, reason: FailureReason) -> None:
    if answer[0] // 100 != 2:
        raise _error(answer[0], reason)


def _error(code: int, reason: FailureReason) -> ChannelError:
    permanent = code // 100 == 5
    return ChannelError(reason if permanent else FailureReason.BUSY, permanent=permanent, code=code)


def _insecure(error: ssl.SSLError) -> ChannelError:
    return ChannelError(FailureReason.INSECURE, permanent=isinstance(error, ssl.SSLCertVerificationError))


def open_channel(settings: Mapping[str, Any]) -> Email:
    return Email(SmtpSettings.model_validate(settings))


def doubts(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What may be meant so and most often is not: option and why."""
    settings = SmtpSettings.model_validate(options)
    if settings.user is not None and settings.encryption == "none" and not is_loopback(settings.host):
        yield "encryption", "none sends the password in the clear; write starttls or tls"


TYPE = ChannelType(open=open_channel, check=check_target, doubts=doubts)
