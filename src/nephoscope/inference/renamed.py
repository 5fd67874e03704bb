"""A model whose patterns have other names, in another order."""

from collections.abc import Mapping
from dataclasses import replace

from nephoscope.imagery.scene import Scene
from nephoscope.inference.card import Card
from nephoscope.inference.prediction import Prediction, Predictor


class RenamedModel:
    """A model under other names of its patterns.

    Args:
        model: that predicts.
        names: the model's name of every pattern by its new name, in the new order, such as
            `core.patterns.C3ONTEXT_NAMES`.

    Raises:
        CardError: they are not names of all patterns of the model.
    """

    def __init__(self, model: Predictor, names: Mapping[str, str]) -> None:
        self.card: Card = model.card.with_names(names)
        self._model = model
        self._order = [model.card.patterns.index(name) for name in names.values()]

    def predict(self, scene: Scene, *, tta: bool = False) -> Prediction:
        """Run the network on a scene; see `Model.predict`."""
        prediction = self._model.predict(scene, tta=tta)
        heads = prediction.head_probabilities
        return replace(
            prediction,
            card=self.card,
            probabilities=prediction.probabilities[self._order],
            head_probabilities=None if heads is None else heads[self._order],
        )
