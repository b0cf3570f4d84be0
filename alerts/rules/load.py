"""Rule files → specs. A file holds one rule or a list; a folder, any number of `.yaml` files.

All that is wrong in all files is reported together, each on its own line with file, line and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alerts.rules.fields import PROPERTIES, UNSPEAKABLE, UNUSABLE, VALUES
from alerts.rules.spec import MAX_FINDINGS_OF_FILE, RuleSpec, RuleType
from alerts.rules.table import TYPES
from listener.errors import ConfigError
from listener.plugins import load
from listener.privacy.pseudonyms import PREFIX
from listener.settings.files import Loc, YamlFile, load_yaml

AUTHOR = "author"
COUNTED = frozenset({"cardinality_field"})
"""Options under which authors are only counted, and none of them becomes a key or a term."""


def load_rules(path: Path, fields: Set[str] | None = frozenset()) -> tuple[RuleSpec, ...]:
    """The rules of a file or of a folder's `*.yaml`, in order. Raises ConfigError.

    `fields`: the names that findings' own `fields` may have; None: any, for data that we have not seen. What a rule's
    own examples hold in `fields` is known too, so that a rule which names a field of its own shows what it means.
    """
    problems: list[str] = []
    rules: list[RuleSpec] = []
    named: dict[str, str] = {}
    for file in _files(path, problems):
        written_out = 0
        for loc, raw in _entries(file, problems):
            spec = _rule(file, loc, raw, problems)
            if spec is None:
                continue
            problems.extend(str(file.error(loc + at, what)) for at, what in _check(spec, fields))
            here = f"{file.path}:{file.line((*loc, 'name'))}"
            if spec.name in named:
                problems.append(f"{here}: name: {spec.name!r} is used at {named[spec.name]} too; choose another")
            named.setdefault(spec.name, here)
            for number, example in enumerate(spec.examples):
                before, written_out = written_out, written_out + sum(finding.repeat for finding in example.findings)
                if before <= MAX_FINDINGS_OF_FILE < written_out:
                    what = f"up to here the file's examples hold more than {MAX_FINDINGS_OF_FILE:,} findings, all told"
                    problems.append(str(file.error((*loc, "examples", number), f"{what}; repeat fewer")))
            rules.append(spec)
    if problems:
        raise ConfigError("\n".join(problems))
    return tuple(rules)


def _files(path: Path, problems: list[str]) -> Iterator[YamlFile]:
    paths = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml")) if path.is_dir() else [path]
    if not paths:
        problems.append(f"{path}: holds no rules; put at least one .yaml file there")
    for each in paths:
        try:
            yield load_yaml(each)
        except ConfigError as error:
            problems.append(str(error))


def _entries(file: YamlFile, problems: list[str]) -> Iterator[tuple[Loc, Any]]:
    if isinstance(file.data, dict):
        yield (), file.data
    elif isinstance(file.data, list) and file.data:
        for index, raw in enumerate(file.data):
            yield (index,), raw
    else:
        problems.append(str(file.error((), "must be a rule or a list of rules")))


def _rule(file: YamlFile, loc: Loc, raw: Any, problems: list[str]) -> RuleSpec | None:
    if not isinstance(raw, dict):
        problems.append(str(file.error(loc, "must be a rule: a mapping with name, type and why")))
        return None
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        known = ", ".join(TYPES)
        what = "must be set" if "type" not in raw else f"no such type{meant(str(kind), TYPES)}"
        problems.append(str(file.error((*loc, "type"), f"{what}; known: {known}")))
        return None
    rule_type: RuleType = load(TYPES[kind])
    try:
        return rule_type.spec.model_validate(raw)
    except ValidationError as error:
        problems.append(str(file.explain(error, loc)))
        return None


def _check(spec: RuleSpec, fields: Set[str] | None) -> Iterator[tuple[Loc, str]]:
    """Names that no finding has, and values that a property cannot have."""
    own = {name for example in spec.examples for finding in example.findings for name in finding.fields}
    known = None if fields is None else {*fields, *own}
    for option, wanted in (("filter", spec.filter), ("exclude", spec.exclude)):
        for name, values in wanted.items():
            if (problem := _name(name, known)) is not None:
                yield (option, name), problem
            for value in values:
                if name == AUTHOR and value.startswith(PREFIX):
                    yield (option, name), "singles out what one person says; choose another filter"
                allowed = VALUES.get(name)
                if allowed and value.casefold() not in allowed:
                    yield (option, name), f"can never be {value!r}; it is one of {', '.join(allowed)}"
    for option, names in spec.names.items():
        for name in names:
            if (problem := _name(name, known)) is not None:
                yield (option,), problem
            elif name == AUTHOR and option not in COUNTED:
                yield (option,), "by 'author' what one person says would be put together; count people, or name another"
            elif name in UNSPEAKABLE:
                yield (option,), f"{name!r} leads to a person and must not be in an alert; choose another field"


def _name(name: str, known: Set[str] | None) -> str | None:
    if name in UNUSABLE:
        return f"{name!r} may not be used by a rule{meant(name, PROPERTIES)}"
    if name in PROPERTIES or known is None or name in known or name.partition(".")[0] in known:
        return None
    close = meant(name, [*PROPERTIES, *known])
    return f"no finding has a field {name!r}{close}; a field of your own must be in one of the rule's examples"


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, where a known name is near."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
