"""What moves between a trial's data and a server: pushed by plan, pulled to its proven end."""

from collections.abc import Iterable
from typing import Any

from fhir_trial.errors import ConfigurationError, PartlyDone
from fhir_trial.mapping.keys import BASE
from fhir_trial.progress import Progress, silent
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.order import references
from fhir_trial.sync.plan import make_plan
from fhir_trial.sync.pull import of_study, types_to_read
from fhir_trial.sync.push import Report, apply
from fhir_trial.sync.reading import patient_types, patients_of_study, read_patients, read_types
from fhir_trial.trial.connection import Connection

Resource = dict[str, Any]


def push_all(resources: Iterable[Resource], connection: Connection, journal: Journal, choices: Choices | None = None) -> Report:
    """Bring the server to hold `resources`; a second run writes nothing.

    Raises `ConfigurationError`, and writes nothing, where the server may not have some of them (patients, where it is no research store);
    `PartlyDone` where it rejected some, or something else stands where they should.
    """
    plan = connection.run(make_plan(resources, connection.info, journal.synced(connection.info.base_url), choices))
    if refused := plan.of("refused"):
        raise ConfigurationError(f"nothing was written: {len(refused)} resources may not go to this server; first {refused[0].reason}")
    report = connection.run(apply(plan, journal))
    if not report.is_clean:
        first = report.findings[0]
        raise PartlyDone(
            f"{len(report.findings)} resources are not on the server as sent; first {first.place}: {first.effect or first.code}"
        )
    return report


def pull_study(study: str, connection: Connection, progress: Progress = silent) -> list[Resource]:
    """Every trial resource of the study on the server; Provenance, which has no identifier, as far as it tells of the others.

    A server that is read patient by patient is asked for those of the study's patients, whosever identifiers they have.
    """
    progress("reading the server", 0, None)
    resources: dict[str, list[Resource]] = {}

    def take(resource_type: str, rows: list[Resource]) -> None:
        resources.setdefault(resource_type, []).extend(rows)

    if connection.info.profile.reads == "patient":
        types = patient_types(connection.info)
        read_patients(connection, connection.info, types, connection.run(patients_of_study(study)), take)
        return [row for rows in resources.values() for row in rows]
    types = types_to_read(connection.info)
    read_types(connection, types, take)
    ours = of_study(f"{BASE}sid/", study)
    kept = [row for name in types for row in resources.get(name, []) if ours(row)]
    places = {f"{resource['resourceType']}/{resource['id']}" for resource in kept}
    return kept + [row for row in resources.get("Provenance", []) if not places.isdisjoint(references(row.get("target")))]
