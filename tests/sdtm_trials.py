"""SDTM domains with rows at random, and when two readings are the same."""

from collections import Counter

import pandas as pd

DATES = ("2022-12-20", "2023-01-02", "2023-02-13", "2023-02", "2023", "2023-03-01T10:30", "2023-03---", "2023-03-01T10:30Z")
NUMBERS = ("0", "1", "2.50", "17.25", "0.000000000001", "99999999", "1E2")
TEXTS = ("a", "Ärger", 'quote"d, and comma', "two\nlines", "NA", "x" * 300, "0")
YES_NO = ("Y", "N")
SEQUENCES = ("1", "2", "3", "4", "5")
LESIONS = ("T01", "T02", "T01.1", "NT01", "NEW1")
RESULTS = (
    *("12", "3.5", "0", "ABSENT", "PRESENT", "TOO SMALL TO MEASURE", "MERGED WITH T02", "NOT EVALUABLE"),
    *("EQUIVOCAL", "UNEQUIVOCAL PROGRESSION"),
)
EVENTS = ("ENROLLED", "RANDOMIZED", "DEATH", "COMPLETED", "WITHDRAWAL BY SUBJECT", "SCREEN FAILURE", "INFORMED CONSENT OBTAINED")
IDENTIFICATIONS = ("TARGET", "NON-TARGET", "NEW", "TARGET NODAL", "MERGED WITH T02", "SPLIT FROM T02")
READERS = (("INVESTIGATOR", None, None), ("INDEPENDENT ASSESSOR", "R1", "Y"), ("INDEPENDENT ASSESSOR", "R2", None))
VISITS = (("SCREENING", "0"), ("WEEK 6", "6"), ("WEEK 12", "12"), ("UNSCHEDULED", None), (None, "7.1"), (None, None))
ARMS = (("T", "Treatment"), ("SCRNFAIL", "Screen Failure"), (None, None), ("X", "Unheard of"))

