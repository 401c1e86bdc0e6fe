"""Spark and Ray Data run a Planner as it is, with the answers that it gives alone.

Both are too heavy to be development dependencies, so each test runs where its engine is installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from routed_llm.batch import Planner

TODAY = date(2026, 11, 22)
PLANNER = Planner(at=TODAY, keep=("number",))

# Their own warnings are not ours to mend.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.enable_socket]


def requests(count: int) -> pa.Table:
    """Return numbered requests from ten tokens to more than any model takes."""
    return pa.table(
        {
            "number": pa.array(range(count), pa.int64()),
            "tokens": pa.array([10 + 977 * number % 1_200_000 for number in range(count)], pa.int64()),
            "cap": pa.array([(None, 256, 4_096)[number % 3] for number in range(count)], pa.int64()),
            "tools": pa.array([number % 2 for number in range(count)], pa.int64()),
        }
    )


def by_number(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort rows, since an engine may give them in any order."""
    return sorted(rows, key=lambda row: row["number"])


def test_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mapInArrow` of a local Spark gives what the planner gives."""
    sql = pytest.importorskip(
        "pyspark.sql", reason="Spark is not installed. Install it with: pip install pyspark"
    )
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java. Install one, such as Debian's default-jre-headless.")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    table = requests(2_000)
    session = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "300")
        .getOrCreate()
    )
    try:
        rows = [tuple(row.values()) for row in table.to_pylist()]
        frame = session.createDataFrame(rows, "number long, tokens long, cap long, tools long").repartition(3)
        added = "model string, effort string, endpoint string, cost decimal(38,12), reason string"
        found = [row.asDict() for row in frame.mapInArrow(PLANNER.batches, f"number long, {added}").collect()]
    finally:
        session.stop()
    assert by_number(found) == PLANNER(table).to_pylist()


def test_ray() -> None:
    """`map_batches` of Ray Data gives what the planner gives."""
    ray = pytest.importorskip("ray", reason="Ray is not installed. Install it with: pip install 'ray[data]'")
    data = pytest.importorskip("ray.data", reason="Install Ray Data with: pip install 'ray[data]'")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    table = requests(2_000)
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", _node_ip_address="127.0.0.1")
    try:
        made = data.from_arrow(table).map_batches(PLANNER, batch_format="pyarrow", batch_size=300)
        found = made.take_all()
    finally:
        ray.shutdown()
    assert by_number(found) == PLANNER(table).to_pylist()
