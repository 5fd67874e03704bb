"""Devices: a provider that ONNX Runtime lists, but cannot use, is never taken for the CPU in silence."""

import logging

import onnxruntime as ort
import pytest

from nephoscope.core.errors import DeviceError, ModelError
from nephoscope.inference import devices
from nephoscope.inference.devices import AUTOMATIC, DEVICES, available_devices
from nephoscope.inference.model import Model

RealSession = ort.InferenceSession


@pytest.fixture
def runtime(monkeypatch):
    """Makes ONNX Runtime list the providers of some devices, of which some work."""

    def make(listed, working=(), failure=None):
        class Session(RealSession):
            def __init__(self, content, options, providers, **settings):
                super().__init__(content, options, providers=["CPUExecutionProvider"])
                self.asked = providers
                if failure and len(providers) > 1:
                    raise failure

            def get_providers(self):
                working_providers = {DEVICES[name].provider for name in ("cpu", *working)}
                return [provider for provider in self.asked if provider in working_providers]

        providers = [*(DEVICES[name].provider for name in listed), "AzureExecutionProvider"]
        monkeypatch.setattr(ort, "get_available_providers", lambda: [*providers, "CPUExecutionProvider"])
        monkeypatch.setattr(ort, "InferenceSession", Session)

    return make


@pytest.mark.parametrize("name", [name for name in DEVICES if name != "cpu"])
def test_a_device_that_works_is_used(runtime, tiny_model, name):
    runtime([name], working=[name])
    assert available_devices() == ["cpu", name]
    assert Model.load(tiny_model(), device=name).device == name
    assert Model.load(tiny_model(), device="cpu").device == "cpu"
    assert Model.load(tiny_model()).device == (name if name in AUTOMATIC else "cpu")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("cuda", "pip install 'onnxruntime-gpu[cuda,cudnn]' in place of onnxruntime"),
        ("openvino", "pip install onnxruntime-openvino"),
        ("coreml", "macOS"),
    ],
)
def test_a_device_that_is_not_there_says_how_to_get_it(runtime, tiny_model, name, source):
    runtime([])
    with pytest.raises(DeviceError, match=f"^{name}: this ONNX Runtime has no such device") as caught:
        Model.load(tiny_model(), device=name)
    assert source in str(caught.value)


def test_a_device_whose_library_cannot_be_loaded_is_an_error(runtime, tiny_model, monkeypatch, tmp_path):
    runtime(["cuda"])
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_text("no library")
    monkeypatch.setattr(ort, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(DeviceError, match=r"(?s)^cuda: .*providers_cuda\.so.*needs an NVIDIA driver"):
        Model.load(tiny_model(), device="cuda")


def test_a_device_that_fails_says_why(runtime, tiny_model):
    runtime(["rocm"], failure=RuntimeError("HIP error 35\nat line 7"))
    with pytest.raises(DeviceError, match=r"^rocm: .*cannot use it: HIP error 35; it needs AMD's ROCm$"):
        Model.load(tiny_model(), device="rocm")


def test_auto_continues_with_the_next_and_says_so_once(runtime, tiny_model, caplog):
    runtime(["cuda", "directml"], working=["directml"])
    with caplog.at_level(logging.WARNING, "nephoscope"):
        assert Model.load(tiny_model()).device == "directml"
    (record,) = caplog.records
    assert record.getMessage().startswith("cuda: ")
    assert "\n" not in record.getMessage()


def test_a_file_that_is_no_model_is_no_fault_of_the_device(runtime, tmp_path):
    runtime(["cuda"], working=["cuda"])
    (tmp_path / "text.onnx").write_text("no model")
    for device in ("auto", "cuda", "cpu"):
        with pytest.raises(ModelError, match=r"text\.onnx: not an ONNX model") as caught:
            Model.load(tmp_path / "text.onnx", device=device)
        assert not isinstance(caught.value, DeviceError)


def test_nothing_is_printed_while_a_device_is_tried(runtime, tiny_model, capfd, monkeypatch):
    runtime(["cuda"], working=["cuda"])
    severities = []
    monkeypatch.setattr(ort, "set_default_logger_severity", severities.append)
    monkeypatch.setattr(devices.ort, "preload_dlls", lambda: print("not found"), raising=False)
    Model.load(tiny_model(), device="cuda")
    assert severities == [4, 2]
    assert capfd.readouterr() == ("", "")
