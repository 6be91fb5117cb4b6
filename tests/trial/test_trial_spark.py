"""Endpoints of subjects in groups, side by side on Spark, are those of one analysis of everything."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from loop_runs import STUDY
from spark_runs import spark

from fhir_trial.domain.entities import Study
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import Findings, InputError
from fhir_trial.fhir.json import encode
from fhir_trial.frames.spark import naming_errors
from fhir_trial.frames.spark_rows import FILE, LINE, START, Refused
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.sync.folder import write_folder
from fhir_trial.trial.apart import by_type
from fhir_trial.trial.resources import from_resources, to_resources
from fhir_trial.trial.spark_endpoints import TIMES, EndpointTask, endpoint_rows

__all__ = ["spark"]


@cache
def cohort(fhir: str) -> tuple[list[dict[str, Any]], TrialData]:
    """Resources of a synthetic cohort, and the data that they hold."""
    with TemporaryDirectory() as folder:
        write_cohort(simulate(load_study(STUDY), n=4), Path(folder))
        data = read_sdtm(Path(folder), load_study(STUDY))
    resources = to_resources(data, fhir, Findings())
    return resources, from_resources(resources, data.study, fhir)


def whole(fhir: str) -> pd.DataFrame:
    """The times to event of one analysis of everything."""
    return at_once(cohort(fhir)[1])


def at_once(data: TrialData) -> pd.DataFrame:
    found = analyse(data, for_study(data.study)).adtte.assign(synthetic=data.synthetic)
    return pa.Table.from_pandas(found[TIMES.names], schema=TIMES, preserve_index=False).replace_schema_metadata().to_pandas()


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["parameter", "subject"], ignore_index=True)


def lines(resources: list[dict[str, Any]], size: int) -> Iterator[pa.RecordBatch]:
    """As Spark hands the files of a folder over, a few lines at once."""
    schema = pa.schema([(LINE, pa.binary()), (FILE, pa.string()), (START, pa.int64())])
    rows = [{LINE: encode(each) + b"\n", FILE: f"{each['resourceType']}.ndjson", START: 0} for each in resources]
    for at in range(0, len(rows), size):
        yield pa.RecordBatch.from_pylist(rows[at : at + size], schema=schema)


def test_a_group_without_subjects_has_no_rows() -> None:
    study = load_study(STUDY)
    table = to_table([Study(study=STUDY, title="A study", status="RECRUITING")], Study)
    studies = to_resources(TrialData(study, {"study": table}), "r4", Findings())
    assert len(studies) == 1
    task = EndpointTask(study, for_study(study), "r4", 1)
    assert task.analysed(pa.Table.from_batches(task.split(lines(studies, 5)))).equals(TIMES.empty_table())


def test_a_group_in_which_nobody_was_assessed_keeps_its_subjects() -> None:
    """One of two subjects was never assessed: each has the same rows alone in a group as in one analysis of both."""
    data = cohort("r4")[1]
    by_group = {crc32(name.encode()) % 2: name for name in sorted(data.table("subject")["subject"].to_pylist())}
    first, second = by_group[0], by_group[1]
    assessed = ("measurement", "response", "sum_of_diameters", "lesion")
    two = {name: _of(table, {first, second} - ({second} if name in assessed else set())) for name, table in data.tables.items()}
    told = TrialData(data.study, two, data.synthetic, Findings(), data.data_cutoff)
    task = EndpointTask(data.study, for_study(data.study), "r4", 2)
    parts = pa.Table.from_batches(task.split(lines(to_resources(told, "r4", Findings()), 7)))
    found = pa.concat_tables(task.analysed(parts.filter(pc.equal(parts["part"], part))) for part in (0, 1)).to_pandas()
    assert set(found["parameter"]) >= {"PFS", "OS"}
    pd.testing.assert_frame_equal(in_order(found), in_order(at_once(told)))


def _of(table: pa.Table, subjects: set[str]) -> pa.Table:
    return table.filter(pc.is_in(table["subject"], pa.array(sorted(subjects)))) if "subject" in table.column_names else table


def test_what_cannot_be_read_is_named() -> None:
    study = load_study(STUDY)
    schema = pa.schema([(LINE, pa.binary()), (FILE, pa.string()), (START, pa.int64())])
    batch = pa.RecordBatch.from_pylist([{LINE: line, FILE: "a.ndjson", START: 0} for line in (b"\n", b'{"a": \n', b"[1]\n")], schema=schema)
    task = EndpointTask(study, for_study(study), "r4", 1)
    with pytest.raises(Refused) as caught:
        list(task.split([batch]))
    assert [(f.code, f.place, f.row) for f in caught.value.findings] == [("not-json", "a.ndjson", 2), ("not-a-resource", "a.ndjson", 3)]


def test_what_another_system_wrote_is_refused_and_not_missed() -> None:
    study = load_study(STUDY)
    task = EndpointTask(study, for_study(study), "r4", 1)
    event = {"resourceType": "AdverseEvent", "id": "e1", "actuality": "actual", "subject": {"reference": "Patient/p"}}
    with pytest.raises(Refused) as caught:
        list(task.split(lines([event, event], 5)))
    first = caught.value.findings[0]
    assert (first.code, first.place) == ("not-of-the-trial", "AdverseEvent.ndjson")


@pytest.mark.spark
def test_endpoints_on_spark_are_those_of_the_whole(spark: Any, tmp_path: Path) -> None:
    resources, data = cohort("r5")
    write_folder(tmp_path / "fhir", by_type(resources), "r5", data.study.id)
    frame = endpoint_rows(spark, str(tmp_path / "fhir"), data.study, for_study(data.study), "r5", parts=2)
    with naming_errors():
        found = pa.Table.from_pylist([row.asDict() for row in frame.collect()], schema=TIMES)
    pd.testing.assert_frame_equal(in_order(found.to_pandas()), in_order(whole("r5")))
    (tmp_path / "fhir" / "Patient.ndjson").write_text('{"resourceType": "Patient"\n', encoding="utf-8")
    again = endpoint_rows(spark, str(tmp_path / "fhir" / "Patient.ndjson"), data.study, for_study(data.study), "r5", parts=2)
    with pytest.raises(InputError, match=r"Patient\.ndjson row 1: not json"), naming_errors():
        again.collect()
