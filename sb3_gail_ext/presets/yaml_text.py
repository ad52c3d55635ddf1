"""YAML as data and nothing else, with two of its traps closed.

`5e-4` is a number, as in YAML 1.2 and everywhere else (PyYAML reads a string), and a key that is
given twice is an error (PyYAML takes the last).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import yaml

from sb3_gail_ext.presets.errors import PresetError

# PyYAML has an exception of its own for most of what can be wrong, but not for all of it.
_WRONG_YAML = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError)


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, times in keys.items():
            if times > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given {times} times", node.start_mark
                )
        return node


class _Dumper(yaml.SafeDumper):
    pass


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )


def read_yaml(text: str | bytes, source: str) -> Any:
    """Plain data: a tag that asks for a Python object is refused, never run.

    :param source: where the text is from, for the error's one line.
    :raises PresetError: if it is no YAML, or more than data.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except _WRONG_YAML as error:
        raise PresetError(f"{source}: not YAML data ({_in_one_line(error)})") from error


def _in_one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def write_yaml(data: Any) -> str:
    """The text that `read_yaml` reads as `data`."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False)
