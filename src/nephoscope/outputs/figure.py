"""A segmentation as a Matplotlib figure: the picture with outlined and named patterns."""

from typing import TYPE_CHECKING, Any

import numpy as np

from nephoscope.core.extras import import_extra
from nephoscope.core.io import sanitize_name
from nephoscope.imagery.resize import resize, resize_mask, resize_mask_by_area
from nephoscope.inference.segmentation import Segmentation
from nephoscope.plotting.drawing import place_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 9.0  # inches, of a new figure
_TALLEST = 12.0
_LONGEST_SIDE = 2000  # px; a larger picture is drawn smaller
_NAMES_WIDTH = 1000  # px, of the grid on which names are placed
_NAMES_UNIT = 1.4  # letters are as large there as in the figure
_NO_DATA = (213, 217, 222)


def plot(segmentation: Segmentation, ax: "Axes | None" = None) -> "Axes":
    """Draw a segmentation.

    Args:
        segmentation: of a scene.
        ax: where to draw. Default: the axes of a new figure of pyplot.

    Returns:
        The axes: in degrees where the location is known, else in the picture's pixels.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    pyplot = import_extra("matplotlib.pyplot", "notebook")
    from nephoscope.plotting.style import FAINT, INK, show_degrees

    scene = segmentation.scene
    (height, width), bounds = scene.size, scene.bounds
    if bounds:
        extent = (bounds.west, bounds.west + bounds.width, bounds.south, bounds.north)
    else:
        extent = (0, width, height, 0)
    if ax is None:
        ratio = abs((extent[3] - extent[2]) / (extent[1] - extent[0]))
        size = (_WIDTH, min(_TALLEST, _WIDTH * ratio + 0.8))
        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    ax.imshow(_pixels(segmentation), extent=extent, aspect="equal")
    _draw_regions(ax, segmentation, extent)
    if bounds:
        show_degrees(ax.xaxis, "EW")
        show_degrees(ax.yaxis, "NS")
    else:
        ax.set(xlabel="x (pixels)", ylabel="y (pixels)")
    ax.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=9)
    ax.spines[:].set(color=FAINT, linewidth=0.6)
    facts = (sanitize_name(scene.name), scene.satellite, scene.day)
    title = ", ".join(str(fact) for fact in facts if fact)
    ax.set_title(title, loc="left", fontsize=10, color=INK, parse_math=False)
    return ax


def _pixels(segmentation: Segmentation) -> Any:
    pixels, valid_mask = segmentation.prediction.raster
    factor = min(1.0, _LONGEST_SIDE / max(pixels.shape))
    size = (max(1, round(pixels.shape[0] * factor)), max(1, round(pixels.shape[1] * factor)))
    drawn = resize(pixels, size).copy()
    drawn[~resize_mask(valid_mask, size)] = _NO_DATA
    return drawn


def _draw_regions(ax: "Axes", segmentation: Segmentation, extent: tuple[float, ...]) -> None:
    """Fill, outline and name the regions, and put a legend below them."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch, PathPatch
    from matplotlib.transforms import Affine2D, ScaledTranslation

    from nephoscope.plotting.style import INK

    (height, width), (left, right, bottom, top) = segmentation.scene.size, extent
    scaled = Affine2D().scale((right - left) / width, (bottom - top) / height)
    to_axes = scaled.translate(left, top) + ax.transData  # from the picture's pixels
    handles = []
    for pattern in segmentation.card.styled_patterns:
        if pattern.name not in segmentation.present:
            continue
        path, colour = _path(segmentation, pattern.name), pattern.hex_colour
        # All lines lie on all fills; the dark line below each shows it on white clouds.
        style: dict[str, Any] = {"transform": to_axes, "facecolor": "none"}
        ax.add_patch(PathPatch(path, transform=to_axes, facecolor=to_rgba(colour, 0.28), lw=0, zorder=2))
        ax.add_patch(PathPatch(path, edgecolor=INK, lw=2.8, zorder=3, **style))
        ax.add_patch(PathPatch(path, edgecolor=colour, lw=1.4, zorder=3, **style))
        share = f"{pattern.name} {segmentation.area_fractions[pattern.name]:.0%}"
        handles.append(Patch(facecolor=to_rgba(colour, 0.5), edgecolor=colour, label=share))
    _write_names(ax, segmentation, to_axes)
    if handles:
        labels = 18 if segmentation.scene.bounds else 34  # points below the axes that its labels take
        below = ax.transAxes + ScaledTranslation(0, -labels / 72, ax.figure.dpi_scale_trans)
        look: dict[str, Any] = {"fontsize": 9, "frameon": False, "labelcolor": INK, "borderaxespad": 0}
        look |= {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": below}
        ax.legend(handles=handles, ncols=len(handles), **look)


def _path(segmentation: Segmentation, pattern: str) -> Any:
    """The outlines of all regions of a pattern, in the picture's pixels."""
    from matplotlib.path import Path

    return Path.make_compound_path(
        *(
            Path(np.array([*ring, ring[0]]), closed=True)
            for region in segmentation.regions
            if region.pattern == pattern
            for polygon in region.outline
            for ring in polygon
        )
    )


def _write_names(ax: "Axes", segmentation: Segmentation, to_axes: Any) -> None:
    from nephoscope.plotting.style import INK

    height, width = segmentation.scene.size
    grid = (max(1, round(_NAMES_WIDTH * height / width)), _NAMES_WIDTH)
    masks = [
        (each, resize_mask_by_area(segmentation.mask(each.name), grid))
        for each in segmentation.card.styled_patterns
    ]
    paper = {"facecolor": INK, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
    style: dict[str, Any] = {"fontsize": 9, "ha": "center", "va": "center", "bbox": paper}
    for pattern, (x, y), _ in place_names(masks, _NAMES_UNIT):
        place = (x / grid[1] * width, y / grid[0] * height)
        ax.text(*place, pattern.name, color=pattern.hex_colour, transform=to_axes, zorder=4, **style)
