"""Reports as a notebook shows them: arms side by side, subjects masked, synthetic data marked."""

import dataclasses

import pandas as pd
import pytest

from fhir_trial.errors import UsageError
from fhir_trial.notebook.marking import BANNER
from fhir_trial.notebook.reports import LABELS, TITLES, ShownReport, side_by_side
from fhir_trial.notebook.session import ShownResults, Trial


@pytest.fixture(scope="module")
def shown(read_trial: Trial) -> ShownResults:
    return read_trial.endpoints()


def test_every_report_is_there_masked_and_marked(shown: ShownResults, identifiers: list[str]) -> None:
    assert set(TITLES) <= set(shown.reports)
    for name, report in shown.reports.items():
        assert repr(report.frame()).startswith(BANNER), name
        assert BANNER in repr(report), name
        everything = report.frame().to_csv() + report.wide().to_csv()
        assert not [identifier for identifier in identifiers if identifier in everything], name


@pytest.mark.parametrize("name", sorted(TITLES))
def test_a_report_for_print_says_its_title_conventions_and_mark(shown: ShownResults, identifiers: list[str], name: str) -> None:
    html = shown.reports[name].table().as_raw_html()
    assert TITLES[name] in html
    assert BANNER in html
    assert "Conventions: protocol" in html
    assert not [identifier for identifier in identifiers if identifier in html]
    assert html == shown.reports[name]._repr_html_()


def test_table_1_has_an_arm_a_column_and_figures_in_words(shown: ShownResults) -> None:
    wide = shown.baseline().wide()
    assert list(wide.columns[:2]) == list(LABELS["baseline"])
    assert wide.columns[-1] == "TOTAL"
    age = wide[wide["characteristic"] == "Age (years)"]["TOTAL"].iloc[0]
    assert age.count("(") == 1
    assert age.endswith("]")
    sexes = wide[wide["characteristic"] == "Sex"]["TOTAL"]
    assert sum(int(cell.split(" ")[0]) for cell in sexes) == shown.disposition().frame().query("stage == 'enrolled'")["n"].iloc[-1]


def test_real_data_have_no_mark(shown: ShownResults) -> None:
    real = dataclasses.replace(shown.results, synthetic=False)
    report = ShownReport("deaths", real, shown._mask)
    assert BANNER not in report.table().as_raw_html() + repr(report) + repr(report.frame())


def test_an_unknown_report_names_those_there_are(shown: ShownResults) -> None:
    with pytest.raises(UsageError, match=r"no report table1: there are .*baseline"):
        shown.reports["table1"]


def test_arms_stand_side_by_side_in_order_with_all_of_them_last() -> None:
    report = pd.DataFrame(
        {
            "arm": ["B", "B", "TOTAL", "TOTAL", "TOTAL"],
            "term": ["x", "y", "x", "y", "z"],
            "subjects": [1, 0, 1, 2, pd.NA],
            "percent": [50.0, 0.0, 12.5, 25.0, None],
        }
    )
    wide = side_by_side(report, ("term",))
    assert wide.to_dict("list") == {
        "term": ["x", "y", "z"],
        "B": ["1 (50.0 %)", "0 (0.0 %)", ""],
        "TOTAL": ["1 (12.5 %)", "2 (25.0 %)", ""],
    }
