"""Names and order of the patterns in C3ONTEXT, people's labels of the EUREC4A campaign.

Source: Schulz 2022, "C3ONTEXT: a Common Consensus on Convective OrgaNizaTion during the EUREC4A eXperimenT",
ESSD, doi:10.5194/essd-14-1233-2022.
"""

from typing import TYPE_CHECKING

from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.core.errors import AtlasError

if TYPE_CHECKING:
    import xarray as xr

NAMES = {"Sugar": "Sugar", "Flowers": "Flower", "Fish": "Fish", "Gravel": "Gravel"}
"""C3ONTEXT's names in its order, and ours."""

_MEANING = (
    "Here: the share of the area with data that the pattern covers. In C3ONTEXT's level 3: the share of "
    "people who marked the place."
)


def our_name(name: str) -> str:
    """Our name of a pattern of C3ONTEXT; other names are as they are."""
    return NAMES.get(name, name)


def with_names_of_c3ontext(summary: "xr.Dataset") -> "xr.Dataset":
    """A summary with C3ONTEXT's names of the patterns, in its order, and Unclassified last.

    Raises:
        AtlasError: the summary has other patterns.
    """
    own = [str(name) for name in summary["pattern"].values]
    patterns = [name for name in own if name != UNCLASSIFIED]
    if sorted(patterns) != sorted(NAMES.values()):
        raise AtlasError(
            f"C3ONTEXT has no names for {', '.join(patterns)}; its patterns: {', '.join(NAMES.values())}"
        )
    last = [name for name in own if name == UNCLASSIFIED]
    renamed = summary.sel(pattern=[*NAMES.values(), *last]).assign_coords(
        pattern=("pattern", [*NAMES, *last], summary["pattern"].attrs)
    )
    comment = f"{summary['freq'].attrs['comment']} {_MEANING}"
    renamed["freq"].attrs |= {"comment": comment}
    return renamed
