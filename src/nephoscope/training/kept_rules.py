"""Rules and calibration of the starting model, for runs with too few validation scenes to choose others.

`calibrate` chooses among thousands of rules; on few scenes it chooses by chance. A run that starts from
weights (`--from`) then keeps the rules and the scaling of probabilities of their card. A pattern that these
weights do not know gets `PLAIN` and probabilities as the network returns them.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nephoscope.core.types import GridShape, Mask, Probabilities
from nephoscope.datasets.catalogue import Record
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.resize import resize_mask
from nephoscope.inference.card import Card
from nephoscope.inference.postprocess import Rule, resample, segment_pattern
from nephoscope.inference.probability import PatternCalibration, Platt

LEAST_SCENES = 100
"""With fewer validation scenes the rules of the starting model are kept."""

PLAIN = Rule(threshold=0.5, top_k=1, presence=0.5, least_cover=0, minimum_area=0)
"""Of a new pattern: the pixels that are more likely to have it than not."""


def too_few(validation: Sequence[Record]) -> bool:
    """Whether validation scenes are too few to choose rules, or all of one day."""
    return len(validation) < LEAST_SCENES or len({record.group for record in validation}) < 2


@dataclass(frozen=True)
class KeptRules:
    """Rules and calibration for the patterns of a run.

    Attributes:
        rules: by pattern, on `grid`.
        unbiased_rules: by pattern; empty where the starting model lacks them for one.
        calibration: by pattern; empty where the starting model has none.
        grid: height and width of the rules' grid.
        source: the starting model, in words.
    """

    rules: dict[str, Rule]
    unbiased_rules: dict[str, Rule]
    calibration: dict[str, PatternCalibration]
    grid: GridShape
    source: str

    @classmethod
    def of(cls, card: Card, patterns: tuple[str, ...]) -> "KeptRules":
        """Those of a card, for patterns of which it knows some."""
        known = set(patterns) <= set(card.patterns)
        identity = PatternCalibration(Platt(), Platt(), "top_k", 1)
        return cls(
            rules={name: card.rules.get(name, PLAIN) for name in patterns},
            unbiased_rules={name: card.unbiased_rules[name] for name in patterns}
            if known and card.unbiased_rules
            else {},
            calibration={name: card.calibration.get(name, identity) for name in patterns}
            if card.calibration
            else {},
            grid=card.grid,
            source=card.name,
        )

    def in_words(self, scenes: int) -> str:
        """Why and from where the rules are kept, with the number of validation scenes."""
        return (
            f"kept from {self.source}: {scenes:,} validation scenes are too few to choose others "
            f"({LEAST_SCENES} of at least two days are needed)"
        )

    def calibrated(self, fields: Probabilities) -> Probabilities:
        """Outputs of the network, shape (patterns, height, width), as probabilities; 0 stays 0: no data."""
        if not self.calibration:
            return fields
        pairs = zip(self.calibration.values(), fields, strict=True)
        return np.stack([each.pixels(field) * (field > 0) for each, field in pairs])

    def dice(self, fields: Probabilities, head: Probabilities | None, truth: Mask) -> list[float]:
        """Dice of each pattern of one scene.

        Args:
            fields: probabilities of `calibrated`, shape (patterns, height, width).
            head: of the presence head, shape (patterns,), or None.
            truth: labels, shape (patterns, height, width).
        """
        values = []
        for index, rule in enumerate(self.rules.values()):
            presence = None if head is None else float(head[index])
            components, _ = segment_pattern(resample(fields[index], self.grid), rule, None, presence)
            values.append(dice(components > 0, resize_mask(truth[index], self.grid)))
        return values

    def on_card(self, card: Card, scenes: int) -> Card:
        """A card with these rules and this calibration."""
        return dataclasses.replace(
            card,
            rules=self.rules,
            unbiased_rules=self.unbiased_rules,
            calibration=self.calibration,
            grid=self.grid,
            training={**card.training, "rules": self.in_words(scenes)},
        )
