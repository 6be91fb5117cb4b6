"""What a disposition event (SDTM DS) ended: the rule that every table which tells of ends follows."""

END_EVENTS = frozenset(
    {
        "ADVERSE EVENT",
        "COMPLETED",
        "DEATH",
        "LACK OF EFFICACY",
        "LOST TO FOLLOW-UP",
        "NON-COMPLIANCE WITH STUDY DRUG",
        "OTHER",
        "PHYSICIAN DECISION",
        "PREGNANCY",
        "PROGRESSIVE DISEASE",
        "PROTOCOL DEVIATION",
        "PROTOCOL VIOLATION",
        "STUDY TERMINATED BY SPONSOR",
        "WITHDRAWAL BY PARENT/GUARDIAN",
        "WITHDRAWAL BY SUBJECT",
    }
)
"""Disposition events (CDISC code list NCOMPLT) that end participation where DSCAT does not say what kind a record is."""

SCOPES = {"STUDY TREATMENT": "treatment", "STUDY PARTICIPATION": "study", "": "study"}
"""What an event of each scope (DSSCAT) ended; one that does not say so ended the study."""


def ended(event: str, category: str | None, scope: str | None) -> str | None:
    """What an event ended, the study or its treatment; None for milestones and for other scopes.

    >>> ended("DEATH", "DISPOSITION EVENT", None), ended("Adverse event", None, "Study treatment"), ended("ENROLLED", None, None)
    ('study', 'treatment', None)
    """
    is_end = category.upper() == "DISPOSITION EVENT" if category else event.upper() in END_EVENTS
    return SCOPES.get((scope or "").upper()) if is_end else None
