"""All settings, typed: one tree, from settings.yaml and the environment over it. Flags come last, at the commands.

Unknown keys and unknown `LYTTEPOST_` variables are errors that name the file and line, or the variable. Secrets are
`SecretStr`, and each can be read from a file (`…_file`), so that no secret need stand in the environment.

Why not pydantic-settings: a mode switch reads two settings without importing pydantic, so finding, reading and merging
is done in `listener.settings.files` for everybody; and pydantic-settings passes over unknown variables.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator

from listener.errors import ConfigError
from listener.model.codec import MAX_LOOKBACK, MAX_REVIEW, MIN_REVIEW
from listener.model.records import AuthorClass
from listener.model.topics import Retention
from listener.model.tracks import account_track
from listener.settings.addresses import api_address, feed_address
from listener.settings.bluesky import BlueskySettings
from listener.settings.board import BoardSettings
from listener.settings.bus_address import check_url
from listener.settings.deadman import DeadManSettings
from listener.settings.facebook import FacebookSettings
from listener.settings.files import Loc, RawSettings, advice, raw_settings
from listener.settings.followed import plain
from listener.settings.highlights import HighlightsSettings
from listener.settings.instagram import InstagramSettings
from listener.settings.kafka import KafkaSettings
from listener.settings.linkedin import LinkedInSettings
from listener.settings.listened_feeds import FeedsSettings
from listener.settings.mastodon import MastodonSettings
from listener.settings.meta import MetaSettings
from listener.settings.prices import Budget, Prices, Tariff
from listener.settings.receiver import ReceiverSettings, known_host
from listener.settings.types import AnyPath, Duration, FilePath, Tree, within
from listener.settings.webhooks import WebhooksSettings
from listener.settings.youtube import YoutubeSettings
from listener.settings.zone import DEFAULT_ZONE, find_zone

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


SLOWEST, FASTEST = 0.01, 1_000_000
"""Times as fast as it happened. Beyond these it is a slip."""


def parse_speed(text: str) -> float | None:
    """`max` → None, `60` → 60.0. Raises ValueError."""
    if text.strip() == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        raise ValueError(f"speed {text!r}: write max, or how many times as fast as it happened, such as 60") from None
    if not SLOWEST <= speed <= FASTEST:
        raise ValueError(f"speed {text!r}: must be between {SLOWEST:g} and {FASTEST:g}; max is as fast as it goes")
    return speed


def _known_speed(text: str) -> str:
    parse_speed(text)
    return text


def _bus_url(text: str) -> str:
    check_url(text)
    return text


class BusSettings(Tree):
    url: Annotated[str, AfterValidator(_bus_url)] = "embedded:"
    partitions: int = Field(default=1, ge=1, le=256)
    kafka: KafkaSettings = KafkaSettings()


class ModeSettings(Tree):
    """`lookback` is at most what X's search reaches back to. `listener.runtime.switching` reads both by hand."""

    lookback: Annotated[Duration, within(timedelta(), MAX_LOOKBACK)] = timedelta(hours=6)
    review_after: Annotated[Duration, within(MIN_REVIEW, MAX_REVIEW)] = timedelta(hours=4)


class ReportSettings(Tree):
    every: Annotated[Duration, within(timedelta(minutes=30), timedelta(days=1))] | None = None


class CanarySettings(Tree):
    every: Annotated[Duration, within(timedelta(seconds=1), timedelta(days=1))] | None = timedelta(hours=1)


class RecordingSettings(Tree):
    path: AnyPath | None = None
    speed: Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_known_speed)] = "1"


class SourcesSettings(Tree):
    recording: RecordingSettings = RecordingSettings()


class XCountsSettings(Tree):
    every: Annotated[Duration, within(timedelta(minutes=1), timedelta(hours=1))] = timedelta(minutes=5)


class XDeletionsSettings(Tree):
    by: Literal["jobs", "lookup"] = "jobs"


class XSettings(Tree):
    base_url: Annotated[str, AfterValidator(api_address)] = "https://api.x.com"
    bearer_token: SecretStr | None = None
    bearer_token_file: FilePath | None = None
    reposts: bool = True
    counts: XCountsSettings = XCountsSettings()
    deletions: XDeletionsSettings = XDeletionsSettings()
    prices: Prices = Prices()
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _may_hear_a_post(self) -> XSettings:
        if not self.budget.ceiling and any(self.prices.model_dump().values()):
            raise ValueError(
                "budget.ceiling is 0: listening would stop at the first post; set what a month may cost, or all prices "
                "to 0 where the fee is fixed"
            )
        return self

    @property
    def tariff(self) -> Tariff:
        return Tariff(self.prices, self.budget)


def _handle(text: str) -> str:
    account_track(text)
    return text


Handle = Annotated[str, AfterValidator(_handle)]


class NamedAccounts(Tree):
    public_body: tuple[Handle, ...] = ()
    media: tuple[Handle, ...] = ()

    @model_validator(mode="after")
    def _one_class_each(self) -> NamedAccounts:
        bodies, media = ({_plain(handle) for handle in handles} for handles in (self.public_body, self.media))
        if both := sorted(bodies & media):
            raise ValueError(f"@{both[0]} is under public_body and under media; keep one of them")
        return self

    def classes(self) -> dict[str, AuthorClass]:
        """Handle without @, lower case → whose it is."""
        named = [(h, AuthorClass.PUBLIC_BODY) for h in self.public_body] + [(h, AuthorClass.MEDIA) for h in self.media]
        return {_plain(handle): kind for handle, kind in named}


def _plain(handle: str) -> str:
    return handle.strip().removeprefix("@").casefold()


def _basis(text: str) -> str:
    if not text.strip():
        raise ValueError("write on what basis this person's account may be followed, or leave it out")
    return text


