"""What the tests of atlases share."""

from datetime import date

import numpy as np
import pytest
from made_up import FISH, SUGAR

from nephoscope.atlas.plan import Plan
from nephoscope.atlas.store import create
from nephoscope.core.geo import Bounds


@pytest.fixture
def store(tmp_path, card) -> str:
    """A store of two days over the ocean upwind of Barbados in which one of four scenes is missing."""
    plan = Plan(date(2020, 1, 20), date(2020, 1, 21), ("Terra", "Aqua"), Bounds(-62, 6, -41, 20))
    made = create(str(tmp_path / "atlas.zarr"), plan, card, "0" * 64)
    for number, scene in enumerate(plan):
        if number != 3:
            made.write(scene, np.full((350, 525), FISH if scene.satellite else SUGAR, np.uint8))
    return made.address
