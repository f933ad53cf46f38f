"""Compares documented output with real output: the form must be the same, numbers and shortened text may differ."""

import json
import re
from typing import Any

SHORTENED = "…"
DIGITS = re.compile(r"\d+")


def same_form(documented: Any, actual: Any, path: str = "$") -> None:
    """Raises `AssertionError` where keys or types differ. Of a list, the documented items are compared.

    Null and the empty object stand for any value; text is not compared.
    """
    if documented is None or documented == {}:
        return
    if isinstance(documented, dict):
        assert isinstance(actual, dict), f"{path}: {actual!r} is not an object"
        assert documented.keys() == actual.keys(), f"{path}: {sorted(documented)} differs from {sorted(actual)}"
        for key, value in documented.items():
            same_form(value, actual[key], f"{path}.{key}")
    elif isinstance(documented, list):
        assert isinstance(actual, list), f"{path}: {actual!r} is not a list"
        assert len(actual) >= len(documented), f"{path}: only {len(actual)} items"
        for number, value in enumerate(documented):
            same_form(value, actual[number], f"{path}[{number}]")
    else:
        kinds = (int, float) if isinstance(documented, int | float) and not isinstance(documented, bool) else ()
        assert isinstance(actual, kinds or type(documented)), f"{path}: {actual!r} is not like {documented!r}"


def json_in(output: str) -> Any:
    """The last line of the output that is JSON."""
    for line in reversed(output.splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    raise AssertionError(f"No JSON in: {output}")


def missing_lines(documented: str, output: str) -> list[str]:
    """The documented lines that the output has not, in that order. Numbers may differ; `…` stands for any text."""
    lines, missing = iter(output.splitlines()), []
    for wanted in documented.splitlines():
        if not wanted.strip() or wanted.strip() == SHORTENED:
            continue
        pattern = _pattern(wanted)
        if not any(pattern.fullmatch(line.strip()) for line in lines):
            missing.append(wanted)
            lines = iter(output.splitlines())
    return missing


def _pattern(line: str) -> re.Pattern[str]:
    parts = [DIGITS.sub("0", part) for part in line.strip().split(SHORTENED)]
    text = ".*".join(re.escape(part).replace("0", r"\d+") for part in parts)
    # columns are aligned with as many spaces as the values need
    return re.compile(re.sub(r"(\\ )+", r"\\s+", text))
