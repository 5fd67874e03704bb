"""Sections of the report on a model: a function each, every number explained beside it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.evaluation.agreement import MAJORITY, Comparison
from nephoscope.evaluation.evaluator import BINS, ModelEvaluation
from nephoscope.evaluation.report import evaluation_charts, page
from nephoscope.evaluation.report.report import Report, Section
from nephoscope.plotting import charts

_ANSWERS = {
    "model": "the model",
    "all empty": "all empty",
    "everything present": "everything present",
    "mean mask": "the mean mask",
}
_GROUPS = {
    "region": ("Region", "A region is a scene's box in degrees, west to east and south to north."),
    "season": (
        "Season",
        "Seasons are named by the first letters of their months, DJF for December to February.",
    ),
    "year": ("Year", "A year begins with its December, so that no season is cut in two."),
    "satellite": ("Satellite", "Terra passes in the morning, Aqua in the afternoon."),
}


def in_short(report: Report[ModelEvaluation]) -> Section:
    """The answer, in a few sentences."""
    numbers = report.numbers
    model, empty = numbers["dice"]["model"], numbers["dice"]["all empty"]
    low, high = model["interval"]
    texts = [
        f"The model's mean Dice is {model['mean']:.3f} (95 % interval {low:.3f} to {high:.3f}) on "
        f"{numbers['scenes']:,} scenes of {numbers['days']:,} days of a region. An answer that is always "
        f"empty scores {empty['mean']:.3f}, because a mask that is rightly empty counts 1."
    ]
    if people := numbers["people"]:
        told, two = people["candidates"]["model"], people["two_people"]
        most = people["candidates"][MAJORITY]
        texts.append(
            f"On {people['scenes']} scenes that many people labelled, {people['scenes_judged']} of them "
            f"judged here, the model and a person agree by {told['contest']['mean']:.3f}, two people by "
            f"{two['contest']['mean']:.3f}, a person and what most others drew by "
            f"{most['contest']['mean']:.3f}. Where at least one of the two drew something it is "
            f"{told['drawn']['mean']:.3f}, {two['drawn']['mean']:.3f} and {most['drawn']['mean']:.3f}. The "
            f"model agrees with {told['contest']['as_well']} of {told['contest']['of_people']} people at "
            f"least as well as other people do, and by the stricter measure with {told['drawn']['as_well']} "
            f"of {told['drawn']['of_people']}."
        )
    return "In short", [page.paragraph(text) for text in texts]


def score(report: Report[ModelEvaluation]) -> Section:
    """Mean Dice beside the baselines."""
    dice = report.numbers["dice"]
    rows = [
        (_ANSWERS[name], *(_with_interval(each) for each in (told, *told["patterns"].values())))
        for name, told in dice.items()
    ]
    means = {
        _ANSWERS[name]: report.found.means(found)
        for name, found in {"model": report.found.dice, **report.found.baselines}.items()
    }
    mean_mask = (
        "The mean mask is, for each pattern, where scenes that are not judged here often carry it, the "
        "threshold chosen on those scenes. "
        if "mean mask" in dice
        else "There is no mean mask, as no scenes are left to make it from. "
    )
    return "Score", [
        page.table(("Mean Dice of", "All", *DEFAULT_NAMES), rows),
        page.paragraph(
            "The contest's measure: Dice of each scene and pattern on 350x525 pixels, 1 where label and "
            "answer are both empty, averaged. In brackets the 95 % interval: the mean of 2,000 draws of as "
            "many days, with replacement; all scenes of one region and day stay together, as they are not "
            "independent."
        ),
        page.paragraph(
            "The last rows never look at the clouds. Everything present means everywhere where there is "
            "data. " + mean_mask + "A model that cannot beat them has learnt nothing."
        ),
        report.figure(
            "dice",
            evaluation_charts.intervals(["All", *DEFAULT_NAMES], means, "mean Dice"),
            "Mean Dice and 95 % interval of the model and of answers that do not look at the clouds.",
        ),
    ]


def people(report: Report[ModelEvaluation], comparisons: Mapping[str, Comparison]) -> Section:
    """The model against people; one sentence where there are none."""
    numbers = report.numbers["people"]
    if numbers is None:
        text = (
            "The folder has no annotators' rectangles with pictures: no comparison with people can be made."
        )
        return "Against people", [page.paragraph(text)]
    two, rest = numbers["two_people"], numbers["all_practice_scenes"]
    threes = [("three others", _number(two["threes"]))] + [
        (_CANDIDATES[name], _number(told["threes"]))
        for name, told in numbers["candidates"].items()
        if told["threes"] is not None
    ]
    model = comparisons["model"]
    figure = evaluation_charts.standings(
        {"By the contest's Dice": model.contest.standings, "Where drawn": model.drawn.standings}
    )
    return "Against people", [
        page.paragraph(
            f"In the practice round {numbers['people']} people labelled the {numbers['scenes']} scenes "
            f"whose pictures are here, {numbers['scenes_judged']} of them among the scenes judged above; "
            "the model may have been trained on the others. A person's mask is the union of their "
            "rectangles less the black gaps. Agreement is the mean over a scene's pairs of people, then "
            "over scenes; intervals are 95 %, scenes drawn with replacement."
        ),
        _measured(numbers, "contest", "By the contest's Dice"),
        page.paragraph(
            f"As well with: the number of people, of those who labelled at least {numbers['least_scenes']} "
            "of the scenes, whose mean Dice with the answer is at least their mean Dice with the other "
            "people. Most others: the area that more than half of the other people drew; a model learns "
            "what is common to many people, and so does this. The label: the contest's own, a "
            "union of several people's rectangles."
        ),
        _measured(numbers, "drawn", "Where drawn"),
        page.paragraph(
            "Two empty masks agree by 1 by the contest's Dice, and most people leave most patterns out: "
            "the row of the empty answer says what that alone is worth. Where drawn therefore counts only "
            "pairs and patterns where at least one of the two drew something; by pattern, all pairs of all "
            "scenes count alike."
        ),
        report.figure(
            "people",
            figure,
            "A dot a person: mean Dice with the model against mean Dice with the other people. Filled, on or "
            "above the line: the model agrees with them at least as well as others do.",
        ),
        page.table(("Union of three people against", "Mean Dice"), threes),
        page.paragraph(
            "A contest label is the union of about three people's rectangles: how well the union of three "
            "people, drawn by chance, agrees with that of three others is what an answer as good as a label "
            f"can hope for. On all {rest['scenes']} practice scenes, gaps left in as not all pictures are "
            f"here, two people agree by {_with_interval(rest['two_people']['contest'])}, where drawn by "
            f"{_with_interval(rest['two_people']['drawn'])}, two unions of three by "
            f"{rest['two_people']['threes']:.3f}."
        ),
    ]


_CANDIDATES = {
    "model": "the model",
    MAJORITY: "most others",
    "label": "the label",
    "all empty": "an empty answer",
}


def _measured(numbers: dict[str, Any], measure: str, heading: str) -> str:
    """People and candidates by one measure, as a table."""
    two = numbers["two_people"][measure]
    rows = [("two people", _with_interval(two), "", "", *map(_number, two["patterns"].values()))]
    for name, told in numbers["candidates"].items():
        found = told[measure]
        difference = _with_interval(found["difference"], sign=True)
        as_well = f"{found['as_well']} of {found['of_people']}"
        values = map(_number, found["patterns"].values())
        rows.append((f"{_CANDIDATES[name]}, a person", _with_interval(found), difference, as_well, *values))
    return page.table((heading, "Mean Dice", "Less two people", "As well with", *DEFAULT_NAMES), rows)


def presence(report: Report[ModelEvaluation]) -> Section:
    """Which patterns a scene has."""
    rows = [
        (
            name,
            *(_number(told[what]) for what in ("precision", "recall", "auc")),
            *(_percent(told[what]) for what in ("labelled", "predicted")),
        )
        for name, told in report.numbers["presence"].items()
    ]
    return "Presence", [
        page.table(
            ("Pattern", "Precision", "Recall", "AUC", "Scenes with the label", "Scenes with an answer"), rows
        ),
        page.paragraph(
            "A pattern is present where its mask is not empty. Precision: share of the scenes with an "
            "answer that have the label; recall: share of the scenes with the label that have an answer; "
            "AUC: how often the presence score of a scene with the label is above that of a scene without "
            "it."
        ),
    ]


def reliability(report: Report[ModelEvaluation]) -> Section:
    """Whether probabilities mean what they say."""
    return "Reliability", [
        report.figure(
            "reliability",
            evaluation_charts.reliability(report.found.reliability),
            f"Pixels with data in {BINS} bins of predicted probability: share of them that carry the label. "
            "On the dashed line probabilities are right; below it they are too high. Grey: share of all "
            "pixels.",
        ),
        page.paragraph(
            "Error is the expected calibration error: how far observed is from predicted, the mean over "
            "pixels."
        ),
    ]


def confusion(report: Report[ModelEvaluation]) -> Section:
    """What is answered where a pattern is."""
    columns = (*DEFAULT_NAMES, "nothing")
    values = np.array(
        [[np.nan if row[name] is None else row[name] for name in columns] for row in _rows(report)]
    )
    return "Confusion", [
        report.figure(
            "confusion",
            charts.heat_map(DEFAULT_NAMES, columns, values, "label", "answer", share=True),
            "Share of the area of each label (row) that the answers of each pattern (column) cover, and that "
            "none covers. Patterns may overlap, so rows may add up to more than 100 %.",
        )
    ]


def _rows(report: Report[ModelEvaluation]) -> list[dict[str, float | None]]:
    return list(report.numbers["confusion"].values())


def groups(report: Report[ModelEvaluation]) -> Section:
    """By region, season, year and satellite."""
    parts = []
    for what, (heading, meant) in _GROUPS.items():
        told = report.numbers["by"][what]
        if len(told) > 1:  # one alone is the whole
            rows = [
                (
                    name,
                    f"{found['scenes']:,}",
                    _with_interval(found["dice"]),
                    *(_number(each["mean"]) for each in found["dice"]["patterns"].values()),
                )
                for name, found in told.items()
            ]
            parts += [
                page.paragraph(meant),
                page.table((heading, "Scenes", "Mean Dice", *DEFAULT_NAMES), rows),
            ]
    if not parts:
        text = "The scenes are all of one place, time and satellite, or scenes.csv does not tell."
        return "Where and when", [page.paragraph(text)]
    text = "Mean Dice with its 95 % interval, days resampled within the group; then pattern by pattern."
    return "Where and when", [page.paragraph(text), *parts]


def _with_interval(told: dict[str, Any], *, sign: bool = False) -> str:
    style = "+.3f" if sign else ".3f"
    low, high = told["interval"]
    return f"{told['mean']:{style}} [{low:{style}},\N{NBSP}{high:{style}}]".replace("-", "\N{MINUS SIGN}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}\N{NBSP}%"
