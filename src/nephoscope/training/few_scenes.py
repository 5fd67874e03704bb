"""What a run from trained weights changes in its settings where there are few labelled scenes."""

import dataclasses
from collections.abc import Callable

from nephoscope.datasets.splits import split_of_few
from nephoscope.training.cache import Scenes
from nephoscope.training.config import Recipe
from nephoscope.training.replay import replayed
from nephoscope.training.settings import Settings

FEW_SCENES = 200
"""With fewer scenes and no split of their own, a fifth is held out, not a tenth."""


def fit_settings(settings: Settings, scenes: Scenes, log: Callable[[str], None]) -> Settings:
    """Settings that these scenes allow; unchanged for a run that does not start from trained weights.

    The split becomes `split_of_few`, and a step has at most as many scenes as there are to train on.
    """
    if not settings.start_from:
        return settings
    listed = scenes.listed
    if settings.folds is None and len(listed) < FEW_SCENES and not any(record.split for record in listed):
        folds = split_of_few(listed)
        settings = dataclasses.replace(settings, folds=folds.count, fold_by=folds.by)
        log(f"few scenes: {folds} is held out")
    training, _ = scenes.split(settings.split)
    recipe = _fit_batch(settings.recipe, len(training), bool(settings.replay))
    if recipe != settings.recipe:
        log(f"a step has {recipe.batch} scenes in place of {settings.recipe.batch}: there are no more")
    return dataclasses.replace(settings, recipe=recipe)


def _fit_batch(recipe: Recipe, count: int, replay: bool) -> Recipe:
    """The recipe with the largest batch, of at most its own, whose new scenes are at most `count`."""
    batch = recipe.batch
    while batch - (replayed(batch, recipe.replay_share) if replay else 0) > count:
        batch -= 1
    if batch == recipe.batch:
        return recipe
    return dataclasses.replace(recipe, batch=batch, accumulate=1)