DM = {
    "SEX": "FMU", "AGE": NUMBERS, "AGEU": TEXTS, "RACE": TEXTS, "SITEID": TEXTS, "BRTHDTC": DATES, "DTHDTC": DATES, "DTHFL": YES_NO,
    "RFICDTC": DATES, "RFSTDTC": DATES, "RFXSTDTC": DATES, "RFXENDTC": DATES, "RFPENDTC": DATES, "LSTALVDT": DATES, "WEIGHT": NUMBERS,
}  # fmt: skip
DOMAINS = {
    # domain: most rows, columns that every row has, columns that it may have
    "ds": (6, {"DSSEQ": SEQUENCES, "DSDECOD": EVENTS},
           {"DSTERM": TEXTS, "DSCAT": ("DISPOSITION EVENT",), "DSSCAT": ("STUDY TREATMENT", "STUDY PARTICIPATION"), "DSSTDTC": DATES}),
    "ex": (6, {"EXSEQ": SEQUENCES, "EXTRT": ("DRUG A", "DRUG B")},
           {"EXDOSE": NUMBERS, "EXDOSU": TEXTS, "EXBSA": NUMBERS, "EXDOSEM2": NUMBERS, "EXSTAT": ("NOT DONE",), "EXREASND": TEXTS,
            "EXSTOPFL": ("Y",), "EXCYCLE": SEQUENCES, "VISIT": ("CYCLE 1", "DAY 1"), "EXSTDTC": DATES, "EXENDTC": DATES}),
    "ae": (6, {"AESEQ": SEQUENCES, "AETERM": TEXTS},
           {"AETOXGR": SEQUENCES, "AETOXVER": ("4.03",), "AESER": YES_NO, "AESDTH": YES_NO, "AESMIE": YES_NO, "AESTDTC": DATES,
            "AEENDTC": DATES, "AEREL": TEXTS, "AEOUT": ("FATAL",), "AESPID": TEXTS}),
    "vs": (6, {"VSSEQ": SEQUENCES, "VSTESTCD": ("WEIGHT", "BSA", "PULSE")},
           {"VSORRES": NUMBERS, "VSORRESU": ("kg", "LB", "m2"), "VSSTRESN": NUMBERS, "VSDTC": DATES}),
    "lb": (6, {"LBSEQ": SEQUENCES, "LBTESTCD": ("ALT", "K", "COLOR")},
           {"LBTEST": TEXTS, "LBCAT": TEXTS, "LBORRES": (*NUMBERS, "<5", "TRACE"), "LBORRESU": TEXTS, "LBORNRLO": TEXTS,
            "LBSTRESC": (*NUMBERS, "<= 0.2", ">", "NEGATIVE"), "LBSTRESN": NUMBERS, "LBSTRESU": ("U/L", "10^9/L"), "LBSTNRLO": NUMBERS,
            "LBNRIND": ("NORMAL", "odd"), "LBSTAT": ("NOT DONE",), "LBREASND": TEXTS, "LBBLFL": ("Y",), "LBFAST": YES_NO,
            "LBDTC": DATES}),
    "sv": (4, {}, {"SVSTDTC": DATES, "SVENDTC": DATES}),
    "tu": (12, {"TULNKID": LESIONS, "TUTESTCD": ("TUMIDENT", "TUMIDENT", "TUSPLIT", "TUMERGE"), "TUSTRESC": IDENTIFICATIONS},
           {"TUSEQ": SEQUENCES, "TULOC": ("LUNG", "LYMPH NODE"), "TUDTC": DATES, "TUMETHOD": TEXTS}),
    # without a sequence a row that was not done does not say which diameter it was of
    "tr": (18, {"TRSEQ": SEQUENCES, "TRLNKID": LESIONS, "TRTESTCD": ("LDIAM", "LPERP", "TUMSTATE", "SUMDIAM")},
           {"TRGRPID": ("TARGET", "NON-TARGET", "NEW"), "TRSTRESC": RESULTS, "TRSTRESN": NUMBERS,
            "TRSTRESU": ("mm", "cm"), "TRSTAT": ("NOT DONE",), "TRREASND": TEXTS, "TRMETHOD": TEXTS, "TRDTC": DATES}),
    "rs": (8, {"RSTESTCD": ("OVRLRESP", "NEWLPROG", "TMRESP", "BESTRESP")},
           {"RSSEQ": SEQUENCES, "RSSTRESC": ("CR", "PD", "NE", "NORMAL", "EQUIVOCAL"), "RSSTAT": ("NOT DONE",), "RSREASND": TEXTS,
            "RSDTC": DATES}),
}  # fmt: skip


def trial(dice):
    """Domains with rows at random: sequences, lesions and visits repeat, and much is blank."""
    frames = {"dm": pd.DataFrame([person(dice, f"S{n}") for n in (1, 2, 3)], dtype=object)}
    for domain, (most, required, columns) in DOMAINS.items():
        rows = [row(dice, domain.upper(), required, columns) for _ in range(dice.randrange(most + 1))]
        if rows:
            frames[domain] = pd.DataFrame(rows, dtype=object)
    return frames


def person(dice, subject):
    return {"USUBJID": subject, **dict(zip(("ARMCD", "ARM"), dice.choice(ARMS), strict=True)), **some(dice, DM)}


def some(dice, columns):
    return {name: dice.choice(values) if dice.random() < 0.6 else None for name, values in columns.items()}


def row(dice, prefix, required, columns):
    made = {"USUBJID": dice.choice(("S1", "S2", "S3"))} | {name: dice.choice(values) for name, values in required.items()}
    if prefix in ("TU", "TR", "RS"):
        names = (f"{prefix}EVAL", f"{prefix}EVALID", f"{prefix}ACPTFL", "VISIT", "VISITNUM")
        made |= dict(zip(names, (*dice.choice(READERS), *dice.choice(VISITS)), strict=True))
    return made | some(dice, columns)


def as_bags(data):
    """Each table as a bag of rows: the order of rows is no fact."""
    return {name: Counter(repr(row) for row in table.to_pylist()) for name, table in data.tables.items() if table.num_rows}


def assert_same(again, data):
    assert as_bags(again) == as_bags(data)
    assert (again.synthetic, again.data_cutoff) == (data.synthetic, data.data_cutoff)
