"""Where an atlas lies: a Zarr group at a path or an address, one array of flags on one grid of degrees.

`pattern_flags` has the dimensions time, satellite, lat and lon, and each scene is exactly one of its chunks.
So scenes can be written at any time by anyone, again and again, without locks. A cell's bits say which
patterns are there, or that there is no data; 255 is what has not been looked at.

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

from nephoscope import __version__
from nephoscope.atlas.manifest import BATCH, Manifest
from nephoscope.atlas.plan import BOX, Plan, PlannedScene
from nephoscope.core.errors import AtlasError, NephoscopeError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import GridShape, Mask
from nephoscope.inference.card import Card

if TYPE_CHECKING:
    import xarray

Flags = NDArray[np.uint8]

FLAGS = "pattern_flags"
NO_DATA = 1 << len(DEFAULT_NAMES)
NOT_YET = 255
"""What a cell holds that has not been looked at."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Store:
    """An atlas to write to.

    Attributes:
        address: a path or an address.
        plan: of its scenes.
        model: name of the model whose answers it holds.
        sha256: of the model's file.
        manifest: what became of the scenes.
    """

    address: str
    plan: Plan
    model: str
    sha256: str
    manifest: Manifest
    _flags: Any
    _margin: GridShape

    def write(self, scene: PlannedScene, flags: Flags) -> None:
        """Write one scene's chunk, in place of an earlier one.

        Args:
            scene: which it is.
            flags: on the box's cells, north first; those of its margin are left out.

        Raises:
            AtlasError: it cannot be written.
        """
        top, left = self._margin
        kept = flags[top : flags.shape[0] - top, left : flags.shape[1] - left]
        try:
            self._flags.blocks[scene.time, scene.satellite, scene.row, scene.column] = kept[None, None]
        except Exception as error:  # what lies below a store can raise anything
            raise unwritable(self.address, error) from error


def unwritable(address: str, error: Exception) -> AtlasError:
    """What to say when a store takes nothing more."""
    words = (getattr(error, "strerror", None) or str(error)).strip() or type(error).__name__
    return AtlasError(f"{address}: cannot be written: {words}")


def to_flags(masks: Mask, valid: Mask) -> Flags:
    """Masks of shape (patterns, height, width) and where there is data, as bits of one array."""
    bits = (1 << np.arange(len(DEFAULT_NAMES), dtype=np.uint8))[:, None, None]
    flags: Flags = np.bitwise_or.reduce(masks * bits, axis=0)
    flags[~valid] |= NO_DATA
    return flags


def create(address: str, plan: Plan, card: Card, sha256: str) -> Store:
    """Make a store for a plan and a model, or go on with the one that is there for just these.

    Args:
        address: a path or an address.
        plan: which scenes are to be in it.
        card: the model's.
        sha256: of the model's file.

    Raises:
        AtlasError: there is something else, or it cannot be written.
    """
    margin_cells(plan, card.grid)  # refused before anything is made
    try:
        try:
            group = zarr.open_group(address, mode="r+")
        except (GroupNotFoundError, FileNotFoundError):
            group = None
        if group is None or _is_half_made(group):
            _check_free(address, group is not None)
            group = _make(address, plan, card, sha256)
        store = _opened(address, group)
    except NephoscopeError:
        raise
    except ImportError as error:  # fsspec's words say what to install
        raise AtlasError(f"{address}: {error}") from error
    except Exception as error:  # what lies below a store can raise anything
        raise unwritable(address, error) from error
    if store.plan != plan:
        raise AtlasError(f"{address}: was begun with another plan; give it that one, or another store")
    if store.sha256 != sha256:
        raise AtlasError(
            f"{address}: was begun with another model, {store.model} (SHA-256 {store.sha256[:12]}...), not "
            f"{card.name} ({sha256[:12]}...); give it that one, or another store"
        )
    return store


def open_store(address: str) -> Store:
    """Open a store that is there.

    Raises:
        AtlasError: none is there, or it cannot be read.
    """
    if "://" not in address and Path(address).is_file():
        raise AtlasError(
            f"{address}: a file and no atlas; `nephoscope atlas run PLAN STORE` makes one of a plan"
        )
    try:
        return _opened(address, zarr.open_group(address, mode="r+"))
    except (GroupNotFoundError, FileNotFoundError):
        raise AtlasError(f"{address}: no atlas; `nephoscope atlas run PLAN STORE` begins one") from None
    except NephoscopeError:
        raise
    except ImportError as error:
        raise AtlasError(f"{address}: {error}") from error
    except Exception as error:  # as above
        raise AtlasError(f"{address}: cannot be read: {error}") from error


