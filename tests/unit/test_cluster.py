"""The account that PostgreSQL runs as where root starts it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from uuid import uuid4

import pytest

from staging.instance import PROJECT

BEGIN = "import sys; from staging import cluster; cluster.ACCOUNT = sys.argv[1]; print(cluster._account().pw_uid)"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as somebody else")
def test_processes_that_begin_together_run_it_as_the_same_account() -> None:
    account = f"playbook_{uuid4().hex[:8]}"
    command = [sys.executable, "-c", BEGIN, account]
    begun = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    try:
        told = {each.communicate(timeout=60)[0].strip() for each in begun}
        assert told == {str(pwd.getpwnam(account).pw_uid)}
    finally:
        subprocess.run(["userdel", account], check=True)
