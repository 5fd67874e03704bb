"""Devices: execution providers of ONNX Runtime, by the names that `--device` takes."""

import ctypes
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import onnxruntime as ort

from nephoscope.core.errors import DeviceError, ModelError

CPU = "CPUExecutionProvider"


class Device(NamedTuple):
    """An execution provider, how to get an ONNX Runtime that has it, and what that needs on the machine."""

    provider: str
    source: str  # packages exclude each other: each holds the module `onnxruntime`
    needs: str = "its driver and libraries"


_GPU_PACKAGE = "pip install 'onnxruntime-gpu[cuda,cudnn]'"

DEVICES: Mapping[str, Device] = {
    "cpu": Device(CPU, "part of every ONNX Runtime"),
    "cuda": Device(
        "CUDAExecutionProvider",
        f"{_GPU_PACKAGE} in place of onnxruntime",
        f"an NVIDIA driver, and CUDA and cuDNN ({_GPU_PACKAGE})",
    ),
    "tensorrt": Device(
        "TensorrtExecutionProvider",
        f"{_GPU_PACKAGE} in place of onnxruntime",
        f"an NVIDIA driver, TensorRT, and CUDA and cuDNN ({_GPU_PACKAGE})",
    ),
    "migraphx": Device(
        "MIGraphXExecutionProvider",
        "install AMD's onnxruntime-migraphx in place of onnxruntime",
        "AMD's ROCm with MIGraphX",
    ),
    "rocm": Device(
        "ROCMExecutionProvider", "install AMD's onnxruntime-rocm in place of onnxruntime", "AMD's ROCm"
    ),
    "directml": Device(
        "DmlExecutionProvider",
        "on Windows, pip install onnxruntime-directml in place of onnxruntime",
        "a GPU with DirectX 12",
    ),
    "coreml": Device("CoreMLExecutionProvider", "it is part of onnxruntime on macOS"),
    "openvino": Device(
        "OpenVINOExecutionProvider", "pip install onnxruntime-openvino in place of onnxruntime"
    ),
    "qnn": Device("QNNExecutionProvider", "pip install onnxruntime-qnn in place of onnxruntime"),
}
"""Source: https://onnxruntime.ai/docs/execution-providers."""

AUTOMATIC = ("cuda", "migraphx", "rocm", "directml")
"""Devices that `auto` tries, best first. The others compile the network first or may compute in lower
precision, so they are used on request only."""

log = logging.getLogger("nephoscope")


def available_devices() -> list[str]:
    """Names of the devices that ONNX Runtime lists. A listed one may still lack a driver or a library."""
    listed = ort.get_available_providers()
    return [name for name, device in DEVICES.items() if device.provider in listed]


def open_session(content: bytes, threads: int, device: str = "auto") -> ort.InferenceSession:
    """Load an ONNX model onto a device.

    Args:
        content: of the model's file.
        threads: of the CPU, for one run.
        device: a name of `DEVICES`, or `auto` for the first of `AUTOMATIC` that works, else the CPU.

    Raises:
        DeviceError: an unknown device, or one that cannot be used here.
        ModelError: not an ONNX model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its errors come as exceptions
    listed = available_devices()
    if device == "auto":
        for name in AUTOMATIC:
            if name in listed:
                try:
                    return _accelerated(content, options, name)
                except DeviceError as error:
                    log.warning("%s; continuing without it", error)
        return _on_cpu(content, options)
    if device not in DEVICES:
        others = ", ".join(name for name in DEVICES if name not in listed)
        raise DeviceError(
            f"unknown device {device!r}; available: {', '.join(['auto', *listed])}; "
            f"with another ONNX Runtime: {others}"
        )
    if device not in listed:
        raise DeviceError(f"{device}: this ONNX Runtime has no such device; {DEVICES[device].source}")
    return _on_cpu(content, options) if device == "cpu" else _accelerated(content, options, device)


def device_of(session: ort.InferenceSession) -> str:
    """Name of the device that a session runs on."""
    provider = session.get_providers()[0]
    return next(name for name, device in DEVICES.items() if device.provider == provider)


def _on_cpu(content: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(content, options, providers=[CPU])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ModelError(f"not an ONNX model that ONNX Runtime can run: {_first_line(error)}") from error


def _accelerated(content: bytes, options: ort.SessionOptions, device: str) -> ort.InferenceSession:
    """Load a model onto a device other than the CPU, which gets what the device cannot run."""
    provider, _, needs = DEVICES[device]
    reason = ""
    with _silence():
        if device in ("cuda", "tensorrt") and hasattr(ort, "preload_dlls"):  # since 1.21
            with redirect_stdout(StringIO()):  # it prints what it misses
                ort.preload_dlls()  # finds NVIDIA's libraries where pip installs them
        try:
            session = ort.InferenceSession(content, options, providers=[provider, CPU], enable_fallback=0)
        except Exception as error:
            session = _on_cpu(content, options)  # a model that nothing can run is no fault of the device
            reason = _first_line(error)
    # Where a provider's library cannot be loaded, ONNX Runtime takes the CPU and only logs why.
    if provider in session.get_providers():
        return session
    reason = reason or _loading_error(provider)
    raise DeviceError(f"{device}: ONNX Runtime has it, but cannot use it: {reason}; it needs {needs}")


@contextmanager
def _silence() -> Iterator[None]:
    """Hide ONNX Runtime's own lines on standard error; a provider's failure is reported by us."""
    ort.set_default_logger_severity(4)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # its default


def _loading_error(provider: str) -> str:
    """Why the library of a provider cannot be loaded, which ONNX Runtime does not tell its caller."""
    name = provider.removesuffix("ExecutionProvider").lower()
    for path in Path(ort.__file__).parent.joinpath("capi").glob(f"*onnxruntime_providers_{name}.*"):
        try:
            ctypes.CDLL(str(path))
        except OSError as error:
            return str(error)
    return "ONNX Runtime does not say why"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
