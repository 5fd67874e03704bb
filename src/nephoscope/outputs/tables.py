"""Tables of a scene's regions for pandas and geopandas."""

from typing import TYPE_CHECKING

import numpy as np

from nephoscope.core.extras import import_extra
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.metadata import require_bounds

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd


def make_dataframe(segmentation: Segmentation) -> "pd.DataFrame":
    """Make a table with a row for each of `Segmentation.regions`, in their order.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    pandas = import_extra("pandas", "notebook")
    regions = segmentation.regions
    columns = {
        "area": [region.area for region in regions],
        "area_fraction": [region.area_fraction for region in regions],
        "mean_probability": [region.mean_probability for region in regions],
        "x": [region.centroid[0] for region in regions],
        "y": [region.centroid[1] for region in regions],
    }
    for index, side in enumerate(("left", "top", "right", "bottom")):
        columns[side] = [region.box[index] for region in regions]
    if segmentation.scene.bounds:
        for name in ("area_km2", "longitude", "latitude"):
            columns[name] = [getattr(region, name) for region in regions]
    numbers = {name: np.array(values, np.float64) for name, values in columns.items()}
    table: pd.DataFrame = pandas.DataFrame({"pattern": [region.pattern for region in regions], **numbers})
    return table


def make_geodataframe(segmentation: Segmentation) -> "gpd.GeoDataFrame":
    """The table of `make_dataframe` with each region's outline as geometry, on WGS 84.

    Raises:
        SceneError: the bounds are not known.
        MissingExtraError: geopandas is not installed.
    """
    require_bounds(segmentation.scene)
    geopandas = import_extra("geopandas", "notebook")
    shape = import_extra("shapely.geometry", "notebook").shape
    outlines = [shape(region) for region in segmentation.regions]
    table: gpd.GeoDataFrame = geopandas.GeoDataFrame(
        make_dataframe(segmentation), geometry=outlines, crs="EPSG:4326"
    )
    return table
