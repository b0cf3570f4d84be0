"""E-mail by SMTP. Leaves the house: the card it is given holds no post's text.

The Message-ID is made from the intent, so that a repeat carries the same one and mail systems can drop it; `References`
threads all messages of one alert. 4xx answers are temporary, 5xx permanent; a refused login is permanent, because
trying a wrong password again only locks the account: the alert's next step tries anew.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from alerts.card import Card
from alerts.channels import ChannelError, Reason, SendNote


class SmtpSettings(BaseModel):
    """`encryption`: STARTTLS, TLS from the first byte, or none. `timeout` is seconds for each step of the talk."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    host: str
    port: int = Field(default=587, ge=1, le=65535)
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(validation_alias=AliasChoices("from", "sender"))
    user: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    timeout: float = Field(default=10.0, gt=0, le=30)

    @field_validator("sender")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if "@" not in parseaddr(value)[1] or not value.isascii():
            raise ValueError("must be an e-mail address in ASCII letters")
        return value

    @model_validator(mode="after")
    def _complete(self) -> SmtpSettings:
        if self.user is not None and (self.password is None) == (self.password_file is None):
            raise ValueError("a user needs either password or password_file")
        if self.password_file is not None and not self.password_file.is_file():
            raise ValueError("password_file: no such file")
        return self

    def secret(self) -> str:
        if self.password_file is not None:
            return self.password_file.read_text(encoding="utf-8").strip()
        return self.password.get_secret_value() if self.password else ""


class Email:
    in_house = False

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._from = parseaddr(settings.sender)[1]

    def send(self, card: Card, target: str, *, note: SendNote) -> None:
        address = parseaddr(target)[1]
        if "@" not in address or not address.isascii():
            raise ChannelError(Reason.BAD_TARGET, permanent=True)
        body = self._message(card, address, note).as_bytes(policy=SMTP)
        server = self._connect()
        try:
            self._begin(server)
            _check(server.mail(self._from), Reason.REFUSED)
            _check(server.rcpt(address), Reason.BAD_TARGET)
            _check(_data(server, body), Reason.REFUSED)
        except (smtplib.SMTPException, OSError):
            raise ChannelError(Reason.BROKEN_OFF, permanent=False) from None
        finally:
            # The message is accepted or not by now; nobody waits for the answer to a goodbye.
            with suppress(smtplib.SMTPException, OSError):
                server.putcmd("quit")
            server.close()

    def _connect(self) -> smtplib.SMTP:
        s = self._settings
        try:
            if s.encryption == "tls":
                return smtplib.SMTP_SSL(s.host, s.port, timeout=s.timeout, context=ssl.create_default_context())
            return smtplib.SMTP(s.host, s.port, timeout=s.timeout)
        except smtplib.SMTPResponseException as error:
            raise _error(error.smtp_code, Reason.REFUSED) from None
        except ssl.SSLError as error:
            raise _insecure(error) from None
        except (smtplib.SMTPException, OSError, UnicodeError):
            raise ChannelError(Reason.UNREACHABLE, permanent=False) from None

    def _begin(self, server: smtplib.SMTP) -> None:
        s = self._settings
        try:
            if s.encryption == "starttls":
                server.starttls(context=ssl.create_default_context())
            if s.user is not None:
                server.login(s.user, s.secret())
            server.ehlo_or_helo_if_needed()
        except smtplib.SMTPAuthenticationError as error:
            raise _error(error.smtp_code, Reason.LOGIN) from None
        except smtplib.SMTPResponseException as error:
            raise _error(error.smtp_code, Reason.REFUSED) from None
        except smtplib.SMTPNotSupportedError:
            raise ChannelError(Reason.INSECURE, permanent=True) from None
        except ssl.SSLError as error:
            raise _insecure(error) from None

    def _message(self, card: Card, address: str, note: SendNote) -> EmailMessage:
        domain = self._from.rpartition("@")[2]
        message = EmailMessage(policy=SMTP)
        message["Subject"] = card.subject
        message["From"] = self._settings.sender
        message["To"] = address
        message["Date"] = format_datetime(note.at)
        message["Message-ID"] = f"<{note.intent}@{domain}>"
        message["References"] = f"<{note.alert}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        if card.urgent:
            message["Importance"] = "high"
            message["X-Priority"] = "1"
        message.set_content(card.text, charset="utf-8", cte="quoted-printable")
        return message


def _data(server: smtplib.SMTP, body: bytes) -> tuple[int, bytes]:
    try:
        return server.data(body)
    except smtplib.SMTPDataError as error:
        return error.smtp_code, b""
    except (smtplib.SMTPException, OSError):
        # From DATA on the far end may have taken it before the line broke.
        raise ChannelError(Reason.NO_ANSWER, permanent=False) from None


def _check(answer: tuple[int, bytes], reason: Reason) -> None:
    if answer[0] // 100 != 2:
        raise _error(answer[0], reason)


def _error(code: int, reason: Reason) -> ChannelError:
    permanent = code // 100 == 5
    return ChannelError(reason if permanent else Reason.BUSY, permanent=permanent, code=code)


def _insecure(error: ssl.SSLError) -> ChannelError:
    return ChannelError(Reason.INSECURE, permanent=isinstance(error, ssl.SSLCertVerificationError))


def open_channel(settings: Mapping[str, Any]) -> Email:
    return Email(SmtpSettings.model_validate(settings))
