"""What is installed: versions, devices, extras, models and folders, as a report of a problem needs them."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import onnxruntime as ort

from nephoscope.core.extras import EXTRAS, install_command, missing_modules, modules_of
from nephoscope.core.folders import cache_folder
from nephoscope.core.io import available_cpus
from nephoscope.core.version import __version__
from nephoscope.inference.devices import available_devices
from nephoscope.inference.model_files import user_folders
from nephoscope.inference.model_library import list_models

_BASE_MODULES = ("PIL", "cv2", "numpy", "onnxruntime", "rich", "typer")


def describe_installation() -> dict[str, Any]:
    """Describe this installation as plain values.

    `devices` are those that ONNX Runtime lists; one may still lack a driver (see `devices`). `extras` holds
    for each extra its missing modules and the command that installs them, None where all are there.
    """
    missing = {extra: missing_modules(extra) for extra in EXTRAS}
    installed = set(_BASE_MODULES).union(*map(modules_of, EXTRAS)).difference(*missing.values())
    return {
        "nephoscope": __version__,
        "location": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processors": available_cpus(),
        "libraries": _versions(installed),
        "devices": available_devices(),
        "providers": ort.get_available_providers(),
        "extras": {
            extra: {"missing": absent, "install": install_command(extra) if absent else None}
            for extra, absent in missing.items()
        },
        "models": list_models(),
        "folders": {"models": [str(folder) for folder in user_folders()], "cache": str(cache_folder())},
    }


def _versions(modules: set[str]) -> dict[str, str]:
    """Versions of the distributions that hold some modules, by the distribution's name."""
    distributions = packages_distributions()
    versions = {}
    for module in sorted(modules, key=str.lower):
        for name in sorted(set(distributions.get(module, [module]))):
            try:
                versions[name] = version(name)
            except PackageNotFoundError:
                versions[name] = "unknown"
    return versions
