"""A registry record's results as they are posted: the model between the registry's JSON and PRS XML.

The classes are those of ClinicalTrials.gov's results section; their members are its names in snake case, so that its JSON is this model
written out. Every member may be absent: a record says what it says.
"""

from collections.abc import Sequence

from msgspec import Struct

PARTICIPANTS, TOTAL = "Participants", "Total"
STARTED, COMPLETED, NOT_COMPLETED = "STARTED", "COMPLETED", "NOT COMPLETED"


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A part of a record."""


class Group(Part, frozen=True):
    """A column of a section's tables."""

    id: str | None = None
    title: str | None = None
    description: str | None = None


class Count(Part, frozen=True):
    """A number of one group."""

    group_id: str | None = None
    value: str | None = None


class Denominator(Part, frozen=True):
    """How many participants (or other units) were analysed, by group."""

    units: str | None = None
    counts: tuple[Count, ...] = ()


class Achievement(Part, frozen=True):
    """How many of a group came to a milestone."""

    group_id: str | None = None
    comment: str | None = None
    num_subjects: str | None = None
    num_units: str | None = None


class Milestone(Part, frozen=True):
    """STARTED, COMPLETED, NOT COMPLETED, or a milestone of the study's own."""

    type: str | None = None
    comment: str | None = None
    achievements: tuple[Achievement, ...] = ()


class DropReason(Part, frozen=True):
    """How many of a group did not complete for a reason."""

    group_id: str | None = None
    comment: str | None = None
    num_subjects: str | None = None


class DropWithdraw(Part, frozen=True):
    """A reason not to complete."""

    type: str | None = None
    comment: str | None = None
    reasons: tuple[DropReason, ...] = ()


class Period(Part, frozen=True):
    """A period of the participant flow."""

    title: str | None = None
    milestones: tuple[Milestone, ...] = ()
    drop_withdraws: tuple[DropWithdraw, ...] = ()


class ParticipantFlow(Part, frozen=True):
    """Who started, completed, and did not."""

    pre_assignment_details: str | None = None
    recruitment_details: str | None = None
    type_units_analyzed: str | None = None
    groups: tuple[Group, ...] = ()
    periods: tuple[Period, ...] = ()


class Measurement(Part, frozen=True):
    """A figure of a group."""

    group_id: str | None = None
    value: str | None = None
    spread: str | None = None
    lower_limit: str | None = None
    upper_limit: str | None = None
    comment: str | None = None


class Category(Part, frozen=True):
    """A category of a row."""

    title: str | None = None
    measurements: tuple[Measurement, ...] = ()


class Row(Part, frozen=True):
    """A row of a measure's table (a class, as the registry says)."""

    title: str | None = None
    denoms: tuple[Denominator, ...] = ()
    categories: tuple[Category, ...] = ()


class BaselineMeasure(Part, frozen=True):
    """A baseline characteristic."""

    title: str | None = None
    description: str | None = None
    population_description: str | None = None
    param_type: str | None = None
    dispersion_type: str | None = None
    unit_of_measure: str | None = None
    calculate_pct: bool | None = None
    denom_units_selected: str | None = None
    denoms: tuple[Denominator, ...] = ()
    classes: tuple[Row, ...] = ()


class Baseline(Part, frozen=True):
    """The baseline characteristics."""

    population_description: str | None = None
    type_units_analyzed: str | None = None
    groups: tuple[Group, ...] = ()
    denoms: tuple[Denominator, ...] = ()
    measures: tuple[BaselineMeasure, ...] = ()


class Analysis(Part, frozen=True):
    """A statistical analysis of an outcome."""

    param_type: str | None = None
    param_value: str | None = None
    dispersion_type: str | None = None
    dispersion_value: str | None = None
    statistical_method: str | None = None
    statistical_comment: str | None = None
    p_value: str | None = None
    p_value_comment: str | None = None
    ci_num_sides: str | None = None
    ci_pct_value: str | None = None
    ci_lower_limit: str | None = None
    ci_upper_limit: str | None = None
    ci_lower_limit_comment: str | None = None
    ci_upper_limit_comment: str | None = None
    estimate_comment: str | None = None
    tested_non_inferiority: bool | None = None
    non_inferiority_type: str | None = None
    non_inferiority_comment: str | None = None
    other_analysis_description: str | None = None
    group_description: str | None = None
    group_ids: tuple[str, ...] = ()


