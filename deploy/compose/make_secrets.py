"""Write every secret of docker-compose.yaml once, at the first start; files that exist are kept.

To bring your own, put files of these names into a folder, and set PLAYBOOK_SECRETS to it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

RANDOM: dict[str, Callable[[], str]] = {
    "postgres_password": lambda: secrets.token_hex(24),
    "airflow_password": lambda: secrets.token_hex(24),
    "playbook_password": lambda: secrets.token_hex(24),
    "redis_password": lambda: secrets.token_hex(24),
    "s3_access_key": lambda: secrets.token_hex(10),
    "s3_secret_key": lambda: secrets.token_hex(24),
    "admin_password": lambda: secrets.token_urlsafe(18),
    "fernet_key": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "jwt_secret": lambda: secrets.token_urlsafe(64),
    "api_secret_key": lambda: secrets.token_urlsafe(32),
}

NOBODY = 65534


def make(folder: Path) -> None:
    """Write the secrets that are missing, and what is composed of them; SystemExit if the services can't read them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in RANDOM.items():
        if not (folder / name).exists():
            write(folder / name, value())

    given = {name: (folder / name).read_text().strip() for name in RANDOM}
    for name, text in composed(given).items():
        write(folder / name, text)

    if closed := [name for name in RANDOM if not is_readable(folder / name)]:
        raise SystemExit(
            f"The services run as users that can't read these secrets: {', '.join(closed)}. "
            "Run `chmod o+rx . && chmod o+r *` in the folder of PLAYBOOK_SECRETS, then start again."
        )


def is_readable(path: Path) -> bool:
    """Return True if another user than root may read a file, or if this process is not root and can't try."""
    if os.geteuid() != 0:
        return True
    nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    # By its name: a container sees the folder, not those above it.
    done = subprocess.run(["cat", path.name], cwd=path.parent, capture_output=True, check=False, **nobody)
    return done.returncode == 0


def composed(given: dict[str, str]) -> dict[str, str]:
    """Return the files that contain other secrets."""
    airflow = f"airflow:{quote(given['airflow_password'], safe='')}@postgres/airflow"
    return {
        "sql_alchemy_conn": f"postgresql+psycopg2://{airflow}",
        "result_backend": f"db+postgresql://{airflow}",
        "broker_url": f"redis://:{quote(given['redis_password'], safe='')}@redis:6379/0",
        "redis.conf": f"requirepass {json.dumps(given['redis_password'])}\nappendonly yes\n",
        "passwords.json": json.dumps({"admin": given["admin_password"]}),
        "connections.json": json.dumps(connections(given)),
    }


def connections(given: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the connections of Airflow: the database of the tables, and the store of logs and archives."""
    return {
        "partition_playbook_db": {
            "conn_type": "postgres",
            "host": "postgres",
            "schema": "staging",
            "login": "partition_playbook",
            "password": given["playbook_password"],
        },
        "playbook_s3": {
            "conn_type": "aws",
            "login": given["s3_access_key"],
            "password": given["s3_secret_key"],
            "extra": json.dumps({"endpoint_url": "http://s3:9000", "region_name": "us-east-1"}),
        },
    }


def write(path: Path, text: str) -> None:
    """Write a file that each container of the project may read: they run as different users."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o444)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
