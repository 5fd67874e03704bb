"""A training run: from labelled scenes and a recipe to the best weights, resumable at any time.

The folder of a run holds `run.json` (recipe, split, versions), `log.jsonl` and `log.csv`, `panels/`,
`last.ckpt` (the state to resume from) and `best.safetensors` (weights of the best epoch, with their card).
"""

import dataclasses
import logging
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, LearningRateMonitor, WeightAveraging
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.strategies import DDPStrategy
from torch.distributed import DistNetworkError, DistStoreError
from torch.optim.swa_utils import get_ema_multi_avg_fn

from nephoscope.core.errors import TrainingError
from nephoscope.core.types import ProgressFactory
from nephoscope.datasets.catalogue import Record
from nephoscope.training import tracking
from nephoscope.training.batches import SceneBatchSampler, batches
from nephoscope.training.cache import Scenes, open_scenes
from nephoscope.training.callbacks import DICE, KeepLast, MeanWithStart, ThroughputMonitor, ValidationCallback
from nephoscope.training.checkpoint import Weights
from nephoscope.training.config import Recipe
from nephoscope.training.devices import (
    PRECISIONS,
    START_LIMIT,
    count_processes,
    is_first_process,
    keep_freed_memory,
    precision,
    use_cuda,
)
from nephoscope.training.distillation import Origin, read_origin, with_network_of_start
from nephoscope.training.few_scenes import fit_settings
from nephoscope.training.job import BEST, LAST, PANELS, Job
from nephoscope.training.kept_rules import KeptRules, too_few
from nephoscope.training.module import SegmentationModule
from nephoscope.training.replay import Replay, open_replay, replayed
from nephoscope.training.run_log import RunLog
from nephoscope.training.scores import score_start
from nephoscope.training.settings import Settings
from nephoscope.training.transfer import changes_in_words

_LOG_EVERY = 20  # steps


def begin(settings: Settings, run: Path, **options: Any) -> Path:
    """Begin a run.

    Args:
        settings: of the run; network and size are those of `start_from`, if given.
        run: its folder; created if it does not exist.
        options: `cache`, `log` and `progress` of `open_scenes`.

    Returns:
        The file of the best weights.

    Raises:
        TrainingError: the folder has a run, or the settings cannot be used here.
        DatasetError: see `open_scenes` and `Scenes.split`.
    """
    if Settings.exist(run) and is_first_process():
        raise TrainingError(f"{run}: already has a run; --resume {run} continues it")
    return _train(with_network_of_start(settings), run, None, **options)


def resume(run: Path, data: Path | None = None, **options: Any) -> Path:
    """Resume a run from its last complete epoch, with the same result as without the interruption.

    Args:
        run: its folder.
        data: the folder of labelled scenes, if it has moved.
        options: as for `begin`.

    Raises:
        TrainingError: there is no run, its checkpoint is damaged, or its teachers or initial weights have
            moved.
    """
    settings = Settings.read(run)
    if data is not None:
        settings = dataclasses.replace(settings, data=str(data.resolve()))
        settings.write(run)
    checkpoint = run / LAST if (run / LAST).exists() else None
    if checkpoint is not None:
        try:  # to load it comes late, after the scenes are decoded
            torch.load(checkpoint, "cpu", weights_only=True, mmap=True)["pytorch-lightning_version"]
        except Exception as error:  # pickle, zip and torch share no base class
            raise TrainingError(
                f"{checkpoint}: damaged, or not a checkpoint; delete it, and --resume begins again"
            ) from error
    return _train(settings, run, checkpoint, **options)


