"""A ViewDefinition's JSON to a typed `View`; everything that is wrong with it is found in one reading, each with its place."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from fhir_trial.errors import Finding, Findings, InputError
from fhir_trial.fhir.shapes import Shapes, shapes
from fhir_trial.fhir.versions import DEFAULT, version
from fhir_trial.fhirpath import CompiledPath, FhirPathError, Kind, check, compile_typed, parse
from fhir_trial.fhirpath.checker import STANDARD_TEXTS
from fhir_trial.fhirpath.decimals import is_measure
from fhir_trial.fhirpath.kinds import INTEGERS, PRIMITIVES, plain_type
from fhir_trial.fhirpath.nodes import Items
from fhir_trial.frames.columns import arrow_type, fits, inferred_type, tagged_type
from fhir_trial.frames.view import Column, Each, Select, View

_RESOURCE_KEYS = ("resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension")
_CANONICAL_KEYS = (
    "url",
    "identifier",
    "version",
    "versionAlgorithmString",
    "versionAlgorithmCoding",
    "name",
    "title",
    "status",
    "experimental",
)
_DOCUMENT_KEYS = ("date", "publisher", "contact", "description", "useContext", "jurisdiction", "purpose", "copyright", "copyrightLabel")
_VIEW_OWN_KEYS = ("approvalDate", "lastReviewDate", "fhirVersion", "profile", "resource", "constant", "where", "select")
_VIEW_KEYS = frozenset(_RESOURCE_KEYS + _CANONICAL_KEYS + _DOCUMENT_KEYS + _VIEW_OWN_KEYS)
_SELECT_KEYS = frozenset(["id", "extension", "modifierExtension", "column", "select", "forEach", "forEachOrNull", "repeat", "unionAll"])
_COLUMN_KEYS = frozenset(["id", "extension", "modifierExtension", "name", "path", "description", "collection", "type", "tag"])
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ROW_INDEX = "rowIndex"
_TAKEN = frozenset({_ROW_INDEX, "resource", "rootResource", "context", *STANDARD_TEXTS})
"""Names that `%` has a meaning for already."""
_MOST_NESTED = 100
"""Selects in each other, of whatever kind."""


def read_view(definition: Any, fhir: str = DEFAULT) -> View:
    """The view that a decoded ViewDefinition defines over resources of a FHIR version; raises `ViewError` with all that is wrong.

    >>> view = read_view({"resource": "Patient", "select": [{"column": [{"name": "born", "path": "birthDate"}]}]})
    >>> view.schema.names
    ['born']
    """
    reader = _Reader(shapes(version(fhir).name), fhir)
    view = reader.view(definition)
    if view is None or reader.findings.errors():
        raise ViewError(reader.findings.errors())
    return replace(view, findings=tuple(reader.findings))


class ViewError(InputError):
    """A ViewDefinition is wrong; unlike other input it holds no subject data, so the text says all of it."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Say every finding in full."""
        super().__init__(findings)
        self.args = ("; ".join(finding.describe() for finding in self.findings),)


def _what(document: Any) -> str:
    """What a document that is no view seems to be, without its values."""
    if not isinstance(document, Mapping):
        return "an array" if isinstance(document, list) else "a value"
    stated = document.get("resourceType")
    return stated if isinstance(stated, str) and stated.isalpha() else "an object without them"


