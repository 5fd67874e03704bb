"""Store the outlines of land that the atlas's maps are drawn with.

npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
python scripts/store_coastline.py package/land-50m.json
"""

import json
import sys
from pathlib import Path

import numpy as np

from nephoscope.atlas.land import FILE, STEP

_ANTARCTICA = -60.5  # °N; all that lies south of it


def main(topology: Path) -> None:
    """Decode a TopoJSON of land, round it and store it as differences, which pack well."""
    content = json.loads(topology.read_text())
    scale, offset = (np.array(content["transform"][name]) for name in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + offset for arc in content["arcs"]]
    rings = []
    for land in content["objects"]["land"]["geometries"]:
        for outer, *_lakes in land["arcs"]:
            ring = np.concatenate([arcs[number] if number >= 0 else arcs[~number][::-1] for number in outer])
            if ring[:, 1].max() < _ANTARCTICA:
                continue
            ring[:, 0] = np.unwrap(ring[:, 0], period=360)
            ring[:, 0] -= 360 * np.round((ring[:, 0].min() + ring[:, 0].max()) / 720)
            steps = np.rint(ring / STEP).astype(np.int16)
            steps = steps[np.r_[True, (np.diff(steps, axis=0) != 0).any(axis=1)]]
            if len(steps) > 3:
                rings.append(steps)
    points = np.concatenate(rings)
    differences = np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int16))
    lengths = np.array([len(ring) for ring in rings], np.int16)
    np.savez_compressed(FILE, differences=differences, lengths=lengths)
    print(f"{FILE}: {len(rings):,} outlines, {len(points):,} points, {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
