"""Are numbers within their ranges?"""

from __future__ import annotations


def check_ranges(**arguments: tuple[float, float, float]) -> None:
    """:raises ValueError: if a value is not between its lowest and highest."""
    for name, (value, lowest, highest) in arguments.items():
        if not lowest <= value <= highest:
            raise ValueError(f"{name} is {value}; give a number from {lowest} to {highest}")
