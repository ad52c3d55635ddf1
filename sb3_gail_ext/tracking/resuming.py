"""What a resumed run goes on with: its W&B id and its best value, stored in its folder."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.tracking.session import TrackingError

_FILE = "wandb_run.json"


@dataclass
class Stored:
    """The state of a run that a later process may go on with."""

    id: str = field(default_factory=lambda: secrets.token_hex(4))
    best: float | None = None

    def write(self, folder: Path) -> None:
        with atomically(folder / _FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self)) + "\n")


def read_stored(folder: Path) -> Stored | None:
    """What lies in `folder`; None: nothing.

    :raises TrackingError: if it cannot be read.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        return Stored(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise TrackingError(f"{path}: not written by this package; delete it") from error
