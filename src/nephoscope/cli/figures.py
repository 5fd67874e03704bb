"""Printed figures: of training, calibration, evaluation, exploration and export."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nephoscope.cli.console import info

if TYPE_CHECKING:
    from nephoscope.evaluation.submission import Evaluation
    from nephoscope.inference.card import Card
    from nephoscope.training.calibration import Calibration
    from nephoscope.training.cross_validation import CrossValidation
    from nephoscope.training.export import Parity
    from nephoscope.training.scores import Scores


def print_calibration(result: "Calibration") -> None:
    """Print calibrated rules and their Dice."""
    in_sample, before = (sum(each.values()) / len(each) for each in (result.in_sample_dice, result.before))
    print(f"mean Dice {result.mean:.4f} on days that were not used to choose the rules")
    print(f"          {in_sample:.4f} on the days that were used: optimistic")
    print(f"          {before:.4f} there with the previous rules")
    evidence = {"top_k": "top {k}", "head": "presence head", "product": "presence head x top {k}"}
    width = _name_width(result.rules)
    print(f"{'':<{width}}{'Dice':>7}{'above':>7}{'area':>7}{'join':>6}  present from")
    for name, rule in result.rules.items():
        by = evidence[rule.evidence].format(k=f"{rule.top_k:,}")
        numbers = f"{result.dice[name]:>7.3f}{rule.threshold:>7.2f}{rule.minimum_area:>7,}{rule.join:>6}"
        print(f"{name:<{width}}{numbers}  {rule.presence:.3f} of {by}")
    print(f"{result.scenes:,} scenes of {result.days:,} days")
    if result.unread:
        print(f"{result.unread:,} more scenes cannot be read; 'nephoscope explore' lists them")


def print_scores(times: "dict[str, Scores]", card: "Card") -> None:
    """Print the Dice of a run's starting and finished model, and what the finished model's card says."""
    print("mean Dice with the rules of each model's card, before and after training (95 %)")
    for which, words in (("new", "new scenes"), ("older", "older scenes")):
        scores = {time: times[time][which] for time in ("before", "after") if which in times.get(time, {})}
        for time, score in scores.items():
            low, high = score.interval
            print(f"  {words:<13}{time:<8}{score.mean:.4f}  {low:.3f}-{high:.3f}")
        for score in list(scores.values())[-1:]:
            print(f"    validated on {score.on} of {score.data}")
    print(f"  rules after training: {card.training.get('rules', 'not stated')}")
    for figure in card.figures[:1]:
        print(f"  the card: {figure['what']} {figure['value']:.4f} on {figure['on']}; {figure['how']}")


def print_cross_validation(result: "CrossValidation") -> None:
    """Print the Dice of a recipe on held-out folds."""
    print(f"mean Dice {result.mean:.4f} on {len(result.scenes)} held-out folds, {result.folds.kind}")
    print(f"          {result.spread:.4f} standard deviation between folds")
    if result.keep == "best":
        print("          optimistic: the best epoch was chosen on the fold; train with --keep last")
    width = _name_width(result.dice)
    print(
        f"{'':<{width}}{'mean':>7}" + "".join(f"{f'fold {index}':>8}" for index in range(len(result.scenes)))
    )
    for name, dice in {"all": result.by_fold, **result.dice}.items():
        print(f"{name:<{width}}{sum(dice) / len(dice):>7.3f}" + "".join(f"{value:>8.3f}" for value in dice))
    print(f"{'scenes':<{width}}{sum(result.scenes):>7,}" + "".join(f"{count:>8,}" for count in result.scenes))


def print_quantization(path: Path, before: float, after: float) -> None:
    """Print what 8-bit convolutions cost."""
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"mean Dice {after:.4f}, {before:.4f} before")


def print_score(result: "Evaluation") -> None:
    """Print the contest's score of a submission."""
    print(f"mean Dice {result.mean:.4f}")
    width = _name_width(result.by_pattern)
    for name, dice in result.by_pattern.items():
        print(f"  {name:<{width}}{dice:.4f}")
    grids = [f"{height}x{width}" for height, width in (result.predicted_grid, result.truth_grid)]
    print(f"{result.scored} scenes on 350x525; read from {grids[0]} (predictions) and {grids[1]} (labels)")
    for note in result.notes:
        info(note)
    if result.unanswered:
        print(f"{result.unanswered} labelled scenes have no prediction and are not scored")


