"""Segmentation: the patterns of a scene, by a model and its rules."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import InvalidRequestError
from nephoscope.core.types import GridShape, Mask, Probabilities
from nephoscope.imagery.resize import resize_mask, resize_mask_by_area
from nephoscope.imagery.scene import Scene
from nephoscope.inference.card import Card, RuleChanges
from nephoscope.inference.input_check import TOO_SMOOTH, lacks_detail, out_of_range
from nephoscope.inference.postprocess import evidence_score, segment_pattern
from nephoscope.inference.prediction import Prediction
from nephoscope.inference.regions import Region, find_regions
from nephoscope.inference.tiling import assumed_degrees

log = logging.getLogger("nephoscope")

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The patterns of a scene. Arrays are on the grid of the model's rules, patterns in the card's order.

    Attributes:
        prediction: the model's prediction.
        components: connected components numbered from 1, largest first, 0 elsewhere; shape (patterns, height,
            width).
        scores: presence score from 0 to 1 by pattern; the rules hold the least score of a present pattern.
        join: distance in pixels of the grid up to which components count as one; None for that of the rules.
    """

    prediction: Prediction
    components: NDArray[np.int32]
    scores: dict[str, float]
    join: int | None = None

    @property
    def scene(self) -> Scene:
        """The picture."""
        return self.prediction.scene

    @property
    def card(self) -> Card:
        """The model's card."""
        return self.prediction.card

    @property
    def probabilities(self) -> Probabilities:
        """Values from 0 to 1, shape (patterns, height, width); 0 where there is no data.

        Calibrated where the card has a calibration: the frequency with which people draw the pattern there.
        """
        return self.prediction.probabilities

    @property
    def valid_mask(self) -> Mask:
        """Mask of the pixels with data, shape (height, width)."""
        return self.prediction.valid_mask

    def __repr__(self) -> str:
        fractions = ", ".join(f"{name} {self.area_fractions[name]:.0%}" for name in self.present)
        return f"<Segmentation of {self.scene.name}: {fractions or 'no pattern'}>"

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """One mask a pattern, which may overlap; shape (patterns, height, width)."""
        return np.asarray(self.components > 0, np.bool_)

    @cached_property
    def present(self) -> list[str]:
        """Names of the patterns that are present."""
        return [name for name, mask in zip(self.card.patterns, self.masks, strict=True) if mask.any()]

    @cached_property
    def area_fractions(self) -> dict[str, float]:
        """Fraction of the pixels with data that each pattern covers, 0 to 1 (0 in a scene without data)."""
        with_data = max(1, int(np.count_nonzero(self.valid_mask)))
        return {
            name: float(np.count_nonzero(mask) / with_data)
            for name, mask in zip(self.card.patterns, self.masks, strict=True)
        }

    @cached_property
    def presence_probabilities(self) -> dict[str, float]:
        """Probability that people would draw each pattern in this scene, whatever the rules.

        Empty for a model without calibration.
        """
        heads, by_pattern = self.prediction.head_probabilities, {}
        for index, name in enumerate(self.card.patterns if self.card.calibration else ()):
            calibration = self.card.calibration[name]
            head = None if heads is None else float(heads[index])
            score = evidence_score(self.probabilities[index], calibration, head)
            by_pattern[name] = float(calibration.presence(score))
        return by_pattern

    @cached_property
    def regions(self) -> list[Region]:
        """Every connected region of every pattern, in the picture's own pixels."""
        return [
            region
            for name, components, probability in zip(
                self.card.patterns, self.components, self.probabilities, strict=True
            )
            for region in find_regions(
                name, components, probability, self.valid_mask, self.scene.size, self.scene.bounds
            )
        ]

    @property
    def assumed_extent(self) -> tuple[float, float] | None:
        """Degrees that the picture's width and height are taken to span; None where they are known."""
        if self.scene.degrees is not None:
            return None
        height, width = assumed_degrees(self.scene.size, self.card.input_size)
        return width, height

    @cached_property
    def warnings(self) -> list[str]:
        """Why results may be unreliable: no data, unusual values, or a picture unlike the training data."""
        if not self.valid_mask.any():
            return ["no data: all pixels are black or missing, so its masks are empty"]
        return [*self.scene.value_warnings, *self._input_warnings()]

    def _input_warnings(self) -> list[str]:
        reasons = out_of_range(self.prediction.measures, self.card.scope)
        degrees = self.assumed_extent
        # Smoothness alone is explained by the scale, which the caller can state.
        if degrees and lacks_detail(self.prediction.measures) and set(reasons) <= {TOO_SMOOTH}:
            return [
                f"too smooth for the assumed {degrees[0]:.3g} x {degrees[1]:.3g} degrees: it shows less, or "
                "has too few pixels; --bounds or --extent DEGREES (bounds=, extent=) state what it shows"
            ]
        kind = f"unlike the pictures that the model {self.card.name} was trained on"
        return [f"{kind} ({', '.join(reasons)}): results may be unreliable"] if reasons else []

    def mask(self, pattern: str, size: GridShape | None = None) -> Mask:
        """One pattern's mask at any size; pixels without data stay false.

        Args:
            pattern: its name.
            size: height and width. Default: the grid of the rules.

        Raises:
            InvalidRequestError: an unknown pattern.
        """
        if pattern not in self.card.patterns:
            raise InvalidRequestError(
                f"unknown pattern {pattern!r}; available: {', '.join(self.card.patterns)}"
            )
        if size is not None and min(size) < 1:
            raise InvalidRequestError(f"size must be a height and a width of at least 1, got {size}")
        mask: Mask = self.masks[self.card.patterns.index(pattern)]
        if size is None or size == mask.shape:
            return mask
        raster = self.scene.read() if size == self.scene.size else self.prediction.raster
        return resize_mask_by_area(mask, size) & resize_mask(raster.valid_mask, size)

    def to_xarray(self) -> "xr.Dataset":
        """Probabilities and masks by the CF conventions, as the output format `netcdf` stores them.

        Its axes are `lat` and `lon`, or `y` and `x` in the picture's pixels where the location is unknown. It
        has no `time` where the day is unknown.

        Raises:
            MissingExtraError: xarray is not installed.
        """
        from nephoscope.outputs.netcdf import decoded_dataset

        return decoded_dataset(self)

    def to_dataframe(self) -> "pd.DataFrame":
        """A table with a row a region: pattern, `area` in pixels, `area_fraction`, `mean_probability`.

        `x` and `y` are the centroid, `left`, `top`, `right` and `bottom` the box, in the picture's pixels.
        Where the location is known, there are `area_km2`, and `longitude` and `latitude` of the centroid.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from nephoscope.outputs.tables import make_dataframe

        return make_dataframe(self)

    def to_geodataframe(self) -> "gpd.GeoDataFrame":
        """The table of `to_dataframe` with the outlines of the regions as geometry, in EPSG:4326.

        Raises:
            SceneError: the location is unknown.
            MissingExtraError: geopandas is not installed.
        """
        from nephoscope.outputs.tables import make_geodataframe

        return make_geodataframe(self)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the picture with outlined and named patterns by Matplotlib.

        Args:
            ax: where to draw. Default: the axes of a new figure of pyplot.

        Returns:
            The axes: in degrees where the location is known, else in the picture's pixels.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        from nephoscope.outputs.figure import plot

        return plot(self, ax)

    def save(self, path: str | Path) -> list[Path]:
        """Write files in the output format that the path's ending says; existing files are replaced.

        `docs/formats.md` has the endings. A format of several files names them after the path.

        Returns:
            The files that were written.

        Raises:
            OutputError: no format has this ending, or the file is the picture itself.
            SceneError: the format needs a location or a day, which are unknown.
            OSError: a file cannot be written.
        """
        from nephoscope.outputs.save import save

        return save(self, path)

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The regions as a GeoJSON FeatureCollection, in degrees: for geopandas, folium and others.

        Raises:
            SceneError: the location is unknown.
        """
        from nephoscope.outputs.geojson import feature_collection

        return feature_collection(self)

    def _repr_html_(self) -> str:
        from nephoscope.outputs.notebook import html

        return html(self)


