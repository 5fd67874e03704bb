"""The command `styles`."""

from pathlib import Path

from nephoscope.cli import options
from nephoscope.cli.app import app, fail, usage_errors


@app.command()
def styles(
    folder: options.Folder = Path("nephoscope-styles"),
    model: options.ModelName = "default",
    names: options.Names = "nephoscope",
    overwrite: options.Overwrite = False,
) -> None:
    """Write styles for QGIS: the patterns' colours, for each output that it opens."""
    from nephoscope.core.io import atomic_write
    from nephoscope.core.patterns import C3ONTEXT_NAMES
    from nephoscope.inference.model import Model
    from nephoscope.inference.prediction import Predictor
    from nephoscope.inference.renamed import RenamedModel
    from nephoscope.outputs import qgis

    with usage_errors():
        loaded: Predictor = Model.load(model, device="cpu")
        if names == "c3ontext":
            loaded = RenamedModel(loaded, C3ONTEXT_NAMES)
        files = {folder / name: text for name, text in qgis.styles(loaded.card.styled_patterns).items()}
        if not overwrite and (there := next((path for path in files if path.exists()), None)):
            fail(f"{there}: exists; --overwrite replaces it")
        for path, content in files.items():
            atomic_write(path, content)
            print(path)
