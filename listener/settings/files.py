"""Finding and reading configuration: the folder, YAML with line numbers, and the environment over it.

Nothing here imports pydantic, because a mode switch reads its two or three settings through this module alone
(`listener.settings.schema` adds types for everybody else).

YAML is read as version 1.2 means it: `no` is the Norwegian language and not `false`, `1:30` is text. A few lines of
aliases can stand for more values than any memory holds, so what they bring in is counted before anything is built.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from listener.errors import ConfigError
from listener.permissions import open_regular

if TYPE_CHECKING:
    from pydantic import ValidationError

Loc = tuple[str | int, ...]

ENV_PREFIX = "LYTTEPOST_"
ENV_OWN = {"LYTTEPOST_CONFIG", "LYTTEPOST_DATA", "LYTTEPOST_CRASH"}
"""Variables that are no settings: where the folders are, and the crash point that a test names."""
ENV_TESTS = {"LYTTEPOST_EVALUATION_DATA", "LYTTEPOST_EXAMPLES", "LYTTEPOST_SEEDS", "LYTTEPOST_TEST_KAFKA"}


SECTIONS = frozenset(
    {
        "language",
        "timezone",
        "bus",
        "mode",
        "highlights",
        "report",
        "canary",
        "deadman",
        "sources",
        "x",
        "bluesky",
        "facebook",
        "feeds",
        "linkedin",
        "mastodon",
        "meta",
        "webhooks",
        "youtube",
        "instagram",
        "privacy",
        "retention",
        "rules",
        "understanding",
        "published",
        "web",
        "receiver",
        "board",
        "channels",
    }
)
"""The settings' first level, for those who must not wait for `listener.settings.schema`."""


LARGEST = 1_000_000
"""Bytes of one YAML file."""
DEEPEST = 50
"""Levels of lists and mappings within each other."""
MAX_ALIASED = 1_000
"""Values that all aliases (`*name`) of one file may stand for, those within the named ones counted each time; a text
counts once more for each thousand characters."""

_ENDLESS = f"nested too deeply, or an alias stands in what it names; at most {DEEPEST} levels may lie in each other"
_TOO_MUCH = f"the aliases up to *{{name}} stand for more than {MAX_ALIASED:,} values; write out what is needed"

_TEXT = "tag:yaml.org,2002:str"
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer(yaml.composer.Composer):
    """Builds no node of a text that is too deep, or whose aliases stand for too much.

    PyYAML limits the depth in some versions only, and what aliases stand for in none.
    """

    peek_event: Callable[[], Any]

    def begin(self) -> None:
        self.anchors: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._nodes = self._aliased = self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            self._count(event)
            return super().compose_node(parent, index)
        if self._depth == DEEPEST:
            raise _refusal(_ENDLESS, event)
        before = self._nodes
        if isinstance(event, yaml.ScalarEvent):
            self._nodes += 1 + len(event.value) // 1_000
            if event.anchor is None:
                # Most nodes are such: as the base does it, without the questions that only others need.
                return self.compose_scalar_node(event.anchor)  # type: ignore[arg-type]  # types-PyYAML wants a mapping
        else:
            self._nodes += 1
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None:
            self._sizes[event.anchor] = self._nodes - before
        return node

    def _count(self, alias: yaml.AliasEvent) -> None:
        if alias.anchor not in self.anchors:
            return  # nothing is called so; the base says it
        if alias.anchor not in self._sizes:
            raise _refusal(_ENDLESS, alias)
        self._nodes += self._sizes[alias.anchor]
        self._aliased += self._sizes[alias.anchor]
        if self._aliased > MAX_ALIASED:
            raise _refusal(_TOO_MUCH.format(name=alias.anchor), alias)


def _refusal(what: str, event: Any) -> yaml.composer.ComposerError:
    return yaml.composer.ComposerError(None, None, what, event.start_mark)


class _Loader(_Composer, _BASE):  # type: ignore[misc]
    """YAML 1.2's core schema on PyYAML: only true and false are booleans; no dates, no base-60 numbers."""

    def __init__(self, text: str) -> None:
        _BASE.__init__(self, text)
        self.begin()

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag == _TEXT and isinstance(node, yaml.ScalarNode):
            return node.value  # as the base does it in ten steps
        return super().construct_object(node, deep=deep)

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012
    yaml_constructors: dict[Any, Any] = {  # noqa: RUF012
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (None, "tag:yaml.org,2002:null", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq")
    }


def _resolve(tag: str, pattern: str, first: Iterable[str]) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""])
_resolve("int", r"^[-+]?[0-9]+$", "-+0123456789")
_resolve("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789")


