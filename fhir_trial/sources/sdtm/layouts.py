"""Which SDTM variable is which field of the domain, as data: read by `rows`, written by `write`.

A layout is one SDTM domain. A column with `supplement` stands in SUPP-- under its name as QNAM (a column of that name is read too).
"""

from dataclasses import dataclass

from fhir_trial.sources.sdtm.values import AMOUNT, DATE, DECIMAL, INTEGER, ROUNDED, TEXT, YES_NO, Kind, coded


@dataclass(frozen=True)
class Column:
    """One SDTM variable: its field, its kind, and other variables that are read where it is blank."""

    variable: str
    field: str
    kind: Kind = TEXT
    required: bool = False
    """A row without a value is left out; a file without the column cannot be used."""
    also: tuple[str, ...] = ()
    keeps_row: bool = False
    """Text that cannot be read leaves the row without a value instead of leaving the row out; the text is kept as a source column."""
    supplement: str | None = None
    """The label of the supplemental qualifier, where it is one."""
    without: str | None = None
    """What follows where a file lacks the column, which no row must have and endpoints rest on."""


@dataclass(frozen=True)
class Layout:
    """One domain: its columns, and groups of variables of which a file needs at least one."""

    domain: str
    columns: tuple[Column, ...]
    needs: tuple[tuple[str, ...], ...] = ()
    only: tuple[str, frozenset[str]] | None = None
    """The variable that says what a row is about, and the terms that have a place in the domain; other rows are counted and left."""

    @property
    def variables(self) -> frozenset[str]:
        """Every variable the layout can read."""
        return frozenset(name for column in self.columns for name in (column.variable, *column.also))

    def column(self, field: str) -> Column:
        """The column of a field."""
        return next(column for column in self.columns if column.field == field)


VISIT = (Column("VISIT", "visit"), Column("VISITNUM", "visit_number", DECIMAL))

SEX = coded({"F": "F", "M": "M", "U": "U", "UNDIFFERENTIATED": "UNDIFFERENTIATED"})
_ROLES = {"TARGET": "target", "NON-TARGET": "non-target", "NEW": "new", "NONTARGET": "non-target", "NON TARGET": "non-target"}
ROLE = coded({f"{term}{ending}": role for ending in ("", " LESION", " LESIONS") for term, role in _ROLES.items()})
SEVERITY = coded({term: term for term in ("MILD", "MODERATE", "SEVERE")})
OUTCOME = coded(
    {
        term: term
        for term in (
            "FATAL",
            "NOT RECOVERED/NOT RESOLVED",
            "RECOVERED/RESOLVED",
            "RECOVERED/RESOLVED WITH SEQUELAE",
            "RECOVERING/RESOLVING",
            "UNKNOWN",
        )
    }
)
GRADE = coded({text.format(grade): grade for text in ("{}", "{}.0", "GRADE {}") for grade in range(1, 6)})
ECOG = coded({str(score): score for score in range(6)} | {f"{score}.0": score for score in range(6)})
NOT_DONE = coded({"NOT DONE": True})

DM = Layout(
    "dm",
    (
        Column("SITEID", "site"),
        Column("SEX", "sex", SEX),
        Column("BRTHDTC", "birth_date", DATE),
        Column("AGE", "age", AMOUNT),
        Column("AGEU", "age_unit"),
        Column("RACE", "race"),
        Column("ETHNIC", "ethnicity"),
        Column("COUNTRY", "country"),
        Column("ARMCD", "arm_planned_code"),
        Column("ARM", "arm_planned"),
        Column("ACTARMCD", "arm_actual_code"),
        Column("ACTARM", "arm_actual"),
        Column("ARMNRS", "no_arm_reason"),
        Column("RFICDTC", "consented_on", DATE),
        Column("RFSTDTC", "reference_start", DATE),
        Column("RFXSTDTC", "first_dose_on", DATE),
        Column("RFXENDTC", "last_dose_on", DATE),
        Column("RFPENDTC", "ended_on", DATE),
        Column("DTHDTC", "death_date", DATE),
        Column("DTHFL", "dead", YES_NO),
        Column("LSTALVDT", "last_alive", DATE, also=("LSTALVDTC",)),
        Column("BSA", "bsa", AMOUNT),
        Column("WEIGHT", "weight", AMOUNT),
        Column("HEIGHT", "height", AMOUNT),
    ),
    needs=(("ARM", "ARMCD"),),
)

DS = Layout(
    "ds",
    (
        Column("DSSEQ", "sequence", INTEGER, required=True),
        Column("DSDECOD", "event", required=True, also=("DSTERM",)),
        Column("DSTERM", "term"),
        Column("DSCAT", "category"),
        Column("DSSCAT", "scope"),
        Column("DSSTDTC", "on", DATE, also=("DSDTC",)),
    ),
)

