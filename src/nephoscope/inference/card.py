"""A model's card: all that must be known to use and to judge it, kept as JSON inside the model's file."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from nephoscope.core.errors import CardError, InvalidRequestError
from nephoscope.core.patterns import MAX_PATTERNS, Pattern, styled_patterns
from nephoscope.core.types import GridShape
from nephoscope.inference.input_check import MESSAGES
from nephoscope.inference.postprocess import Rule

CARD_VERSION = 1


@dataclass(frozen=True)
class Card:
    """What a model is.

    Attributes:
        name: what to call it.
        description: one line.
        patterns: the patterns in the order of the model's outputs.
        input_size: height and width in pixels of the pictures it takes.
        grid: height and width of the grid on which the rules count pixels, for one such picture.
        rules: how probabilities become a mask, by pattern.
        network: architecture, encoder, heads and normalisation: what builds it again.
        weights: how the numbers are stored.
        training: data with their terms, split and recipe.
        figures: what was measured: each with `what`, `value`, `on` and `how`.
        licence: of the weights, as SPDX.
        made_with: version of nephoscope that wrote the file.
        card_version: version of this form.
        scope: the usual range of each measure of the pictures it was trained on (`input_check.measure`);
            empty where it is not known.
        styles: `colour` and `meaning` of patterns that have their own, by name.
    """

    name: str
    description: str
    patterns: tuple[str, ...]
    input_size: GridShape
    grid: GridShape
    rules: dict[str, Rule]
    network: dict[str, Any]
    weights: str
    training: dict[str, Any]
    figures: list[dict[str, Any]]
    licence: str
    made_with: str
    card_version: int = CARD_VERSION
    scope: dict[str, tuple[float, float]] = field(default_factory=dict)
    styles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The card as plain values; without `styles` where there are none."""
        entries = asdict(self)
        if not self.styles:
            del entries["styles"]
        return entries

    def to_json(self) -> str:
        """The card as JSON text, indented for reading."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n"

    @property
    def styled_patterns(self) -> tuple[Pattern, ...]:
        """The patterns with their colours and meanings, in the order of the model's outputs."""
        return styled_patterns(self.patterns, self.styles)

    def with_rules(self, changes: Mapping[str, Mapping[str, Any]]) -> "Card":
        """The card with other rules, which says so; its figures, measured under its own, are left out.

        Args:
            changes: attributes of `Rule` by pattern, of those that are to change.

        Raises:
            CardError: no such pattern or attribute, or a rule that cannot be.
        """
        rules = dict(self.rules)
        for name, change in changes.items():
            if name not in rules:
                raise CardError(f"no pattern {name!r}; there are {', '.join(rules)}")
            try:
                rules[name] = replace(rules[name], **change)
            except (TypeError, InvalidRequestError) as error:
                raise CardError(f"{name}: {error}") from error
        if rules == self.rules:
            return self
        return replace(
            self, rules=rules, figures=[], training={**self.training, "rules": "stated by the user"}
        )

    @property
    def rules_in_words(self) -> dict[str, Any]:
        """Where the rules come from (`chosen`), and each pattern's, as plain values."""
        rules = {name: asdict(rule) for name, rule in self.rules.items()}
        return {"chosen": self.training.get("rules", "not stated"), **rules}

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read a card.

        Raises:
            CardError: not JSON, a newer form, a missing or unknown entry, or other patterns.
        """
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CardError(f"its card is not JSON: {error}") from error
        if not isinstance(entries, dict):
            raise CardError("its card is not a JSON object")
        version = entries.get("card_version")
        if not isinstance(version, int):
            raise CardError("its card does not say its version")
        if version != CARD_VERSION:
            raise CardError(
                f"its card has version {version}, this nephoscope reads version {CARD_VERSION}: "
                f"install {'a newer' if version > CARD_VERSION else 'an older'} nephoscope"
            )
        names = {entry.name for entry in fields(cls)}
        if missing := sorted(names - entries.keys() - {"scope", "styles"}):
            raise CardError(f"its card lacks {', '.join(missing)}")
        if unknown := sorted(entries.keys() - names):
            raise CardError(f"its card has unknown entries: {', '.join(unknown)}")
        try:
            entries["patterns"] = _patterns(entries["patterns"])
            entries["rules"] = {name: Rule(**entries["rules"][name]) for name in entries["patterns"]}
            styled_patterns(entries["patterns"], entries.get("styles"))
            entries["input_size"] = _grid(entries["input_size"])
            entries["grid"] = _grid(entries["grid"])
            entries["scope"] = {name: _range(name, ends) for name, ends in entries.get("scope", {}).items()}
        except InvalidRequestError as error:
            raise CardError(f"its card cannot be read: {error}") from error
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise CardError(f"its card cannot be read: {error!r}") from error
        return cls(**entries)


def _patterns(names: Any) -> tuple[str, ...]:
    """Names that can stand in file names, tables and label files."""
    if not (isinstance(names, list) and 0 < len(names) <= MAX_PATTERNS and len(set(names)) == len(names)):
        raise ValueError(f"patterns must be 1 to {MAX_PATTERNS} different names, got {names!r}")
    if bad := [name for name in names if not (isinstance(name, str) and re.fullmatch(r"[\w-]+", name))]:
        raise ValueError(f"a pattern's name has letters, digits, _ and - alone, got {bad[0]!r}")
    return tuple(names)


def _range(name: str, ends: Any) -> tuple[float, float]:
    least, most = (float(end) for end in ends)
    if name not in MESSAGES or not least <= most:
        raise ValueError(f"a scope of {name} from {least} to {most}")
    return least, most


def _grid(values: Any) -> GridShape:
    height, width = (int(value) for value in values)
    if min(height, width) < 1:
        raise ValueError(f"a grid of {height}x{width}")
    return height, width
