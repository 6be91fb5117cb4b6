"""The files of the reports: their names, and the columns of each as a statistician expects to find them.

Study days (ASTDY, DTHADY, ADY) count from the first dose, which is day 1; there is no day 0.
"""

TEAE = {
    "arm": "ARM",
    "organ_class": "AESOC",
    "preferred_term": "AEDECOD",
    "n": "N",
    "subjects": "SUBJECTS",
    "percent": "PERCENT",
    "events": "EVENTS",
    "grade1": "GRADE1",
    "grade2": "GRADE2",
    "grade3": "GRADE3",
    "grade4": "GRADE4",
    "grade5": "GRADE5",
    "grade3plus": "GRADE3PLUS",
    "mild": "MILD",
    "moderate": "MODERATE",
    "severe": "SEVERE",
    "serious": "SERIOUS",
    "related": "RELATED",
    "discontinued": "DISCONTINUED",
    "fatal": "FATAL",
}
"""The safety table with everything that it counts: safety.csv has the columns that scripts rely on."""

DISPOSITION = {"arm": "ARM", "stage": "STAGE", "category": "REASON", "n": "N", "subjects": "SUBJECTS", "percent": "PERCENT"}
BASELINE = {
    "arm": "ARM",
    "characteristic": "CHARACTERISTIC",
    "category": "CATEGORY",
    "n": "N",
    "subjects": "SUBJECTS",
    "percent": "PERCENT",
    "mean": "MEAN",
    "sd": "SD",
    "median": "MEDIAN",
    "q1": "Q1",
    "q3": "Q3",
    "minimum": "MIN",
    "maximum": "MAX",
}
OVERVIEW = {"arm": "ARM", "category": "CATEGORY", "n": "N", "subjects": "SUBJECTS", "percent": "PERCENT", "events": "EVENTS"}
SERIOUS_EVENTS = {
    "subject": "USUBJID",
    "arm": "ARM",
    "sequence": "AESEQ",
    "term": "AETERM",
    "preferred_term": "AEDECOD",
    "organ_class": "AESOC",
    "grade": "AETOXGR",
    "start": "AESTDTC",
    "end": "AEENDTC",
    "day": "ASTDY",
    "serious": "AESER",
    "criteria": "CRITERIA",
    "related": "AEREL",
    "action": "AEACN",
    "outcome": "AEOUT",
    "emergent": "TRTEMFL",
}
ADAE = {
    "study": "STUDYID",
    "subject": "USUBJID",
    "arm": "ARM",
    "sequence": "AESEQ",
    "term": "AETERM",
    "preferred_term": "AEDECOD",
    "organ_class": "AESOC",
    "start": "AESTDTC",
    "end": "AEENDTC",
    "emergent": "TRTEMFL",
    "grade": "ATOXGR",
    "severity": "ASEVN",
    "serious": "AESER",
    "related": "AREL",
    "discontinued": "ADISCFL",
    "fatal": "AFATALFL",
    "source_domain": "SRCDOM",
    "source_sequence": "SRCSEQ",
}
"""Every event as the safety tables count it: those with TRTEMFL Y."""

DEATHS = {
    "subject": "USUBJID",
    "arm": "ARM",
    "safety": "SAFFL",
    "death_on": "DTHDT",
    "day": "DTHADY",
    "days_after_last_dose": "DAYS_AFTER_LAST_DOSE",
    "on_treatment": "ONTRTFL",
    "fatal_events": "FATAL_EVENTS",
    "disposition": "DSDECOD",
}
ADLB = {
    "study": "STUDYID",
    "subject": "USUBJID",
    "arm": "ARM",
    "test": "PARAMCD",
    "name": "PARAM",
    "category": "PARCAT1",
    "specimen": "LBSPEC",
    "visit": "VISIT",
    "visit_number": "VISITNUM",
    "on": "ADT",
    "day": "ADY",
    "value": "AVAL",
    "comparator": "COMPARATOR",
    "unit": "UNIT",
    "low": "ANRLO",
    "high": "ANRHI",
    "range": "ANRIND",
    "indicator": "LBNRIND",
    "is_baseline": "ABLFL",
    "on_treatment": "ONTRTFL",
    "base": "BASE",
    "change": "CHG",
    "change_pct": "PCHG",
    "ctcae": "CTCAE",
    "term_low": "ATOXDSCL",
    "grade_low": "ATOXGRL",
    "base_grade_low": "BTOXGRL",
    "term_high": "ATOXDSCH",
    "grade_high": "ATOXGRH",
    "base_grade_high": "BTOXGRH",
    "sequence": "LBSEQ",
}
"""Laboratory results; the grades are candidates, never adverse events."""

_TEST = {"arm": "ARM", "test": "PARAMCD", "name": "PARAM"}
LAB_GRADES = _TEST | {"term": "ATOXDSC", "n": "N"} | {f"grade{g}": f"GRADE{g}" for g in range(5)} | {"grade3plus": "GRADE3PLUS"}
LAB_SHIFT = _TEST | {
    "kind": "KIND",
    "term": "ATOXDSC",
    "baseline": "BASELINE",
    "worst": "WORST",
    "n": "N",
    "subjects": "SUBJECTS",
    "percent": "PERCENT",
}
_FIGURES = {"n": "N", "mean": "MEAN", "sd": "SD", "median": "MEDIAN", "minimum": "MIN", "maximum": "MAX"}
LAB_CHANGE = (
    _TEST
    | {"unit": "UNIT", "visit_number": "VISITNUM", "visit": "VISIT"}
    | _FIGURES
    | {f"change_{figure}": f"CHG_{name}" for figure, name in _FIGURES.items()}
)

EXPOSURE_SUMMARY = {
    "arm": "ARM",
    "medication": "EXTRT",
    "figure": "FIGURE",
    "n": "N",
    "mean": "MEAN",
    "sd": "SD",
    "median": "MEDIAN",
    "minimum": "MIN",
    "maximum": "MAX",
    "subjects": "SUBJECTS",
    "percent": "PERCENT",
}

REPORT_FILES = {
    "disposition": ("disposition.csv", DISPOSITION),
    "baseline": ("baseline.csv", BASELINE),
    "overview": ("overview.csv", OVERVIEW),
    "exposure": ("exposure_summary.csv", EXPOSURE_SUMMARY),
    "serious_events": ("serious_events.csv", SERIOUS_EVENTS),
    "deaths": ("deaths.csv", DEATHS),
    "adverse_events": ("adae.csv", ADAE),
    "laboratory": ("adlb.csv", ADLB),
    "laboratory_grades": ("lab_grades.csv", LAB_GRADES),
    "laboratory_shifts": ("lab_shift.csv", LAB_SHIFT),
    "laboratory_changes": ("lab_change.csv", LAB_CHANGE),
}
"""Each report's file and its columns."""
