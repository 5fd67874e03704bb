"""The Zarr group of a store: made for a layout, and grown to a larger one."""

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from nephoscope.atlas.arrays import BoxGrid, array_specs
from nephoscope.atlas.flags import NOT_SEGMENTED
from nephoscope.atlas.layout import BATCH, Layout
from nephoscope.atlas.plan import Plan
from nephoscope.core.citation import LABELS, PATTERNS
from nephoscope.core.geo import WGS84_GRID_MAPPING
from nephoscope.core.version import __version__
from nephoscope.inference.card import Card

_EPOCH = date(1970, 1, 1)


def create_group(address: str, plan: Plan, card: Card, sha256: str, grid: BoxGrid) -> zarr.Group:
    """Create the group of a store; its plan is written last and marks it as complete."""
    group = zarr.open_group(address, mode="a", zarr_format=3, attributes={"nephoscope": __version__})
    layout = Layout((plan,))
    for name, spec in array_specs(card, grid).items():
        group.create_array(
            name,
            shape=spec.shape(layout),
            chunks=spec.chunks,
            dtype="uint8",
            fill_value=NOT_SEGMENTED,
            overwrite=True,
            dimension_names=("time", "satellite", *spec.dimensions),
            attributes={**spec.attributes, "_FillValue": NOT_SEGMENTED},
        )
    group.create_array(
        "crs",
        data=np.array(0, np.int8),
        overwrite=True,
        dimension_names=(),
        attributes=dict(WGS84_GRID_MAPPING),
    )
    for name, content in coordinates(layout, grid, card).items():
        _create_coordinate(group, name, *content)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about = {
        "Conventions": "CF-1.11",
        "references": f"doi:{PATTERNS.doi}, doi:{LABELS.doi}",
        "history": f"{now} nephoscope {__version__} atlas run",
        "nephoscope": __version__,
        "model": card.name,
        "model_sha256": sha256,
        "model_card": json.dumps(card.as_dict(), ensure_ascii=False),
        "batch": BATCH,
    }
    group.update_attributes({**about, **_plan_attributes(layout, card)})
    return group


def grow_group(group: zarr.Group, layout: Layout, card: Card) -> None:
    """Let all arrays of a group grow. The plans are written last: until then the store is as before."""
    grid = BoxGrid(layout.plan, card.grid)
    for name, spec in array_specs(card, grid).items():
        if isinstance(array := group.get(name), zarr.Array):  # version 0.1.0 had fewer
            array.resize(spec.shape(layout))
    own = coordinates(layout, grid, card)
    for name in ("time", "satellite"):
        _create_coordinate(group, name, *own[name])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    plan = layout.plan
    history = f"{now} nephoscope {__version__} extended to {plan.first} to {plan.last}"
    plans = {"plans": [each.to_json() for each in layout.plans]}
    earlier = str(group.attrs.get("history", ""))
    group.update_attributes({**_plan_attributes(layout, card), **plans, "history": f"{history}\n{earlier}"})


def _plan_attributes(layout: Layout, card: Card) -> dict[str, str]:
    plan, satellites = layout.plan, ", ".join(layout.satellites)
    return {
        "title": f"Patterns of mesoscale cloud organisation, {plan.first} to {plan.last}",
        "source": f"{satellites} true-colour pictures, segmented by the model {card.name}",
        "plan": plan.to_json(),
    }


def _create_coordinate(group: zarr.Group, name: str, values: NDArray[Any], about: dict[str, Any]) -> None:
    group.create_array(
        name, data=values, chunks=values.shape, overwrite=True, dimension_names=(name,), attributes=about
    )


def coordinates(layout: Layout, grid: BoxGrid, card: Card) -> dict[str, tuple[NDArray[Any], dict[str, Any]]]:
    """Values and attributes of a store's coordinates, by name."""
    satellites = np.arange(len(layout.satellites), dtype=np.int8)
    patterns = np.arange(len(card.patterns), dtype=np.int8)
    time = {
        "standard_name": "time",
        "long_name": "day of the satellite's passes, UTC",
        "units": f"days since {_EPOCH}",
        "calendar": "standard",
        "axis": "T",
    }
    found: dict[str, tuple[NDArray[Any], dict[str, Any]]] = {
        "time": (np.array([(day - _EPOCH).days for day in layout.days], np.int32), time),
        "satellite": (satellites, _names("satellite", layout.satellites)),
        "pattern": (patterns, _names("pattern", card.patterns)),
    }
    (south, west), (rows, columns) = layout.plan.corner, layout.plan.shape
    box_height, box_width = layout.plan.step
    for ending, (height, width) in (("", grid.kept), ("_coarse", grid.coarse)):
        down = (np.arange(rows * height) + 0.5) * box_height / height
        across = (np.arange(columns * width) + 0.5) * box_width / width
        for name, values, unit, axis in (
            ("latitude", south + rows * box_height - down, "degrees_north", "Y"),
            ("longitude", west + across, "degrees_east", "X"),
        ):
            about = {"standard_name": name, "long_name": name, "units": unit, "axis": axis}
            found[f"{name[:3]}{ending}"] = values, about
    return found


def _names(long_name: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Attributes of a coordinate of numbers that stand for names."""
    numbers = list(range(len(names)))
    return {"long_name": long_name, "flag_values": numbers, "flag_meanings": " ".join(names)}
