"""CSV, Parquet, SAS transport and Dataset-JSON: the same tables from each, and CDISC's own files with their counts."""

import json
import random
import tempfile
from pathlib import Path

import jsonschema
import pyreadstat
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sdtm_trials import assert_same, trial

from fhir_trial.errors import Findings, InputError, UsageError
from fhir_trial.sources.sdtm import read_sdtm, write_sdtm
from fhir_trial.sources.sdtm.datasets import FORMATS, write_datasets
from fhir_trial.sources.sdtm.files import read_file
from fhir_trial.sources.sdtm.long_text import split
from fhir_trial.sources.sdtm.write import sdtm_lines
from fhir_trial.sources.study_file import load_study

REAL = Path(__file__).parents[1] / "data" / "dataset_json"
COUNTS = {  # file: rows, columns, cells with a value; counted in the files by hand of another reader (json, pyreadstat)
    "ae": (74, 37),
    "dm": (18, 26),
    "relrec": (6, 7),
    "suppdm": (3, 10),
}


def cells(path):
    findings = Findings()
    raw = read_file(path.stem, path, findings)
    assert list(findings) == []
    return {name: raw.column(name) for name in raw.variables}


@pytest.mark.parametrize("name", COUNTS)
def test_cdisc_s_dataset_json_and_transport_files_hold_the_same_cells(name):
    documents = [cells(path) for path in sorted(REAL.glob(f"{name}.*"))]
    rows, columns = COUNTS[name]
    assert len(documents) > 1
    assert all(len(document) == columns and all(len(c) == rows for c in document.values()) for document in documents)
    assert all(document == documents[0] for document in documents)


def test_cdisc_s_data_sets_are_a_trial():
    data = read_sdtm(REAL, replace(load_study("CDISCPILOT01"), codes={}))
    assert {f.place for f in data.findings if f.code == "ambiguous-file"} == {
        "ae.ndjson", "ae.xpt", "dm.ndjson", "dm.xpt", "relrec.xpt", "suppdm.xpt",
    }  # fmt: skip
    assert (len(data.rows("subject")), len(data.rows("adverse_event"))) == (18, 74)
    assert sum(e.severity == "MODERATE" for e in data.rows("adverse_event")) == 24


@pytest.mark.thorough
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(FORMATS)))
def test_what_is_read_survives_every_format(small_study, seed, form):
    data = read_sdtm(trial(random.Random(seed)), small_study)
    with tempfile.TemporaryDirectory() as folder:
        try:
            write_sdtm(data, Path(folder), form)
        except InputError as refused:
            assume({f.code for f in refused.findings} != {"too-long"})
            raise
        assert_same(read_sdtm(folder, small_study), data)


@pytest.fixture(scope="module")
def written(tmp_path_factory, small_study):
    folder = tmp_path_factory.mktemp("formats")
    data = read_sdtm(Path(__file__).parent / "small_trial", small_study)
    return {form: {p.stem: p for p in write_sdtm(data, folder / form, form)} for form in FORMATS}


def test_what_is_written_is_valid_by_cdisc_s_schema(written):
    validator = jsonschema.Draft201909Validator(json.loads((REAL / "dataset.schema.json").read_bytes()))
    for name, path in written["dataset-json"].items():
        document = json.loads(path.read_bytes())
        assert [e.message for e in validator.iter_errors(document)] == []
        first, *rows = map(json.loads, written["dataset-ndjson"][name].read_text(encoding="utf-8").splitlines())
        assert [e.message for e in validator.iter_errors(first)] == []
        assert rows == document["rows"]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"datasetJSONVersion": "1.1.0"})


