"""The one error that unusable presets raise."""

from __future__ import annotations


class PresetError(ValueError):
    """A preset cannot be used: one line says which file, which section, which key, what to do."""
