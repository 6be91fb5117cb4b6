"""What can be wrong with a rule, and with a value that a rule cannot carry."""

from fhir_trial.errors import Finding, InputError


class RuleError(InputError):
    """A mapping rule that cannot be used; the message names the rule, what was found and what was expected."""

    def __init__(self, message: str, place: str = "mappings") -> None:
        """Keep the message as the one finding."""
        super().__init__([Finding("bad-rule", place, expected=message)])
        self.args = (message,)


class BadValue(ValueError):
    """A value a codec cannot carry: what was found and what was expected."""

    def __init__(self, found: object, expected: str) -> None:
        """Keep both."""
        super().__init__(expected)
        self.found = found
        self.expected = expected
