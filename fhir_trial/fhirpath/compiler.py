"""An expression made ready to run: parsed, checked on a version's shapes, built as closures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.fhir.shapes import Shapes
from fhir_trial.fhirpath import function_collections, function_fhir, function_numbers, function_strings  # noqa: F401  they enter themselves
from fhir_trial.fhirpath.checker import check
from fhir_trial.fhirpath.closures import closure
from fhir_trial.fhirpath.errors import FhirPathError, Unanswerable
from fhir_trial.fhirpath.kinds import Kind, Typed
from fhir_trial.fhirpath.nodes import Items, Run, Scope, bare
from fhir_trial.fhirpath.parser import parse
from fhir_trial.fhirpath.syntax import Path, Quantity
from fhir_trial.fhirpath.temporal import Temporal


@dataclass(frozen=True)
class CompiledPath:
    """An expression ready to run on items of its context type.

    Called with an item it gives the items found as plain JSON values: dict, list, str, `Decimal`, int, bool.
    """

    text: str
    typed: Typed = field(repr=False)
    run: Run = field(repr=False)

    @property
    def kind(self) -> Kind:
        """The types of what it finds, and whether it can find several."""
        return self.typed.kind

    def __call__(self, item: Any, resource: Any = None, variables: Mapping[str, Items] | None = None) -> Items:
        """The items found; `resource` is `%resource` where the item is only a part of it. Raises `FhirPathError`."""
        scope = Scope(item if resource is None else resource, item, variables or {})
        return [value for found in self.items(item, scope) if (value := plain(found)) is not None]

    def items(self, item: Any, scope: Scope) -> Items:
        """The items found, primitives still with their extensions."""
        try:
            return self.run(item, scope)
        except Unanswerable as error:
            raise FhirPathError(self.text, self.typed.node.position, "unanswerable-expression", str(error)) from None
        except RecursionError:
            raise FhirPathError(self.text, self.typed.node.position, "unanswerable-expression", "the data is nested too deeply") from None


def compile_path(
    expression: str | Path, shapes: Shapes, context: str | Kind, variables: Mapping[str, Kind] | None = None, root: str | None = None
) -> CompiledPath:
    """An expression checked on the version's shapes and ready to run on items of type `context`.

    `variables` are the kinds of its `%constants`, whose values each call gives; `root` is the type of `%resource` where that is another.
    Raises `FhirPathError`.

    >>> from fhir_trial.fhir.shapes import shapes
    >>> family = compile_path("name.where(use = 'official').family", shapes("r4"), "Patient")
    >>> family({"resourceType": "Patient", "name": [{"use": "official", "family": "Doe"}, {"family": "Roe"}]})
    ['Doe']
    >>> compile_path("name.famly", shapes("r4"), "Patient")
    Traceback (most recent call last):
    ...
    fhir_trial.fhirpath.errors.FhirPathError: HumanName has no element famly, at character 6 of `name.famly`; did you mean family?
    """
    path = parse(expression) if isinstance(expression, str) else expression
    return compile_typed(path, check(path, shapes, context, variables, root), shapes)


def compile_typed(path: Path, typed: Typed, shapes: Shapes) -> CompiledPath:
    """The closures of a tree that is typed already."""
    try:
        return CompiledPath(path.text, typed, closure(typed, shapes))
    except RecursionError:
        raise FhirPathError(path.text, 0, "unreadable-expression", "too many steps or operators in a row") from None


def plain(item: Any) -> Any:
    """An item as a JSON value."""
    value = bare(item)
    if isinstance(value, Temporal):
        return str(value)
    return {"value": value.value, "unit": value.unit} if isinstance(value, Quantity) else value
