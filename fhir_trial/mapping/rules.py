"""Rules as they are written: YAML loaded strings-only, checked by the JSON Schema, laid over each other (base < version < study)."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct, field

from fhir_trial.data_files import data_dir
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import Finding, InputError
from fhir_trial.mapping.errors import RuleError

_TABLES = ("codes", "systems", "extensions", "code-systems")
"""Files beside the rules that are no rules of an entity."""

_MERGED = ("is", "when", "unless", "set", "with", "fields", "links", "each", "derived", "absent", "lossy")

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Makes texts, lists and mappings only; the C one where PyYAML was built with it, ten times as fast."""

CodeTable = dict[str, str]


class FieldRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a field stands, the code table it goes through, and what else is accepted on reading."""

    at: str
    codes: str | None = None
    kind: str | None = field(default=None, name="as")
    keep: str | None = None
    also: tuple[str, ...] = ()


class LinkRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Reference to the resource of entity `to`; `key` names the row's field for each part of its key, where the names differ."""

    to: str
    key: dict[str, str] = field(default_factory=dict)


class DerivedRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An element that follows from a field: written, checked on reading, never a column."""

    source: str = field(name="from")
    codes: str | None = None
    kind: str | None = field(default=None, name="as")


class EachRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repeat: one item of the list at `at` for each row of the field of that name."""

    at: str
    constants: dict[str, str] = field(default_factory=dict, name="is")
    companions: dict[str, str] = field(default_factory=dict, name="with")
    fields: dict[str, FieldRule] = field(default_factory=dict)
    links: dict[str, LinkRule] = field(default_factory=dict)
    each: dict[str, "EachRule"] = field(default_factory=dict)
    derived: dict[str, DerivedRule] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


class EntityRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rules of one entity in one version of FHIR."""

    entity: str
    resource: str
    key: tuple[str, ...]
    identifier: str | None = None
    constants: dict[str, str] = field(default_factory=dict, name="is")
    companions: dict[str, str] = field(default_factory=dict, name="with")
    fields: dict[str, FieldRule] = field(default_factory=dict)
    links: dict[str, LinkRule] = field(default_factory=dict)
    each: dict[str, EachRule] = field(default_factory=dict)
    derived: dict[str, DerivedRule] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    lossy: dict[str, str] = field(default_factory=dict)


class RuleSet(Struct, frozen=True):
    """The rules of every entity and the code tables, for one version and study."""

    entities: dict[str, EntityRules]
    codes: dict[str, CodeTable]


def load_rules(fhir: str, study: StudyDefinition | None = None, folder: Path | None = None) -> RuleSet:
    """The rules under `folder` (default: those of the package) for FHIR version `fhir`, with the study's own code tables laid over.

    Raises `InputError` with every rule that the schema refuses.
    """
    own = folder is None
    folder = folder or data_dir("mappings")
    names = sorted(p.stem for p in folder.glob("*.yaml") if p.stem not in _TABLES)
    findings: list[Finding] = []
    entities = {}
    for name in names:
        document = _overlaid(folder, fhir, name)
        # The package's own rules are held against the schema by its tests; a folder of someone else's here.
        problems = [] if own else _schema_findings(folder, name, document)
        if not problems:
            try:
                entities[name] = msgspec.convert(document, EntityRules)
            except msgspec.ValidationError:
                problems = _schema_findings(folder, name, document)
        findings.extend(problems)
    if findings:
        raise InputError(findings)
    return RuleSet(entities, _code_tables(folder, fhir, study))


def _overlaid(folder: Path, fhir: str, name: str) -> dict[str, Any]:
    merged = merged_rules(read_rules(folder / f"{name}.yaml"), read_rules(folder / fhir / f"{name}.yaml"))
    named: dict[str, Any] = named_rules(merged, read_rules(folder / "systems.yaml"))
    return named


def named_rules(value: Any, systems: dict[str, str]) -> Any:
    """`value` with every `{name}` in its texts replaced by the url that systems.yaml gives the name."""
    if isinstance(value, dict):
        return {named_rules(key, systems): named_rules(item, systems) for key, item in value.items()}
    if isinstance(value, list):
        return [named_rules(item, systems) for item in value]
    return re.sub(r"\{([\w-]+)\}", lambda m: _system(m[1], systems), value)


def _system(name: str, systems: dict[str, str]) -> str:
    if name not in systems:
        raise RuleError(f"{{{name}}} is not in systems.yaml ({', '.join(systems)})")
    return systems[name]


def _code_tables(folder: Path, fhir: str, study: StudyDefinition | None) -> dict[str, CodeTable]:
    tables: dict[str, CodeTable] = read_rules(folder / "codes.yaml") | read_rules(folder / fhir / "codes.yaml")
    if study is not None:
        tables = tables | study.codes
    return tables


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def read_rules(path: Path) -> dict[str, Any]:
    """A file of rules or tables, texts only; empty where there is none."""
    try:
        document = yaml.load(_read_text(path), Loader=_LOADER)
    except yaml.YAMLError as error:
        raise RuleError(f"{path.name}: {error}", f"mappings/{path.name}") from error
    return document or {}


def merged_rules(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: rules replace rules of the same name, and an empty rule removes one."""
    merged = base | over
    for section in _MERGED:
        rules = (base.get(section) or {}) | (over.get(section) or {})
        if kept := {name: rule for name, rule in rules.items() if rule != ""}:
            merged[section] = kept
        else:
            merged.pop(section, None)
    return {name: value for name, value in merged.items() if value != ""}


def _schema_findings(folder: Path, name: str, document: dict[str, Any]) -> list[Finding]:
    return [Finding("bad-rule", f"mappings/{name}.yaml", field=at, expected=why) for at, why in _schema_errors(folder, document)]


@cache
def _schema(folder: Path) -> Any:
    # Imported late: with the optional format checkers of notebooks installed, it takes longer than all the rest.
    import jsonschema

    return jsonschema.Draft202012Validator(yaml.safe_load(_read_text(folder / "rules.schema.json")))


def _schema_errors(folder: Path, document: dict[str, Any]) -> list[tuple[str, str]]:
    errors = sorted(_schema(folder).iter_errors(document), key=lambda e: list(map(str, e.absolute_path)))
    return [("/".join(map(str, e.absolute_path)), e.message) for e in errors]
