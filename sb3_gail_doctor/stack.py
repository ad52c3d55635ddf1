"""Which of the two sets of versions is installed, and whether its parts go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata

from packaging.requirements import Requirement

from sb3_gail_doctor.finding import Finding, Verdict
from sb3_gail_doctor.installed import numbers, version_of

# The stacks that the tests run on: constraints.txt, constraints-modern.txt.
DEFAULT = {"stable-baselines3": "2.2.1", "sb3-contrib": "2.2.1", "gymnasium": "0.29.1"}
MODERN = {"stable-baselines3": "2.9.2", "sb3-contrib": "2.9.2", "gymnasium": "1.4.0"}
IMITATION = "1.0.1"
FIRST_MODERN = (2, 9)


def install(versions: Mapping[str, str]) -> str:
    """The command that puts these versions in the place of others.

    `--no-deps`, because pip refuses what `imitation` does not ask for, and what the packages of
    either stack need beside each other is the same.
    """
    return f"pip install --no-deps {' '.join(f'{name}=={v}' for name, v in versions.items())}"


def is_modern() -> bool:
    sb3 = version_of("stable-baselines3")
    return sb3 is not None and numbers(sb3) >= FIRST_MODERN


def check_stack() -> Finding:
    """The versions of Stable-Baselines3, its contrib, Gymnasium and `imitation`, together."""
    kind, stack = ("modern", MODERN) if is_modern() else ("default", DEFAULT)
    wanted = {**stack, "imitation": IMITATION}
    versions = {name: version_of(name) for name in wanted}
    absent = [name for name, version in versions.items() if version is None]
    if absent:
        cure = install({name: wanted[name] for name in absent})
        return Finding(f"no {', '.join(absent)}", Verdict.MISSING, cure)
    present = {name: version for name, version in versions.items() if version is not None}
    for problem, cure in [*_untested(present, install(stack)), *_unmet(install(stack))]:
        return Finding(f"mixed: {problem}", Verdict.BROKEN, cure)
    found = ", ".join(f"{name} {version}" for name, version in present.items())
    if any(numbers(present[name]) != numbers(version) for name, version in wanted.items()):
        text = f"{kind}, not the versions that are tested: {found}"
        return Finding(text, Verdict.NOTE, install(wanted))
    return Finding(f"{kind}: {found}")


def _untested(versions: Mapping[str, str], cure: str) -> Iterator[tuple[str, str]]:
    """What the packages' own metadata allow, but breaks, or no test has run on."""
    sb3, contrib, gym = (versions[name] for name in DEFAULT)
    if numbers(sb3) != numbers(contrib):
        yield f"stable-baselines3 {sb3} with sb3-contrib {contrib}", cure
    if numbers(sb3) >= FIRST_MODERN and numbers(gym) < (1, 0):
        yield f"stable-baselines3 {sb3} with gymnasium {gym}", cure


def _unmet(cure: str) -> Iterator[tuple[str, str]]:
    """What Stable-Baselines3's own metadata ask for and is not there, and what helps."""
    for text in metadata.requires("stable-baselines3") or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        found = version_of(needed.name)
        if found is None or not needed.specifier.contains(found, prereleases=True):
            wanted = f"{needed.name}{needed.specifier}"
            problem = f"stable-baselines3 {version_of('stable-baselines3')} needs {wanted}"
            upgrade = f"pip install --upgrade '{wanted}'"
            yield (
                f"{problem}, found {found or 'none'}",
                cure if needed.name in DEFAULT else upgrade,
            )
