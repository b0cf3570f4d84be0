"""Why no connection came about: kafka-python tries until its time is up, raises a time-out and only logs the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors

_LOGGER = logging.getLogger("kafka.net.manager")
_TIME_UP = (errors.KafkaTimeoutError, errors.RequestTimedOutError)
"""Say nothing: the last try is cut short by the time-out that we ask about."""
_REFUSALS = (errors.SaslAuthenticationFailedError, errors.AuthorizationError)

logging.getLogger("kafka").setLevel(logging.WARNING)
# Where nobody has set up a log, in a command, what it says would be printed between our own words.
logging.getLogger("kafka").addHandler(logging.NullHandler())
# At DEBUG it logs the options of a client, password and all, and what goes over the wire.


class Overheard(logging.Filter):
    """The most telling exception that the client logged: a refusal, even if no later try came as far."""

    told: BaseException | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        for said in record.args if isinstance(record.args, tuple) else ():
            if isinstance(said, BaseException) and not isinstance(said, _TIME_UP) and not self._refused:
                self.told = said
        return True

    @property
    def _refused(self) -> bool:
        return self.told is not None and (isinstance(self.told, _REFUSALS) or tls_refusal(self.told) is not None)

    def reason(self, raised: BaseException) -> BaseException:
        """What lies behind a time-out; any other exception speaks for itself."""
        return self.told if self.told is not None and isinstance(raised, _TIME_UP) else raised


@contextmanager
def overhearing() -> Iterator[Overheard]:
    """Listen to the client's log meanwhile. Two that connect at once hear each other; they ask the same cluster."""
    ear = Overheard()
    _LOGGER.addFilter(ear)
    try:
        yield ear
    finally:
        _LOGGER.removeFilter(ear)


def tls_refusal(error: BaseException) -> str | None:
    """The words of a TLS handshake that failed, or None: the client keeps no type for it."""
    text = str(error)
    if "[SSL" not in text:
        return None
    return text.partition("[SSL")[2].partition("]")[2].partition("(_ssl")[0].strip() or "the handshake failed"