def apply_rules(
    prediction: Prediction, rules: RuleChanges | None = None, *, join: int | None = None
) -> Segmentation:
    """Apply rules to a prediction: from probabilities to masks and components.

    Args:
        prediction: of a model.
        rules: `contest` or `unbiased` for those of the model card; or by pattern, a rule, or the attributes
            of its rule to change. Patterns that are left out keep the rule of the model card.
        join: components with at most this many pixels of the rules' grid between them count as one. Default:
            from the rules.

    Raises:
        ModelError: a rule needs a presence head and the network has none, is for an unknown pattern, or is
            out of range.
    """
    card, presence = prediction.card, prediction.head_probabilities
    if rules:
        card = card.with_rules(rules)
        prediction = replace(prediction, card=card)
    thresholds = ", ".join(f"{name} above {rule.threshold:g}" for name, rule in card.rules.items())
    log.info("%s: rules of %s, %s", prediction.scene.name, card.name, thresholds)
    components = np.empty(prediction.probabilities.shape, np.int32)
    scores: dict[str, float] = {}
    for index, name in enumerate(card.patterns):
        head = None if presence is None else float(presence[index])
        components[index], scores[name] = segment_pattern(
            prediction.probabilities[index], card.rules[name], join, head
        )
    log.debug("%s: scores %s", prediction.scene.name, scores)
    return Segmentation(prediction, components, scores, join)
