"""Study definitions from their YAML files."""

import difflib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import msgspec
import yaml

from fhir_trial.data_files import data_dir
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.errors import Finding, InputError, UsageError
from fhir_trial.sources.study_codes import with_tables
from fhir_trial.sources.study_schema import study_schema


def load_study(path_or_id: str | Path) -> StudyDefinition:
    """The study of a YAML file, or one of those that come with the package, by its id.

    Raises `UsageError` where there is no such file or study, and `InputError` with all findings where the file cannot be used.

    >>> load_study("NCT05189483").sponsor.name
    'Henan Cancer Hospital'
    """
    path = _find(path_or_id)
    document = parse_yaml(path)
    try:
        study = msgspec.convert(document, StudyDefinition, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        findings = list(_schema_findings(document, path.name))
        raise InputError(findings or [Finding("study-file", path.name, field=place.strip("`"), expected=message)]) from error
    # The files that come with the package are held against the schema by its tests.
    if path.parent != data_dir("studies") and (findings := list(_schema_findings(document, path.name))):
        raise InputError(findings)
    if findings := list(_reference_findings(study, path.name)):
        raise InputError(findings)
    return with_tables(study, path)


def known_studies() -> list[str]:
    """The ids of the studies that come with the package."""
    return sorted(path.stem for path in data_dir("studies").glob("*.yaml"))


def _find(path_or_id: str | Path) -> Path:
    path = Path(path_or_id)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise UsageError(f"there is no study file {path}{', which is a folder' if path.is_dir() else ''}")
        return path
    if str(path_or_id) in known_studies():
        return data_dir("studies") / f"{path_or_id}.yaml"
    near = difflib.get_close_matches(str(path_or_id), known_studies(), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"there is no study {path_or_id} (known: {', '.join(known_studies())}; or name a .yaml file){hint}")


class _Loader(yaml.BaseLoader):
    """Strings, lists and mappings only; a repeated key is an error and not a last word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value) or len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key is repeated or is no text", node.start_mark)
        return super().construct_mapping(node, deep)


def parse_yaml(path: Path) -> Any:
    """The document of a YAML (or JSON) file, every scalar as text; an `InputError` names where it cannot be read."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else None
        problem = getattr(error, "problem", None)
        expected = f"YAML in UTF-8 ({problem})" if problem else "YAML in UTF-8"
        raise InputError([Finding("not-yaml", path.name, field=where, expected=expected)]) from error


@cache
def _validator() -> Any:
    # Imported late: with the optional format checkers of notebooks installed, it takes longer than all the rest.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(study_schema())


def _schema_findings(document: Any, place: str) -> Iterator[Finding]:
    # The library reports each missing key by itself, and each time with all of them: once is enough.
    yield from dict.fromkeys(_all_schema_findings(document, place))


def _all_schema_findings(document: Any, place: str) -> Iterator[Finding]:
    for error in _validator().iter_errors(document):
        member = ".".join(str(step) for step in error.absolute_path)
        found = error.instance if isinstance(error.instance, str) else "nothing" if error.instance is None else None
        yield Finding("study-file", place, field=member or None, found=found, expected=_expected(error))


def _expected(error: Any) -> str:
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        return f"no member {', '.join(sorted(set(error.instance) - set(known)))}; known: {', '.join(known)}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"the required {', '.join(missing)}"
    return {"type": f"{error.validator_value}", "pattern": f"text like {error.validator_value}", "minLength": "text"}.get(
        error.validator, f"{error.validator} {error.validator_value}"
    )


def _reference_findings(study: StudyDefinition, place: str) -> Iterator[Finding]:
    """What a schema cannot see: names that must exist elsewhere in the file."""
    medications = [drug.medication for drug in study.drugs]
    for number, arm in enumerate(study.arms):
        for name in set(arm.medications) - set(medications):
            yield Finding("study-file", place, field=f"arms.{number}.medications", found=name, expected=f"one of {', '.join(medications)}")
    endpoints = [endpoint.name for endpoint in study.endpoints]
    for number, outcome in enumerate(study.outcomes):
        if outcome.endpoint is not None and outcome.endpoint not in endpoints:
            yield Finding(
                "study-file", place, field=f"outcomes.{number}.endpoint", found=outcome.endpoint, expected=f"one of {', '.join(endpoints)}"
            )
    for label, names in (("drugs", medications), ("endpoints", endpoints), ("arms", [arm.name for arm in study.arms])):
        if repeated := {name for name in names if names.count(name) > 1}:
            yield Finding("study-file", place, field=label, found=", ".join(sorted(repeated)), expected="a name once")
    zone = study.sources.time_zone
    if zone is not None and zone not in available_timezones():
        yield Finding("study-file", place, field="sources.time_zone", found=zone, expected="an IANA time zone such as Asia/Shanghai")
