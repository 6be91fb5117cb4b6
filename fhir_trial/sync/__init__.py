"""Push and pull against FHIR servers: every conversation is a generator of requests; `Client` alone opens connections."""

from fhir_trial.sync.capability import ServerInfo, discover
from fhir_trial.sync.client import Client
from fhir_trial.sync.folder import FolderWriter, Manifest, read_folder, read_manifest, write_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.plan import Choices, Item, Plan, make_plan
from fhir_trial.sync.pull import TRIAL_TYPES, Pulled, of_study, pull, pull_to_memory, trial_types
from fhir_trial.sync.push import Report, apply, push

__all__ = [
    "TRIAL_TYPES",
    "Choices",
    "Client",
    "FolderWriter",
    "Item",
    "Journal",
    "Manifest",
    "Plan",
    "Pulled",
    "Report",
    "ServerInfo",
    "apply",
    "discover",
    "make_plan",
    "of_study",
    "pull",
    "pull_to_memory",
    "push",
    "read_folder",
    "read_manifest",
    "trial_types",
    "write_folder",
]
