"""Model cards: everything needed to use and judge a model, stored as JSON inside the model's file."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args

from nephoscope.core.errors import CardError, InvalidRequestError
from nephoscope.core.patterns import MAX_PATTERNS, Pattern, styled_patterns
from nephoscope.core.types import GridShape
from nephoscope.inference.input_check import MESSAGES
from nephoscope.inference.postprocess import Rule
from nephoscope.inference.probability import AreaRatio, PatternCalibration

T = TypeVar("T")

CARD_VERSION = 1

RuleSet = Literal["contest", "unbiased"]
"""Rules of the highest Dice, or whose areas and numbers of scenes match those of the labels."""

_LATER = {"styles", "calibration", "unbiased_rules", "area_ratios"}  # entries that older cards do not have

HELD_OUT, HELD_OUT_SPREAD = "mean Dice, held-out folds", "standard deviation between folds"
"""`what` of the figures of a cross-validation: neither weights nor rules have seen the scenes of a fold."""


RuleChanges = RuleSet | Mapping[str, Rule | Mapping[str, Any]]
"""The name of a set of rules of the card; or by pattern, a rule, or the attributes of `Rule` to change."""


@dataclass(frozen=True)
class Card:
    """A model's card."""

    name: str
    description: str  # one line
    patterns: tuple[str, ...]  # names in the order of the model's outputs
    input_size: GridShape  # of the network
    grid: GridShape  # of the rules, for one such input
    rules: dict[str, Rule]  # from probabilities to components, by pattern
    network: dict[str, Any]  # architecture, encoder, heads and normalisation, enough to rebuild it
    weights: str  # number format, such as `float32`
    training: dict[str, Any]  # data with their terms, split and recipe
    figures: list[dict[str, Any]]  # measured scores, each with `what`, `value`, `on` and `how`
    licence: str  # of the weights, as SPDX
    made_with: str  # version of nephoscope that wrote the file
    card_version: int = CARD_VERSION
    # Usual range of each measure of the training pictures (`input_check.measure`); empty if unknown.
    scope: dict[str, tuple[float, float]] = field(default_factory=dict)
    # `colour` and `meaning` by pattern, of those that differ from the default.
    styles: dict[str, dict[str, Any]] = field(default_factory=dict)
    # By pattern; empty where probabilities are not calibrated.
    calibration: dict[str, PatternCalibration] = field(default_factory=dict)
    # Rules whose areas and numbers of scenes match those of the labels, by pattern; empty where unknown.
    unbiased_rules: dict[str, Rule] = field(default_factory=dict)
    # By pattern: labelled over predicted area of `contest` and `unbiased` masks and of `expected` areas.
    area_ratios: dict[str, dict[str, AreaRatio]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Card of {self.name}: {', '.join(self.patterns)}>"

    def as_dict(self) -> dict[str, Any]:
        """The card as plain values, without empty entries that older cards do not have."""
        entries = asdict(self)
        return {name: value for name, value in entries.items() if value or name not in _LATER}

    def to_json(self) -> str:
        """The card as JSON text, indented for reading."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n"

    @property
    def needs_presence_head(self) -> bool:
        """Whether any of its rules, or its calibration, needs the network's presence head."""
        evidence = {rule.evidence for rule in (*self.rules.values(), *self.unbiased_rules.values())}
        evidence |= {each.evidence for each in self.calibration.values()}
        return evidence != {"top_k"}

    @property
    def styled_patterns(self) -> tuple[Pattern, ...]:
        """The patterns with their colours and meanings, in the order of the model's outputs."""
        return styled_patterns(self.patterns, self.styles)

    def with_rules(
        self, changes: RuleChanges, threshold: float | Mapping[str, float] | None = None
    ) -> "Card":
        """A copy of the card with other rules, without its figures, which depend on the rules.

        Args:
            changes: the name of one of the card's sets of rules; or by pattern, a rule, or the attributes of
                its rule to change. Patterns that are left out keep their rule.
            threshold: from 0 to 1, for all patterns or by pattern, in place of that of the rules.

        Raises:
            CardError: an unknown set, pattern or attribute, or a value out of range.
        """
        if isinstance(changes, str):
            return self._with_rule_set(changes).with_rules({}, threshold)
        rules = dict(self.rules)
        by_pattern = threshold if isinstance(threshold, Mapping) else dict.fromkeys(rules, threshold)
        thresholds = {name: {"threshold": value} for name, value in by_pattern.items() if value is not None}
        for name, change in (*changes.items(), *thresholds.items()):
            if name not in rules:
                raise CardError(f"unknown pattern {name!r}; available: {', '.join(rules)}")
            try:
                rules[name] = change if isinstance(change, Rule) else _changed(rules[name], change)
            except InvalidRequestError as error:
                raise CardError(f"{name}: {error}") from error
        if rules == self.rules:
            return self
        return replace(
            self, rules=rules, figures=[], training={**self.training, "rules": "stated by the user"}
        )

    def _with_rule_set(self, name: str) -> "Card":
        if name not in get_args(RuleSet):
            raise CardError(f"unknown rules {name!r}; available: {', '.join(get_args(RuleSet))}")
        if name == "contest":
            return self
        if not self.unbiased_rules:
            raise CardError(
                f"the model {self.name} has no unbiased rules; nephoscope calibrate MODEL DATA finds them"
            )
        kept = {**self.training, "rules": "unbiased: areas and numbers of scenes match the labels'"}
        return replace(self, rules=self.unbiased_rules, figures=[], training=kept)

    def with_names(self, names: Mapping[str, str]) -> "Card":
        """A copy of the card with other names of its patterns, in another order.

        Args:
            names: this card's name of every pattern by its new name, in the new order.

        Raises:
            CardError: they are not names of all patterns of the card.
        """
        if sorted(names.values()) != sorted(self.patterns):
            raise CardError(
                f"{self.name} has the patterns {', '.join(self.patterns)}, not {', '.join(names.values())}"
            )
        styles = {
            each.name: {"colour": each.colour, "meaning": each.meaning} for each in self.styled_patterns
        }

        def renamed(values: dict[str, T]) -> dict[str, T]:
            return {new: values[old] for new, old in names.items()} if values else {}

        return replace(
            self,
            patterns=tuple(names),
            rules=renamed(self.rules),
            styles=renamed(styles),
            calibration=renamed(self.calibration),
            unbiased_rules=renamed(self.unbiased_rules),
            area_ratios=renamed(self.area_ratios),
        )

    @property
    def rules_in_words(self) -> dict[str, Any]:
        """The origin of the rules (`chosen`), and each pattern's rule, as plain values."""
        rules = {name: asdict(rule) for name, rule in self.rules.items()}
        return {"chosen": self.training.get("rules", "not stated"), **rules}

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Parse a card.

        Raises:
            CardError: not JSON, another version, or a missing, unknown or invalid entry.
        """
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CardError(f"its card is not JSON: {error}") from error
        if not isinstance(entries, dict):
            raise CardError("its card is not a JSON object")
        version = entries.get("card_version")
        if not isinstance(version, int):
            raise CardError("its card has no version")
        if version != CARD_VERSION:
            raise CardError(
                f"its card has version {version}, this nephoscope reads version {CARD_VERSION}: "
                f"install {'a newer' if version > CARD_VERSION else 'an older'} nephoscope"
            )
        names = {entry.name for entry in fields(cls)}
        if missing := sorted(names - entries.keys() - _LATER - {"scope"}):
            raise CardError(f"its card lacks {', '.join(missing)}")
        if unknown := sorted(entries.keys() - names):
            raise CardError(f"its card has unknown entries: {', '.join(unknown)}")
        try:
            entries["patterns"] = _patterns(entries["patterns"])
            patterns = entries["patterns"]
            entries["rules"] = {name: Rule(**entries["rules"][name]) for name in patterns}
            if unbiased := entries.get("unbiased_rules"):
                entries["unbiased_rules"] = {name: Rule(**unbiased[name]) for name in patterns}
            if calibration := entries.get("calibration"):
                made = {name: PatternCalibration.from_entries(calibration[name]) for name in patterns}
                entries["calibration"] = made
            if ratios := entries.get("area_ratios"):
                entries["area_ratios"] = {
                    name: {kind: AreaRatio(**value) for kind, value in ratios[name].items()}
                    for name in patterns
                }
            styled_patterns(entries["patterns"], entries.get("styles"))
            entries["input_size"] = _grid(entries["input_size"])
            entries["grid"] = _grid(entries["grid"])
            entries["scope"] = {name: _range(name, ends) for name, ends in entries.get("scope", {}).items()}
        except InvalidRequestError as error:
            raise CardError(f"its card cannot be read: {error}") from error
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise CardError(f"its card cannot be read: {error!r}") from error
        return cls(**entries)


def parse_thresholds(texts: Iterable[str], patterns: Iterable[str]) -> dict[str, float]:
    """Parse thresholds such as `Fish=0.4`, or `0.4` for all patterns; of several for one, the last counts.

    Returns:
        The thresholds that `Card.with_rules` takes.

    Raises:
        InvalidRequestError: a text is neither.
    """
    thresholds: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            threshold = float(number)
        except ValueError:
            raise InvalidRequestError(f"{text!r} is not a threshold such as 0.4 or Fish=0.4") from None
        thresholds.update(dict.fromkeys([name] if name else patterns, threshold))
    return thresholds


def _changed(rule: Rule, change: Any) -> Rule:
    names = [entry.name for entry in fields(Rule)]
    if not isinstance(change, Mapping):
        raise InvalidRequestError(f"expected a Rule or a mapping of {', '.join(names)}, got {change!r}")
    if unknown := [name for name in change if name not in names]:
        raise InvalidRequestError(f"a rule has no {unknown[0]!r}; available: {', '.join(names)}")
    return replace(rule, **change)


def _patterns(names: Any) -> tuple[str, ...]:
    """Check names, which stand in file names, tables and label files."""
    if not (isinstance(names, list) and 0 < len(names) <= MAX_PATTERNS and len(set(names)) == len(names)):
        raise ValueError(f"patterns must be 1 to {MAX_PATTERNS} different names, got {names!r}")
    if bad := [
        name for name in names if not (isinstance(name, str) and re.fullmatch(r"[^\W_-]+(-[^\W_]+)*", name))
    ]:
        raise ValueError(f"a pattern's name must consist of letters, digits and -, got {bad[0]!r}")
    return tuple(names)


def _range(name: str, ends: Any) -> tuple[float, float]:
    least, most = (float(end) for end in ends)
    if name not in MESSAGES or not least <= most:
        raise ValueError(f"scope has an unknown or empty range: {name} from {least} to {most}")
    return least, most


def _grid(values: Any) -> GridShape:
    height, width = (int(value) for value in values)
    if min(height, width) < 1:
        raise ValueError(f"a grid must have at least one pixel, got {height}x{width}")
    return height, width
