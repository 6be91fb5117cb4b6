"""Trial data as FHIR resources and back: the mapping's rules over whole tables."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from fhir_trial.domain.entities import ENTITIES, RESULT_ENTITIES
from fhir_trial.domain.study import StudyDefinition
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.errors import Finding, Findings
from fhir_trial.frames import run_view
from fhir_trial.mapping import RuleMapping, load
from fhir_trial.mapping.foreign import read_foreign
from fhir_trial.trial.apart import Resource, apart, labels, of_resources
from fhir_trial.trial.lineage import foreign_lineage, lineage_table
from fhir_trial.trial.taken import held_rows, of_the_study

SYNTHETIC = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST", "display": "test health data"}
"""The security label of every resource that is about no real person."""


def mark_synthetic(resource: Resource) -> Resource:
    """The resource with HL7's label for test data."""
    return resource | {"meta": {"security": [dict(SYNTHETIC)]}}


def is_synthetic(resource: Mapping[str, Any]) -> bool:
    """Whether the resource carries HL7's label for test data."""
    return any(all(label.get(name) == SYNTHETIC[name] for name in ("system", "code")) for label in labels(resource))


def to_resources(data: TrialData, fhir: str, findings: Findings) -> list[Resource]:
    """Every row of `data` as a resource, targets before those that refer to them; `findings` names the rows that could not be written."""
    mapping = load(fhir, data.study)
    written = []
    for entity in mapping:
        rules = mapping[entity]
        for row in data.rows(entity):
            resource = rules.write(row, findings)
            if resource is not None:
                written.append(mark_synthetic(resource) if data.synthetic else resource)
    return written


def from_resources(resources: Iterable[Resource], study: StudyDefinition, fhir: str) -> TrialData:
    """The trial's tables from resources, what could not be read stands in `findings`.

    Ours are read by the views of the mapping's own rules, what others wrote by its reading rules.
    """
    mapping = load(fhir, study)
    findings = Findings()
    types, foreign = apart(resources, findings)
    tables, lineage, taken = {}, {}, _of_results(mapping, types)
    noticed = Findings()
    of_entity = _by_entity(mapping, types)
    for entity in (name for name in mapping if name not in RESULT_ENTITIES):
        rules = mapping[entity]
        own = of_entity.get(entity, [])
        raw = {name: _raw(view, own, fhir, noticed) for name, view in rules.views().items()}
        taken.update(f"{rules.resource_type}/{id_}" for id_ in raw[entity]["resource_id"].to_pylist())
        table = rules.decode(raw, noticed)
        if table.num_rows:
            tables[entity] = table
            lineage[entity] = lineage_table(rules.resource_type, raw[entity])
    findings.extend(dict.fromkeys(noticed))
    findings.extend(_left(types, taken | {finding.place for finding in noticed if finding.severity == "error"}))
    for entity, read in read_foreign(foreign, study.id, findings, fhir).items():
        rows = held_rows(read, ENTITIES[entity], findings)
        table = to_table([found.row for found in rows], ENTITIES[entity])
        tables[entity] = pa.concat_tables([tables[entity], table]) if entity in tables else table
        told = foreign_lineage([(mapping[entity].key(found.row), found.place, found.version) for found in rows])
        lineage[entity] = pa.concat_tables([lineage[entity], told]) if entity in lineage else told
    tables = of_the_study(tables, lineage, study.id, mapping, findings)
    synthetic = any(is_synthetic(resource) for of_type in (*types.values(), foreign) for resource in of_type)
    cutoffs = tables["study"]["data_cutoff"].to_pylist() if "study" in tables else [None]
    return TrialData(study, tables, synthetic, findings, cutoffs[0], lineage)


def _raw(view: Resource, of_type: list[Resource], fhir: str, noticed: Findings) -> pa.Table:
    """A view's table over resources, with the findings under the resources' own names."""
    said = Findings()
    table = run_view(view, of_type, fhir, bad="skip", findings=said)
    noticed.extend(of_resources(said, of_type))
    return table


def _by_entity(mapping: RuleMapping, types: Mapping[str, list[Resource]]) -> dict[str, list[Resource]]:
    """The resources that an entity's views can have rows of: an Observation is looked at by the views of one entity, not of all."""
    found: dict[str, list[Resource]] = {}
    for resource in (resource for of_type in types.values() for resource in of_type):
        for entity in mapping.carried(resource):
            found.setdefault(entity, []).append(resource)
    return found


def _of_results(mapping: RuleMapping, types: Mapping[str, list[Resource]]) -> set[str]:
    """The places of what an analysis wrote: read by nobody, and not missed."""
    rules = [mapping[name] for name in mapping if name in RESULT_ENTITIES]
    return {f"{r.resource_type}/{x.get('id')}" for r in rules for x in types.get(r.resource_type, []) if r.matches(x)}


def _left(types: Mapping[str, list[Resource]], taken: set[str]) -> Iterator[Finding]:
    """A finding a type with resources that no rule reads: nothing is left out in silence."""
    for resource_type, of_type in types.items():
        left = [resource for resource in of_type if f"{resource_type}/{resource.get('id')}" not in taken]
        if left:
            first = f"{resource_type}/{left[0].get('id', '?')}"
            expected = "resources that a rule of the mapping reads, and that are final and not entered in error"
            yield Finding("not-read", first, found=f"{len(left)} of {len(of_type)} {resource_type}", expected=expected, severity="warning")


def losses(data: TrialData, fhir: str, findings: Findings) -> dict[str, Any]:
    """What `fhir` cannot hold of the trial: fields declared lossy with the reason and how many values they have, and rows not written."""
    mapping = load(fhir, data.study)
    declared = {
        entity: {name: {"reason": reason, "values": _values(data.table(entity)[name])} for name, reason in mapping[entity].lossy.items()}
        for entity in mapping
        if mapping[entity].lossy
    }
    rows = [{"place": f.place, "field": f.field, "expected": f.expected} for f in findings]
    return {"fhir": fhir, "study": data.study.id, "declared": declared, "rows": rows}


def _values(column: pa.ChunkedArray) -> int:
    """How many values a column has; an empty list is none."""
    return sum(1 for value in column.to_pylist() if value is not None and value != [])
