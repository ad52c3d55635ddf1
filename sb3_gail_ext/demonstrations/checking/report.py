"""What a check of demonstrations has found, and whether they belong to the environment."""

from __future__ import annotations

from dataclasses import dataclass

from sb3_gail_ext.demonstrations.checking.dynamics import Dynamics
from sb3_gail_ext.demonstrations.checking.finding import Finding

_HEADINGS = {"error": "errors", "warning": "warnings", "note": "notes"}


@dataclass(frozen=True)
class DemonstrationReport:
    """Of `check_demonstrations`; `print` it."""

    findings: tuple[Finding, ...]
    belongs: bool | None  # to the environment, by its dynamics; None if it cannot be told
    verdict: str  # one sentence on that
    dynamics: Dynamics | None  # what was measured, if anything could be replayed

    @property
    def errors(self) -> list[str]:
        """Why they cannot be used."""
        return self._of("error")

    @property
    def warnings(self) -> list[str]:
        """What is probably not as it was meant."""
        return self._of("warning")

    @property
    def ok(self) -> bool:
        """No errors, and nothing says that they belong to another environment."""
        return not self.errors and self.belongs is not False

    def __str__(self) -> str:
        lines = []
        for severity, heading in _HEADINGS.items():
            messages = self._of(severity)
            if messages:
                lines += [f"{heading}:", *(f"  - {message}" for message in messages), ""]
        return "\n".join([*lines, self.verdict])

    def _of(self, severity: str) -> list[str]:
        return [finding.message for finding in self.findings if finding.severity == severity]
