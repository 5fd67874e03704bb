"""Schemas of the API's query and JSON, for validation and the OpenAPI document."""

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nephoscope.server.problems import KINDS, MEDIA_TYPE


class SegmentQuery(BaseModel):
    """Query parameters of `/segment`."""

    model: str | None = Field(None, description="Name of a model. Default: the server's first.")
    tta: bool = Field(False, description="Mean over four mirror images (test-time augmentation).")
    bounds: str | None = Field(
        None,
        description="Bounds of all pictures: a region, or west,south,east,north.",
        examples=["barbados", "-61,10,-40,24"],
        max_length=200,
    )
    day: str | None = Field(None, description="Day of all pictures.", examples=["2020-02-01"], max_length=40)
    extent: float | None = Field(
        None,
        description="Degrees from west to east of pictures of unknown bounds.",
        examples=[14],
        gt=0,
        le=360,
    )
    rules: str | None = Field(
        None,
        description="`contest` or `unbiased`; or JSON: attributes of rules by pattern.",
        examples=['{"Fish": {"threshold": 0.4}}'],
        max_length=4000,
    )
    steps: int | None = Field(
        None, description="For npz: quantize probabilities to this many steps.", ge=1, le=255
    )
    picture: bool = Field(False, description="For npz: include the picture, as JPEG.")
    outlines: bool = Field(True, description="For JSON: the outlines of regions, most of the answer's bytes.")
    name: str | None = Field(None, description="Name of a picture that is the whole body.")


class LabelsQuery(BaseModel):
    """Query parameters of `/labels`."""

    annotator: str = Field("", description="Name of who draws.", examples=["Ada"], max_length=60)
    image: str = Field(
        "", description="Name of a picture, for what the annotator drew in it.", max_length=200
    )


class SaveLabelsQuery(BaseModel):
    """Query parameters for saving labels."""

    annotator: str = Field(
        description="Name of who drew.",
        examples=["Ada"],
        max_length=60,
        pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$",
    )
    bounds: str | None = Field(
        None, description="Bounds of the picture: a region, or west,south,east,north.", max_length=200
    )
    day: str | None = Field(None, description="Day of the picture.", examples=["2020-02-01"], max_length=40)


class LabelCounts(BaseModel):
    """How many pictures have labels."""

    pictures: int = Field(description="That anyone labelled.")
    own: int = Field(description="That the annotator of the query labelled.")
    labels: dict[str, str] | None = Field(
        description="Run lengths by pattern that the annotator drew in the image; null if none."
    )


class SavedLabels(BaseModel):
    """Labels that were saved."""

    image: str = Field(description="Name of the picture in the data set.", examples=["scene.jpg"])


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str = Field(examples=["/api/v1/problems/too-large"])
    title: str = Field(examples=["Content too large"])
    status: int = Field(examples=[413])
    detail: str = Field(examples=["scene.jpg: 20000 x 20000 px is over the limit of 30,000,000 pixels"])
    request_id: str | None = Field(None, description="As in the header X-Request-ID and in the server's log.")


class PatternFound(BaseModel):
    """One pattern in one scene."""

    present: bool
    score: float = Field(ge=0, le=1, description="Presence score.")
    cover: float = Field(ge=0, le=1, description="Area fraction of the pixels with data.")
    probability: float | None = Field(
        ge=0, le=1, description="That people would draw the pattern here; null if not calibrated."
    )


class Box(BaseModel):
    """Degrees; east is less than west across the antimeridian."""

    west: float
    south: float
    east: float
    north: float


class RegionFound(BaseModel):
    """A connected component, in the picture's pixels from its top left corner."""

    pattern: str
    area: float
    cover: float
    box: list[float] = Field(description="left, top, right, bottom")
    centroid: list[float] = Field(description="x, y")
    mean_probability: float
    outline: list[list[list[list[float]]]] | None = Field(
        None,
        description="Polygons of rings of points (x, y): the outer edge first, then the holes. Not with "
        "outlines=false.",
    )


class SceneFound(BaseModel):
    """Patterns and regions of one picture."""

    model_config = ConfigDict(extra="allow")

    scene: str = Field(examples=["scene.jpg"])
    width: int
    height: int
    satellite: str | None
    date: date | None
    bounds: Box | None
    valid: float = Field(description="Fraction of the picture with data.")
    warnings: list[str] = Field(description="Why results may be unreliable.")
    patterns: dict[str, PatternFound]
    regions: list[RegionFound]


class SceneFailed(BaseModel):
    """Why one of several pictures could not be used."""

    scene: str
    problem: ProblemDetails


class Scenes(BaseModel):
    """One entry per picture, in order."""

    scenes: list[SceneFound | SceneFailed]


class ModelCards(BaseModel):
    """The cards of the loaded models, the default one first."""

    models: list[dict[str, Any]]


class PatternMeaning(BaseModel):
    """A pattern's name, colour and meaning."""

    name: str = Field(examples=["Fish"])
    colour: str = Field(examples=["#d55e00"])
    meaning: str


class Download(BaseModel):
    """A format in which `/segment` answers and the page offers files."""

    name: str = Field(examples=["geojson"])
    label: str
    kind: str = Field(description="File type for people.", examples=["GeoJSON"])
    description: str
    media_type: str = Field(description="Value for the header Accept.")
    ending: str = Field(description="Ending of one picture's file, after its name.")
    file_name: str = Field(description="Name of several pictures' file; empty if the format holds one.")
    needs: list[str] = Field(description="What must be known of a picture: place (its bounds), day.")


class ServerState(BaseModel):
    """What a client must know before other requests."""

    nephoscope: str = Field(examples=["0.1.0"], description="Version of nephoscope.")
    token_needed: bool
    patterns: list[PatternMeaning]
    limits: dict[str, float]
    workers: int = Field(description="Number of pictures segmented in parallel.")
    labels: bool = Field(description="Whether it collects labels.")
    formats: list[Download]


class SatelliteKnown(BaseModel):
    """A satellite and its first day."""

    name: str
    first: date


class RegionKnown(BaseModel):
    """A named region."""

    name: str
    bounds: list[float] = Field(description="west, south, east, north in degrees")


class WorldviewState(BaseModel):
    """Whether pictures can be fetched by day and region."""

    available: bool
    reason: str = Field(description="Why not; empty if available.")
    host: str
    satellites: list[SatelliteKnown]
    regions: list[RegionKnown]


_ANY = ("request", "host", "too-slow", "full", "failure")  # of every route


def problems(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Responses of a route that may answer these kinds of problems, for FastAPI's `responses`."""
    known = [KINDS[kind] for kind in (*_ANY, *kinds)]
    return {
        status: {
            "description": "; or ".join(kind.title for kind in known if kind.status == status),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in sorted({kind.status for kind in known})
    }
