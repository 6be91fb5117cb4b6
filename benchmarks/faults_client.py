"""One client against one server, in a process of its own: what it read, or how it failed, as a line of JSON.

Arguments: the client, the base URL, `read` or `write`. It runs in that client's environment and imports ours only for ours.
"""

import json
import logging
import resource
import sys
from typing import Any

TOKEN = "s3cr3t-t0ken"
ROW = {"resourceType": "Observation", "status": "final", "code": {"text": "size"}, "identifier": [{"system": "urn:o", "value": "new"}]}


def fhir_trial(url: str, mode: str) -> list[str]:
    """This package: a search, or a sync that is run again where it fails."""
    import os

    from fhir_trial.config import Secret, Server
    from fhir_trial.errors import FhirTrialError
    from fhir_trial.sync.capability import ServerInfo
    from fhir_trial.sync.client import Client
    from fhir_trial.sync.journal import Journal
    from fhir_trial.sync.pull import pull_to_memory
    from fhir_trial.sync.push import push

    os.environ["BENCH_TOKEN"] = TOKEN
    with Client(Server("s", url, Secret.parse("env:BENCH_TOKEN"), deadline_seconds=4.0)) as client, Journal(":memory:") as journal:
        if mode == "read":
            return [row["id"] for row in client.run(pull_to_memory(["Observation"])).all()]
        info = ServerInfo(client.base_url, "4.0.1", research_store=True)
        rows = [{**ROW, "id": "o-new"}]
        try:
            client.run(push(rows, info, journal))
        except FhirTrialError:
            client.run(push(rows, info, journal))
        return []


def fhirpy(url: str, mode: str) -> list[str]:
    """fhirpy: fetch_all, or save, once more where it fails."""
    from fhirpy import SyncFHIRClient

    client = SyncFHIRClient(url, authorization=f"Bearer {TOKEN}")
    if mode == "read":
        return [row["id"] for row in client.resources("Observation").limit(10).fetch_all()]
    twice(lambda: client.resource(**{"resource_type": "Observation", **{k: v for k, v in ROW.items() if k != "resourceType"}}).save())
    return []


def fhirclient(url: str, mode: str) -> list[str]:
    """fhirclient: perform_resources_iter, or create, once more where it fails."""
    from fhirclient import client
    from fhirclient.models.observation import Observation

    smart = client.FHIRClient(settings={"app_id": "bench", "api_base": url})
    smart.server.session.headers["Authorization"] = f"Bearer {TOKEN}"
    if mode == "read":
        return [row.id for row in Observation.where({"_count": "10"}).perform_resources_iter(smart.server)]
    twice(lambda: Observation(ROW).create(smart.server))
    return []


def fhir_pyrate(url: str, mode: str) -> list[str]:
    """FHIR-PYrate, which only reads: steal_bundles_to_dataframe."""
    import requests
    from fhir_pyrate import Pirate

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    pirate = Pirate(auth=session, base_url=url, num_processes=1)
    frame = pirate.steal_bundles_to_dataframe(resource_type="Observation", request_params={"_count": 10})
    return [str(value) for value in frame["id"]] if "id" in frame else []


def twice(act: Any) -> None:
    """As a careful user would: once more where it fails."""
    try:
        act()
    except Exception:
        act()


def main(name: str, url: str, mode: str) -> None:
    """Run it and say what came of it."""
    logging.disable(logging.CRITICAL)
    said: dict[str, Any] = {}
    try:
        said["rows"] = globals()[name](url, mode)
    except BaseException as error:
        said["error"] = type(error).__name__
    said["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write("\n" + json.dumps(said) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