class _Reader:
    def __init__(self, known: Shapes, fhir: str) -> None:
        self.shapes = known
        self.fhir = fhir
        self.findings = Findings()
        self.resource = ""
        self.variables: dict[str, Kind] = {}

    def wrong(self, code: str, place: str, found: Any = None, expected: str | None = None) -> None:
        self.findings.add(Finding(code, f"view {place}".strip(), found=None if found is None else str(found), expected=expected))

    def view(self, definition: Any) -> View | None:
        if not isinstance(definition, Mapping) or not {"resource", "select"} & definition.keys():
            self.wrong("not-a-view", "", _what(definition), "a ViewDefinition: a JSON object with resource and select")
            return None
        self._known_keys(definition, _VIEW_KEYS, "")
        self._version(definition.get("fhirVersion"))
        resource = definition.get("resource")
        if not isinstance(resource, str) or resource not in self.shapes.resource_types:
            close = get_close_matches(str(resource), self.shapes.resource_types, n=1)
            self.wrong("unknown-resource-type", "resource", resource, close[0] if close else "a resource type")
            return None
        self.resource = resource
        constants = dict(self._constants(definition.get("constant")))
        selects = self.selects(definition.get("select"), Kind((self.resource,)), "select")
        if not selects:
            self.wrong("nothing-selected", "select", expected="at least one select")
        view = View(self.resource, self.fhir, tuple(self._conditions(definition.get("where"))), selects, constants, definition)
        self._unique_names(view)
        return view

    def _version(self, stated: Any) -> None:
        number = version(self.fhir).number
        versions = [stated] if isinstance(stated, str) else stated
        if versions and number.rpartition(".")[0] not in {str(each)[:3] for each in versions}:
            self.wrong("other-fhir-version", "fhirVersion", ", ".join(map(str, versions)), number)

    def _known_keys(self, holder: Mapping[str, Any], known: frozenset[str], place: str) -> None:
        for key in holder:
            if key not in known and not key.startswith("_"):
                close = get_close_matches(key, known, n=1)
                self.wrong("unknown-member", f"{place}.{key}".strip("."), key, close[0] if close else ", ".join(sorted(known)[:8]))

    def _objects(self, value: Any, place: str) -> Iterable[tuple[Mapping[str, Any], str]]:
        if value is None:
            return
        if not isinstance(value, list):
            self.wrong("wrong-shape", place, type(value).__name__, "an array of objects")
            return
        for i, each in enumerate(value):
            if isinstance(each, Mapping):
                yield each, f"{place}[{i}]"
            else:
                self.wrong("wrong-shape", f"{place}[{i}]", type(each).__name__, "an object")

    def _constants(self, given: Any) -> Iterable[tuple[str, Items]]:
        for constant, place in self._objects(given, "constant"):
            name = constant.get("name")
            values = [key for key in constant if key.startswith("value")]
            type_name = plain_type(values[0][5:6].lower() + values[0][6:]) if len(values) == 1 else ""
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                self.wrong("wrong-name", f"{place}.name", name, "a letter, then letters, digits and _")
            elif type_name not in PRIMITIVES:
                self.wrong("wrong-constant", place, ", ".join(values) or None, "exactly one value[x] of a primitive type")
            else:
                yield from self._constant(name, type_name, constant[values[0]], place)

    def _constant(self, name: str, type_name: str, value: Any, place: str) -> Iterable[tuple[str, Items]]:
        if name in self.variables or name in _TAKEN:
            self.wrong("repeated-name", f"{place}.name", name, "a name of its own")
        elif not _is_of(type_name, value):
            self.wrong("wrong-constant", place, value, f"a value of type {type_name}")
        else:
            self.variables[name] = Kind((type_name,))
            yield name, [Decimal(str(value)) if type_name == "decimal" else value]

    def _conditions(self, given: Any) -> Iterable[CompiledPath]:
        for condition, place in self._objects(given, "where"):
            path = self.path(condition.get("path"), Kind((self.resource,)), f"{place}.path")
            if path is not None and path.kind.types and path.kind.types != ("boolean",):
                self.wrong("not-a-condition", f"{place}.path", " or ".join(path.kind.types), "boolean")
            if path is not None:
                yield path

    def path(self, text: Any, context: Kind, place: str) -> CompiledPath | None:
        if not isinstance(text, str):
            self.wrong("wrong-shape", place, type(text).__name__, "a FHIRPath expression")
            return None
        try:
            return self._compiled(text, context)
        except FhirPathError as error:
            self._wrong_path(error, place)
            return None

    def _compiled(self, text: str, context: Kind) -> CompiledPath:
        path = parse(text)
        variables = {_ROW_INDEX: Kind(("integer",)), **self.variables}
        return compile_typed(path, check(path, self.shapes, context, variables, root=self.resource), self.shapes)

    def _wrong_path(self, error: FhirPathError, place: str) -> None:
        found = f"{error.problem}, at character {error.position + 1} of `{error.expression}`"
        self.wrong(error.code, place, found, error.suggestion)

    def selects(self, given: Any, context: Kind, place: str) -> tuple[Select, ...]:
        found = [self.select(select, context, inner) for select, inner in self._objects(given, place)]
        return tuple(select for select in found if select is not None)

    def select(self, given: Mapping[str, Any], context: Kind, place: str) -> Select | None:
        if place.count("[") > _MOST_NESTED:
            self.wrong("view-too-deep", f"{place[:60]}...", expected=f"at most {_MOST_NESTED} selects in each other")
            return None
        self._known_keys(given, _SELECT_KEYS, place)
        kinds = [each for each in Each if each.value and each.value in given]
        if len(kinds) > 1:
            self.wrong("conflicting-members", place, " and ".join(each.value for each in kinds), "one of them")
            return None
        each = kinds[0] if kinds else Each.ONCE
        paths, inner = self._paths(each, given.get(each.value), context, f"{place}.{each.value}")
        if inner is None:
            return None
        columns = tuple(
            column
            for one, at in self._objects(given.get("column"), f"{place}.column")
            if (column := self.column(one, inner, at)) is not None
        )
        selects = self.selects(given.get("select"), inner, f"{place}.select")
        unions = self.selects(given.get("unionAll"), inner, f"{place}.unionAll")
        self._same_columns(unions, f"{place}.unionAll")
        if not any(given.get(member) for member in ("column", "select", "unionAll")):
            self.wrong("nothing-selected", place, expected="a column, select or unionAll")
        return Select(each, paths, columns, selects, unions)

    def _paths(self, each: Each, given: Any, context: Kind, place: str) -> tuple[tuple[CompiledPath, ...], Kind | None]:
        if each is Each.ONCE:
            return (), context
        if each is Each.REPEAT:
            return self._repeated(given, context, place)
        path = self.path(given, context, place)
        return ((path,), path.kind.one()) if path is not None else ((), None)

    def _repeated(self, given: Any, context: Kind, place: str) -> tuple[tuple[CompiledPath, ...], Kind | None]:
        """Paths that are followed from the context and again from all they find: typed until nothing new is reached."""
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            self.wrong("wrong-shape", place, type(given).__name__, "an array of FHIRPath expressions")
            return (), None
        reached = context
        found: tuple[str, ...] = ()
        while True:
            compiled = {text: self._attempt(text, reached) for text in texts}
            kinds = [path.kind for path in compiled.values() if isinstance(path, CompiledPath)]
            types = tuple(dict.fromkeys(name for kind in kinds for name in kind.types))
            if set(types) <= set(found):
                break
            reached, found = Kind(tuple(dict.fromkeys((*context.types, *types)))), types
        paths = tuple(path for text, path in compiled.items() if self._holds(path, f"{place}[{texts.index(text)}]"))
        return tuple(path for path in paths if isinstance(path, CompiledPath)), Kind(found)

    def _attempt(self, text: str, context: Kind) -> CompiledPath | FhirPathError:
        try:
            return self._compiled(text, context)
        except FhirPathError as error:
            return error

    def _holds(self, path: CompiledPath | FhirPathError, place: str) -> bool:
        """A repeated path that starts with an element of other resource types only finds nothing: said, and no error."""
        if isinstance(path, CompiledPath):
            return True
        name = path.expression.partition(".")[0]
        if path.code == "unknown-element" and any(self.shapes.element(each, name) for each in self.shapes.resource_types):
            effect = "no rows come of it"
            finding = Finding(
                "element-of-other-types", f"view {place}", found=name, expected=path.suggestion, severity="warning", effect=effect
            )
            self.findings.add(finding)
        else:
            self._wrong_path(path, place)
        return False

    def column(self, given: Mapping[str, Any], context: Kind, place: str) -> Column | None:
        self._known_keys(given, _COLUMN_KEYS, place)
        name, collection = given.get("name"), given.get("collection", False) is True
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.wrong("wrong-name", f"{place}.name", name, "a letter, then letters, digits and _")
            return None
        path = self.path(given.get("path"), context, f"{place}.path")
        arrow = None if path is None else self._column_type(given, path, place)
        return None if path is None or arrow is None else Column(name, path, arrow, collection, place)

    def _column_type(self, given: Mapping[str, Any], path: CompiledPath, place: str) -> pa.DataType | None:
        declared = given.get("type")
        type_name = plain_type(str(declared).rpartition("/")[2]) if declared is not None else ""
        if declared is not None and type_name not in PRIMITIVES:
            self.wrong("wrong-column-type", f"{place}.type", declared, "a primitive type")
            return None
        arrow = self._tagged(given, place) or (arrow_type(type_name) if type_name else inferred_type(path.kind))
        if arrow is None or not fits(path.kind, arrow):
            self.wrong("wrong-column-type", f"{place}.path", " or ".join(path.kind.types[:6]), _column_hint(path.kind, type_name))
            return None
        return arrow

    def _tagged(self, given: Mapping[str, Any], place: str) -> pa.DataType | None:
        for tag, at in self._objects(given.get("tag"), f"{place}.tag"):
            if tag.get("name") == "ansi/type":
                arrow = tagged_type(str(tag.get("value")))
                if arrow is None:
                    self.wrong("wrong-column-type", at, tag.get("value"), "an ANSI SQL type of text, number or boolean")
                return arrow
        return None

    def _same_columns(self, unions: tuple[Select, ...], place: str) -> None:
        headings = [[(column.name, column.arrow_field.type) for column in select.all_columns()] for select in unions]
        for i, heading in enumerate(headings[1:], 1):
            if heading != headings[0]:
                found = ", ".join(f"{name} {kind}" for name, kind in heading)
                self.wrong("columns-differ", f"{place}[{i}]", found, ", ".join(f"{name} {kind}" for name, kind in headings[0]))

    def _unique_names(self, view: View) -> None:
        seen: set[str] = set()
        for column in view.columns:
            if column.name in seen:
                self.wrong("repeated-name", f"{column.place}.name", column.name, "a name of its own")
            seen.add(column.name)


def _is_of(type_name: str, value: Any) -> bool:
    """Whether a JSON value can be one of a primitive type."""
    if isinstance(value, bool) or type_name == "boolean":
        return isinstance(value, bool) and type_name == "boolean"
    if type_name == "decimal":
        return isinstance(value, int | float | Decimal) and is_measure(Decimal(str(value)))
    return isinstance(value, (int | str if type_name == "integer64" else int) if type_name in INTEGERS else str)


def _column_hint(kind: Kind, declared: str) -> str:
    if not kind.within(PRIMITIVES):
        return "a primitive: one of its elements, or ofType() where it can be several types"
    return f"a path of type {declared}" if declared else "values of one type: use ofType()"
