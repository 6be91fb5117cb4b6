"""The rules of `prs_forms.yaml`: where the members of the model of posted results stand in PRS XML, both ways."""

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from fhir_trial.registry.posted import Part


class Place(Struct, frozen=True, forbid_unknown_fields=True, rename={"is_": "is"}):
    """What stands in one element: a member, or a `part` made of several."""

    member: str | None = None
    words: str | None = None
    other: str | None = None
    other_word: str = "Other"
    of: str | None = None
    is_: str | None = None
    required: bool = False
    part: str | None = None
    members: tuple[str, ...] = ()


class Forms(Struct, frozen=True, forbid_unknown_fields=True):
    """The file: elements by class, code tables, and lists of PRS's words."""

    elements: dict[str, dict[str, Place | str]]
    words: dict[str, dict[str, str]]
    lists: dict[str, tuple[str, ...]]


class Texts(NamedTuple):
    """What an element says, and the element beside it that names what PRS has no word for."""

    text: str | None
    other: str | None = None


@cache
def _forms() -> Forms:
    return msgspec.yaml.decode(files(__package__).joinpath("prs_forms.yaml").read_bytes(), type=Forms)


@cache
def places(part: type[Part]) -> dict[str, Place]:
    """The elements of a class, in the order of the schema."""
    found = _forms().elements[part.__name__]
    return {tag: Place(member=place) if isinstance(place, str) else place for tag, place in found.items()}


@cache
def without_place(part: type[Part]) -> tuple[str, ...]:
    """The members of a class that PRS XML has no place for."""
    placed = {name for place in places(part).values() for name in (place.member, *place.members)}
    return tuple(name for name in part.__struct_fields__ if name not in placed and name not in ("id", "group_id"))


def to_texts(place: Place, value: Any) -> Texts:
    """A member's value as PRS writes it.

    >>> to_texts(Place(member="m", words="sides"), "TWO_SIDED"), to_texts(Place(member="m", words="method", other="o"), "Gray's test")
    (Texts(text='2-Sided', other=None), Texts(text='Other', other="Gray's test"))
    """
    if place.is_ == "boolean":
        return Texts("Yes" if value else "No")
    text = str(value)
    if place.words is None:
        return Texts(text)
    if place.words in _forms().lists:
        known = text.casefold() in {word.casefold() for word in _forms().lists[place.words]}
        return Texts(text) if known or text == place.other_word else Texts(place.other_word, text)
    return Texts(_forms().words[place.words].get(text, text))


def from_texts(place: Place, texts: Texts) -> Any:
    """The member's value for what PRS wrote; None for a truth value that is none.

    >>> from_texts(Place(member="m", words="sides"), Texts("2-sided")), from_texts(Place(member="m", is_="boolean"), Texts("Yes"))
    ('TWO_SIDED', True)
    """
    if place.is_ == "boolean":
        return {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}.get((texts.text or "").casefold())
    if place.words is None or texts.text is None:
        return texts.text
    if place.words in _forms().lists:
        return texts.other or texts.text
    return {word.casefold(): code for code, word in _forms().words[place.words].items()}.get(texts.text.casefold(), texts.text)
