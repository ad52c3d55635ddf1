"""`sb3-gail doctor`, once its arguments are known."""

from __future__ import annotations

import sys

from sb3_gail_doctor import table
from sb3_gail_doctor.examine import examine, exit_status


def run(*, as_json: bool = False) -> int:
    """Examine and print.

    :returns: the exit status.
    """
    lines = examine()
    if as_json:
        print(table.as_json(lines))
    else:
        table.show(lines)
        print(f"sb3-gail: {table.summary(lines)}", file=sys.stderr)
    return exit_status(lines)
