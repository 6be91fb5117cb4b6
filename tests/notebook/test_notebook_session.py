import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

import fhir_trial
from fhir_trial.errors import ConfigurationError, UsageError
from fhir_trial.notebook.marking import BANNER
from fhir_trial.notebook.session import ShownResults, Trial, open_study
from fhir_trial.trial.opened import OpenTrial, read_source

STUDY = "NCT05189483"
TABLES = ("subjects", "doses", "lesions", "responses", "adverse_events")


@pytest.fixture(scope="module")
def shown(read_trial: Trial) -> ShownResults:
    return read_trial.endpoints()


def test_the_package_opens_a_study() -> None:
    assert fhir_trial.open is open_study


def test_nothing_is_at_hand_before_the_first_pull(small_cohort: Path) -> None:
    trial = open_study(STUDY, folder=small_cohort)
    assert repr(trial) == f"Trial({STUDY}; nothing read yet)"
    for ask in (trial.subjects, trial.endpoints, trial.publish):
        with pytest.raises(UsageError, match=r"call pull\(\) first"):
            ask()


def test_a_study_is_opened_from_a_server_or_from_a_folder(small_cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="give one of"):
        open_study(STUDY)
    with pytest.raises(UsageError, match="give one of"):
        open_study(STUDY, server="demo", folder=small_cohort)
    monkeypatch.chdir(small_cohort)
    with pytest.raises(ConfigurationError, match=r"'demo' is not in fhir-trial\.toml"):
        open_study(STUDY, server="demo")


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_masked_marked_and_in_order(read_trial: Trial, identifiers: list[str], table: str) -> None:
    frame = getattr(read_trial, table)()
    assert len(frame)
    assert set(frame["subject"]) <= {f"subject {number}" for number in range(1, 7)}
    assert frame["subject"].is_monotonic_increasing
    assert repr(frame).startswith(BANNER)
    everything = frame.to_csv()
    assert not [name for name in identifiers if name in everything]


def test_the_order_of_what_a_server_gives_makes_no_difference(read_trial: Trial, small_cohort: Path) -> None:
    data = read_source(small_cohort, STUDY)
    turned = {name: table.take(np.arange(table.num_rows)[::-1]) for name, table in data.tables.items()}
    source = SimpleNamespace(data=dataclasses.replace(data, tables=turned), study=data.study)
    trial = Trial(cast(OpenTrial, source))
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(trial, table)(), getattr(read_trial, table)())


def test_numbers_come_as_numbers(read_trial: Trial) -> None:
    doses, lesions = read_trial.doses(), read_trial.lesions()
    assert doses.loc[doses["medication"] == "CAMRELIZUMAB", "dose"].unique().tolist() == [200.0]
    assert lesions["longest_mm"].dtype == "double[pyarrow]"


def test_one_subject_has_one_number_in_every_table(read_trial: Trial, shown: ShownResults) -> None:
    starts = read_trial.subjects().set_index("subject")["enrolled_on"].astype(str)
    from_results = shown["PFS"].subjects().set_index("subject")["start"].astype(str)
    assert from_results.to_dict() == starts.to_dict()


def test_subjects_are_shown_to_who_gives_a_reason(small_cohort: Path, identifiers: list[str]) -> None:
    trial = open_study(STUDY, folder=small_cohort, unmasked="query 12 of the data review").pull()
    assert set(trial.doses()["subject"]) <= set(identifiers)
    assert set(trial.endpoints()["PFS"].subjects()["subject"]) <= set(identifiers)


def test_what_is_shown_of_a_trial_or_a_result_names_no_subject(read_trial: Trial, shown: ShownResults, identifiers: list[str]) -> None:
    texts = [repr(read_trial), repr(shown), shown._repr_html_(), repr(shown["PFS"]), repr(shown["PFS"].result), repr(shown.results)]
    texts += [shown.table().as_raw_html(), repr(shown.safety()), shown["PFS"].subjects().to_csv(), shown["ORR"].subjects().to_csv()]
    assert not [name for name in identifiers for text in texts if name in text]


def test_what_is_shown_is_marked_synthetic(read_trial: Trial, shown: ShownResults) -> None:
    texts = [repr(read_trial), shown._repr_html_(), repr(shown["PFS"]), shown.table().as_raw_html(), repr(shown.summary())]
    assert all(BANNER in text for text in texts)
    assert BANNER in str(shown["PFS"].plot().to_dict())


def test_the_summary_has_a_row_an_estimate(shown: ShownResults) -> None:
    summary = shown.summary().set_index(["endpoint", "estimate"])
    median = shown.results["PFS"].estimate("median")
    assert summary.loc[("PFS", "median"), "value"] == median.value
    assert summary.loc[("PFS", "median"), "unit"] == "days"
    assert ("PFS", "rate at 4 months") in summary.index
    assert len(summary) == sum(len(result.estimates) for result in shown.results.values())
    assert list(shown) == list(shown.results)
    assert len(shown) == len(shown.results)


def test_a_table_for_print_names_its_conventions_and_comes_out_the_same_each_time(shown: ShownResults) -> None:
    html = shown.table().as_raw_html()
    assert f"Conventions: {shown.conventions.describe()}" in html
    assert "95 % interval" in html
    assert html == shown.table().as_raw_html()


def test_a_response_rate_has_no_curve(shown: ShownResults) -> None:
    with pytest.raises(UsageError, match="ORR has no curve"):
        shown["ORR"].plot()


def test_conventions_are_a_preset_and_settings(read_trial: Trial) -> None:
    longer = read_trial.endpoints("admiralonco", death_window_days=84)
    assert longer.conventions.preset == "admiralonco"
    assert longer.conventions.death_window_days == 84
    assert "death_window_days" in longer["PFS"].plot().to_dict()["description"]


def test_safety_counts_subjects_of_the_population(shown: ShownResults) -> None:
    total = shown.safety().query("arm == 'TOTAL' and preferred_term == '*ANY*' and organ_class == '*ANY*'")
    assert isinstance(total, pd.DataFrame)
    assert total["subjects"].item() == shown.results["SAFETY"].count


def test_results_are_published_to_a_server_only(read_trial: Trial, shown: ShownResults) -> None:
    with pytest.raises(ConfigurationError, match="open the study with server="):
        read_trial.publish(shown)
