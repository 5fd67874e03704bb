"""Which precision a processor trains in."""

import pytest
import torch

from nephoscope.core.errors import TrainingError
from nephoscope.training import devices
from nephoscope.training.config import make_recipe


@pytest.mark.parametrize(
    ("can", "vendor", "expected"),
    [
        ({}, "GenuineIntel", "fp32"),
        ({"avx512_bf16": True}, "GenuineIntel", "fp32"),
        ({"avx512_bf16": True, "amx_bf16": True}, "GenuineIntel", "bf16"),
        ({"avx512_bf16": True}, "AuthenticAMD", "bf16"),
    ],
)
def test_half_precision_is_used_where_it_is_quicker(monkeypatch, can, vendor, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    monkeypatch.setattr(devices, "_processor", lambda: f"vendor_id : {vendor}")
    assert devices.precision(make_recipe(), cuda=False) == expected
    assert devices.precision(make_recipe(precision="bf16"), cuda=False) == "bf16"


def test_half_precision_of_gpus_needs_one():
    with pytest.raises(TrainingError, match="needs a GPU"):
        devices.precision(make_recipe(precision="fp16"), cuda=False)
