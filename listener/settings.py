"""All settings, typed: one tree, from settings.yaml and the environment over it. Flags come last, at the commands.

Unknown keys and unknown `LYTTEPOST_` variables are errors that name the file and line, or the variable. Secrets are
`SecretStr`, and each can be read from a file (`…_file`), so that no secret need stand in the environment.

Why not pydantic-settings: a mode switch reads two settings without importing pydantic, so finding, reading and merging
is done in `listener.config` for everybody; and pydantic-settings passes over unknown variables.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from listener.bus.topics import Retention
from listener.config import ENV_PREFIX, Loc, RawSettings, raw_settings
from listener.errors import ConfigError
from listener.records import AuthorClass
from listener.units import parse_duration


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration like 10s, 5m, 6h or 30d")
    return parse_duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration)]


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


class Tree(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BusSettings(Tree):
    url: str = "embedded:"
    partitions: int = Field(default=1, ge=1, le=256)


class ModeSettings(Tree):
    lookback: Duration = timedelta(hours=6)
    review_after: Duration = timedelta(hours=4)


class RecordingSettings(Tree):
    path: Path | None = None
    speed: str = "1"

    @model_validator(mode="after")
    def _known_speed(self) -> Self:
        parse_speed(self.speed)
        return self


class SourcesSettings(Tree):
    recording: RecordingSettings = RecordingSettings()


class XSettings(Tree):
    base_url: str = "https://api.x.com"
    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None


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
    """The whole tree. `channels` is typed by the channels themselves, which live in the room next door."""

    language: Literal["nb", "en"] = "nb"
    bus: BusSettings = BusSettings()
    mode: ModeSettings = ModeSettings()
    sources: SourcesSettings = SourcesSettings()
    x: XSettings = XSettings()
    privacy: PrivacySettings = PrivacySettings()
    retention: RetentionSettings = RetentionSettings()
    rules: RulesSettings = RulesSettings()
    web: WebSettings = WebSettings()
    channels: dict[str, dict[str, Any]] = Field(default_factory=dict)


def load_settings(raw: RawSettings | None = None) -> Settings:
    """Read and check them all. Raises ConfigError with every mistake, each with its place and mend."""
    raw = raw or raw_settings()
    try:
        return Settings.model_validate(raw.tree)
    except ValidationError as error:
        raise explain(raw, error) from None


def explain(raw: RawSettings, error: ValidationError, prefix: Loc = ()) -> ConfigError:
    """What pydantic refused of the settings → one line each, with the variable or the file and line it came from."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        loc = prefix + problem["loc"]
        variable = _variable(raw.env, loc)
        message = "no such setting" if problem["type"] == "extra_forbidden" else problem["msg"]
        message = message.removeprefix("Value error, ")
        if variable:
            lines.append(f"{variable}: {message}; unset it or mend it")
        else:
            lines.append(str(raw.file.error(loc, message)))
    return ConfigError("\n".join(lines))


def _variable(env: Any, loc: Loc) -> str | None:
    names: list[str] = []
    for part in loc:
        if not isinstance(env, dict) or part not in env:
            break
        names.append(str(part))
        env = env[part]
    if not names or (isinstance(env, dict) and len(names) < len(loc)):
        return None
    return ENV_PREFIX + "__".join(names).upper()


def read_secret(value: SecretStr | None, file: Path | None, name: str) -> SecretStr | None:
    """The secret, from the setting or else from its file. Raises ConfigError when both are set or the file is unfit."""
    if file is None:
        return value
    if value is not None:
        raise ConfigError(f"{name} and {name}_file are both set; keep one of them")
    try:
        text = file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}_file: {file} cannot be read ({type(error).__name__})") from None
    if not text:
        raise ConfigError(f"{name}_file: {file} is empty")
    return SecretStr(text)
