"""The command `info`."""

import json
from typing import Annotated, Any

from typer import Option

from nephoscope.cli import console
from nephoscope.cli.app import app, fail


@app.command()
def info(
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    cite: Annotated[
        bool, Option("--cite", help="Print how to cite nephoscope, its models, their data, and BibTeX.")
    ] = False,
) -> None:
    """Print versions, devices, extras, models and folders; add it to a report of a problem."""
    if cite:
        from nephoscope.inference.citing import how_to_cite

        if as_json:
            fail("--cite and --json exclude each other")
        print(how_to_cite(), end="")
        return
    from nephoscope.inference.installation import describe_installation

    about = describe_installation()
    if as_json:
        print(json.dumps(about, indent=2, ensure_ascii=False))
    else:
        _print_installation(about)


def _print_installation(about: dict[str, Any]) -> None:
    print(f"nephoscope {about['nephoscope']} in {about['location']}")
    print(f"Python {about['python']}, {about['executable']}")
    print(f"{about['platform']}, {about['processors']} processors")
    print(f"devices: {', '.join(about['devices'])} (ONNX Runtime: {', '.join(about['providers'])})")
    print("\nextras")
    for name, extra in about["extras"].items():
        print(f"  {name:<14}{extra['install'] or 'installed'}")
    print("\nmodels")
    for model in about["models"]:
        print(f"  {model['name']:<14}{model['sha256']}  {model['file']}")
        if "error" in model:
            console.error(model["error"])
    print("\nfolders")
    for folder in about["folders"]["models"]:
        print(f"  {'models':<14}{folder}")
    print(f"  {'cache':<14}{about['folders']['cache']}")
    print("\nlibraries")
    for name, version in about["libraries"].items():
        print(f"  {name:<36}{version}")