class OutcomeMeasure(Part, frozen=True):
    """An outcome with its figures and analyses."""

    type: str | None = None
    title: str | None = None
    description: str | None = None
    population_description: str | None = None
    reporting_status: str | None = None
    anticipated_posting_date: str | None = None
    param_type: str | None = None
    dispersion_type: str | None = None
    unit_of_measure: str | None = None
    calculate_pct: bool | None = None
    time_frame: str | None = None
    type_units_analyzed: str | None = None
    denom_units_selected: str | None = None
    groups: tuple[Group, ...] = ()
    denoms: tuple[Denominator, ...] = ()
    classes: tuple[Row, ...] = ()
    analyses: tuple[Analysis, ...] = ()


class OutcomeMeasures(Part, frozen=True):
    """The outcomes."""

    outcome_measures: tuple[OutcomeMeasure, ...] = ()


class EventGroup(Part, frozen=True):
    """A group with its deaths, and its participants with serious and other events."""

    id: str | None = None
    title: str | None = None
    description: str | None = None
    deaths_num_affected: int | None = None
    deaths_num_at_risk: int | None = None
    serious_num_affected: int | None = None
    serious_num_at_risk: int | None = None
    other_num_affected: int | None = None
    other_num_at_risk: int | None = None


class EventStats(Part, frozen=True):
    """One event in one group."""

    group_id: str | None = None
    num_events: int | None = None
    num_affected: int | None = None
    num_at_risk: int | None = None


class Event(Part, frozen=True):
    """An adverse event term."""

    term: str | None = None
    organ_system: str | None = None
    source_vocabulary: str | None = None
    assessment_type: str | None = None
    notes: str | None = None
    stats: tuple[EventStats, ...] = ()


class AdverseEvents(Part, frozen=True):
    """The adverse events."""

    frequency_threshold: str | None = None
    time_frame: str | None = None
    description: str | None = None
    all_cause_mortality_comment: str | None = None
    event_groups: tuple[EventGroup, ...] = ()
    serious_events: tuple[Event, ...] = ()
    other_events: tuple[Event, ...] = ()


class Caveats(Part, frozen=True):
    """Limitations and caveats."""

    description: str | None = None


class CertainAgreement(Part, frozen=True):
    """What restricts the investigators' publications."""

    pi_sponsor_employee: bool | None = None
    restriction_type: str | None = None
    restrictive_agreement: bool | None = None
    other_details: str | None = None


class PointOfContact(Part, frozen=True):
    """Who answers questions about the results."""

    title: str | None = None
    organization: str | None = None
    email: str | None = None
    phone: str | None = None
    phone_ext: str | None = None


class MoreInfo(Part, frozen=True):
    """Caveats, agreements and a contact."""

    limitations_and_caveats: Caveats | None = None
    certain_agreement: CertainAgreement | None = None
    point_of_contact: PointOfContact | None = None


class PostedResults(Part, frozen=True):
    """A results section."""

    participant_flow_module: ParticipantFlow | None = None
    baseline_characteristics_module: Baseline | None = None
    outcome_measures_module: OutcomeMeasures | None = None
    adverse_events_module: AdverseEvents | None = None
    more_info_module: MoreInfo | None = None


class PostedRecord(Part, frozen=True):
    """Which study it is, and its results."""

    nct_id: str | None = None
    org_study_id: str | None = None
    organization: str | None = None
    brief_title: str | None = None
    official_title: str | None = None
    acronym: str | None = None
    results: PostedResults | None = None


def not_completed(milestones: Sequence[Milestone]) -> Milestone | None:
    """Who started and did not complete, by group: PRS computes it, and has no element for it."""
    by_type = {milestone.type: milestone for milestone in milestones}
    if STARTED not in by_type or COMPLETED not in by_type:
        return None
    done = {achievement.group_id: achievement for achievement in by_type[COMPLETED].achievements}
    achievements = [
        Achievement(
            group_id=started.group_id,
            num_subjects=_difference(started.num_subjects, done[started.group_id].num_subjects),
            num_units=_difference(started.num_units, done[started.group_id].num_units),
        )
        for started in by_type[STARTED].achievements
        if started.group_id in done
    ]
    return Milestone(type=NOT_COMPLETED, achievements=tuple(achievements))


def _difference(first: str | None, second: str | None) -> str | None:
    return str(int(first) - int(second)) if first and second and first.isdecimal() and second.isdecimal() else None
