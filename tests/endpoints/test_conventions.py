"""The conventions: their names, defaults, presets and settings are those of the published table."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.domain.study import Sponsor, StudyDefinition
from fhir_trial.endpoints.conventions import PRESETS, Conventions, for_study, parameters, preset
from fhir_trial.errors import UsageError


def study(**more: object) -> StudyDefinition:
    return StudyDefinition(
        id="S", title="T", status="COMPLETED", sponsor=Sponsor(id="P", name="P"), arms=(), drugs=(), outcomes=(), endpoints=(), **more
    )


def test_the_default_is_the_preset_protocol() -> None:
    assert Conventions() == preset("protocol")
    assert Conventions().departures() == {}
    assert Conventions().describe() == "protocol"


def test_each_preset_departs_from_the_protocol_as_its_guideline_says() -> None:
    anyone = {"death_window_days": None}
    changed = {name: set(vars(preset(name)).items()) - set(vars(preset("protocol")).items()) - {("preset", name)} for name in PRESETS}
    assert {name: dict(values) for name, values in changed.items()} == {
        "protocol": {},
        "fda-2018": {**anyone, "missed_rule": "fda", "nact_rule": "censor"},
        "ema": anyone,
        "admiralonco": {
            **anyone,
            "censor_date": "last_any",
            "start": "randomization",
            "add_one": True,
            "no_assessment_bor": "MISSING",
            "partial_date": "last",
            "exclude_after_nact": False,
            "ignore_after_withdrawal": False,
            "last_alive_sources": "ae+lb+ex",
        },
    }


def test_defaults_that_no_example_names() -> None:
    ours = preset("protocol")
    assert (ours.keep_zero_times, ours.cbr_min_days, ours.te_window_days) == (True, 168, 30)
    words = "RELATED, POSSIBLE, PROBABLE, DEFINITE, POSSIBLY RELATED, PROBABLY RELATED, DEFINITELY RELATED, Y, YES"
    assert ours.related_values == tuple(words.split(", "))


@pytest.mark.parametrize("given", [["probable", "Possible"], ("probable", "Possible"), "probable,Possible"])
def test_several_words_are_given_as_text_or_one_by_one(given: object) -> None:
    assert preset("protocol").with_settings({"related_values": given}).related_values == ("PROBABLE", "POSSIBLE")


def test_every_name_of_the_reference_table_is_a_parameter(shared: Path) -> None:
    text = (shared / "reference" / "endpoints.md").read_text()
    table = text.split("| name | values, default first | meaning |")[1].split("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"\w+", row.split("|")[1])]
    assert len(names) > 50
    assert set(names) <= set(parameters())


@pytest.mark.parametrize("file", ["recist_examples.json", "pfs_examples.json"])
def test_the_worked_examples_name_parameters_with_their_defaults(shared: Path, file: str) -> None:
    defaults = json.loads((shared / "data" / "recist" / file).read_text())["default_params"]
    assert preset("protocol").with_settings(defaults) == preset("protocol")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("sd_min_days", "35", 35),
        ("sd_min_days", "any", 0),
        ("death_window_days", "none", None),
        ("death_window_days", "null", None),
        ("death_window_days", None, None),
        ("add_one", "false", False),
        ("add_one", "true", True),
        ("death_window_days", "0", 0),
        ("sd_between_ok", "TRUE", True),
        ("add_one", True, True),
        ("pr_sticky", "after_first", "after_first"),
        ("pr_sticky", "after-confirmed", "after_confirmed"),
        ("no_assessment_bor", "missing", "MISSING"),
        ("tstm_mm", "4.5", Decimal("4.5")),
        ("level", 0.9, Decimal("0.9")),
        ("month_days", "calendar", "calendar"),
        ("month_days", "30", Decimal(30)),
        ("data_cutoff", "2024-02-29", "2024-02-29"),
        ("data_cutoff", "none", None),
        ("evaluator", "RADIOLOGIST 1", "RADIOLOGIST 1"),
        ("related_values", "probable, Possible", ("PROBABLE", "POSSIBLE")),
        ("interval", "log", "log"),
    ],
)
def test_a_setting_is_read_from_text(name: str, text: object, value: object) -> None:
    assert getattr(preset("protocol").with_settings({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sd_min_days", "-1"),
        ("sd_min_days", "\uff14\uff12"),
        ("sd_min_days", "none"),
        ("confirm_days", "28.5"),
        ("confirm_days", True),
        ("max_ne_between", ""),
        ("sd_between_ok", "1"),
        ("sd_between_ok", None),
        ("pr_sticky", "always"),
        ("tstm_mm", "NaN"),
        ("tstm_mm", "0"),
        ("level", "95"),
        ("level", "1"),
        ("month_days", "lunar"),
        ("data_cutoff", "2024-02-30"),
        ("data_cutoff", "2024-02"),
        ("evaluator", " "),
        ("evaluator", None),
        ("evaluator", True),
        ("related_values", None),
        ("related_values", False),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_those_that_are(name: str, text: object) -> None:
    with pytest.raises(UsageError) as raised:
        preset("protocol").with_settings({name: text})
    assert f"convention {name} cannot be" in str(raised.value)
    assert parameters()[name].allowed in str(raised.value)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no convention is named max_ne_betwen: did you mean max_ne_between"):
        preset("protocol").with_settings({"max_ne_betwen": "1"})
    with pytest.raises(UsageError, match="no convention is named zzz: they are sd_min_days"):
        preset("protocol").with_settings({"zzz": "1"})
    with pytest.raises(UsageError, match="no convention is named preset"):
        preset("protocol").with_settings({"preset": "ema"})
    with pytest.raises(UsageError, match="no preset is named fda: there are protocol, fda-2018, ema, admiralonco"):
        preset("fda")


@pytest.mark.parametrize(
    ("name", "near"),
    [("CONFIRM_DAYS", "confirm_days"), ("death-window", "death_window_days"), ("rate", "rate_method"), ("nadir", "nadir_in")],
)
def test_an_unknown_name_in_another_case_or_cut_short_is_found(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"no convention is named {name}: did you mean {near}"):
        preset("protocol").with_settings({name: "1"})


def test_where_no_name_is_near_the_nearest_come_first() -> None:
    with pytest.raises(UsageError, match="no convention is named stickiness: they are pr_sticky, "):
        preset("protocol").with_settings({"stickiness": "1"})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_differs_from_protocol_in_what_it_lists_and_departs_from_itself_in_nothing(name: str) -> None:
    changed = {p for p in parameters() if getattr(preset(name), p) != getattr(preset("protocol"), p)}
    assert changed == set(PRESETS[name])
    assert preset(name).departures() == {}


def test_departures_are_from_the_own_preset() -> None:
    conventions = preset("ema").with_settings({"death_window_days": "63", "level": "0.9", "confirm_days": "28"})
    assert conventions.departures() == {"death_window_days": 63, "level": 0.9}
    assert conventions.describe() == "ema, except death_window_days=63, level=0.9"
    assert preset("protocol").with_settings({"death_window_days": None}).describe() == "protocol, except death_window_days=none"


def settings() -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "sd_min_days": st.integers(0, 400),
            "death_window_days": st.none() | st.integers(0, 400),
            "level": st.decimals("0.5", "0.999", places=3),
            "month_days": st.sampled_from(["calendar", "weeks", "30", "30.4375"]),
            "data_cutoff": st.none() | st.dates().map(str),
            "related_values": st.lists(st.sampled_from(["A", "B"]), max_size=2),
            "evaluator": st.text("ABC ", min_size=1).filter(str.strip),
            "add_one": st.booleans(),
        },
    )


@given(st.sampled_from(list(PRESETS)), settings())
def test_conventions_survive_json(name: str, changed: dict[str, object]) -> None:
    conventions = preset(name).with_settings(changed)
    assert Conventions.from_dict(json.loads(json.dumps(conventions.to_dict()))) == conventions
    assert Conventions.from_dict({"preset": name} | conventions.departures()) == conventions


def test_a_study_names_its_preset_and_its_departures() -> None:
    own = study(preset="ema", conventions={"confirm_days": 21})
    assert for_study(own).departures() == {"confirm_days": 21}
    assert for_study(own, "ema").confirm_days == 21
    assert for_study(own, settings={"confirm_days": "35"}).confirm_days == 35
    assert for_study(own, "protocol") == preset("protocol")
    assert for_study(study()) == preset("protocol")


def test_disease_control_takes_the_days_of_stable_disease_unless_it_has_its_own() -> None:
    assert preset("protocol").with_settings({"sd_min_days": 35}).disease_control_days == 35
    assert preset("protocol").with_settings({"dcr_min_days": 0}).disease_control_days == 0


@pytest.mark.parametrize("values", [[1], "ema", 3, None])
def test_a_file_that_holds_no_names_is_refused(values: object) -> None:
    with pytest.raises(UsageError, match="names and values"):
        Conventions.from_dict(values)
