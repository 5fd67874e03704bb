"""Options and arguments of several commands."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from nephoscope.cli import completion

Archive = Annotated[
    str | None,
    Option(
        "--archive",
        metavar="URL",
        help="A mirror of Worldview Snapshots. Default: NEPHOSCOPE_WORLDVIEW, or NASA's server.",
    ),
]
Connections = Annotated[int, Option(min=1, help="Concurrent requests to the archive.")]
Data = Annotated[Path, Argument(metavar="DATA", help="A folder in the contest's layout.")]
OptionalData = Annotated[
    Path | None, Argument(metavar="DATA", help="A folder in the contest's layout.", show_default=False)
]
Degrees = Annotated[float, Option(help="Size of a pixel in degrees.")]
Device = Annotated[
    str, Option(help="cpu, cuda or another device of 'nephoscope info'; auto takes a GPU if there is one.")
]
FirstDay = Annotated[str, Option("--from", metavar="DAY", help="The first day, such as 2020-01-20.")]
Fold = Annotated[int, Option(min=0, help="The fold to validate on.")]
FoldBy = Annotated[
    Literal["day", "season", "scene"],
    Option(help="What folds are made of: days of a region at random, consecutive seasons, single scenes."),
]
Folds = Annotated[
    int | None, Option(min=2, help="Split the scenes into this many folds. Default: the catalogue's split.")
]
Folder = Annotated[Path, Option("--output", "-o", help="The folder to write to.")]
ModelName = Annotated[
    str,
    Option(
        "--model", help="Name or file of a model; see 'nephoscope models'.", autocompletion=completion.models
    ),
]
Models = Annotated[
    list[str],
    Option("--model", help="Name or file of a model; repeat for several.", autocompletion=completion.models),
]
OutputFile = Annotated[Path, Option("--output", "-o", help="The file to write.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace existing outputs.")]
Names = Annotated[
    Literal["nephoscope", "c3ontext"], Option(help="Whose names and order of the patterns to write.")
]
Rules = Annotated[
    Literal["contest", "unbiased"],
    Option(help="The model's rules: of the highest Dice, or with areas and numbers of scenes as in labels."),
]
Satellites = Annotated[str, Option(help="Comma-separated list of Terra, Aqua, SNPP, NOAA20, NOAA21.")]
Store = Annotated[
    str,
    Argument(metavar="STORE", help="A folder, or an address such as s3://bucket/atlas.", show_default=False),
]
Strict = Annotated[bool, Option("--strict", help="Stop at any problem in the labels.")]
TrainingDevice = Annotated[str, Option("--device", help="auto, cpu or cuda.")]
Tta = Annotated[bool, Option("--tta", help="Mean over four mirror images: better, four times slower.")]
