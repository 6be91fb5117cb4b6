"""Which lesion a fragment is part of, and where a lesion stands among the marks."""

import numpy as np
import pandas as pd

from fhir_trial.endpoints.columns import Ints, Strings


def find(marks: pd.DataFrame, reading: Ints, name: Ints) -> Ints:
    """The marks of these lesion names in these readings, -1 where there is none."""
    width = int(marks["name"].max()) + 2 if len(marks) else 1
    known = pd.Index(marks["reading"].to_numpy() * width + marks["name"].to_numpy())
    place: Ints = known.get_indexer(pd.Index(np.where(name < width, reading * width + name, -1)))
    return np.where(name >= 0, place, -1)


def parents(marks: pd.DataFrame, names: Strings) -> Ints:
    """For each mark the lesion it is a fragment of, else itself: as the lesion table says, or by a name such as T01.1."""
    known = {str(name): code for code, name in enumerate(names)}
    by_name = np.array([known.get(str(name).rpartition(".")[0], -1) for name in names], dtype=np.int64)
    told = np.where(marks["relation"] == SPLIT, marks["origin"].fillna(-1), -1).astype(np.int64)
    place = find(marks, marks["reading"].to_numpy(), np.where(told >= 0, told, by_name[marks["name"]]))
    parent = np.where(place >= 0, place, np.arange(len(marks)))
    for _ in range(4):  # a fragment may itself have split
        parent = parent[parent]
    return parent.astype(np.int64)


SPLIT, JOINED = range(2)
RELATIONS = {"split": SPLIT, "merged": JOINED}