EX = Layout(
    "ex",
    (
        Column("EXSEQ", "sequence", INTEGER, required=True),
        Column("EXTRT", "medication", required=True),
        Column("EXSTAT", "not_done", NOT_DONE),
        Column("EXOCCUR", "occurred", YES_NO),
        Column("EXREASND", "reason", also=("EXREASOC",)),
        Column("EXDOSE", "dose", AMOUNT, without="doses are not known, nor what is summed of them"),
        Column("EXDOSU", "unit"),
        Column("EXDOSFRM", "form"),
        Column("EXDOSFRQ", "frequency"),
        Column("EXROUTE", "route"),
        Column("EXADJ", "adjustment"),
        *VISIT,
        Column("EXSTDTC", "start", DATE, without="when doses were given is not known"),
        Column("EXENDTC", "end", DATE),
        Column("EXCYCLE", "cycle", INTEGER, supplement="Cycle"),
        Column("EXPDOSM2", "planned_per_m2", AMOUNT, also=("EXDOSEM2",), supplement="Planned Dose per m2 (mg/m2)"),
        Column("EXBSA", "bsa_used", AMOUNT, supplement="Body Surface Area Used (m2)"),
        Column("EXSTOPFL", "stopped", coded({"Y": True}), supplement="Stopped and not Resumed"),
    ),
)

CRITERIA = {
    "AESDTH": "death",
    "AESLIFE": "life-threatening",
    "AESHOSP": "hospitalization",
    "AESDISAB": "disability",
    "AESCONG": "congenital-anomaly",
    "AESMIE": "other",
}
"""Variables of seriousness to the domain's criterion."""

AE = Layout(
    "ae",
    (
        Column("AESEQ", "sequence", INTEGER, required=True),
        Column("AESPID", "sponsor_id"),
        Column("AETERM", "term", required=True),
        Column("AEDECOD", "preferred_term", without="events are counted by AETERM"),
        Column("AESOC", "organ_class", also=("AEBODSYS",)),
        Column("AETOXGR", "grade", GRADE),
        Column("AETOXVER", "grade_version", supplement="Version of the Toxicity Grades"),
        Column("AESEV", "severity", SEVERITY),
        Column("AESER", "serious", YES_NO),
        *(Column(variable, criterion, YES_NO) for variable, criterion in CRITERIA.items()),
        Column("AEREL", "related"),
        Column("AEACN", "action"),
        Column("AEOUT", "outcome", OUTCOME),
        Column("AESTDTC", "start", DATE, without="which events began under treatment is not known"),
        Column("AEENDTC", "end", DATE),
        Column("AEDTC", "reported_on", DATE),
    ),
)

CM = Layout(
    "cm",
    (
        Column("CMSEQ", "sequence", INTEGER, required=True),
        Column("CMTRT", "name", required=True),
        Column("CMDECOD", "preferred_term"),
        Column("CMDOSE", "dose", AMOUNT, keeps_row=True),
        Column("CMDOSU", "unit"),
        Column("CMDOSFRQ", "frequency"),
        Column("CMROUTE", "route"),
        Column("CMCAT", "category"),
        Column("CMINDC", "indication"),
        Column("CMSTDTC", "start", DATE),
        Column("CMENDTC", "end", DATE),
    ),
)

BODY_TESTS = frozenset({"BSA", "WEIGHT", "HEIGHT"})
"""Tests of VS that are body measures; the others are vital signs."""

VS = Layout(
    "vs",
    (
        Column("VSSEQ", "sequence", INTEGER, required=True),
        Column("VSTESTCD", "test", coded({"BSA": "bsa", "WEIGHT": "weight", "HEIGHT": "height"}), required=True),
        Column("VSORRES", "result"),
        Column("VSORRESU", "result_unit"),
        Column("VSSTRESN", "value"),
        Column("VSSTRESU", "unit"),
        Column("VSSTAT", "not_done", NOT_DONE),
        *VISIT,
        Column("VSDTC", "on", DATE),
    ),
    needs=(("VSSTRESN", "VSORRES"),),
    only=("VSTESTCD", BODY_TESTS),
)

VITALS = Layout(
    "vs",
    (
        Column("VSSEQ", "sequence", INTEGER, required=True),
        Column("VSTESTCD", "test", required=True),
        Column("VSTEST", "name"),
        Column("VSPOS", "position"),
        Column("VSORRES", "result"),
        Column("VSORRESU", "result_unit"),
        Column("VSSTRESC", "character"),
        Column("VSSTRESN", "value", ROUNDED),
        Column("VSSTRESU", "unit"),
        Column("VSSTAT", "not_done", NOT_DONE),
        Column("VSREASND", "reason"),
        *VISIT,
        Column("VSDTC", "on", DATE),
    ),
    needs=(("VSSTRESN", "VSORRES"),),
)

