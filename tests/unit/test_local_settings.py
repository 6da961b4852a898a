"""What Airflow's scheduler of staging does before it begins."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

from staging.airflow_local_settings import await_server


def test_the_scheduler_begins_once_the_api_server_listens() -> None:
    with socket.socket() as server, ThreadPoolExecutor(1) as pool:
        server.bind(("127.0.0.1", 0))
        waits = pool.submit(await_server, f"http://127.0.0.1:{server.getsockname()[1]}/execution/", 60)
        early = [waits.done() for _ in range(1000)]
        server.listen()
        waits.result(60)
    assert not any(early)


def test_it_begins_without_one_too() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        await_server(f"http://127.0.0.1:{server.getsockname()[1]}/execution/", seconds=0)
