"""The SDTM rows of a subject's lesions, their measurements, and the independent assessor's responses."""

from fhir_trial.simulate.course import Course
from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.parameters import Parameters, Reader
from fhir_trial.simulate.sdtm import Tables
from fhir_trial.simulate.tumour import NOT_EVALUABLE, TOO_SMALL_MM, Lesion, Scan

METHOD, INVESTIGATOR = "CT SCAN", "INVESTIGATOR"
TOO_SMALL = "TOO SMALL TO MEASURE"


def _when(course: Course, scan: Scan, prefix: str, interval: int) -> dict[str, str]:
    week = scan.number * interval // 7
    visit = f"WEEK {week}" if scan.number else "SCREENING"
    number = str(100 + week) if scan.number else "0"
    return {"VISITNUM": number, "VISIT": visit, f"{prefix}DTC": course.person.on(scan.day)}


def write_tumour(tables: Tables, course: Course, seed: int, parameters: Parameters) -> None:
    """TU, TR and RS: the investigator's lesions and measurements, and the independent assessor's overall responses."""
    interval, reader = parameters.schedule.scan_interval, parameters.reader
    draws = Draws(seed, course.person.number, 6)
    for scan in course.tumour.scans:
        known = [lesion for lesion in course.tumour.lesions if lesion.found_at <= scan.number]
        for lesion in known:
            if lesion.found_at == scan.number:
                _identify(tables, course, lesion, _when(course, scan, "TU", interval))
            if scan.done and (lesion.role == "TARGET" or lesion.name in scan.states):
                _measure(tables, course, lesion, scan, _when(course, scan, "TR", interval))
            elif not scan.done:
                _not_done(tables, course, lesion, _when(course, scan, "TR", interval))
        if scan.done and scan.total is not None:
            _row(tables, course, _when(course, scan, "TR", interval), "SUMDIAM", None, TRGRPID="TARGET", **_millimetres(str(scan.total)))
        if scan.number:
            _respond(tables, course, scan, _when(course, scan, "RS", interval), reader, _read(scan, draws, reader))


def _identify(tables: Tables, course: Course, lesion: Lesion, when: dict[str, str]) -> None:
    tables.add(
        "TU", course.person.subject, TULNKID=lesion.name, TUTESTCD="TUMIDENT", TUTEST="Tumor Identification", TUORRES=lesion.role,
        TUSTRESC=lesion.role, TULOC=lesion.organ, TUMETHOD=METHOD, TUEVAL=INVESTIGATOR, **when,
    )  # fmt: skip


def _row(tables: Tables, course: Course, when: dict[str, str], test: str, lesion: Lesion | None, **values: str | None) -> None:
    names = {"LDIAM": "Longest Diameter", "LPERP": "Longest Perpendicular", "TUMSTATE": "Tumor State", "SUMDIAM": "Sum of Diameter"}
    if lesion is not None:
        values |= {"TRGRPID": lesion.role, "TRLNKID": lesion.name}
    tables.add(
        "TR", course.person.subject, TRTESTCD=test, TRTEST=names[test], TRMETHOD=None if lesion is None else METHOD, TREVAL=INVESTIGATOR,
        **(when | values),
    )  # fmt: skip


def _millimetres(size: str) -> dict[str, str]:
    return {"TRORRES": size, "TRORRESU": "mm", "TRSTRESC": size, "TRSTRESN": size, "TRSTRESU": "mm"}


def _measure(tables: Tables, course: Course, lesion: Lesion, scan: Scan, when: dict[str, str]) -> None:
    """A target's diameters (a node's short axis beside its longest diameter), any other lesion's state."""
    if lesion.role != "TARGET":
        state = scan.states[lesion.name]
        _row(tables, course, when, "TUMSTATE", lesion, TRORRES=state, TRSTRESC=state)
        return
    size = scan.sizes[lesion.name]
    if size is None:
        _row(tables, course, when, "TUMSTATE", lesion, TRORRES=NOT_EVALUABLE, TRSTRESC=NOT_EVALUABLE)
    elif lesion.nodal:
        _row(tables, course, when, "LDIAM", lesion, **_millimetres(str(3 * size // 2)))  # nodes are drawn half as long again as wide
        _row(tables, course, when, "LPERP", lesion, **_millimetres(str(size)))
    elif size == TOO_SMALL_MM:
        _row(tables, course, when, "LDIAM", lesion, TRORRES=TOO_SMALL, TRSTRESC=TOO_SMALL, TRSTRESN=str(size), TRSTRESU="mm")
    else:
        _row(tables, course, when, "LDIAM", lesion, **_millimetres(str(size)))


def _not_done(tables: Tables, course: Course, lesion: Lesion, when: dict[str, str]) -> None:
    test = "TUMSTATE" if lesion.role != "TARGET" else "LPERP" if lesion.nodal else "LDIAM"
    _row(tables, course, when, test, lesion, TRSTAT="NOT DONE", TRREASND="SCAN NOT PERFORMED")


def _read(scan: Scan, draws: Draws, reader: Reader) -> str:
    """The independent reading: that of the study's conduct, or one class beside it."""
    other = {"PR": "SD", "SD": "PR", "CR": "PR"}
    disagrees = draws.chance(reader.disagrees)
    return other.get(scan.response, scan.response) if disagrees else scan.response


def _respond(tables: Tables, course: Course, scan: Scan, when: dict[str, str], reader: Reader, response: str) -> None:
    result = {"RSORRES": response, "RSSTRESC": response} if scan.done else {"RSSTAT": "NOT DONE", "RSREASND": "SCAN NOT PERFORMED"}
    tables.add(
        "RS", course.person.subject, RSTESTCD="OVRLRESP", RSTEST="Overall Response", RSCAT="RECIST 1.1", RSEVAL=reader.evaluator,
        RSEVALID=reader.id, RSACPTFL="Y", **result, **when,
    )  # fmt: skip
