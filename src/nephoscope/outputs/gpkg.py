"""`gpkg`: the regions as a GeoPackage, with the colours of their patterns for QGIS.

The fields are those of `geojson`. QGIS loads the style in the table `layer_styles` by itself.

Source: OGC 12-128r18 (GeoPackage 1.3); `layer_styles` is a table of QGIS's own.
"""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nephoscope.core.extras import import_extra
from nephoscope.core.patterns import Pattern
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.outputs.geojson import feature_collection
from nephoscope.outputs.qgis import regions_style

LAYER = "regions"
_FIELDS = {
    **{"pattern": object, "area_km2": float, "cover": float, "mean_probability": float},
    **{"scene": object, "date": object, "satellite": object},
    **{"stroke": object, "fill": object, "fill-opacity": float},
}
_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT, f_table_schema TEXT, f_table_name TEXT,
  f_geometry_column TEXT, styleName TEXT, styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN,
  description TEXT, owner TEXT, ui TEXT, update_time DATETIME
)
"""


def render(segmentation: Segmentation) -> list[bytes]:
    """Render one layer of polygons on WGS 84, a row a region, in the order of `Segmentation.regions`.

    Raises:
        SceneError: the bounds are not known.
        MissingExtraError: geopandas is not installed.
    """
    collection = feature_collection(segmentation)
    with TemporaryDirectory() as folder:  # SQLite writes files
        path = Path(folder) / "regions.gpkg"
        _table(collection["features"]).to_file(
            path,
            layer=LAYER,
            driver="GPKG",
            engine="pyogrio",
            geometry_type="MultiPolygon",
            promote_to_multi=True,
            VERSION="1.3",  # GDAL before 3.7 warns of later ones
            dataset_metadata={
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in collection["provenance"].items()
            },
        )
        _add_style(path, segmentation.card.styled_patterns)
        return [path.read_bytes()]


def _table(features: Sequence[dict[str, Any]]) -> Any:
    """The features as a table, whose columns have their types even where there is no feature."""
    geopandas, shapely = import_extra("geopandas", "notebook"), import_extra("shapely.geometry", "notebook")
    columns = {name: [feature["properties"][name] for feature in features] for name in _FIELDS}
    outlines = [shapely.shape(feature["geometry"]) for feature in features]
    table = geopandas.GeoDataFrame(columns, geometry=outlines, crs="EPSG:4326")
    return table.astype(_FIELDS)


def _add_style(path: Path, patterns: Sequence[Pattern]) -> None:
    """Add the style that QGIS uses by default for the layer."""
    row = ("", "", LAYER, "geom", "patterns", regions_style(patterns).decode(), 1, "nephoscope")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_STYLES)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles')"
        )
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "styleName, styleQML, useAsDefault, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )


FORMAT = Format(
    name="gpkg",
    description="Every region in longitude and latitude, as a GeoPackage with its colours for QGIS",
    media_type="application/geopackage+sqlite3",
    render=render,
    endings=(".gpkg",),
    needs=("place",),
    extra="notebook",
    libraries=("geopandas",),
    web=None,
)
