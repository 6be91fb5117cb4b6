import pandas as pd

from fhir_trial.notebook.marking import BANNER, SyntheticFrame, marked
from fhir_trial.notebook.masking import Mask


def test_names_follow_the_order_of_identifiers_and_are_as_wide_as_the_last_so_that_they_sort() -> None:
    mask = Mask([f"S-{number:03}" for number in range(12, 0, -1)])
    names = [mask.name(f"S-{number:03}") for number in range(1, 13)]
    assert names[0] == "subject 01"
    assert names[-1] == "subject 12"
    assert names == sorted(names)


def test_a_subject_counts_once_however_often_it_is_given() -> None:
    assert Mask(["b", "a", "b", "a"]).name("b") == "subject 2"


def test_an_unknown_or_missing_subject_is_never_shown() -> None:
    mask = Mask(["a"])
    assert mask.name("another") == mask.name(None) == mask.name(pd.NA) == "subject ?"


def test_a_masked_table_keeps_everything_but_the_identifiers_and_leaves_its_source_alone() -> None:
    frame = pd.DataFrame({"subject": ["b", "a"], "sponsor_id": ["b-7", "a-1"], "grade": [3, 1]})
    masked = Mask(["a", "b"]).masked(frame)
    assert masked.to_dict("list") == {"subject": ["subject 2", "subject 1"], "grade": [3, 1]}
    assert frame["subject"].tolist() == ["b", "a"]


def test_tables_without_subjects_and_masks_that_show_change_nothing() -> None:
    plain, personal = pd.DataFrame({"term": ["Rash"]}), pd.DataFrame({"subject": ["a"], "sponsor_id": ["a-1"]})
    assert Mask(["a"]).masked(plain) is plain
    assert Mask(["a"], shown=True).masked(personal) is personal


def test_only_synthetic_tables_are_marked_and_stay_so_when_rows_or_columns_are_chosen() -> None:
    frame = pd.DataFrame({"a": [2, 1], "b": [3, 4]})
    assert BANNER not in repr(marked(frame, synthetic=False))
    table = marked(frame, synthetic=True)
    for part in (
        table,
        table[["a"]],
        table[table["a"] > 1],
        table.sort_values("a").head(1),
        pd.concat([table, table]),
        table.set_index("a"),
    ):
        assert isinstance(part, SyntheticFrame)
        assert repr(part).startswith(BANNER)
        assert BANNER in part._repr_html_()