def print_evaluation(numbers: dict[str, Any], card: "Card") -> None:
    """Print a model's Dice beside the baselines, and its agreement with people where it can be compared."""
    from nephoscope.inference.card import HELD_OUT, HELD_OUT_SPREAD

    dice = numbers["dice"]
    short = {"everything present": "all full"}  # for narrow terminals
    names = [short.get(name, name) for name in dice]
    width = max(10, _name_width(card.patterns))
    print(f"{'mean Dice':<{width}}{names[0]:>7}  {'95 %':<11}" + "".join(f"{name:>11}" for name in names[1:]))
    for pattern in ("all", *card.patterns):
        rows = [row if pattern == "all" else row["patterns"][pattern] for row in dice.values()]
        low, high = rows[0]["interval"]
        others = "".join(f"{row['mean']:>11.3f}" for row in rows[1:])
        print(f"{pattern:<{width}}{rows[0]['mean']:>7.4f}  {low:.3f}-{high:.3f}{others}")
    print(f"on {numbers['scenes']:,} scenes of {numbers['days']:,} days; the 95 % interval resamples days")
    if rules := card.training.get("rules"):
        print(f"rules of the model card: {rules}")
    for figure in card.figures:
        if figure["what"] in (HELD_OUT, HELD_OUT_SPREAD):
            print(f"{figure['what']}, of the model card: {figure['value']:.4f}")
    if people := numbers.get("people"):
        model, empty = (people["candidates"][name] for name in ("model", "all empty"))
        _print_agreement(people)
        print(f"the model and a person: {model['contest']['mean']:.3f}")
        if not model["contest"]["of_people"]:
            return
        print("people with whom it agrees at least as well as other people do:")
        for key, words in (("contest", "by the contest's Dice"), ("drawn", "where either drew something")):
            print(
                f"  {words:<28}{model[key]['as_well']} of {model[key]['of_people']}"
                f" (an empty prediction: {empty[key]['as_well']})"
            )


def _print_agreement(people: dict[str, Any]) -> None:
    """Print how far two people agree on the scenes that several people annotated."""
    contest, drawn = people["two_people"]["contest"]["mean"], people["two_people"]["drawn"]["mean"]
    strict = f", where either drew something {drawn:.3f}" if drawn is not None else ""
    where = f"two of {people['people']:,} people, on {people['scenes']:,} scenes"
    print(f"{where}: mean Dice {contest:.3f}{strict}")


def print_exploration(numbers: dict[str, Any]) -> None:
    """Print how often each pattern occurs, and the problems in the labels."""
    print(f"{numbers['scenes']:,} scenes")
    width = _name_width(numbers["patterns"])
    for name, entry in numbers["patterns"].items():
        print(f"  {name:<{width}}in {entry['presence']:.1%}")
    if people := numbers.get("people"):
        _print_agreement(people)
    counts = numbers["problems"]["counts"]
    for kind, times in counts.items():
        print(f"{times:,} x {kind}")
    if not counts:
        print("no problem in the labels")


def print_export(path: Path, parity: "Parity") -> None:
    """Print the size of an exported model and its parity with the network."""
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"parity with PyTorch: probabilities within {parity.largest:.1e},")
    print(f"  {parity.differing} of {parity.pixels:,} mask pixels differ")
    print(f"half precision changed probabilities by up to {parity.rounding:.1e}")
    if not parity.calibrated:
        print("its rules come from one of its parts; run 'nephoscope calibrate'")


def _name_width(names: Iterable[str]) -> int:
    return max(map(len, names)) + 2
