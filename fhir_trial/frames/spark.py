"""Views on Spark: a folder of NDJSON on any path that Spark reads, to a DataFrame or Parquet, by the engine that runs everywhere else.

Spark 4 and Java 17 or newer; `pip install "fhir_trial[spark]"`. The workers need this package too.
"""

import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fhir_trial.errors import ConfigurationError, Finding, Findings, InputError, UsageError, require
from fhir_trial.fhir.json import encode
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.frames.spark_rows import FILE, LINE, PROBLEM, START, Bad, ViewTask, refused_findings
from fhir_trial.frames.views import AnyView, as_view

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

JAVA = 17
"""The oldest Java that Spark 4 runs on."""
_IS_DOCUMENT = r"lower(_metadata.file_name) rlike r'\.json(\.gz)?$'"
_BAD = ("raise", "skip", "column")
_TYPES = {
    pa.string(): "string",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.float64(): "double",
    pa.int32(): "int",
    pa.binary(): "binary",
    pa.date32(): "date",
}


def local_session(cores: int | None = None, **settings: str) -> "SparkSession":
    """A Spark session on this machine that runs the workers with this Python; `cores` are all of them unless given.

    Raises `MissingExtra` without pyspark, `ConfigurationError` without Java or with one that is too old.
    """
    sql = require("pyspark.sql", "spark")
    check_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master(f"local[{cores or '*'}]").appName("fhir_trial")
    for name, value in {"spark.ui.enabled": "false", **settings}.items():
        builder = builder.config(name, value)
    with arrow_only():
        session: SparkSession = builder.getOrCreate()
    return session


def check_java() -> None:
    """Raise `ConfigurationError` unless there is a Java that Spark 4 can run on."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        where = "the folder that JAVA_HOME names" if home else "PATH"
        raise ConfigurationError(f"Spark needs Java {JAVA} or newer, and there is no java in {where}: install one, or set JAVA_HOME")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', said.stderr + said.stdout)
    if found is None or int(found[1]) < JAVA:
        raise ConfigurationError(f"Spark needs Java {JAVA} or newer, and {java} is {found[1] if found else 'of an unknown version'}")


def view_frame(
    spark: "SparkSession",
    view: AnyView,
    path: str | list[str],
    fhir: str = DEFAULT,
    *,
    bad: Bad = "raise",
    lineage: bool = False,
) -> "DataFrame":
    """The rows of a view over NDJSON at `path` (file, folder or glob, or several; .gz too; anything Spark reads) as a DataFrame.

    `view` is a ViewDefinition or the name of a shipped one; column types are those of `run_view`. Spark runs when rows are asked for. What
    cannot be read ends the job, which then names file, line and reason (`naming_errors` makes an `InputError` of it); with `bad="skip"` it
    is left out; with `bad="column"` it is a row of nulls with code, place, row and reason in a last column `_problem`, null in all others.
    A file that ends in .json is one document, a Bundle or a resource; what else it may be is passed over.
    """
    task = view_task(view, fhir, bad, lineage)
    return mapped(text_frame(spark, path), task.rows, task.schema())


def view_task(view: AnyView, fhir: str, bad: Bad, lineage: bool) -> ViewTask:
    """The view as it travels to the workers, compiled here once so that what is wrong with it is said before anything runs."""
    if bad not in _BAD:
        raise UsageError(f"bad={bad!r} is not known: {', '.join(_BAD)}")
    task = ViewTask(encode(dict(as_view(view, fhir).definition)).decode(), fhir, bad, lineage)
    task.runner()
    return task


def write_parquet(
    spark: "SparkSession",
    view: AnyView,
    path: str | list[str],
    out: str,
    fhir: str = DEFAULT,
    *,
    skipped: Findings | None = None,
) -> int:
    """Write a view's rows to a folder of Parquet at any path that Spark writes; how many rows that was.

    Raises `InputError` with files, lines and reasons where something cannot be read, and commits nothing then. Given a `skipped`, the rest
    is written, and each thing left out is a finding there. Raises `UsageError` where `out` is there already.
    """
    functions: Any = require("pyspark.sql.functions", "spark")
    observed: Any = require("pyspark.sql", "spark").Observation("written")
    frame = view_frame(spark, view, path, fhir, bad="raise" if skipped is None else "column")
    counts = [functions.count(functions.lit(1)).alias("rows")]
    if skipped is not None:
        counts.append(functions.collect_list(PROBLEM).alias("problems"))
    frame = frame.observe(observed, *counts)
    with naming_errors():
        (frame if skipped is None else frame.filter(f"{PROBLEM} is null").drop(PROBLEM)).write.mode("error").parquet(out)
    found = observed.get
    problems = found.get("problems", [])
    if skipped is not None:
        skipped.extend(Finding(**problem.asDict(), effect="left out") for problem in problems)
    return int(found["rows"]) - len(problems)


@contextmanager
def naming_errors() -> Iterator[None]:
    """Input that a worker refused, as the `InputError` it is: around any action on a view's DataFrame.

    A path where nothing is, or where something is already that is to be written, is a `UsageError`.
    """
    errors: Any = require("pyspark.errors", "spark")
    try:
        yield
    except errors.PySparkException as error:
        if findings := refused_findings(str(error)):
            raise InputError(findings) from None
        if error.getCondition() in ("PATH_NOT_FOUND", "PATH_ALREADY_EXISTS"):
            raise UsageError(f"{error.getCondition().lower().replace('_', ' ')}: {error.getMessageParameters().get('path', '')}") from None
        raise


def text_frame(spark: "SparkSession", path: str | list[str]) -> "DataFrame":
    """Lines, and .json files as a whole, with file and first byte; as binary, so that bytes that are no UTF-8 are seen by the engine."""
    with naming_errors():
        lines = spark.read.text(path, lineSep="\n").where(f"not {_IS_DOCUMENT}")
        documents = spark.read.text(path, wholetext=True).where(_IS_DOCUMENT)
    feed, file = f"concat(cast(value as binary), X'0A') as {LINE}", f"_metadata.file_path as {FILE}"
    return lines.selectExpr(feed, file, f"_metadata.file_block_start as {START}").unionAll(
        documents.selectExpr(feed, file, f"cast(null as bigint) as {START}")
    )


def mapped(frame: "DataFrame", rows: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]], schema: pa.Schema) -> "DataFrame":
    """The frame's batches through a function of Arrow batches."""
    with arrow_only():
        return frame.mapInArrow(rows, ddl(schema))


@contextmanager
def arrow_only() -> Iterator[None]:
    """Without pyspark's warning of pandas 3, which is of no concern where only Arrow goes between Spark and Python."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas >= 3", FutureWarning)
        yield


def ddl(schema: pa.Schema) -> str:
    """An Arrow schema as Spark's.

    >>> ddl(pa.schema([("dose", pa.decimal128(38, 12)), ("given", pa.list_(pa.string()))]))
    '`dose` decimal(38,12), `given` array<string>'
    """
    return ", ".join(f"`{field.name}` {_type(field.type)}" for field in schema)


def _type(arrow: pa.DataType) -> str:
    if pa.types.is_list(arrow):
        return f"array<{_type(arrow.value_type)}>"
    if pa.types.is_struct(arrow):
        return f"struct<{', '.join(f'`{field.name}`: {_type(field.type)}' for field in arrow)}>"
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    return _TYPES[arrow]
