"""The store of an atlas: a Zarr group at a path or an address, one array of flags on one grid of degrees.

`pattern_flags` has the dimensions time, satellite, lat and lon, and each scene is exactly one of its chunks.
So any process can write any scene at any time, and again, without locks. `flags` describes the encoding.

Addresses (`s3://`, `gs://`, `az://`) are opened by fsspec, which takes credentials and end points from its
own configuration: `FSSPEC_S3_ENDPOINT_URL=http://127.0.0.1:9000`, or a file in `~/.config/fsspec`
(https://filesystem-spec.readthedocs.io/en/latest/features.html#configuration).
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import GroupNotFoundError

from nephoscope.atlas.flags import FLAGS, NOT_SEGMENTED, Flags, check_patterns, flag_attributes
from nephoscope.atlas.manifest import BATCH, Manifest, store_errors
from nephoscope.atlas.plan import BOX, Plan, PlannedScene
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import WGS84_GRID_MAPPING
from nephoscope.core.types import GridShape
from nephoscope.core.version import __version__
from nephoscope.inference.card import Card

if TYPE_CHECKING:
    import xarray

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Store:
    """An atlas to write to; `model` is the name of the model that segments it, `sha256` is of its file."""

    address: str
    plan: Plan
    model: str
    sha256: str
    manifest: Manifest
    _flags: Any
    _margin: GridShape

    def write(self, scene: PlannedScene, flags: Flags) -> None:
        """Write a scene's flags, north first, without the box's margin, or raise `AtlasError`."""
        top, left = self._margin
        kept = flags[top : flags.shape[0] - top, left : flags.shape[1] - left]
        if kept.shape != self._flags.chunks[2:]:
            raise ValueError(f"flags of shape {kept.shape} for chunks of {self._flags.chunks[2:]}")
        with store_errors(self.address, "cannot be written"):
            self._flags.blocks[scene.time, scene.satellite, scene.row, scene.column] = kept[None, None]


def create(address: str, plan: Plan, card: Card, sha256: str) -> Store:
    """Create a store for a plan and a model, or open the one that was created for them.

    Raises:
        AtlasError: the store belongs to another plan or model, something else is at the address, or it cannot
            be written.
    """
    margin_cells(plan, card.grid)  # both checks come before anything is created
    check_patterns(card.patterns)
    with store_errors(address, "cannot be written"):
        group = _open_group(address)
        if group is None or ("nephoscope" in group.attrs and "plan" not in group.attrs):
            _check_free(address, incomplete=group is not None)
            group = _create_group(address, plan, card, sha256)
    store = _from_group(address, group)
    if store.plan != plan:
        raise AtlasError(f"{address}: belongs to another plan; use that plan, or another store")
    if store.sha256 != sha256:
        raise AtlasError(
            f"{address}: belongs to another model, {store.model} (SHA-256 {store.sha256[:12]}...), not "
            f"{card.name} ({sha256[:12]}...); use that model, or another store"
        )
    return store


def open_store(address: str) -> Store:
    """Open an existing store, or raise `AtlasError`."""
    if "://" not in address and Path(address).is_file():
        raise AtlasError(f"{address}: a file, not an atlas; `nephoscope atlas run PLAN STORE` creates one")
    with store_errors(address, "cannot be read"):
        group = _open_group(address)
    if group is None:
        raise AtlasError(f"{address}: no atlas; `nephoscope atlas run PLAN STORE` creates one")
    return _from_group(address, group)


def open_atlas(address: str | Path) -> "xarray.Dataset":
    """Open an atlas as an xarray dataset that is read lazily, chunk by chunk.

    `pattern_flags` stays as it is stored (see `flags`); `satellite` holds names. Coordinates are computed
    from the plan, so a damaged coordinate array does no harm.

    Raises:
        AtlasError: there is none, or it cannot be read.
    """
    import xarray

    store = open_store(str(address))
    coordinates = _coordinates(store.plan, store._flags.chunks[2:])
    dataset: xarray.Dataset = xarray.open_zarr(
        str(address), consolidated=False, mask_and_scale=False, chunks={}, drop_variables=list(coordinates)
    )
    variables: dict[str, Any] = {name: (name, *content) for name, content in coordinates.items()}
    variables["satellite"] = ("satellite", list(store.plan.satellites), {"long_name": "satellite"})
    return xarray.decode_cf(dataset.assign_coords(variables), mask_and_scale=False)


def _open_group(address: str) -> zarr.Group | None:
    try:
        return zarr.open_group(address, mode="r+")
    except (GroupNotFoundError, FileNotFoundError):
        return None


def _from_group(address: str, group: zarr.Group) -> Store:
    attributes: dict[str, Any] = dict(group.attrs)
    with store_errors(address, "cannot be read"):
        array = group.get(FLAGS)
    if "plan" not in attributes or array is None:
        raise AtlasError(f"{address}: a Zarr group, but not an atlas")
    try:
        batch, card, model, sha256 = (
            attributes[name] for name in ("batch", "model_card", "model", "model_sha256")
        )
    except KeyError as error:
        raise AtlasError(f"{address}: damaged: the attribute {error} is missing") from error
    if batch != BATCH:
        raise AtlasError(f"{address}: written by an incompatible nephoscope, {attributes.get('nephoscope')}")
    plan = Plan.from_json(str(attributes["plan"]), address)
    margin = margin_cells(plan, Card.from_json(str(card)).grid)
    return Store(address, plan, str(model), str(sha256), Manifest(address, len(plan)), array, margin)


def margin_cells(plan: Plan, grid: GridShape) -> GridShape:
    """Whole rows and columns of a box's grid that its margin takes on each side, or raise `AtlasError`."""
    exact = [plan.margin * cells / degrees for cells, degrees in zip(grid, BOX, strict=True)]
    rows, columns = (round(cells) for cells in exact)
    if not np.allclose(exact, (rows, columns), atol=1e-6):
        raise AtlasError(
            f"the margin must be a multiple of the model's cells of {BOX[0] / grid[0]:g}°, got "
            f"{plan.margin:g}°"
        )
    return rows, columns


