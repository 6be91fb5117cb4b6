"""One local Spark for all tests that need one."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_trial.errors import ConfigurationError
from fhir_trial.frames.spark import local_session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session of two cores; where pyspark or Java is absent, the test is skipped with the reason."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = {
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.driver.memory": "1g",
    }
    try:
        session = local_session(2, **settings)
    except ConfigurationError as error:
        pytest.skip(str(error))
    yield session
    session.stop()
