"""Where the program `sb3-gail` starts: the doctor has to work when nothing else does."""

from __future__ import annotations

import sys

from sb3_gail_doctor import command


def main() -> int:
    """Run `sb3-gail`. The exit status is that of the command; 2 if nothing can be run at all."""
    given = sys.argv[1:]
    if given in (["doctor"], ["doctor", "--json"]):
        return command.run(as_json="--json" in given)
    try:
        from sb3_gail_ext.cli.main import main as run
    except Exception as error:  # a library that is too old raises anything
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"sb3-gail: cannot start ({text}); run sb3-gail doctor", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
