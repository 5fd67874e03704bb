"""Run-length text: it is what the contest and pycocotools say it is, and wrong text is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from nephoscope.core.errors import LabelError
from nephoscope.datasets.rle import centres, decode, encode, last_pixel

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


def test_counts_columns_from_one():
    mask = np.array([[1, 0, 0], [1, 0, 1]], bool)
    assert encode(mask) == "1 2 6 1"
    assert decode("1 2 6 1", (2, 3)).tolist() == mask.tolist()


def test_an_empty_mask_is_an_empty_text():
    assert encode(np.zeros((3, 4), bool)) == ""
    assert not decode("", (3, 4)).any()


@given(masks)
def test_decoding_undoes_encoding(mask):
    text = encode(mask)
    assert np.array_equal(decode(text, mask.shape), mask)
    assert last_pixel(text) == (np.flatnonzero(mask.T.ravel()).max() + 1 if mask.any() else 0)


@given(masks)
def test_agrees_with_pycocotools(mask):
    counts = coco.frPyObjects(
        {"size": list(mask.shape), "counts": _coco_counts(encode(mask), mask.size)}, *mask.shape
    )
    assert np.array_equal(coco.decode(counts).astype(bool), mask)


@given(masks, st.data())
def test_a_coarser_grid_takes_the_values_at_its_centres(mask, data):
    onto = tuple(data.draw(st.integers(1, side)) for side in mask.shape)
    rows, columns = (centres(fine, coarse) for fine, coarse in zip(mask.shape, onto, strict=True))
    assert np.array_equal(decode(encode(mask), mask.shape, onto), mask[np.ix_(rows, columns)])


def test_a_finer_grid_is_refused():
    with pytest.raises(ValueError, match="finer"):
        decode("1 2", (4, 4), (8, 4))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3", "odd count"),
        ("0 2", "starts at 0"),
        ("-4 2", "starts at -4"),
        ("1 0", "length 0"),
        ("1 -3", "length -3"),
        ("15 3", "past the end"),
        ("17 1", "past the end"),
        ("9223372036854775807 9223372036854775807", "past the end"),
        ("1 4 3 2", "overlap at pixel 3"),
        ("5 2 1 5", "overlap at pixel 5"),
        ("1 x", "not an integer"),
        ("1 2.5", "not an integer"),
        ("1 99999999999999999999999", "not an integer"),
    ],
)
def test_wrong_texts_are_refused_with_the_reason(text, reason):
    with pytest.raises(LabelError, match=reason):
        decode(text, (4, 4))


def test_runs_may_come_in_any_order_and_touch():
    assert np.array_equal(decode("5 4 1 4", (4, 4)), decode("1 8", (4, 4)))


@given(st.text("0123456789 -.x", max_size=30))
def test_any_text_is_a_mask_or_a_run_length_error(text):
    try:
        mask = decode(text, (5, 7))
    except LabelError:
        return
    assert np.array_equal(decode(encode(mask), (5, 7)), mask)


def _coco_counts(text: str, size: int) -> list[int]:
    """Pycocotools' uncompressed form: lengths of runs of 0 and 1 in turn."""
    numbers = [int(word) for word in text.split()]
    counts, end = [], 0
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        counts += [start - 1 - end, length]
        end = start - 1 + length
    return [*counts, size - end]
