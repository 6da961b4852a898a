"""Start or stop the whole staging environment: `python -m staging up` and `python -m staging down`."""

from __future__ import annotations

import argparse

from staging import environment


def main() -> None:
    """Start or stop, as the argument says."""
    parser = argparse.ArgumentParser(prog="python -m staging", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    if parser.parse_args().action == "down":
        environment.stop()
        print("Stopped. The data stays in .staging; `make up` starts again with it.")
        return
    staging = environment.start()

    print(f"Airflow     {staging.airflow.url}   login {staging.airflow.user}, password {staging.airflow.password}")
    print(f"PostgreSQL  {staging.database}")
    print(f"Artifacts   {staging.artifacts}")
    print("`make down` stops both.")


main()
