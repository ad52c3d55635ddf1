"""What the user is told when a run cannot go on."""


class CheckpointError(ValueError):
    """A run cannot go on from what is on disk; the message is one line and says what to do."""
