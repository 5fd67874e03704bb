"""What the API's JSON looks like, for its OpenAPI document."""

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nephoscope.server.problems import KINDS, MEDIA_TYPE


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str = Field(examples=["/api/v1/problems/too-large"])
    title: str = Field(examples=["Too large"])
    status: int = Field(examples=[413])
    detail: str = Field(examples=["scene.jpg: 20000 x 20000 px is over the limit of 30,000,000 pixels"])


class PatternFound(BaseModel):
    """One pattern in one scene."""

    present: bool
    score: float = Field(ge=0, le=1, description="What speaks for its presence.")
    cover: float = Field(ge=0, le=1, description="Its share of the pixels with data.")


class Box(BaseModel):
    """Degrees; east is less than west across the antimeridian."""

    west: float
    south: float
    east: float
    north: float


class RegionFound(BaseModel):
    """One connected region, in the picture's pixels from its top left corner."""

    pattern: str
    area: float
    cover: float
    box: list[float] = Field(description="left, top, right, bottom")
    centroid: list[float] = Field(description="x, y")
    mean_probability: float
    outline: list[list[list[list[float]]]] = Field(
        description="Polygons of rings of points (x, y): the outer edge first, then the holes."
    )


class SceneFound(BaseModel):
    """All that was found in one picture."""

    model_config = ConfigDict(extra="allow")

    scene: str = Field(examples=["scene.jpg"])
    width: int
    height: int
    satellite: str | None
    date: date | None
    bounds: Box | None
    valid: float = Field(description="Share of the picture with data.")
    warnings: list[str] = Field(description="Why what was found may mean nothing.")
    patterns: dict[str, PatternFound]
    regions: list[RegionFound]


class SceneFailed(BaseModel):
    """Why one of several pictures could not be used."""

    scene: str
    problem: ProblemDetails


class Scenes(BaseModel):
    """One entry a picture, in their order."""

    scenes: list[SceneFound | SceneFailed]


class ModelCards(BaseModel):
    """The models of this server, the usual one first, each with its card."""

    models: list[dict[str, Any]]


class PatternMeaning(BaseModel):
    """One of the four."""

    name: str = Field(examples=["Fish"])
    colour: str = Field(examples=["#d55e00"])
    meaning: str


class Download(BaseModel):
    """A format in which `/segment` answers and the page offers files."""

    name: str = Field(examples=["geojson"])
    label: str
    kind: str = Field(description="Of file, for people.", examples=["GeoJSON"])
    description: str
    media_type: str = Field(description="What Accept asks for.")
    ending: str = Field(description="Of one picture's file, behind its name.")
    file_name: str = Field(description="Of several pictures' file; empty where there is none.")
    needs: list[str] = Field(description="What must be known of a picture: place, day.")


class ServerState(BaseModel):
    """What a page must know before it can ask for more."""

    nephoscope: str = Field(examples=["0.1.0"], description="Its version.")
    token_needed: bool
    patterns: list[PatternMeaning]
    limits: dict[str, float]
    formats: list[Download]


class SatelliteKnown(BaseModel):
    """A satellite and its first day."""

    name: str
    first: date


class RegionKnown(BaseModel):
    """A region with a name."""

    name: str
    bounds: list[float] = Field(description="west, south, east, north in degrees")


class WorldviewState(BaseModel):
    """Whether pictures can be had by day and place."""

    available: bool
    reason: str = Field(description="Why not; empty if they can.")
    host: str
    satellites: list[SatelliteKnown]
    regions: list[RegionKnown]


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "; or ".join(kind.title for kind in KINDS.values() if kind.status == status),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }
    for status in sorted({kind.status for kind in KINDS.values()})
}
"""For FastAPI's `responses`: every refusal that there is."""