def _train(
    settings: Settings,
    run: Path,
    checkpoint: Path | None,
    *,
    cache: Path | None = None,
    log: Callable[[str], None] = lambda _: None,
    progress: ProgressFactory = lambda _: lambda *_: None,
) -> Path:
    recipe, cuda = settings.recipe, use_cuda(settings.device)
    processes = math.prod(count_processes(cuda))  # refuse what cannot start before scenes are decoded
    if not cuda:
        keep_freed_memory()
    origin = read_origin(settings)
    origin.student(recipe, ("one",))  # refuse what cannot be built before scenes are decoded for it
    if not is_first_process():
        log, progress = (lambda _: None), (lambda _: lambda *_: None)
    data, strict = Path(settings.data), settings.strict
    scenes = open_scenes(data, recipe.input_size, cache=cache, strict=strict, log=log, progress=progress)
    origin.check_patterns(scenes.patterns)
    settings = fit_settings(settings, scenes, log)
    recipe = settings.recipe
    training, validation = scenes.split(settings.split)
    held_out = [scenes.records[index] for index in validation]
    if not settings.start_from and len({record.group for record in held_out}) < 2:
        raise TrainingError(
            "the scenes to validate on are all of one day: rules need at least two; --from MODEL keeps the "
            "rules of a model"
        )
    log(
        f"{len(training):,} scenes to train on, {len(validation):,} to validate on, "
        f"{len(scenes.problems):,} problems in the labels"
    )
    if processes > 1:
        log(f"waiting for {processes} processes to start, for at most {START_LIMIT}")
    options = {"cache": cache, "strict": strict, "log": log, "progress": progress}
    replay, kept = _replay(settings, scenes, held_out, options), _kept(origin, scenes, held_out)
    if origin.initial is not None:
        if words := changes_in_words(origin.initial, scenes.patterns, recipe.input_size):
            log(words)
        if kept is not None:
            log(f"rules {kept.in_words(len(held_out))}")
        if is_first_process() and not Settings.exist(run):
            for which, score in score_start(settings, run, progress).items():
                log(f"before training: {score.in_words(which)}")
    job = Job(settings, run, origin, scenes, training, validation, log, progress, replay, kept)
    parts = recipe.accumulate
    while True:
        try:
            _fit(job, checkpoint, parts)
        except (DistStoreError, DistNetworkError) as error:
            raise TrainingError(
                f"not all of {processes} processes started, or one ended: {error}; start each by srun or "
                "torchrun, with ports open between the machines"
            ) from error
        except torch.OutOfMemoryError as error:
            if processes > 1 or 2 * parts > recipe.batch:
                raise TrainingError(
                    f"out of memory with {recipe.batch // parts // processes} scenes at a time; "
                    f"--batch or --size must be smaller, or --accumulate larger"
                ) from error
            parts *= 2
            log(
                f"out of memory: continuing with {recipe.batch // parts} scenes at a time, "
                f"{parts} times a step; a step still learns from {recipe.batch}"
            )
        else:
            return run / BEST
        torch.cuda.empty_cache()
        checkpoint = run / LAST if (run / LAST).exists() else None


def _replay(
    settings: Settings, scenes: Scenes, held_out: Sequence[Record], options: dict[str, Any]
) -> Replay | None:
    """Open the older scenes of a run, if it has any."""
    if settings.replay is None:
        return None
    recipe = settings.recipe
    replay = open_replay(Path(settings.replay), scenes, held_out, recipe.input_size, **options)
    older = replayed(recipe.batch, recipe.replay_share)
    options["log"](f"{len(replay.training):,} older scenes to train on, {older} of {recipe.batch} a step")
    return replay


def _kept(origin: Origin, scenes: Scenes, held_out: Sequence[Record]) -> KeptRules | None:
    """The rules of the initial weights, where validation scenes are too few to choose others."""
    if origin.initial is None or not too_few(held_out):
        return None
    return KeptRules.of(origin.initial.card, scenes.patterns)