def open_atlas(address: str | Path) -> "xarray.Dataset":
    """An atlas as an xarray dataset, read when it is asked for, chunk by chunk.

    `pattern_flags` stays as it is stored, bits and all; `satellite` holds names. Coordinates follow from the
    plan, so that a damaged one is not believed.

    Raises:
        AtlasError: none is there, or it cannot be read.
    """
    import xarray

    store = open_store(str(address))
    rows, columns = store.plan.shape
    grid = (store._flags.shape[2] // rows, store._flags.shape[3] // columns)
    stored = _coordinates(store.plan, grid)
    dataset: xarray.Dataset = xarray.open_zarr(
        str(address), consolidated=False, mask_and_scale=False, chunks={}, drop_variables=list(stored)
    )
    planned: dict[str, Any] = {name: (name, *said) for name, said in stored.items()}
    planned["satellite"] = ("satellite", list(store.plan.satellites), {"long_name": "satellite"})
    return xarray.decode_cf(dataset.assign_coords(planned), mask_and_scale=False)


def _opened(address: str, group: zarr.Group) -> Store:
    attributes = dict(group.attrs)
    if "plan" not in attributes or FLAGS not in group:
        raise AtlasError(f"{address}: a Zarr group, but no atlas")
    if attributes["batch"] != BATCH:
        raise AtlasError(f"{address}: made by another nephoscope, {attributes['nephoscope']}")
    plan = Plan.from_json(str(attributes["plan"]), address)
    model, sha256 = str(attributes["model"]), str(attributes["model_sha256"])
    array = group[FLAGS]
    grid = Card.from_json(str(attributes["model_card"])).grid
    return Store(address, plan, model, sha256, Manifest(address, len(plan)), array, margin_cells(plan, grid))


def margin_cells(plan: Plan, grid: GridShape) -> GridShape:
    """How many rows and columns of a box's grid its margin takes on each side.

    Raises:
        AtlasError: they are not whole.
    """
    exact = [plan.margin * cells / degrees for cells, degrees in zip(grid, BOX, strict=True)]
    rows, columns = (round(cells) for cells in exact)
    if not np.allclose(exact, (rows, columns), atol=1e-6):
        raise AtlasError(
            f"a margin of {plan.margin:g}° is no whole number of the model's cells of {BOX[0] / grid[0]:g}°"
        )
    return rows, columns


def _is_half_made(group: zarr.Group) -> bool:
    return "nephoscope" in group.attrs and "plan" not in group.attrs


def _check_free(address: str, half_made: bool) -> None:
    """Never write among somebody's files."""
    files, root = fsspec.core.url_to_fs(address)
    if half_made and any(files.exists(f"{root}/{FLAGS}/{name}") for name in ("c", "manifest")):
        raise AtlasError(f"{address}: an atlas whose plan is lost, with scenes in it; name a new folder")
    if not half_made and files.exists(root) and (not files.isdir(root) or files.ls(root, detail=False)):
        raise AtlasError(f"{address}: is there and no atlas; name a new folder")


def _make(address: str, plan: Plan, card: Card, sha256: str) -> zarr.Group:
    """Make the group; its plan is written last, which says that all of it is there."""
    group = zarr.open_group(address, mode="a", zarr_format=3, attributes={"nephoscope": __version__})
    rows, columns = plan.shape
    (top, left), (height, width) = margin_cells(plan, card.grid), card.grid
    height, width = height - 2 * top, width - 2 * left
    group.create_array(
        FLAGS,
        shape=(len(plan.days), len(plan.satellites), rows * height, columns * width),
        chunks=(1, 1, height, width),
        dtype="uint8",
        fill_value=NOT_YET,
        overwrite=True,
        dimension_names=("time", "satellite", "lat", "lon"),
        attributes={
            "long_name": "patterns of mesoscale cloud organisation",
            "flag_masks": [1 << bit for bit in range(len(DEFAULT_NAMES) + 1)],
            "flag_meanings": " ".join([*DEFAULT_NAMES, "no_data"]),
            "comment": "patterns may overlap, so bits add up; 255 has not been segmented yet",
            "_FillValue": NOT_YET,
        },
    )
    for name, (values, attributes) in _coordinates(plan, (height, width)).items():
        group.create_array(
            name,
            data=values,
            chunks=values.shape,
            overwrite=True,
            dimension_names=(name,),
            attributes=attributes,
        )
    group.update_attributes(_attributes(plan, card, sha256))
    return group


def _coordinates(plan: Plan, grid: GridShape) -> dict[str, tuple[NDArray[Any], dict[str, Any]]]:
    (south, west), (rows, columns) = plan.corner, plan.shape
    (height, width), (tall, wide) = grid, plan.step
    down = (np.arange(rows * height) + 0.5) * tall / height
    across = (np.arange(columns * width) + 0.5) * wide / width
    satellites = np.arange(len(plan.satellites), dtype=np.int8)
    return {
        "time": (
            np.array([(day - _EPOCH).days for day in plan.days], np.int32),
            {
                "standard_name": "time",
                "long_name": "day of the satellite's passes, UTC",
                "units": f"days since {_EPOCH}",
                "calendar": "standard",
                "axis": "T",
            },
        ),
        "satellite": (
            satellites,
            {
                "long_name": "satellite",
                "flag_values": satellites.tolist(),
                "flag_meanings": " ".join(plan.satellites),
            },
        ),
        "lat": (
            south + rows * tall - down,
            {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"},
        ),
        "lon": (
            west + across,
            {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"},
        ),
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
        "model_card": json.dumps(json.loads(card.to_json()), ensure_ascii=False),
        "batch": BATCH,
        "plan": plan.to_json(),
    }
