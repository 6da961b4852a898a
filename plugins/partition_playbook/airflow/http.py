"""Ask an HTTP service behind an Airflow connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowException

from partition_playbook.sections.watch.sources import Unanswered

SECONDS = 10


def fetch(connection_id: str, endpoint: str, params: Mapping[str, str]) -> Any:
    """Return the JSON of a GET to an Airflow connection; Unanswered with the reason, never with the URL.

    Airflow's own errors have a status or an id. Those of requests have the URL, which may hold a token.
    """
    # Each task imports this module, and two come here. The hook's aiohttp and requests took a quarter of the parsing.
    from airflow.providers.http.hooks.http import HttpHook

    try:
        hook = HttpHook(method="GET", http_conn_id=connection_id)
        return hook.run(endpoint, data=dict(params), extra_options={"timeout": SECONDS}).json()
    except AirflowException as error:
        raise Unanswered(f"connection {connection_id}: {error}") from error
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        raise Unanswered(f"connection {connection_id}: {type(error).__name__}") from error