def _check_free(address: str, incomplete: bool) -> None:
    """Check that no scenes and no other files are at an address."""
    files, root = fsspec.core.url_to_fs(address)
    if incomplete and any(files.exists(f"{root}/{FLAGS}/{name}") for name in ("c", "manifest")):
        raise AtlasError(f"{address}: an atlas that lost its plan but holds scenes; use another folder")
    if not incomplete and files.exists(root) and (not files.isdir(root) or files.ls(root, detail=False)):
        raise AtlasError(f"{address}: exists and is not an atlas; use another folder")


def _create_group(address: str, plan: Plan, card: Card, sha256: str) -> zarr.Group:
    """Create the group; its plan is written last and marks it as complete."""
    group = zarr.open_group(address, mode="a", zarr_format=3, attributes={"nephoscope": __version__})
    rows, columns = plan.shape
    (top, left), (height, width) = margin_cells(plan, card.grid), card.grid
    height, width = height - 2 * top, width - 2 * left
    group.create_array(
        FLAGS,
        shape=(len(plan.days), len(plan.satellites), rows * height, columns * width),
        chunks=(1, 1, height, width),
        dtype="uint8",
        fill_value=NOT_SEGMENTED,
        overwrite=True,
        dimension_names=("time", "satellite", "lat", "lon"),
        attributes={
            "long_name": "patterns of mesoscale cloud organisation",
            **flag_attributes(card.patterns),
            "comment": "patterns may overlap, so bits add up; 255 has not been segmented yet",
            "_FillValue": NOT_SEGMENTED,
            "grid_mapping": "crs",
        },
    )
    group.create_array(
        "crs",
        data=np.array(0, np.int8),
        overwrite=True,
        dimension_names=(),
        attributes=dict(WGS84_GRID_MAPPING),
    )
    for name, (values, attrs) in _coordinates(plan, (height, width)).items():
        group.create_array(
            name, data=values, chunks=values.shape, overwrite=True, dimension_names=(name,), attributes=attrs
        )
    group.update_attributes(_attributes(plan, card, sha256))
    return group


def _coordinates(plan: Plan, grid: GridShape) -> dict[str, tuple[NDArray[Any], dict[str, Any]]]:
    """Values and attributes of the coordinates; `grid` is what is kept of a box's."""
    (south, west), (rows, columns) = plan.corner, plan.shape
    (height, width), (box_height, box_width) = grid, plan.step
    down = (np.arange(rows * height) + 0.5) * box_height / height
    across = (np.arange(columns * width) + 0.5) * box_width / width
    satellites = np.arange(len(plan.satellites), dtype=np.int8)
    time = {
        "standard_name": "time",
        "long_name": "day of the satellite's passes, UTC",
        "units": f"days since {_EPOCH}",
        "calendar": "standard",
        "axis": "T",
    }
    satellite = {
        "long_name": "satellite",
        "flag_values": satellites.tolist(),
        "flag_meanings": " ".join(plan.satellites),
    }
    lat = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
    lon = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
    return {
        "time": (np.array([(day - _EPOCH).days for day in plan.days], np.int32), time),
        "satellite": (satellites, satellite),
        "lat": (south + rows * box_height - down, lat),
        "lon": (west + across, lon),
    }


def _attributes(plan: Plan, card: Card, sha256: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "Conventions": "CF-1.11",
        "title": f"Patterns of mesoscale cloud organisation, {plan.first} to {plan.last}",
        "source": f"{', '.join(plan.satellites)} true-colour pictures, segmented by the model {card.name}",
        "references": "doi:10.1002/qj.3662, doi:10.1175/BAMS-D-19-0324.1",
        "history": f"{now} nephoscope {__version__} atlas run",
        "nephoscope": __version__,
        "model": card.name,
        "model_sha256": sha256,
        "model_card": json.dumps(card.as_dict(), ensure_ascii=False),
        "batch": BATCH,
        "plan": plan.to_json(),
    }