def test_a_transport_file_is_version_5_with_types_and_labels(written):
    path = written["xpt"]["ae"]
    frame, about = pyreadstat.read_xport(str(path))
    assert path.read_bytes().startswith(b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!")
    assert (about.table_name, about.file_label) == ("AE", "Adverse Events")
    assert about.column_names_to_labels["AESEQ"] == "Sequence Number"
    assert frame.dtypes["AESEQ"] == "float64"
    assert about.readstat_variable_types["AETERM"] == "string"


def test_numbers_are_numbers_where_the_guide_says_so(written):
    about = json.loads(written["dataset-json"]["ex"].read_bytes())
    types = {column["name"]: (column["dataType"], column.get("targetDataType")) for column in about["columns"]}
    assert types["EXSEQ"] == ("integer", None)
    assert types["EXTRT"] == ("string", None)
    assert {types["EXDOSE"], types["VISITNUM"]} <= {("integer", None), ("decimal", "decimal")}


LONG = [
    "word " * 60 + "end",
    "a word, " + "x" * 450 + " and one more",
    "x" * 199 + " " + "y" * 20,
    "Ä" * 300,
    " ".join(["two  blanks"] * 40),
]


@pytest.mark.parametrize("text", LONG)
def test_a_long_text_goes_on_in_supp_and_comes_back(domains, small_study, tmp_path, text):
    domains["ae"][0]["AETERM"] = text
    data = read_sdtm(as_frames(domains), small_study)
    write_sdtm(data, tmp_path, "xpt")
    assert (tmp_path / "suppae.xpt").is_file()
    assert_same(read_sdtm(tmp_path, small_study), data)


def test_a_long_text_of_a_row_that_shares_its_sequence_is_refused(domains, small_study, tmp_path):
    domains["tu"][1]["TUSEQ"] = domains["tu"][0]["TUSEQ"]
    domains["tu"][1]["TUMETHOD"] = "word " * 60 + "end"
    data = read_sdtm(as_frames(domains), small_study)
    with pytest.raises(InputError) as refused:
        write_sdtm(data, tmp_path / "new", "xpt")
    assert [(f.code, f.field) for f in refused.value.findings] == [("too-long", "TUMETHOD")]


def test_several_races_in_suppdm_are_no_long_text(domains, small_study):
    domains["dm"][0]["RACE"] = "MULTIPLE"
    domains["suppdm"] = [{"USUBJID": "S1", "QNAM": f"RACE{n}", "QVAL": race} for n, race in ((1, "WHITE"), (2, "ASIAN"))]
    data = read_sdtm(as_frames(domains), small_study)
    assert data.rows("subject")[0].race == "MULTIPLE"
    lines = sdtm_lines(data)["suppdm"][1]
    assert [(line["QNAM"], line["QVAL"]) for line in lines] == [("RACE1", "WHITE"), ("RACE2", "ASIAN")]


def test_text_that_has_no_place_in_a_transport_file_is_said_before_anything_is_written(domains, small_study, tmp_path):
    domains["suppex"][0]["QVAL"] = "1.8"
    domains["tu"][0].pop("TUSEQ", None)
    domains["tu"][0]["TUMETHOD"] = "y" * 250
    data = read_sdtm(as_frames(domains), small_study)
    with pytest.raises(InputError) as refused:
        write_sdtm(data, tmp_path / "new", "xpt")
    assert [(f.code, f.field) for f in refused.value.findings] == [("too-long", "TUMETHOD")]
    assert not (tmp_path / "new").exists()


def as_frames(domains):
    import pandas as pd

    return {name: pd.DataFrame(rows) for name, rows in domains.items()}


@given(st.text("ab \u00e4\n", min_size=1, max_size=900))
def test_pieces_are_short_and_make_the_same_text(text):
    pieces = split(text)
    if pieces is not None:
        assert "".join(glue + piece for piece, glue in pieces) == text
        assert all(len(piece.encode()) <= 200 and (piece == piece.strip() or len(pieces) == 1) for piece, _ in pieces[:-1])


def dataset(**changes):
    about = {"datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.MH", "records": 1, "name": "MH", "label": "x"}
    about |= {"columns": [{"name": "USUBJID"}, {"name": "MHTERM"}], "rows": [["S1", "x"]]}
    return json.dumps({k: v for k, v in (about | changes).items() if v is not ...}).encode()


BAD = {
    "no JSON": ("json", b"{", "not-json", None),
    "an array": ("json", b"[]", "not-dataset-json", None),
    "version 1.0": ("json", dataset(datasetJSONVersion="1.0.0"), "not-dataset-json", "datasetJSONVersion"),
    "no columns": ("json", dataset(columns=...), "not-dataset-json", "columns"),
    "columns without names": ("json", dataset(columns=[{}]), "not-dataset-json", "columns"),
    "records in words": ("json", dataset(records="one"), "not-dataset-json", "records"),
    "a column twice": ("json", dataset(columns=[{"name": "A"}, {"name": "A"}]), "duplicate-column", "A"),
    "fewer rows than stated": ("json", dataset(records=2), "records-missing", "records"),
    "a row that is short": ("json", dataset(rows=[["S1"]]), "ragged-row", None),
    "a row that is no array": ("json", dataset(rows=[{"USUBJID": "S1"}]), "ragged-row", None),
    "an array in a cell": ("json", dataset(rows=[["S1", ["x"]]]), "ragged-row", None),
    "a bad line": ("ndjson", dataset(rows=...) + b"\n[\n", "not-json", None),
    "no line": ("ndjson", b"\n", "empty-file", None),
    "no transport file": ("xpt", b"**COMPRESSED** CPORT", "not-xpt", None),
    "a cut transport file": ("xpt", (REAL / "ae.xpt").read_bytes()[:400], "not-xpt", None),
    "two data sets in one": ("xpt", (REAL / "ae.xpt").read_bytes() + (REAL / "dm.xpt").read_bytes()[240:], "several-data-sets", None),
    "Latin 1": ("xpt", (REAL / "ae.xpt").read_bytes().replace(b"INJECTION", b"INJ\xc9CTION"), "wrong-encoding", None),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_read_is_a_finding(read, found, domains, case):
    ending, content, code, field = BAD[case]
    data = read(domains, lambda folder: (folder / f"mh.{ending}").write_bytes(content))
    assert (code, f"mh.{ending}", field) in [(c, place, f) for c, place, _, f in found(data)]
    assert len(data.rows("subject")) == 3


def test_every_bad_line_of_ndjson_is_named(read, domains):
    lines = dataset(rows=...) + b'\n[\n["S1","x"]\n{\n'
    data = read(domains, lambda folder: (folder / "mh.ndjson").write_bytes(lines))
    assert [f.row for f in data.findings if f.code == "not-json"] == [1, 3]


def test_json_that_is_no_data_set_is_left_alone(read, found, domains):
    assert found(read(domains, lambda folder: (folder / "settings.json").write_text("{}"))) == []


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(UsageError, match="csv, parquet, xpt"):
        write_datasets({}, tmp_path, "S", "sas7bdat")


def test_no_data_sets_are_no_files_and_nothing_is_left_behind(tmp_path):
    assert write_datasets({}, tmp_path / "new", "S", "csv") == {}
    assert list((tmp_path / "new").iterdir()) == []
