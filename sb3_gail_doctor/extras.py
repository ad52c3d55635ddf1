"""What is installed only on request: the extras in this package's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import metadata

from packaging.requirements import Requirement

from sb3_gail_doctor.finding import Check, Finding, Verdict
from sb3_gail_doctor.installed import numbers, version_of
from sb3_gail_doctor.stack import install, is_modern

PACKAGE = "sb3_gail_ext"
_AS_NEW_AS_SB3 = ("rl_zoo3",)  # released together; its metadata allow more than works
_HAVE_LINES_OF_THEIR_OWN = ("mujoco", "wandb")
_FOR_DEVELOPERS = ("dev",)


def optional_requirements() -> dict[str, list[Requirement]]:
    """By extra, what it installs; nothing where this package is not installed."""
    if version_of(PACKAGE) is None:
        return {}
    parsed = [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    extras = metadata.metadata(PACKAGE).get_all("Provides-Extra") or []
    return {
        extra: [
            needed
            for needed in parsed
            if needed.marker is not None
            and needed.marker.evaluate({"extra": extra})
            and not needed.marker.evaluate({"extra": ""})
        ]
        for extra in extras
    }


def install_extra(extra: str) -> str:
    """The command for an extra, or for what it stands for.

    On the modern stack the name of this package in the command would have pip look at what
    `imitation` asks for, and go back to the default stack.
    """
    if not is_modern():
        return f"pip install '{PACKAGE}[{extra}]'"
    needed = optional_requirements().get(extra, [])
    return "pip install " + " ".join(f"'{n.name}{n.specifier}'" for n in needed)


def extras_checks() -> list[Check]:
    """One for each extra that no other check is about."""
    known = (*_HAVE_LINES_OF_THEIR_OWN, *_FOR_DEVELOPERS)
    return [
        Check(f"extra {extra}", partial(check_extra, extra, needed))
        for extra, needed in optional_requirements().items()
        if extra not in known
    ]


def check_extra(extra: str, needed: Sequence[Requirement]) -> Finding:
    versions = {requirement.name: version_of(requirement.name) for requirement in needed}
    absent = [package for package, version in versions.items() if version is None]
    if absent:
        text = f"{', '.join(absent)} not installed"
        return Finding(text, Verdict.MISSING, install_extra(extra))
    found = ", ".join(f"{package} {version}" for package, version in versions.items())
    for requirement in needed:
        if not requirement.specifier.contains(str(versions[requirement.name]), prereleases=True):
            text = f"{found}; {requirement.name}{requirement.specifier} is needed"
            return Finding(text, Verdict.BROKEN, install_extra(extra))
    sb3 = version_of("stable-baselines3") or ""
    for package, version in versions.items():
        if package in _AS_NEW_AS_SB3 and numbers(str(version)) != numbers(sb3):
            text = f"{found} with stable-baselines3 {sb3}"
            return Finding(text, Verdict.BROKEN, install({package: sb3}))
    return Finding(found)
