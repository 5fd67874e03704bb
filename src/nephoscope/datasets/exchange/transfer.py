"""What an import or export did."""

from dataclasses import dataclass, field

from nephoscope.datasets.dataset import problems_in_words
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.labels import Problem

_SHOWN = 5  # problems of a kind; a large file has thousands


@dataclass
class Transfer:
    """What was imported or exported, and what was left out.

    Attributes:
        format: name of the label format.
        scenes: number of pictures.
        problems: what was left out.
        people: who drew, where that is known.
        notes: what was read in a way that its file does not state, or was kept aside.
    """

    format: str
    scenes: int = 0
    problems: list[Problem] = field(default_factory=list)
    people: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def counted(self, scene: ExportedScene) -> ExportedScene:
        """The same scene, counted."""
        self.scenes += 1
        self.people.update(scene.drawings)
        return scene

    @property
    def lines(self) -> list[str]:
        """A line for each problem; of a frequent kind, for the first ones and for the number of others."""
        by_kind: dict[str, list[Problem]] = {}
        for problem in self.problems:
            by_kind.setdefault(problem.kind, []).append(problem)
        lines = []
        for kind, problems in by_kind.items():
            lines += [str(problem) for problem in problems[:_SHOWN]]
            if len(problems) > _SHOWN:
                lines.append(f"{len(problems) - _SHOWN:,} more: {kind}")
        return lines

    @property
    def in_words(self) -> str:
        """The problems; see `problems_in_words`."""
        return problems_in_words(self.problems)
