"""All settings, typed: one tree, from settings.yaml and the environment over it. Flags come last, at the commands.

Unknown keys and unknown `LYTTEPOST_` variables are errors that name the file and line, or the variable. Secrets are
`SecretStr`, and each can be read from a file (`…_file`), so that no secret need stand in the environment.

Why not pydantic-settings: a mode switch reads two settings without importing pydantic, so finding, reading and merging
is done in `listener.config` for everybody; and pydantic-settings passes over unknown variables.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError

from listener.bus.kafka_settings import KafkaSettings
from listener.bus.topics import Retention
from listener.config import Loc, RawSettings, mend, raw_settings
from listener.errors import ConfigError
from listener.records import AuthorClass
from listener.tariff import Budget, Prices, Tariff
from listener.tree import Duration, Tree

SHOWN = frozenset({"host", "encryption", "from", "sender", "user", "texts"})
"""Words under `channels` that are no secret, beside `…_file`. Anything else may be one: an address with a key in it,
a header, a misspelt `password`."""


def _veil(value: Any, key: str = "") -> Any:
    """Every text below becomes a secret, unless its key is known to be none."""
    if isinstance(value, dict):
        return {name: _veil(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_veil(inner, key) for inner in value]
    return SecretStr(value) if isinstance(value, str) and key not in SHOWN and not key.endswith("_file") else value


Channels = Annotated[dict[str, dict[str, Any]], AfterValidator(_veil)]


def parse_speed(text: str) -> float | None:
    """`max` → None, `60` → 60.0. Raises ValueError."""
    if text.strip() == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        raise ValueError(f"speed {text!r}: write max, or how many times as fast as it happened, such as 60") from None
    if not 0 < speed < float("inf"):
        raise ValueError(f"speed {text!r}: must be above 0")
    return speed


def _known_speed(text: str) -> str:
    parse_speed(text)
    return text


class BusSettings(Tree):
    url: str = "embedded:"
    partitions: int = Field(default=1, ge=1, le=256)
    kafka: KafkaSettings = KafkaSettings()


class ModeSettings(Tree):
    lookback: Duration = timedelta(hours=6)
    review_after: Duration = timedelta(hours=4)


class RecordingSettings(Tree):
    path: Path | None = None
    speed: Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_known_speed)] = "1"


class SourcesSettings(Tree):
    recording: RecordingSettings = RecordingSettings()


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://api.x.com")
    return text.rstrip("/")


class XCountsSettings(Tree):
    every: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(hours=1))] = timedelta(minutes=5)


class XSettings(Tree):
    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.x.com"
    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None
    reposts: bool = True
    counts: XCountsSettings = XCountsSettings()
    prices: Prices = Prices()
    budget: Budget = Budget()

    @property
    def tariff(self) -> Tariff:
        return Tariff(self.prices, self.budget)


class NamedAccounts(Tree):
    public_body: tuple[str, ...] = ()
    media: tuple[str, ...] = ()

    def classes(self) -> dict[str, AuthorClass]:
        """Handle without @, lower case → whose it is."""
        named = [(h, AuthorClass.PUBLIC_BODY) for h in self.public_body] + [(h, AuthorClass.MEDIA) for h in self.media]
        return {handle.removeprefix("@").casefold(): kind for handle, kind in named}


class PrivacySettings(Tree):
    key_file: Path | None = None
    named_accounts: NamedAccounts = NamedAccounts()

    @property
    def key_path(self) -> Path:
        if self.key_file:
            return self.key_file.expanduser()
        from platformdirs import user_config_path

        return user_config_path("lyttepost", appauthor=False) / "pseudonym.key"


class RetentionSettings(Tree):
    content: Duration = timedelta(days=30)
    baseline: Duration = timedelta(days=365)
    archive: Duration = timedelta(days=3650)
    deadletters: Duration = timedelta(days=14)

    def keep(self) -> dict[Retention, timedelta]:
        return {
            Retention.PRIVACY: self.content,
            Retention.BASELINE: self.baseline,
            Retention.ARCHIVE: self.archive,
            Retention.DEADLETTERS: self.deadletters,
        }


class RulesSettings(Tree):
    allowed_lateness: Duration = timedelta(seconds=10)


class WebSettings(Tree):
    host: str = "127.0.0.1"
    port: int = Field(default=9469, ge=0, le=65535)


class Settings(Tree):
    """The whole tree. `channels` is typed by the channels themselves, which live in the room next door and read the
    raw settings; here it is only for show, its texts veiled."""

    language: Literal["nb", "en"] = "nb"
    bus: BusSettings = BusSettings()
    mode: ModeSettings = ModeSettings()
    sources: SourcesSettings = SourcesSettings()
    x: XSettings = XSettings()
    privacy: PrivacySettings = PrivacySettings()
    retention: RetentionSettings = RetentionSettings()
    rules: RulesSettings = RulesSettings()
    web: WebSettings = WebSettings()
    channels: Channels = Field(default_factory=dict)


def load_settings(raw: RawSettings | None = None) -> Settings:
    """Read and check them all. Raises ConfigError with every mistake, each with its place and mend."""
    raw = raw or raw_settings()
    try:
        return Settings.model_validate(raw.tree)
    except ValidationError as error:
        raise explain(raw, error) from None


def kafka_settings(raw: RawSettings) -> KafkaSettings:
    """These alone, for a command that must not stumble over what else the settings hold. Raises ConfigError."""
    try:
        return KafkaSettings.model_validate(raw.get("bus.kafka", {}))
    except ValidationError as error:
        raise explain(raw, error, ("bus", "kafka")) from None


def explain(raw: RawSettings, error: ValidationError, prefix: Loc = ()) -> ConfigError:
    """What pydantic refused of the settings → one line each, with the variable or the file and line it came from."""
    problems = error.errors(include_input=False, include_url=False)
    return ConfigError("\n".join(str(raw.error(prefix + p["loc"], mend(p))) for p in problems))
