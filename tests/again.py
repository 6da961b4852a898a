"""Run the tests that failed in the last run once more, one by one: `python -m tests.again`.

CI's machine is shared, and noise may fail a test or two. More than MOST failures are a fault, and nothing is run. Each
test that fails and then passes is printed: it depends on the machine, and wants to be mended. The tests of a file in
STORIES look at one long run, so all of them fail with it: together they count as one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
MOST = 3
STORIES = ("tests/distributed/",)


def main(options: list[str]) -> int:
    """Return the exit status of the second run, or 1 if there is nothing to run or too much."""
    failed = list(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 0 < len(set(map(story, failed))) <= MOST:
        print(f"{len(failed)} tests failed; only 1 to {MOST} are run again.")
        return 1

    status = subprocess.run([sys.executable, "-m", "pytest", *options, *failed], check=False).returncode
    print(
        *(f"{'Failed twice' if status else 'Failed, then passed alone; mend it'}: {each}" for each in failed), sep="\n"
    )
    return status


def story(test: str) -> str:
    """Return the file of a test that looks at a long run with others, else the test itself."""
    return test.partition("::")[0] if test.startswith(STORIES) else test


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
