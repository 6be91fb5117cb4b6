"""Clinical-trial data to FHIR and back, and from there to endpoints, notebooks and registries.

```python
import fhir_trial as ft
trial = ft.open("NCT05189483", server="demo")
trial.pull()
results = trial.endpoints(conventions="protocol")
results["PFS"].plot()
```
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fhir_trial.notebook.session import open_study as open

__all__ = ["open"]


def __getattr__(name: str) -> Any:
    """`open`, imported when it is first asked for: the command line must not wait for it."""
    if name == "open":
        from fhir_trial.notebook.session import open_study

        return open_study
    raise AttributeError(f"module 'fhir_trial' has no attribute {name!r}")