def _mapping(loader: Any, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
    seen: set[Any] = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        if isinstance(name, Hashable) and name in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{name!r} is there twice", key.start_mark)
        seen.add(name)
    result: dict[Hashable, Any] = yaml.SafeLoader.construct_mapping(loader, node, deep=deep)
    return result


def _plain_value(make: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    def construct(loader: Any, node: yaml.ScalarNode) -> Any:
        text = loader.construct_scalar(node)
        try:
            return make(text)
        except (KeyError, ValueError):
            raise yaml.constructor.ConstructorError(None, None, "is not what its tag says", node.start_mark) from None

    return construct


_BOOLEANS = {"true": True, "false": False}

_Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: _mapping(loader, node, deep=True))
_Loader.add_constructor("tag:yaml.org,2002:bool", _plain_value(lambda text: _BOOLEANS[text.lower()]))
_Loader.add_constructor("tag:yaml.org,2002:int", _plain_value(int))
_Loader.add_constructor("tag:yaml.org,2002:float", _plain_value(float))


@dataclass(frozen=True)
class YamlFile:
    """Parsed YAML that remembers where each thing stands. Its `repr` holds no value: some are secrets."""

    path: Path
    data: Any = field(repr=False)
    lines: Mapping[Loc, int] = field(repr=False)

    def line(self, loc: Loc) -> int:
        """The line of the innermost part of `loc` that is written in the file; 1 for the whole."""
        while loc:
            if loc in self.lines:
                return self.lines[loc]
            loc = loc[:-1]
        return 1

    def error(self, loc: Loc, message: str) -> ConfigError:
        """`file:line: where: message`."""
        where = ".".join(map(str, loc))
        return ConfigError(f"{self.path}:{self.line(loc)}: {where + ': ' if where else ''}{message}")

    def explain(self, error: ValidationError, prefix: Loc = ()) -> ConfigError:
        """What pydantic refused, each on its own line, with file and line. Values are not repeated."""
        problems = error.errors(include_input=False, include_url=False)
        return ConfigError("\n".join(str(self.error(self._known(prefix + p["loc"]), advice(p))) for p in problems))

    def _known(self, loc: Loc) -> Loc:
        """Without the union members' names that pydantic puts between, except a last one: a missing or unknown key."""
        out: Loc = ()
        for index, part in enumerate(loc):
            if (*out, part) in self.lines or index == len(loc) - 1:
                out = (*out, part)
        return out


_ADVICE = {
    "extra_forbidden": "no such setting; remove it or correct the spelling",
    "missing": "must be set",
    "model_type": "must be a mapping of settings",
    "dict_type": "must be a mapping",
    "string_type": "must be text; put it in quotes",
    "invalid_key": "a key must be text; put it in quotes",
}


def advice(problem: Any) -> str:
    """What pydantic refused → what to do about it, without the value."""
    return _ADVICE.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")


def load_yaml(path: Path) -> YamlFile:
    """Read one file. Raises ConfigError that names file and line."""
    try:
        with open_regular(path) as opened:
            content = opened.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(f"{path}: is larger than {LARGEST:,} bytes; this is no configuration, or cut it in parts")
        text = content.decode()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `lyttepost config init DIR` writes a complete set") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> YamlFile:
    """YAML text → data and lines. Raises ConfigError."""
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[Loc, int] = {}
        if node is not None:
            _note_lines(node, (), lines)
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = error.problem or error.context
        # From 6.0.4 on the scanner, which is some way ahead, has a limit of its own.
        problem = _ENDLESS if "nesting depth" in str(problem) else problem
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.reason}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return YamlFile(path, data, lines)


def _note_lines(node: yaml.Node, loc: Loc, lines: dict[Loc, int]) -> None:
    lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.composer.ComposerError(None, None, "a key must be plain text", key.start_mark)
            inner = (*loc, key.value)
            lines[inner] = key.start_mark.line + 1
            if not isinstance(value, yaml.ScalarNode):
                _note_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            if isinstance(value, yaml.ScalarNode):
                lines[(*loc, index)] = value.start_mark.line + 1
            else:
                _note_lines(value, (*loc, index), lines)


LONGEST_PATH, LONGEST_NAME = 4_000, 255
"""Bytes of a path and of each name in it, as Linux takes them."""


def expanded(text: str | Path) -> Path:
    """A path with `~` and `~user` filled in. Raises ValueError for one that can name nothing."""
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise ValueError(f"no user of this machine is meant by {path.partition('/')[0]!r}; write the whole path")
    if "\0" in path:
        raise ValueError("a path holds no NUL character")
    if len(os.fsencode(path)) > LONGEST_PATH or any(len(os.fsencode(n)) > LONGEST_NAME for n in path.split("/")):
        raise ValueError(f"too long a path: {LONGEST_PATH} bytes at most, and {LONGEST_NAME} for each name in it")
    return Path(path)


