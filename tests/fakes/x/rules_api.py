"""`/2/tweets/search/stream/rules`: read, add, delete, count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .faults import Faults
from .language import InvalidRule
from .matching import Dialect, compile_rule
from .problems import (
    BadParameter,
    Refusal,
    Reply,
    duplicate_rule,
    invalid_request,
    invalid_rule,
    no_such_rule,
    rule_cap,
)
from .times import rfc3339
from .world import Rule, World

_PAGE = 1_000


class RulesApi:
    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    def get(self, params: Mapping[str, str]) -> Reply:
        """Paged by `max_results` and `pagination_token`; `ids` picks."""
        limit = _number(params, "max_results", 1, _PAGE, _PAGE)
        start = _number(params, "pagination_token", 0, 10**9, 0)
        wanted = [i for i in params.get("ids", "").split(",") if i]
        rules = [r.shown() for r in self._world.rules.values() if not wanted or r.id in wanted]
        page = rules[start : start + limit]
        meta: dict[str, Any] = {"sent": self._sent(), "result_count": len(page)}
        if start + limit < len(rules):
            meta["next_token"] = str(start + limit)
        return Reply(200, {**({"data": page} if page else {}), "meta": meta})

    def post(self, params: Mapping[str, str], body: Any) -> Reply:
        dry = params.get("dry_run", "").lower() == "true"
        if not isinstance(body, dict) or not ({"add", "delete"} & body.keys()):
            raise Refusal(invalid_request([{"parameters": {}, "message": "Request must contain 'add' or 'delete'"}]))
        if "delete" in body:
            return self._delete(body["delete"], dry, params)
        return self._add(body["add"], dry)

    def counts(self) -> Reply:
        count = len(self._world.rules)
        app = {"client_app_id": "10000001", "rule_count": count}
        cap = str(self._world.plan.rules)
        data = {
            "all_project_client_apps": [app],
            "cap_per_client_app": cap,
            "cap_per_project": cap,
            "client_app_rules_count": app,
            "project_rules_count": str(count),
        }
        return Reply(200, {"data": data})

    def _add(self, asked: Any, dry: bool) -> Reply:
        if not isinstance(asked, list) or not asked or not all(isinstance(r, dict) for r in asked):
            raise Refusal(invalid_request([{"parameters": {}, "message": "'add' must be a list of rules"}]))
        partial = self._faults.partial if not dry else None
        if partial is not None:
            partial.times -= 1
            self._faults.partial = partial if partial.times > 0 else None
        made: list[dict[str, str]] = []
        errors: list[dict[str, Any]] = []
        invalid = 0
        seen = {r.value: r.id for r in self._world.rules.values()}
        if len(seen) + len({str(r.get("value")) for r in asked} - seen.keys()) > self._world.plan.rules:
            return rule_cap(self._world.plan.rules)
        for number, raw in enumerate(asked):
            value, tag = str(raw.get("value", "")), raw.get("tag")
            if value in seen:
                errors.append(duplicate_rule(value, seen[value]))
            elif partial is not None and (number < partial.count or value in partial.values):
                errors.append(invalid_rule(value, ["The rule could not be created; please try again later."]))
                invalid += 1
            else:
                try:
                    rule = self._make(value, tag, dry)
                except InvalidRule as wrong:
                    errors.append(invalid_rule(value, list(wrong.details)))
                    invalid += 1
                    continue
                seen[value] = rule.id
                made.append(rule.shown())
        refused = len(errors)
        created = 0 if dry else len(made)
        summary = {"created": created, "not_created": len(asked) - created, "valid": len(made), "invalid": refused}
        out: dict[str, Any] = {"meta": {"sent": self._sent(), "summary": summary}}
        if made:
            out["data"] = made
        if errors:
            out["errors"] = errors
        return Reply(400 if invalid == len(asked) else 201, out)

    def _make(self, value: str, tag: Any, dry: bool) -> Rule:
        named = None if tag is None else str(tag)
        if not dry:
            return self._world.add_rule(value, named)
        return Rule("0", value, named, compile_rule(value, Dialect.STREAM, self._world.plan.rule_length))

    def _delete(self, asked: Any, dry: bool, params: Mapping[str, str]) -> Reply:
        if not isinstance(asked, dict) or not ({"ids", "values"} & asked.keys()):
            raise Refusal(invalid_request([{"parameters": {}, "message": "'delete' must contain 'ids' or 'values'"}]))
        every = params.get("delete_all", "").lower() == "true"
        ids = list(self._world.rules) if every else [str(i) for i in asked.get("ids") or ()]
        by_value = {r.value: r.id for r in self._world.rules.values()}
        gone: list[str] = []
        errors: list[dict[str, Any]] = []
        for given in (*ids, *(str(v) for v in asked.get("values") or ())):
            rule_id = given if given in self._world.rules else by_value.get(given)
            if rule_id is None or rule_id in gone:
                errors.append(no_such_rule(given))
                continue
            gone.append(rule_id)
        if not dry:
            for rule_id in gone:
                del self._world.rules[rule_id]
        summary = {"deleted": len(gone), "not_deleted": len(errors)}
        out: dict[str, Any] = {"meta": {"sent": self._sent(), "summary": summary}}
        return Reply(200, {**out, "errors": errors} if errors else out)

    def _sent(self) -> str:
        return rfc3339(self._world.clock.now())


def _number(params: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    raw = params.get(name)
    if raw is None:
        return default
    if not raw.isdecimal() or not least <= int(raw) <= most:
        raise BadParameter(name, raw, f"The `{name}` query parameter value [{raw}] is not between {least} and {most}")
    return int(raw)
