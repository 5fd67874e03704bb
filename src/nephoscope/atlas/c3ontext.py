"""Summaries with the names and the order of the patterns in C3ONTEXT."""

from typing import TYPE_CHECKING

from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.core.errors import AtlasError
from nephoscope.core.patterns import C3ONTEXT_NAMES

if TYPE_CHECKING:
    import xarray as xr

_MEANING = (
    "Here: the share of the area with data that the pattern covers. In C3ONTEXT's level 3: the share of "
    "people who marked the place."
)


def our_name(name: str) -> str:
    """Our name of a pattern of C3ONTEXT; other names are as they are."""
    return C3ONTEXT_NAMES.get(name, name)


def with_names_of_c3ontext(summary: "xr.Dataset") -> "xr.Dataset":
    """A summary with C3ONTEXT's names of the patterns, in its order, and Unclassified last.

    Raises:
        AtlasError: the summary has other patterns.
    """
    own = [str(name) for name in summary["pattern"].values]
    patterns = [name for name in own if name != UNCLASSIFIED]
    if sorted(patterns) != sorted(C3ONTEXT_NAMES.values()):
        its_own = ", ".join(C3ONTEXT_NAMES.values())
        raise AtlasError(f"C3ONTEXT has no names for {', '.join(patterns)}; its patterns: {its_own}")
    last = [name for name in own if name == UNCLASSIFIED]
    renamed = summary.sel(pattern=[*C3ONTEXT_NAMES.values(), *last]).assign_coords(
        pattern=("pattern", [*C3ONTEXT_NAMES, *last], summary["pattern"].attrs)
    )
    comment = f"{summary['freq'].attrs['comment']} {_MEANING}"
    renamed["freq"].attrs |= {"comment": comment}
    return renamed