class PrivacySettings(Tree):
    key_file: FilePath | None = None
    named_accounts: NamedAccounts = NamedAccounts()
    followed_persons: dict[Handle, Annotated[str, AfterValidator(_basis)]] = Field(default_factory=dict)

    @property
    def may_be_followed(self) -> frozenset[str]:
        """The accounts that a track may follow, without @, in lower case."""
        return frozenset(map(plain, (*self.named_accounts.classes(), *self.followed_persons)))

    @property
    def key_path(self) -> Path:
        if self.key_file:
            return self.key_file.expanduser()
        from platformdirs import user_config_path

        return user_config_path("lyttepost", appauthor=False) / "pseudonym.key"


class RetentionSettings(Tree):
    """Content that is gone before it was judged makes no alert: an hour is the least. Archives end after a century."""

    content: Annotated[Duration, within(timedelta(hours=1), timedelta(days=3650))] = timedelta(days=30)
    baseline: Annotated[Duration, within(timedelta(days=1), timedelta(days=36500))] = timedelta(days=365)
    archive: Annotated[Duration, within(timedelta(days=1), timedelta(days=36500))] = timedelta(days=3650)
    deadletters: Annotated[Duration, within(timedelta(hours=1), timedelta(days=3650))] = timedelta(days=14)
    sources: dict[str, Annotated[Duration, within(timedelta(hours=4), timedelta(days=3650))]] = Field(
        default_factory=dict
    )
    """`listener.sources.contract.content_limits` joins them with what the platforms' terms allow."""

    @model_validator(mode="after")
    def _alerts_outlive_posts(self) -> RetentionSettings:
        if self.archive < self.content:
            raise ValueError("archive is shorter than content: posts would outlive the record of who was alerted")
        return self

    def keep(self) -> dict[Retention, timedelta]:
        return {
            Retention.PRIVACY: self.content,
            Retention.BASELINE: self.baseline,
            Retention.ARCHIVE: self.archive,
            Retention.DEADLETTERS: self.deadletters,
        }


class RulesSettings(Tree):
    allowed_lateness: Annotated[Duration, within(timedelta(), timedelta(hours=1))] = timedelta(seconds=10)


class Tier(StrEnum):
    """How thoroughly a text is read."""

    DEFAULT = "default"
    BETTER = "better"


class UnderstandingSettings(Tree):
    tier: Tier = Tier.DEFAULT


class PublishedSettings(Tree):
    feeds: tuple[Annotated[str, AfterValidator(feed_address)], ...] = ()


def _known_zone(text: str) -> str:
    find_zone(text)
    return text


class WebSettings(Tree):
    host: Annotated[str, AfterValidator(known_host)] = "127.0.0.1"
    port: int = Field(default=9469, ge=0, le=65535)


class Settings(Tree):
    """The whole tree. `channels` is typed by the channels themselves, which live in `alerts` and read the
    raw settings; here it is only for show, its texts veiled."""

    language: Literal["nb", "en"] = "nb"
    timezone: Annotated[str, AfterValidator(_known_zone)] = DEFAULT_ZONE
    bus: BusSettings = BusSettings()
    mode: ModeSettings = ModeSettings()
    report: ReportSettings = ReportSettings()
    canary: CanarySettings = CanarySettings()
    deadman: DeadManSettings = DeadManSettings()
    sources: SourcesSettings = SourcesSettings()
    x: XSettings = XSettings()
    bluesky: BlueskySettings = BlueskySettings()
    feeds: FeedsSettings = FeedsSettings()
    linkedin: LinkedInSettings = LinkedInSettings()
    mastodon: MastodonSettings = MastodonSettings()
    meta: MetaSettings = MetaSettings()
    facebook: FacebookSettings = FacebookSettings()
    youtube: YoutubeSettings = YoutubeSettings()
    instagram: InstagramSettings = InstagramSettings()
    privacy: PrivacySettings = PrivacySettings()
    retention: RetentionSettings = RetentionSettings()
    rules: RulesSettings = RulesSettings()
    understanding: UnderstandingSettings = UnderstandingSettings()
    published: PublishedSettings = PublishedSettings()
    highlights: HighlightsSettings = HighlightsSettings()
    web: WebSettings = WebSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    receiver: ReceiverSettings | None = None
    board: BoardSettings | None = BoardSettings()
    channels: Channels = Field(default_factory=dict)


def load_settings(raw: RawSettings | None = None) -> Settings:
    """Read and check them all. Raises ConfigError with every mistake, each with its place and what to do."""
    raw = raw or raw_settings()
    try:
        return Settings.model_validate(raw.tree)
    except ValidationError as error:
        raise explain(raw, error) from None


NOBODY_NAMED = (
    "is empty: newsrooms and public bodies are known by what the platform and their words say only; name them there"
)


def nobody_named(raw: RawSettings, settings: Settings) -> ConfigError | None:
    """The doubt that comes with empty `privacy.named_accounts`, with its place; None where they name somebody."""
    named = settings.privacy.named_accounts.classes()
    return None if named else raw.error(("privacy", "named_accounts"), NOBODY_NAMED)


def kafka_settings(raw: RawSettings) -> KafkaSettings:
    """These alone, for a command that must not stumble over what else the settings hold. Raises ConfigError."""
    try:
        return KafkaSettings.model_validate(raw.get("bus.kafka", {}))
    except ValidationError as error:
        raise explain(raw, error, ("bus", "kafka")) from None


def explain(raw: RawSettings, error: ValidationError, prefix: Loc = ()) -> ConfigError:
    """What pydantic refused of the settings → one line each, with the variable or the file and line it came from."""
    problems = error.errors(include_input=False, include_url=False)
    return ConfigError("\n".join(str(raw.error(prefix + p["loc"], advice(p))) for p in problems))