def _fit(job: Job, checkpoint: Path | None, parts: int) -> None:
    settings, run, training, origin = job.settings, job.run, job.training, job.origin
    recipe, classes = settings.recipe, len(job.scenes.patterns)
    processes = math.prod(count_processes(use_cuda(settings.device)))
    if recipe.batch % processes or recipe.batch < processes * parts:
        raise TrainingError(f"--batch {recipe.batch} cannot be shared by {processes} processes")
    if len(training) < recipe.batch - job.replayed:
        raise TrainingError(f"{len(training)} scenes to train on are fewer than --batch {recipe.batch}")
    torch.manual_seed(recipe.seed)
    network = origin.student(recipe, job.scenes.patterns)
    module = SegmentationModule(recipe, network, origin.network, classes, origin.teachers)
    run_log = RunLog(run)
    if checkpoint is None:
        run_log.cut(0)  # of an attempt that ended in its first epoch
    trainer = _trainer(job, network.state_dict(), run_log, parts)
    share = trainer.global_rank, trainer.world_size
    on_gpu = trainer.strategy.root_device.type == "cuda"
    first = len(job.scenes.records)
    sampler = SceneBatchSampler(
        *(training, recipe.batch, parts),
        shuffle=True,
        seed=recipe.seed,
        limit=recipe.scenes,
        share=share,
        replay=[first + index for index in job.replay.training] if job.replay else (),
        replayed=job.replayed,
    )
    validation_sampler = SceneBatchSampler(job.validation, recipe.batch, shuffle=False, share=share)
    if is_first_process() and not Settings.exist(run):
        settings.write(run)  # only now, so that a refused run can be tried again
    try:
        trainer.fit(
            module,
            batches(job.scenes, sampler, job.replay, on_gpu=on_gpu),
            batches(job.scenes, validation_sampler, on_gpu=on_gpu),
            ckpt_path=checkpoint,
            weights_only=True,
        )
    except SystemExit as stop:
        if trainer.interrupted:
            raise KeyboardInterrupt from stop
        raise


def _trainer(job: Job, start: Weights, run_log: RunLog, parts: int) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch")
    settings, run, recipe = job.settings, job.run, job.settings.recipe
    loggers: list[Logger] = [run_log]
    if is_first_process():
        (run / PANELS).mkdir(parents=True, exist_ok=True)
        loggers += tracking.make_trackers(
            settings.trackers, run, settings.run_id, {**dataclasses.asdict(recipe), **settings.versions}
        )
    # The order matters: see `ValidationCallback` and `MeanWithStart`.
    callbacks: list[Callback] = [ValidationCallback(job)]
    if job.replay is not None:
        callbacks.append(MeanWithStart(start))
    if recipe.ema:
        callbacks.append(WeightAveraging(multi_avg_fn=_moving_average(recipe)))
    callbacks += [LearningRateMonitor("step"), ThroughputMonitor(job)]
    if recipe.patience:
        callbacks.append(EarlyStopping(DICE, patience=recipe.patience, mode="max"))
    steps = min(len(job.training), recipe.scenes or len(job.training)) // (recipe.batch - job.replayed)
    cuda = use_cuda(settings.device)
    devices, nodes = count_processes(cuda)
    many = nodes > 1 or devices > 1
    return pl.Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=START_LIMIT) if many else "auto",
        sync_batchnorm=many and cuda,
        precision=PRECISIONS[precision(recipe, cuda)],
        max_epochs=recipe.epochs,
        accumulate_grad_batches=parts,
        logger=loggers,
        callbacks=[*callbacks, KeepLast(run / LAST, run_log)],
        log_every_n_steps=max(1, min(_LOG_EVERY, steps)),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # `SceneBatchSampler` shares scenes among processes
        enable_checkpointing=False,  # `KeepLast` and `ValidationCallback` write atomically
        enable_progress_bar=False,
        enable_model_summary=False,
        benchmark=cuda,
        default_root_dir=run,
    )


def _moving_average(recipe: Recipe) -> Callable[[Any, Any, Any], None]:
    """The update of `AveragedModel`: of averages, by the weights of a step and the number of steps before."""
    plain: Callable[[Any, Any, Any], None] = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    if not recipe.ema_warm_up:
        return plain

    def rising(averages: Any, weights: Any, steps: Any) -> None:
        decay = min(recipe.ema, (int(steps) + 1) / (int(steps) + 10))
        get_ema_multi_avg_fn(decay)(averages, weights, steps)  # type: ignore[no-untyped-call]

    return rising
