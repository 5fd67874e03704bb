"""The store of an atlas: a Zarr group at a path or an address, with arrays on one grid of degrees.

`pattern_flags` has the dimensions time, satellite, lat and lon. `arrays` describes all of them. Each scene is
exactly one chunk of each. So any process can write any scene at any time, and again, without locks. A store
of version 0.1.0 has `pattern_flags` alone; it is read and completed as it is.

Addresses (`s3://`, `gs://`, `az://`) are opened by fsspec, which takes credentials and end points from its
own configuration: `FSSPEC_S3_ENDPOINT_URL=http://127.0.0.1:9000`, or a file in `~/.config/fsspec`
(https://filesystem-spec.readthedocs.io/en/latest/features.html#configuration).
"""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import zarr
from zarr.errors import GroupNotFoundError

from nephoscope.atlas.arrays import DATA_SHARE, PROBABILITY, UNBIASED, BoxGrid
from nephoscope.atlas.flags import FLAGS, Flags, check_patterns
from nephoscope.atlas.layout import BATCH, Layout
from nephoscope.atlas.manifest import Manifest, store_errors
from nephoscope.atlas.plan import Plan, PlannedScene
from nephoscope.atlas.presence import PRESENCE, presence_variable
from nephoscope.atlas.zarr_group import coordinates, create_group, grow_group
from nephoscope.core.errors import AtlasError, DamagedChunkError
from nephoscope.inference.card import Card

if TYPE_CHECKING:
    import xarray

_SYNCS = 16  # at once: file systems write several in one step, ten times as fast as one after the other
_ARRAYS = (FLAGS, UNBIASED, PROBABILITY, DATA_SHARE)


@dataclass(frozen=True)
class Store:
    """An atlas to write to.

    Attributes:
        card: of the model that segments it.
        sha256: of the model's file.
        added: scenes that the store has grown by when it was opened.
    """

    address: str
    layout: Layout
    grid: BoxGrid
    card: Card
    sha256: str
    manifest: Manifest
    added: int
    _arrays: dict[str, Any]

    @property
    def plan(self) -> Plan:
        """The present plan."""
        return self.layout.plan

    @property
    def array_names(self) -> tuple[str, ...]:
        """The arrays that the store has."""
        return tuple(self._arrays)

    def write(self, scene: PlannedScene, flags: Flags, others: Mapping[str, Flags] | None = None) -> None:
        """Write a scene's part of `pattern_flags` and of other arrays, as `scene_arrays` makes them.

        What the store has no array for is left out.

        Raises:
            AtlasError: it cannot be written.
        """
        for name, values in {**(others or {}), FLAGS: flags}.items():
            if (array := self._arrays.get(name)) is None:
                continue
            if values.shape != array.chunks[2:]:
                raise ValueError(f"{name} of shape {values.shape} for chunks of {array.chunks[2:]}")
            with store_errors(self.address, "cannot be written"):
                array.blocks[_block(array, scene)] = values[None, None]

    def read(self, scene: PlannedScene, name: str) -> Flags:
        """Read a scene's part of an array; a lost chunk is filled with `NOT_SEGMENTED`.

        Raises:
            DamagedChunkError: the chunk cannot be decoded.
            AtlasError: it cannot be read.
        """
        array = self._arrays[name]
        with store_errors(self.address, "cannot be read"):
            try:
                values: Flags = array.blocks[_block(array, scene)][0, 0]
            except (RuntimeError, ValueError, TypeError) as error:  # of the codecs
                raise DamagedChunkError(f"{name} cannot be decoded") from error
        return values

    def flush(self, scenes: Iterable[PlannedScene]) -> None:
        """Make sure that written scenes outlast a power failure, on a local disk.

        Object stores have acknowledged them only when they did.

        Raises:
            AtlasError: the disk fails.
        """
        if "://" in self.address:
            return
        root = Path(self.address)
        paths: set[Path] = set()  # of chunks and of the folders that they lie in
        for scene in scenes:
            for name, array in self._arrays.items():
                key = array.metadata.chunk_key_encoding.encode_chunk_key(_block(array, scene))
                chunk = root / name / key
                paths |= {chunk, *(each for each in chunk.parents if each.is_relative_to(root / name))}
        with store_errors(self.address, "cannot be written"), ThreadPoolExecutor(_SYNCS) as pool:
            list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk; a chunk of nothing but the fill value has no file."""
    if not path.exists():
        return
    if path.is_dir():
        if not hasattr(os, "O_DIRECTORY"):
            return  # Windows has no such call
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    else:
        descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _block(array: Any, scene: PlannedScene) -> tuple[int, ...]:
    """Indices of a scene's chunk; an array by pattern has one chunk along that axis."""
    between = (0,) * (array.ndim - 4)
    return (scene.time, scene.satellite, *between, scene.row, scene.column)


