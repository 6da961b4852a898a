from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give Airflow a home and a metadata database of its own before it is imported."""
    home = tmp_path_factory.mktemp("airflow")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests alone, as long as the signature asks for it to be",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield home


@pytest.fixture(scope="session")
def airflow_metadata(airflow_home: Path) -> None:
    """Create the tables of Airflow's metadata database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow and its dependencies deprecate among themselves
        from airflow import settings
        from airflow.models import import_all_models
        from airflow.models.base import Base

        settings.initialize()
        import_all_models()
        Base.metadata.create_all(settings.engine)


@pytest.fixture(scope="session")
def dags(airflow_home: Path) -> Any:
    """Return the DAGs as Airflow's own processes load them."""
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = str(ROOT / "dags")
    return BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
