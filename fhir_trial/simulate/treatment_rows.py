"""The SDTM rows of a subject's doses and adverse events."""

from fhir_trial.domain.study import Drug, StudyDefinition
from fhir_trial.simulate.course import Course
from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.parameters import Parameters, parameters
from fhir_trial.simulate.person import Person
from fhir_trial.simulate.sdtm import Tables
from fhir_trial.simulate.treatment import Cycle


def write_doses(tables: Tables, course: Course, cycles: list[Cycle], study: StudyDefinition, seed: int) -> None:
    """EX and SUPPEX: one infusion a cycle and drug of the subject's arm, or a row that says it was not given."""
    draws, of = Draws(seed, course.person.number, 7), parameters().treatment
    for cycle in cycles:
        for drug in study.drugs:
            if drug.planned is not None and drug.medication in course.person.arm.medications:
                omitted = of.omitted_reason if draws.chance(of.omitted) and cycle.number > 1 else None
                _write_dose(tables, course.person, cycle, drug, omitted)


def _write_dose(tables: Tables, person: Person, cycle: Cycle, drug: Drug, omitted: str | None) -> None:
    """One dose with its cycle; a drug dosed per m2 says its planned dose and, where it was given, the area used."""
    plan = drug.planned
    assert plan is not None
    per_m2 = plan.unit == "mg/m2"
    if omitted is None:
        adjusted = cycle.adjustment if per_m2 or cycle.adjustment == "SCHEDULING" else None
        given = {"EXDOSE": str(cycle.dose(drug)), "EXDOSU": "mg", "EXADJ": adjusted}
    else:
        given = {"EXSTAT": "NOT DONE", "EXREASND": omitted}
    sequence = tables.add(
        "EX", person.subject, EXTRT=drug.medication, EXDOSFRM=drug.form, EXDOSFRQ=plan.frequency, EXROUTE=plan.route,
        VISITNUM=str(cycle.number), VISIT=f"CYCLE {cycle.number}", EXSTDTC=person.on(cycle.day), EXENDTC=person.on(cycle.day), **given,
    )  # fmt: skip
    qualifiers = {"EXCYCLE": ("Cycle", str(cycle.number))}
    if per_m2:
        qualifiers["EXPDOSM2"] = ("Planned Dose per m2 (mg/m2)", format(plan.dose, "f"))
        if omitted is None:
            qualifiers["EXBSA"] = ("Body Surface Area Used (m2)", f"{cycle.bsa_m2:.2f}")
    tables.supplement("EX", person.subject, sequence, qualifiers)


def write_events(tables: Tables, course: Course, of: Parameters) -> None:
    """AE and SUPPAE: terms as text with their CTCAE grade and its version; an event that outlasts the data has no end."""
    person = course.person
    for event in course.events:
        over = event.end_day <= course.last_day
        sequence = tables.add(
            "AE", person.subject, AETERM=event.kind.term, AEDECOD=event.kind.term, AEBODSYS=event.kind.organ_class,
            AESER="Y" if event.serious else "N", AESHOSP="Y" if event.serious else None, AEACN=event.action, AEREL=event.kind.related,
            AEOUT="RECOVERED/RESOLVED" if over else "NOT RECOVERED/NOT RESOLVED", AETOXGR=str(event.grade),
            AESTDTC=person.on(event.start_day), AEENDTC=person.on(event.end_day) if over else None,
        )  # fmt: skip
        tables.supplement("AE", person.subject, sequence, {"AETOXVER": ("CTCAE Version", of.events.grading)})
