"""The SDTM rows of a subject's person, condition, disposition and later therapy, and those about the study."""

from decimal import Decimal

from fhir_trial.domain.study import StudyDefinition
from fhir_trial.simulate.course import Course
from fhir_trial.simulate.parameters import Parameters
from fhir_trial.simulate.sdtm import Tables
from fhir_trial.simulate.treatment import Cycle


def write_study(tables: Tables, study: StudyDefinition, seed: int, parameters: Parameters) -> None:
    """TS: what marks the data as synthetic, and its cutoff."""
    for code, name, value in (
        ("TITLE", "Trial Title", f"SYNTHETIC DATA: {study.title}"),
        ("SYNTH", "Synthetic Data", "Y"),
        ("SYNSEED", "Seed of the Synthetic Data", str(seed)),
        ("DCUTDTC", "Data Cutoff Date", parameters.calendar.cutoff.isoformat()),
    ):
        tables.add("TS", TSPARMCD=code, TSPARM=name, TSVAL=value)


def write_demographics(tables: Tables, course: Course, cycles: list[Cycle], parameters: Parameters) -> None:
    """DM."""
    person, code = course.person, course.person.arm.code or course.person.arm.name
    death = person.on(course.death_day) if course.death_day is not None else None
    tables.add(
        "DM", person.subject, SUBJID=f"{person.number:03d}", SITEID=parameters.calendar.site, COUNTRY=parameters.calendar.country,
        RFSTDTC=person.on(cycles[0].day), RFENDTC=person.on(course.last_day), RFICDTC=person.on(person.consent_day),
        RFXSTDTC=person.on(cycles[0].day), RFXENDTC=person.on(cycles[-1].day), RFPENDTC=person.on(course.last_day),
        DTHDTC=death, DTHFL="Y" if death else None, AGE=str(person.age), AGEU="YEARS", SEX=person.sex, RACE=parameters.person.race,
        ARMCD=code, ARM=person.arm.name, ACTARMCD=code, ACTARM=person.arm.name, LSTALVDT=person.on(course.last_day),
    )  # fmt: skip


def write_disposition(tables: Tables, course: Course) -> None:
    """DS: consent, enrolment, the end of treatment and of participation where they came."""
    subject, on = course.person.subject, course.person.on
    milestone = "PROTOCOL MILESTONE"
    tables.add(
        "DS", subject, DSTERM="Informed consent obtained", DSDECOD="INFORMED CONSENT OBTAINED", DSCAT=milestone,
        DSSTDTC=on(course.person.consent_day),
    )  # fmt: skip
    tables.add("DS", subject, DSTERM="Enrolled", DSDECOD="ENROLLED", DSCAT=milestone, DSSTDTC=on(0))
    for reason, scope, day in (
        (course.treatment_end_reason, "STUDY TREATMENT", course.treatment_end_day),
        (course.participation_end_reason, "STUDY PARTICIPATION", course.last_day),
    ):
        if reason is not None:
            tables.add("DS", subject, DSTERM=reason.capitalize(), DSDECOD=reason, DSCAT="DISPOSITION EVENT", DSSCAT=scope, DSSTDTC=on(day))


def write_therapy(tables: Tables, course: Course, study: StudyDefinition) -> None:
    """CM: the anticancer therapy that followed, if any did."""
    if course.therapy is not None:
        name, day = course.therapy
        tables.add(
            "CM", course.person.subject, CMTRT=name, CMCAT="SUBSEQUENT ANTICANCER THERAPY", CMINDC=study.condition,
            CMSTDTC=course.person.on(day),
        )  # fmt: skip


def write_condition(tables: Tables, course: Course, cycles: list[Cycle]) -> None:
    """VS and QS: height once, weight, body surface area and ECOG performance status at each cycle."""
    person = course.person
    for cycle in cycles:
        measures = [("WEIGHT", "Weight", f"{cycle.weight_kg:.1f}", "kg"), ("BSA", "Body Surface Area", f"{cycle.bsa_m2:.2f}", "m2")]
        if cycle.number == 1:
            measures.insert(0, ("HEIGHT", "Height", str(person.height_cm), "cm"))
        when = {"VISITNUM": str(cycle.number), "VISIT": f"CYCLE {cycle.number}"}
        for code, name, value, unit in measures:
            tables.add(
                "VS", person.subject, VSTESTCD=code, VSTEST=name, VSORRES=value, VSORRESU=unit, VSSTRESC=value, VSSTRESN=_number(value),
                VSSTRESU=unit, VSDTC=person.on(cycle.day), **when,
            )  # fmt: skip
        score = str(cycle.ecog)
        tables.add(
            "QS", person.subject, QSTESTCD="ECOG101", QSTEST="ECOG1-Performance Status", QSCAT="ECOG", QSORRES=score, QSSTRESC=score,
            QSSTRESN=score, QSDTC=person.on(cycle.day), **when,
        )  # fmt: skip


def _number(text: str) -> str:
    """The text as a number, which says nothing by zeros at its end."""
    return format(Decimal(text).normalize(), "f")
