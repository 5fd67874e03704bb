"""Completion of option values in the shell."""


def models(incomplete: str) -> list[str]:
    """Names of models that begin so."""
    from nephoscope.inference.model_files import model_files

    return [name for name in model_files() if name.startswith(incomplete)]


def formats(incomplete: str) -> list[str]:
    """Comma-separated lists of formats whose last name begins so."""
    from nephoscope.outputs import formats

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in formats() if name.startswith(last)]


def label_formats() -> list[str]:
    """Names of the label formats."""
    from nephoscope.datasets.exchange.registry import FORMATS

    return list(FORMATS)
