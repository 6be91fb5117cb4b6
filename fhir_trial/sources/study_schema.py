"""The JSON Schema of a study file, made from the classes of `domain.study`: editors check a file by it, and so does loading.

YAML is loaded as strings, so a number may stand as a number (an editor's reading) or as its text (ours).
"""

import types
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from fhir_trial.domain.entities import When
from fhir_trial.domain.study import StudyDefinition

FILE_NAME = "study.schema.json"
"""The schema's file beside the studies: this module's `study_schema`, written out for editors."""

_LEAVES: dict[Any, dict[str, Any]] = {
    str: {"type": "string", "minLength": 1},
    When: {"type": "string", "pattern": r"^\d{4}(-\d{2}(-\d{2})?)?$"},
    int: {"type": ["integer", "string"], "pattern": r"^-?\d{1,9}$"},
    Decimal: {"type": ["number", "string"], "pattern": r"^-?\d{1,18}(\.\d{1,12})?$"},
    bool: {"enum": [True, False, "true", "false"]},
}


def study_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `StudyDefinition`; unknown members are refused.

    >>> study_schema()["$defs"]["ReadingTime"]["required"]
    ['at']
    """
    definitions: dict[str, Any] = {}
    root = _of(StudyDefinition, definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A study definition", **root, "$defs": definitions}


def _of(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if annotation in _LEAVES:
        return _LEAVES[annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [a for a in arguments if a is not type(None)]
        return _of(kinds[0], definitions) if len(kinds) == 1 else {"anyOf": [_of(kind, definitions) for kind in kinds]}
    if get_origin(annotation) is tuple:
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if get_origin(annotation) is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    return _of_class(annotation, definitions)


def _of_class(entity: type[Struct], definitions: dict[str, Any]) -> dict[str, Any]:
    if entity.__name__ not in definitions:
        definitions[entity.__name__] = {}  # holds the place while its members are made
        hints = get_type_hints(entity)
        definitions[entity.__name__] = {
            "type": "object",
            "description": (entity.__doc__ or "").partition("\n")[0],
            "properties": {name: _of(hint, definitions) for name, hint in hints.items()},
            "required": [f.name for f in fields(entity) if f.default is NODEFAULT and f.default_factory is NODEFAULT],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{entity.__name__}"}
