import pytest

from fhir_trial.fhir.http import Request
from fhir_trial.store import Store, handle
from fhir_trial.validate import validate

WRITES = b"""{"resourceType": "Bundle", "type": "transaction", "entry": [
  {"request": {"method": "PUT", "url": "Patient/p3"}, "resource": {"resourceType": "Patient", "id": "p3"}},
  {"request": {"method": "GET", "url": "Patient?_count=1"}},
  {"request": {"method": "DELETE", "url": "Patient/p2"}}]}"""


@pytest.mark.parametrize("fhir", ["r4", "r5"])
def test_everything_the_store_says_of_itself_is_valid_fhir(fhir):
    store = Store(":memory:", fhir)
    for identity in (b"p1", b"p2"):
        handle(store, Request("PUT", f"Patient/{identity.decode()}", {}, b'{"resourceType":"Patient","id":"%s"}' % identity))
    handle(store, Request("DELETE", "Patient/p1"))
    answers = [handle(store, Request("POST", "", {}, WRITES))]
    answers += [handle(store, Request("GET", url)) for url in ("metadata", "Patient?_count=1", "_history", "Patient/none")]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404]
    assert [finding for answer in answers for finding in validate(answer.json(), fhir)] == []
    store.close()