QS = Layout(
    "qs",
    (
        Column("QSSEQ", "sequence", INTEGER, required=True),
        Column("QSTESTCD", "test", required=True),
        Column("QSSTRESN", "score", ECOG, also=("QSSTRESC", "QSORRES")),
        Column("QSSTAT", "not_done", NOT_DONE),
        *VISIT,
        Column("QSDTC", "on", DATE),
    ),
    needs=(("QSSTRESN", "QSSTRESC", "QSORRES"),),
    only=("QSTESTCD", frozenset({"ECOG101"})),
)

LB = Layout(
    "lb",
    (
        Column("LBSEQ", "sequence", INTEGER, required=True),
        Column("LBTESTCD", "test", required=True),
        Column("LBTEST", "name"),
        Column("LBCAT", "category"),
        Column("LBSPEC", "specimen"),
        Column("LBLOINC", "loinc"),
        Column("LBORRES", "reported"),
        Column("LBORRESU", "reported_unit"),
        Column("LBORNRLO", "reported_low"),
        Column("LBORNRHI", "reported_high"),
        Column("LBSTRESC", "character"),
        Column("LBSTRESN", "value", ROUNDED),
        Column("LBSTRESU", "unit"),
        Column("LBSTNRLO", "low", ROUNDED),
        Column("LBSTNRHI", "high", ROUNDED),
        Column("LBNRIND", "indicator"),
        Column("LBSTAT", "not_done", NOT_DONE),
        Column("LBREASND", "reason"),
        Column("LBFAST", "fasting", YES_NO),
        Column("LBBLFL", "baseline", coded({"Y": True}), also=("LBLOBXFL",)),
        *VISIT,
        Column("LBDTC", "on", DATE),
    ),
)


UNDATED = "when it was seen is not known, and an assessment without a date does not count"


def _reading(prefix: str, without: str | None = None) -> tuple[Column, ...]:
    """Who read it, and when: the same in TU, TR and RS; what follows where a file does not say when."""
    return (
        Column(f"{prefix}EVAL", "evaluator"),
        Column(f"{prefix}EVALID", "evaluator_id"),
        Column(f"{prefix}ACPTFL", "accepted", YES_NO),
        *VISIT,
        Column(f"{prefix}DTC", "on", DATE, without=without),
    )


TU = Layout(
    "tu",
    (
        Column("TUSEQ", "sequence", INTEGER),
        Column("TULNKID", "lesion", required=True),
        Column("TUTESTCD", "test", required=True),
        Column("TUSTRESC", "result", also=("TUORRES",)),
        Column("TULOC", "organ"),
        Column("TUMETHOD", "method"),
        *_reading("TU"),
    ),
    needs=(("TUSTRESC", "TUORRES"),),
    only=("TUTESTCD", frozenset({"TUMIDENT", "TUSPLIT", "TUMERGE"})),
)

TR = Layout(
    "tr",
    (
        Column("TRSEQ", "sequence", INTEGER),
        Column("TRGRPID", "role", ROLE),
        Column("TRLNKID", "lesion"),
        Column("TRTESTCD", "test", required=True),
        Column("TRORRES", "result"),
        Column("TRORRESU", "result_unit"),
        Column("TRSTRESC", "character"),
        Column("TRSTRESN", "number"),
        Column("TRSTRESU", "unit"),
        Column("TRSTAT", "not_done", NOT_DONE),
        Column("TRREASND", "reason"),
        Column("TRMETHOD", "method"),
        *_reading("TR", UNDATED),
    ),
    needs=(("TRLNKID",), ("TRSTRESN", "TRSTRESC", "TRORRES")),
    only=("TRTESTCD", frozenset({"LDIAM", "LPERP", "TUMSTATE", "SUMDIAM", "TRALL"})),
)

RESPONSE_TESTS = {"OVRLRESP": "overall", "TRGRESP": "target", "NTRGRESP": "non-target", "NEWLPROG": "new-lesion", "TMRESP": "marker"}

RS = Layout(
    "rs",
    (
        Column("RSSEQ", "sequence", INTEGER),
        Column("RSTESTCD", "test", coded(RESPONSE_TESTS), required=True),
        Column("RSCAT", "category"),
        Column("RSSTRESC", "value", also=("RSORRES",)),
        Column("RSSTAT", "not_done", NOT_DONE),
        Column("RSREASND", "reason"),
        *_reading("RS", UNDATED),
    ),
    needs=(("RSSTRESC", "RSORRES"),),
    only=("RSTESTCD", frozenset(RESPONSE_TESTS)),
)

LAYOUTS = {layout.domain: layout for layout in (DM, DS, EX, AE, CM, VS, QS, LB, TU, TR, RS)}

CONTACTS = {
    "lb": ("LBDTC",),
    "vs": ("VSDTC",),
    "qs": ("QSDTC",),
    "sv": ("SVSTDTC", "SVENDTC"),
}
"""Domains whose dates show that a subject was alive, beside those whose own table has the date, and DS."""

UNCARRIED_BY_NATURE = frozenset({"STUDYID", "DOMAIN", "USUBJID", "SUBJID"})
"""Variables that stand in every row's key and are not reported as left out."""