def create(address: str, plan: Plan, card: Card, sha256: str, *, grow: bool = False) -> Store:
    """Create a store for a plan and a model, or open the one that was created for them.

    Args:
        address: a path, or an address of fsspec.
        plan: of the scenes.
        card: of the model.
        sha256: of the model's file.
        grow: let an existing store grow to a plan that contains its own.

    Raises:
        AtlasError: the store belongs to another plan or model, something else is at the address, or it cannot
            be written.
    """
    grid = BoxGrid(plan, card.grid)  # both checks come before anything is created
    check_patterns(card.patterns)
    with store_errors(address, "cannot be written"):
        group = _open_group(address)
        if group is None or ("nephoscope" in group.attrs and "plan" not in group.attrs):
            _check_free(address, incomplete=group is not None)
            group = create_group(address, plan, card, sha256, grid)
    store = _from_group(address, group)
    if store.sha256 != sha256:
        raise AtlasError(
            f"{address}: belongs to another model, {store.card.name} (SHA-256 {store.sha256[:12]}...), not "
            f"{card.name} ({sha256[:12]}...); use that model, or another store"
        )
    if store.plan == plan:
        return store
    if not grow:
        raise AtlasError(f"{address}: belongs to another plan; use that plan, or another store")
    try:
        layout = store.layout.grown(plan)
    except AtlasError as error:
        raise AtlasError(f"{address}: {error}") from error
    with store_errors(address, "cannot be written"):
        grow_group(group, layout, card)
    return _from_group(address, group, added=len(layout) - len(store.layout))


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

    Flags stay as they are stored (see `flags`), probabilities and shares are numbers from 0 to 1; `satellite`
    and `pattern` hold names, and days are in order. Coordinates are computed from the plan, so a damaged
    coordinate array does no harm. Of a calibrated model, `presence_probability` comes from the records.

    Raises:
        AtlasError: there is none, or it cannot be read.
    """
    import xarray

    store = open_store(str(address))
    layout = store.layout
    axes = coordinates(layout, store.grid, store.card)
    stored: xarray.Dataset = xarray.open_zarr(
        str(address), consolidated=False, mask_and_scale=False, chunks={}, drop_variables=list(axes)
    )
    packed = [name for name in (PROBABILITY, DATA_SHARE) if name in stored]
    dataset = stored.assign(xarray.decode_cf(stored[packed]).data_vars)
    # In the order of time, and without what a growth that was interrupted has added
    order = sorted(range(len(layout.days)), key=lambda time: layout.days[time])
    dataset = dataset.isel(satellite=slice(len(layout.satellites)))
    dataset = dataset.isel(time=order if order != list(range(dataset.sizes["time"])) else slice(None))
    if store.card.calibration and PROBABILITY in dataset:
        dataset = dataset.assign({PRESENCE: presence_variable(layout, store.manifest, store.card.patterns)})
    days, about = axes["time"]
    axes["time"] = days[order], about
    for name, names in (("satellite", layout.satellites), ("pattern", store.card.patterns)):
        axes[name] = np.array(names, object), {"long_name": name}
    variables = {name: (name, *content) for name, content in axes.items() if name in dataset.dims}
    return xarray.decode_cf(dataset.assign_coords(variables), mask_and_scale=False)


def _open_group(address: str) -> zarr.Group | None:
    try:
        return zarr.open_group(address, mode="r+")
    except (GroupNotFoundError, FileNotFoundError):
        return None


def _from_group(address: str, group: zarr.Group, added: int = 0) -> Store:
    attributes: dict[str, Any] = dict(group.attrs)
    with store_errors(address, "cannot be read"):
        arrays = {name: array for name in _ARRAYS if (array := group.get(name)) is not None}
    if "plan" not in attributes or FLAGS not in arrays:
        raise AtlasError(f"{address}: a Zarr group, but not an atlas")
    try:
        batch, text, sha256 = (attributes[name] for name in ("batch", "model_card", "model_sha256"))
    except KeyError as error:
        raise AtlasError(f"{address}: damaged: the attribute {error} is missing") from error
    if batch != BATCH:
        raise AtlasError(f"{address}: written by an incompatible nephoscope, {attributes.get('nephoscope')}")
    card = Card.from_json(str(text))
    texts = attributes.get("plans", [attributes["plan"]])
    layout = Layout(tuple(Plan.from_json(str(each), address) for each in texts))
    grid, manifest = BoxGrid(layout.plan, card.grid), Manifest(address, layout.batches)
    return Store(address, layout, grid, card, str(sha256), manifest, added, arrays)


def _check_free(address: str, incomplete: bool) -> None:
    """Check that no scenes and no other files are at an address."""
    files, root = fsspec.core.url_to_fs(address)
    if incomplete and any(files.exists(f"{root}/{FLAGS}/{name}") for name in ("c", "manifest")):
        raise AtlasError(f"{address}: an atlas that lost its plan but holds scenes; use another folder")
    if not incomplete and files.exists(root) and (not files.isdir(root) or files.ls(root, detail=False)):
        raise AtlasError(f"{address}: exists and is not an atlas; use another folder")
