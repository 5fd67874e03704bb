"""Make the figures of the documents again: `python scripts/make_figures.py DATA [PAGE...]`.

A block of a document lies between two comments, of which the first has the command that prints it and the
start of the SHA-256 of the model:

    <!-- figures: python -m experiments.edges DATA (model 0123456789ab) -->
    ...
    <!-- figures: end -->

Each command is run once, DATA in it replaced, and its output and the shipped model's hash are written into
every block that has it. A block of plain text keeps its fence. A test compares the hashes.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "src" / "nephoscope" / "models" / "default.onnx"
BLOCK = re.compile(
    r"<!-- figures: (?P<command>.+?) \(model (?P<model>\w+)\) -->\n(?P<content>.*?)<!-- figures: end -->\n",
    re.DOTALL,
)
FENCE = "```text\n"


def model_hash() -> str:
    """The first twelve digits of the SHA-256 of the default model."""
    return hashlib.sha256(MODEL.read_bytes()).hexdigest()[:12]


def pages() -> list[Path]:
    """All documents with blocks."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    return sorted(page for page in found if BLOCK.search(page.read_text()))


def main(data: str, chosen: list[Path]) -> None:
    """Write the blocks of the given pages, or of all."""
    made: dict[str, str] = {}
    chosen = chosen or pages()
    for page in chosen:
        for match in BLOCK.finditer(page.read_text()):
            if match["command"] not in made:
                print(match["command"], flush=True)
                made[match["command"]] = output(match["command"], data)

    def block(match: re.Match[str]) -> str:
        command = match["command"]
        fenced = match["content"].startswith(FENCE)
        content = f"{FENCE}{made[command]}```\n" if fenced else f"\n{made[command]}\n"
        return f"<!-- figures: {command} (model {model_hash()}) -->\n{content}<!-- figures: end -->\n"

    for page in chosen:  # read again: it may have been edited meanwhile
        page.write_text(BLOCK.sub(block, page.read_text()))


def output(command: str, data: str) -> str:
    """What a command of a block prints."""
    words = [data if word == "DATA" else word for word in command.split()]
    program = {"python": [sys.executable], "nephoscope": [sys.executable, "-m", "nephoscope"]}
    run = [*program[words[0]], *words[1:]]
    return subprocess.run(run, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main(sys.argv[1], [Path(name) for name in sys.argv[2:]])
