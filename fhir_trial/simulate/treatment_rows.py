"""The SDTM rows of a subject's doses and adverse events."""

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.simulate.course import Course
from fhir_trial.simulate.parameters import Parameters
from fhir_trial.simulate.sdtm import Tables
from fhir_trial.simulate.treatment import Cycle


def write_doses(tables: Tables, course: Course, cycles: list[Cycle], study: StudyDefinition) -> None:
    """EX and SUPPEX: one infusion a cycle and drug of the subject's arm; a drug dosed per m2 says its planned dose and the area used."""
    person = course.person
    for cycle in cycles:
        for drug in study.drugs:
            plan = drug.planned
            if plan is None or drug.medication not in person.arm.medications:
                continue
            per_m2 = plan.unit == "mg/m2"
            adjusted = cycle.adjustment if per_m2 or cycle.adjustment == "SCHEDULING" else None
            sequence = tables.add(
                "EX", person.subject, EXTRT=drug.medication, EXDOSE=str(cycle.dose(drug)), EXDOSU="mg", EXDOSFRM=drug.form,
                EXDOSFRQ=plan.frequency, EXROUTE=plan.route, EXADJ=adjusted, VISITNUM=str(cycle.number), VISIT=f"CYCLE {cycle.number}",
                EXSTDTC=person.on(cycle.day), EXENDTC=person.on(cycle.day),
            )  # fmt: skip
            if per_m2:
                qualifiers = {
                    "EXPDOSM2": ("Planned Dose per m2 (mg/m2)", format(plan.dose, "f")),
                    "EXBSA": ("Body Surface Area Used (m2)", f"{cycle.bsa_m2:.2f}"),
                }
                tables.supplement("EX", person.subject, sequence, qualifiers)


def write_events(tables: Tables, course: Course, parameters: Parameters) -> None:
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
        tables.supplement("AE", person.subject, sequence, {"AETOXVER": ("CTCAE Version", parameters.events.grading)})