def packaged_config() -> Path:
    """The configuration that came with the program: inside the wheel, or beside the package in a checkout."""
    # Not by importlib.resources: its import costs more than all else that a mode switch reads.
    package = Path(__file__).parents[1]
    inside = package / "_config"
    return inside if inside.is_dir() else package.parent / "config"


def config_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`LYTTEPOST_CONFIG`, else the packaged one. Raises ConfigError when it is no folder."""
    chosen = (os.environ if environ is None else environ).get("LYTTEPOST_CONFIG")
    if not chosen:
        return packaged_config()
    try:
        folder = expanded(chosen)
    except ValueError as error:
        raise ConfigError(f"LYTTEPOST_CONFIG: {error}") from None
    if not folder.is_dir():
        raise ConfigError(f"LYTTEPOST_CONFIG={folder}: no such folder; `lyttepost config init {folder}` makes it")
    return folder


def environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Loc, str]]:
    """`LYTTEPOST_A__B=v` → {"a": {"b": v}} and {("a", "b"): its name}. Text stays as it is written.

    Lists, mappings, true, false and null are read as YAML; an empty variable is null.
    """
    tree: dict[str, Any] = {}
    names: dict[Loc, str] = {}
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX) or name in ENV_OWN | ENV_TESTS:
            continue
        *parents, last = name.removeprefix(ENV_PREFIX).lower().split("__")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"{name}: a shorter variable of that name is set too; keep one of them")
        branch[last] = _scalar(environ[name])
        names[(*parents, last)] = name
    return tree, names


def _scalar(text: str) -> Any:
    if not text.startswith(("[", "{")) and text.strip().lower() not in ("", "true", "false", "null", "~"):
        return text
    try:
        return parse_yaml(text, Path("environment")).data
    except ConfigError:
        return text


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mapping by mapping."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        out[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return out


@dataclass(frozen=True)
class RawSettings:
    """The settings before they are typed: the file's tree with the environment's over it.

    `names` says which variable gave what. The `repr` holds no value: some are secrets.
    """

    tree: Mapping[str, Any] = field(repr=False)
    file: YamlFile
    env: Mapping[str, Any] = field(repr=False)
    folder: Path
    names: Mapping[Loc, str] = field(default_factory=dict)

    def get(self, path: str, default: Any = None) -> Any:
        """`bus.url` → its value, or the default. Raises ConfigError where `bus` is there but is no mapping."""
        value: Any = self.tree
        loc: Loc = ()
        for part in path.split("."):
            if not isinstance(value, Mapping):
                raise self.error(loc, "must be a mapping of settings")
            value, loc = value.get(part), (*loc, part)
            if value is None:
                return default
        return value

    def error(self, loc: Loc, message: str) -> ConfigError:
        """What is wrong at `loc`, with the variable or else the file and line that it came from."""
        variables = self._variables(loc)
        if variables:
            return ConfigError(f"{', '.join(variables)}: {message}")
        return self.file.error(loc, message)

    def strangers(self) -> list[str]:
        """Settings of no known section, by variable or file and line: a mistyped `LYTTEPOST_BUSS__URL` is one."""
        message = "no such setting; passed over"
        return [str(self.error((name,), message)) for name in self.tree if name not in SECTIONS]

    def _variables(self, loc: Loc) -> list[str]:
        """The variables that gave what stands at `loc`: itself, else the whole it is in, else its parts."""
        value: Any = self.env
        for part in loc:
            if not isinstance(value, Mapping):
                break
            if part not in value:
                return []
            value = value[part]
        for length in range(len(loc), 0, -1):
            if loc[:length] in self.names:
                return [self.names[loc[:length]]]
        return [name for where, name in self.names.items() if where[: len(loc)] == loc]


def raw_settings() -> RawSettings:
    """settings.yaml of the configuration folder, the environment over it; read once. Raises ConfigError."""
    ours = {name: value for name, value in os.environ.items() if name.startswith(ENV_PREFIX)}
    return _raw_settings(config_dir(), frozenset(ours.items()))


@lru_cache(maxsize=1)
def _raw_settings(folder: Path, variables: frozenset[tuple[str, str]]) -> RawSettings:
    file = load_yaml(folder / "settings.yaml")
    if not isinstance(file.data or {}, dict):
        raise ConfigError(f"{file.path}:1: must be a mapping of settings")
    env, names = environment(dict(variables))
    return RawSettings(merge(file.data or {}, env), file, env, folder, names)


def data_dir(flag: str | None = None) -> Path:
    """`--data`, else `LYTTEPOST_DATA`, else the platform's folder for state. Raises ConfigError."""
    chosen = flag or os.environ.get("LYTTEPOST_DATA")
    if chosen:
        try:
            return expanded(chosen)
        except ValueError as error:
            raise ConfigError(f"{'--data' if flag else 'LYTTEPOST_DATA'}: {error}") from None
    from platformdirs import user_state_path

    return user_state_path("lyttepost", appauthor=False)
