"""Sites of registry records and protocols: each is imported, under a key that stays when the record is refreshed."""

import gzip
import json
import random
from pathlib import Path

import pytest

from fhir_trial.domain.tables import TrialData
from fhir_trial.errors import Findings
from fhir_trial.sources.study_import import import_study
from fhir_trial.sources.study_tables import DataFacts, study_tables
from fhir_trial.trial.resources import from_resources, to_resources
from fhir_trial.validate import validate

DATA = Path(__file__).parents[1] / "data"
RECORDS = {
    "NCT00567567": 190, "NCT00763412": 1, "NCT01125800": 14, "NCT02299791": 0, "NCT02552212": 105, "NCT03275402": 8, "NCT05594173": 1,
}  # fmt: skip
"""The records that are beside the project, and how many locations each has."""


def locations(study, fhir):
    unwritten = Findings()
    data = TrialData(study, study_tables(study))
    written = to_resources(data, fhir, unwritten)
    back = from_resources(written, study, fhir)
    assert (len(unwritten), back.findings.errors()) == (0, [])
    assert back.table("site").to_pylist() == data.table("site").to_pylist()
    return [resource for resource in written if resource["resourceType"] == "Location"]


@pytest.mark.parametrize("fhir", ["r4", "r5"])
@pytest.mark.parametrize("number", RECORDS)
def test_each_location_of_a_real_record_is_a_location(shared, number, fhir):
    study = import_study(shared / f"data/registry/records/{number}.json").study()
    found = locations(study, fhir)
    assert (len(study.sites), len(found), len({r["id"] for r in found})) == (RECORDS[number],) * 3
    assert [f.describe() for r in found[:20] for f in validate(r, fhir)] == []


RECORD = {
    "protocolSection": {
        "identificationModule": {"nctId": "NCT00000001", "briefTitle": "A study"},
        "statusModule": {"overallStatus": "RECRUITING"},
        "sponsorCollaboratorsModule": {"leadSponsor": {"name": "A sponsor", "class": "OTHER"}},
    }
}
SITES = [
    {"facility": "Investigative Site", "city": "Graz", "zip": "8010", "country": "Austria", "status": "RECRUITING"},
    {"facility": "Investigative Site", "city": "Graz", "zip": "8020", "country": "Austria", "status": "COMPLETED"},
    {"facility": "Clinic", "city": "Linz", "country": "Austria", "contacts": [{"name": "Somebody", "email": "a@example.org"}]},
    {"city": "Wien", "country": "Austria"},
]


@pytest.fixture
def imported(tmp_path):
    def go(sites):
        protocol = RECORD["protocolSection"] | {"contactsLocationsModule": {"locations": sites}}
        (tmp_path / "record.json").write_text(json.dumps({"protocolSection": protocol}))
        return import_study(tmp_path / "record.json")

    return go


def test_a_site_keeps_its_key_whatever_the_order_and_whoever_joins(imported):
    before = {site.site: site for site in imported(SITES).study().sites}
    turned = [*random.Random(1).sample(SITES, len(SITES)), {"facility": "Investigative Site", "city": "Graz", "country": "Austria"}]
    after = {site.site: site for site in imported(turned).study().sites}
    assert len(before) == 4
    assert {key: after.get(key) for key in before} == before
    assert "Investigative Site, Graz, 8010, Austria" in before


def test_a_site_that_stands_twice_is_one_and_contacts_are_listed_not_taken(imported):
    found = imported([*SITES, SITES[0]])
    assert [(f.code, f.found) for f in found.findings if f.severity == "warning"] == [
        ("duplicate-key", "Investigative Site, Graz, 8010, Austria")
    ]
    assert len(found.study().sites) == 4
    assert "Somebody" not in found.yaml()
    assert [f.found for f in found.findings if (f.field or "").endswith("contacts.name")] == ["1 value"]


@pytest.mark.parametrize("fhir", ["r4", "r5"])
def test_what_a_location_says(imported, fhir):
    first = locations(imported(SITES[:1]).study(), fhir)[0]
    assert (first["name"], first["address"]) == ("Investigative Site", {"city": "Graz", "postalCode": "8010", "country": "Austria"})
    assert [x["valueString"] for x in first["extension"]] == ["RECRUITING"]


def test_a_site_that_got_its_number_is_that_of_the_data(imported):
    study = imported(SITES[:1]).study()
    members = imported(SITES[:1])
    members.members["sites"][0]["site"] = "701"
    told = DataFacts([{"study": study.id, "site": "701", "country": "AUT"}, {"study": study.id, "site": "702", "country": "DEU"}])
    rows = study_tables(members.study(), told=told)["site"].to_pylist()
    assert [(row["site"], row["name"], row["country"]) for row in rows] == [("701", "Investigative Site", "Austria"), ("702", None, "DEU")]


def test_sites_of_usdm_and_odm(tmp_path):
    for name, count in (("observational", 3), ("Alexion_NCT04573309_Wilsons", 1)):
        (tmp_path / f"{name}.json").write_bytes(gzip.decompress((DATA / "usdm" / f"{name}.json.gz").read_bytes()))
        sites = import_study(tmp_path / f"{name}.json").members["sites"]
        assert (len(sites), sites[0]["site"], sites[0]["name"]) == (count, "SITE_1", "Site One")
    assert import_study(DATA / "odm" / "odm-data-snapshot.xml").members["sites"] == [{"site": "ISSS", "name": "ISSS"}]
