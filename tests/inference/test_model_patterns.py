"""Models with other patterns than the four default ones: two, six and eight."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import OWN_PATTERNS
from nephoscope.core.patterns import DEFAULT_PATTERNS
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.inference.payload import pack, unpack
from nephoscope.inference.pipeline import segment


@pytest.fixture(params=OWN_PATTERNS)
def own(request, tiny_model):
    """A model with made-up patterns."""
    return Model.load(tiny_model(patterns=OWN_PATTERNS[request.param]))


@pytest.fixture
def green():
    """A dim picture with a box of green, the colour of the second pattern."""
    pixels = np.full((350, 525, 3), 60, np.uint8)
    pixels[70:210, 105:210, 1] = 240
    return pixels


def test_a_pattern_is_segmented_by_its_own_rule(own, green):
    patterns = own.card.patterns
    segmentation = segment(green, own)
    expected = [name for index, name in enumerate(patterns) if index % 3 == 1]
    assert segmentation.present == expected
    assert segmentation.masks.shape[0] == len(patterns)
    assert list(segmentation.area_fractions) == list(segmentation.scores) == list(patterns)
    assert [region.pattern for region in segmentation.regions] == expected
    assert segmentation.area_fractions[patterns[1]] == pytest.approx(0.08, rel=0.1)


def test_a_prediction_goes_over_the_network(own, green):
    prediction = own.predict(segment(green, own).scene)
    again = unpack(pack(prediction, {}))
    assert again.card == own.card
    np.testing.assert_array_equal(again.probabilities, prediction.probabilities)


def test_patterns_have_different_colours_and_stated_ones_hold(own):
    first, *_ = own.card.patterns
    styles = {first: {"colour": [1, 2, 3], "meaning": "closed cells"}}
    card = Card.from_json(replace(own.card, styles=styles).to_json())
    styled = card.styled_patterns
    assert (styled[0].colour, styled[0].meaning) == ((1, 2, 3), "closed cells")
    assert len({pattern.colour for pattern in styled}) == len(styled)
    assert styled[1].colour == DEFAULT_PATTERNS[0].colour  # the first free one
