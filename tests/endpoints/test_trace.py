"""Every figure can be traced: each derived row names a record that the data have, with the date; each count is of rows that are listed."""

import csv
from io import StringIO
from pathlib import Path

import pytest

from fhir_trial.endpoints.analyse import Results, analyse
from fhir_trial.endpoints.conventions import preset
from fhir_trial.endpoints.outputs import files
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study

Rows = list[dict[str, str]]
STUDY = "NCT05189483"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trace") / "sdtm"
    write_cohort(simulate(load_study(STUDY), n=14), folder)
    return folder


@pytest.fixture(scope="module")
def records(cohort: Path) -> dict[str, Rows]:
    return {path.stem.upper(): list(csv.DictReader(path.read_text("utf-8").splitlines())) for path in cohort.glob("*.csv")}


@pytest.fixture(scope="module", params=["protocol", "admiralonco"])
def results(request: pytest.FixtureRequest, cohort: Path) -> Results:
    return analyse(read_sdtm(cohort, load_study(STUDY)), preset(request.param))


@pytest.fixture(scope="module")
def outputs(results: Results) -> dict[str, Rows]:
    texts = {name: text for name, text in files(results).items() if name.endswith(".csv")}
    return {name: list(csv.DictReader(StringIO(text))) for name, text in texts.items()}


def record(records: dict[str, Rows], row: dict[str, str]) -> dict[str, str]:
    """The one record that a row names: by its sequence, or the subject's own where the domain has none."""
    domain, sequence = row["SRCDOM"], row["SRCSEQ"]
    assert bool(sequence) == (domain != "DM")
    (found,) = [r for r in records[domain] if r["USUBJID"] == row["USUBJID"] and (domain == "DM" or r[f"{domain}SEQ"] == sequence)]
    return found


def test_each_time_ends_on_the_date_of_a_record_of_the_data(records: dict[str, Rows], outputs: dict[str, Rows]) -> None:
    rows = outputs["adtte.csv"]
    assert {row["PARAMCD"] for row in rows} >= {"PFS", "OS", "DOR", "TTR", "TTP", "EFS"}
    assert len({row["SRCDOM"] for row in rows}) >= 3
    for row in rows:
        assert record(records, row)[row["SRCVAR"]][:10] == row["ADT"], row


def test_each_response_is_of_a_record_of_its_date(records: dict[str, Rows], outputs: dict[str, Rows]) -> None:
    rows = [row for row in outputs["adrs.csv"] if row["ADT"]]
    assert {row["PARAMCD"] for row in rows} == {"OVR", "TRGRESP", "SDIAM", "BOR", "CBOR", "RSP", "CRSP", "DCR", "CBR"}
    for row in rows:
        assert record(records, row)[f"{row['SRCDOM']}DTC"][:10] == row["ADT"], row
    undated = [row for row in outputs["adrs.csv"] if not row["ADT"]]
    assert all(row["REASON"] and not row["SRCDOM"] for row in undated)


def test_each_count_of_events_is_of_events_that_are_listed_with_their_record(
    records: dict[str, Rows], outputs: dict[str, Rows], results: Results
) -> None:
    listed = outputs["adae.csv"]
    assert len(listed) == len(records["AE"])
    for row in listed:
        assert record(records, row)["AETERM"] == row["AETERM"]
    counted = [row for row in listed if row["TRTEMFL"] == "Y"]
    behind = results["SAFETY"].subjects
    named = {(s, str(n)) for s, numbers in zip(behind["subject"], behind["source_sequences"], strict=True) for n in numbers}
    assert named == {(row["USUBJID"], row["AESEQ"]) for row in counted}
    for row in outputs["safety.csv"]:
        wanted = {"ARM": row["ARM"], "AESOC": row["AESOC"], "AEDECOD": row["AEDECOD"]}
        mine = [r for r in counted if all(value in ("TOTAL", "*ANY*", r[name]) for name, value in wanted.items())]
        assert (int(row["EVENTS"]), int(row["SUBJECTS"])) == (len(mine), len({r["USUBJID"] for r in mine}))
        assert int(row["SERIOUS"]) == len({r["USUBJID"] for r in mine if r["AESER"] == "Y"})
        assert int(row["RELATED"]) == len({r["USUBJID"] for r in mine if r["AREL"] == "Y"})


def test_each_figure_is_of_the_rows_that_it_carries(results: Results) -> None:
    for name, result in results.items():
        rows = result.subjects
        counted = rows["censored"].eq(0) if "censored" in rows else rows["value"].eq("Y") if "value" in rows else rows["events"].gt(0)
        assert int(counted.sum()) == result.count, name
        assert rows["subject"].is_unique
        if "source_domain" in rows and "censored" in rows:
            assert rows[["source_domain", "source_variable", "reason"]].notna().all().all()
