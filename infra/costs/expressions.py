"""Evaluates the expressions in Terraform's files that decide how many of a resource there are and how large they are.

Only a part of the language: conditionals, comparisons, `for` with a condition, references to variables and local values.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

FOR = re.compile(r"for\s+(?:(\w+)\s*,\s*)?(\w+)\s+in\s+([\w.]+)\s*:\s*(.*)", re.DOTALL)
REFERENCE = re.compile(r"(?:var|local|each)(?:\.\w+)+")
FUNCTIONS: dict[str, Callable[[Any], Any]] = {"toset": list}


class NotEvaluated(ValueError):
    """The expression uses a part of Terraform's language that is not known here."""


class Scope:
    """Values of variables and locals. Locals are evaluated when they are used."""

    def __init__(self, variables: Mapping[str, Any], local_values: Mapping[str, Any]) -> None:
        self._variables, self._locals = variables, local_values

    def evaluate(self, value: Any) -> Any:
        """Return the value of an expression `${…}`. Lists and dictionaries are returned as they are.

        Raises `NotEvaluated`.
        """
        if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
            return self._expression(value[2:-1].strip())
        return value

    def _expression(self, text: str) -> Any:
        if len(parts := _split(text, "?")) == 2:
            yes, no = _split(parts[1], ":")
            return self._expression(yes if self._expression(parts[0]) else no)
        for operator, compare in COMPARISONS.items():
            if len(parts := _split(text, operator)) == 2:
                return compare(self._expression(parts[0]), self._expression(parts[1]))
        if text[0] in "{[" and (loop := FOR.fullmatch(text[1:-1].strip())):
            return self._loop(*loop.groups(), is_list=text[0] == "[")
        return self._value(text)

    def _value(self, text: str) -> Any:
        if text in LITERALS:
            return LITERALS[text]
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return float(text) if "." in text else int(text)
        if re.fullmatch(r'"[^"$]*"', text):
            return text[1:-1]
        if text[0] == "{":
            pairs = (_split(one, "=") for one in _split(text[1:-1], ",") if one)
            return {key.strip('"'): self._expression(item) for key, item in pairs}
        if text[0] == "[":
            return [self._expression(one) for one in _split(text[1:-1], ",") if one]
        if (call := re.fullmatch(r"(\w+)\((.*)\)", text)) and call[1] in FUNCTIONS:
            return FUNCTIONS[call[1]](self._expression(call[2]))
        if REFERENCE.fullmatch(text):
            return self._reference(text)
        raise NotEvaluated(f"The expression {text!r} is not known. Add it to infra/costs/expressions.py.")

    def _reference(self, text: str) -> Any:
        kind, name, *path = text.split(".")
        values = self._variables if kind == "var" else self._locals
        if name not in values:
            raise NotEvaluated(f"{kind}.{name} has no value. Set it with --set {name}=VALUE.")
        value = self.evaluate(values[name])
        for part in path:
            value = self.evaluate(value[part])
        return value

    def _loop(self, key: str | None, item: str, source: str, body: str, *, is_list: bool) -> Any:
        """Return the items for which the condition holds: their keys for a list, or the items by key."""
        result, _, condition = body.partition(" if ")
        items = self._expression(source)
        if result.replace(" ", "") not in {f"{key}=>{item}", str(key)}:
            raise NotEvaluated(f"The result {result!r} of a for expression is not known.")
        kept = {name: one for name, one in items.items() if _holds(condition.strip(), item, one)}
        return list(kept) if is_list else kept


def _holds(condition: str, item: str, value: Mapping[str, Any]) -> bool:
    """Return whether `item.ATTRIBUTE` is true."""
    if not condition:
        return True
    if not (match := re.fullmatch(rf"{item}\.(\w+)", condition)):
        raise NotEvaluated(f"The condition {condition!r} of a for expression is not known.")
    return bool(value[match[1]])


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator outside of brackets and quotes."""
    parts, depth, start, is_quoted = [], 0, 0, False
    for position, character in enumerate(text):
        is_quoted ^= character == '"'
        if is_quoted:
            continue
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and text.startswith(separator, position) and position >= start:
            if separator == "=" and text[position + 1 : position + 2] in {"=", ">"}:
                continue
            parts.append(text[start:position].strip())
            start = position + len(separator)
    return [*parts, text[start:].strip()]


LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None, "{}": {}, "[]": []}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda one, other: bool(one == other),
    "!=": lambda one, other: bool(one != other),
    " > ": lambda one, other: bool(one > other),
}
