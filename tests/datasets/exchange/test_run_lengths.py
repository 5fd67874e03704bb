"""Run lengths of COCO, compared with pycocotools, and of Label Studio's brush, by its own description."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as pycoco

from nephoscope.datasets.exchange import brush, coco_rle

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


@settings(deadline=None)
@given(masks)
def test_coco_is_that_of_pycocotools(mask):
    theirs = pycoco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"].decode()
    assert coco_rle.encode(mask) == theirs
    assert np.array_equal(coco_rle.decode(theirs, mask.shape), mask)


@pytest.mark.parametrize("fill", [0, 1])
def test_coco_of_long_runs(fill):
    mask = np.full((1400, 2100), fill, np.bool_)
    mask[700, 1000] ^= True
    theirs = pycoco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"].decode()
    assert coco_rle.encode(mask) == theirs
    assert np.array_equal(coco_rle.decode(theirs, mask.shape), mask)


@settings(deadline=None)
@given(masks)
def test_brush(mask):
    assert np.array_equal(brush.decode(brush.encode(mask), mask.shape), mask)


@settings(deadline=None)
@given(masks, st.integers(0, 2**32))
def test_brush_of_single_values_and_runs_within_pixels(mask, seed):
    """As Label Studio's own encoder mixes them: colours differ from the opacity."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (*mask.shape, 4), np.uint8) * rng.integers(0, 2)
    values[..., 3] = mask * rng.integers(1, 256)
    flat = values.reshape(-1).tolist()
    bits = [f"{len(flat):032b}", f"{7:05b}", "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))]
    at = 0
    while at < len(flat):
        run = 1
        while at + run < len(flat) and flat[at + run] == flat[at] and run < 16:
            run += 1
        if run > 1:
            bits.append(f"1{1:02b}{run - 1:04b}{flat[at]:08b}")
        else:
            run = min(int(rng.integers(1, 9)), len(flat) - at)
            bits.append(f"0{0:02b}{run - 1:03b}" + "".join(f"{each:08b}" for each in flat[at : at + run]))
        at += run
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    content = [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]
    assert np.array_equal(brush.decode(content, mask.shape), mask)
