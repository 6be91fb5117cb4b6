"""What became of a subject: treatment and scans as far as they went, the end of participation, later therapy, death."""

from dataclasses import dataclass

from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.events import ACTION, Event, adverse_events
from fhir_trial.simulate.parameters import FollowUp, Parameters
from fhir_trial.simulate.person import Person
from fhir_trial.simulate.tumour import TumourStory, tumour_story

_WEEKS = 150
"""Longer than any subject is followed."""

END_OF_PARTICIPATION = {"DEATH", "WITHDRAWAL BY SUBJECT", "LOST TO FOLLOW-UP"}


@dataclass(frozen=True)
class Course:
    """One subject's story, nothing in it later than `last_day`, when participation ended or the data was cut off."""

    person: Person
    tumour: TumourStory
    events: tuple[Event, ...]
    treatment_end_day: int
    treatment_end_reason: str | None
    """None while treatment goes on at the cutoff."""
    last_day: int
    participation_end_reason: str | None
    therapy: tuple[str, int] | None
    """A later anticancer therapy and its first day."""

    @property
    def death_day(self) -> int | None:
        """The day of death, if the subject died in the study."""
        return self.last_day if self.participation_end_reason == "DEATH" else None


def course(person: Person, seed: int, parameters: Parameters) -> Course:
    """The story of one subject."""
    draws, follow_up = Draws(seed, person.number, 4), parameters.follow_up
    events = adverse_events(person, seed, parameters)
    tumour = tumour_story(person, seed, parameters)
    toxicity = next((event.start_day + 2 for event in events if event.action == ACTION["stops"]), None)
    if toxicity is not None and not draws.chance(follow_up.scans_after_toxicity):
        tumour = tumour.until(toxicity)
    last_day, end_reason = _end_of_participation(person, draws, follow_up, tumour, toxicity)
    tumour = tumour.until(last_day)
    end_day, reason = _end_of_treatment(tumour, toxicity, last_day, end_reason)
    return Course(
        person=person,
        tumour=tumour,
        events=tuple(event for event in events if event.start_day <= min(last_day, end_day + 30)),
        treatment_end_day=end_day,
        treatment_end_reason=reason,
        last_day=last_day,
        participation_end_reason=end_reason,
        therapy=_therapy(draws, follow_up, end_day, reason, last_day),
    )


def _end_of_participation(
    person: Person, draws: Draws, follow_up: FollowUp, tumour: TumourStory, toxicity: int | None
) -> tuple[int, str | None]:
    """The first of death, withdrawal of consent and loss, else the cutoff: the day and the reason (none at the cutoff)."""
    start = person.first_dose_day + 1
    early = draws.first_week(follow_up.death_on_treatment, _WEEKS)
    late = draws.first_week(follow_up.death_after_progression, _WEEKS)
    decline = tumour.progression_day if toxicity is None or tumour.progression_day is not None else toxicity
    deaths = [start + early] if early is not None else []
    deaths += [decline + 1 + late] if decline is not None and late is not None else []
    ends = [(day, "DEATH") for day in deaths]
    for hazard, reason in ((follow_up.withdrawal, "WITHDRAWAL BY SUBJECT"), (follow_up.loss, "LOST TO FOLLOW-UP")):
        day = draws.first_week(hazard, _WEEKS)
        ends += [(start + day, reason)] if day is not None else []
    first = min(ends, default=(person.last_day + 1, ""))
    return (person.last_day, None) if first[0] > person.last_day else first


def _end_of_treatment(tumour: TumourStory, toxicity: int | None, last_day: int, end_reason: str | None) -> tuple[int, str | None]:
    ends = [
        (day, reason) for day, reason in ((tumour.progression_day, "PROGRESSIVE DISEASE"), (toxicity, "ADVERSE EVENT")) if day is not None
    ]
    first = min(ends, default=(last_day + 1, ""))
    return (last_day, end_reason) if first[0] > last_day else first


def _therapy(draws: Draws, follow_up: FollowUp, end_day: int, reason: str | None, last_day: int) -> tuple[str, int] | None:
    wanted, name = draws.chance(follow_up.subsequent_therapy), draws.pick(follow_up.therapies)
    day = end_day + draws.whole(follow_up.therapy_after_progression)
    treated_on = reason in {"PROGRESSIVE DISEASE", "ADVERSE EVENT"}
    return (name, day) if wanted and treated_on and day <= last_day else None
