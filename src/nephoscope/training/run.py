"""A training run: from labelled scenes and a recipe to the best weights, through stops and restarts.

A run's folder holds `run.json` (recipe, split, versions), `log.jsonl` and `log.csv`, `panels/`, `last.ckpt`
(all that is needed to go on) and `best.safetensors` (the best epoch's weights with a model's card).
"""

import dataclasses
import logging
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning.callbacks import Callback, EarlyStopping, LearningRateMonitor, WeightAveraging
from pytorch_lightning.loggers.logger import Logger
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from nephoscope.core.errors import TrainingError
from nephoscope.core.types import ProgressFactory
from nephoscope.training import tracking
from nephoscope.training.batches import SceneBatchSampler, batches
from nephoscope.training.cache import Scenes, open_scenes
from nephoscope.training.callbacks import DICE, KeepLast, ThroughputMonitor, ValidationCallback
from nephoscope.training.checkpoint import describe_run, save_weights
from nephoscope.training.config import Recipe
from nephoscope.training.distillation import Origin, read_origin, with_network_of_start
from nephoscope.training.memory import keep_freed_memory
from nephoscope.training.module import SegmentationModule
from nephoscope.training.run_log import RunLog
from nephoscope.training.settings import Settings
from nephoscope.training.validation import Result

BEST, LAST, PANELS = "best.safetensors", "last.ckpt", "panels"

_LOG_EVERY = 20  # steps


@dataclass(frozen=True, eq=False)
class _Job:
    """All that a run works with, however often it begins anew.

    Attributes:
        settings: what to do.
        run: its folder.
        origin: weights to begin with, and teachers.
        scenes: all scenes.
        training, validation: indices of those to train on and to validate on.
        say: told each epoch.
        watch: gives progress for each epoch.
    """

    settings: Settings
    run: Path
    origin: Origin
    scenes: Scenes
    training: list[int]
    validation: list[int]
    say: Callable[[str], None]
    watch: ProgressFactory


def begin(settings: Settings, run: Path, **how: Any) -> Path:
    """Begin a run.

    Args:
        settings: what to do; network and size are taken from `start_from` where that is given.
        run: its folder; made if it is not there.
        how: `cache`, `say` and `watch` of `open_scenes`.

    Returns:
        The best weights.

    Raises:
        TrainingError: there is a run already, or it cannot be trained here.
        DatasetError, DatasetError, TrainingError, TrainingError, ValueError: see `open_scenes`, `split`,
            `start` and `read_origin`.
    """
    if Settings.exist(run) and is_first_process():
        raise TrainingError(f"{run}: a run is there already; --resume {run} goes on with it")
    return _train(with_network_of_start(settings), run, None, **how)


def resume(run: Path, data: Path | None = None, **how: Any) -> Path:
    """Go on with a run that was stopped, from its last whole epoch, as if it had not been.

    Args:
        run: its folder.
        data: where the labelled scenes lie now, if they have moved.
        how: `cache`, `say` and `watch` of `open_scenes`.

    Returns:
        The best weights.

    Raises:
        TrainingError: there is no run, or it cannot go on: its teachers and the weights that it began with
            must be where they were.
    """
    settings = Settings.read(run)
    if data is not None:
        settings = dataclasses.replace(settings, data=str(data.resolve()))
        settings.write(run)
    last = run / LAST
    if last.exists():
        _check(last)
    return _train(settings, run, last if last.exists() else None, **how)


def _train(
    settings: Settings,
    run: Path,
    checkpoint: Path | None,
    *,
    cache: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    watch: ProgressFactory = lambda _: lambda *_: None,
) -> Path:
    recipe = settings.recipe
    if not _on_cuda(settings):
        keep_freed_memory()
    origin = read_origin(settings)
    origin.student(recipe)  # refuses what cannot be built before scenes are decoded for it
    quietly = say if is_first_process() else lambda _: None
    watch = watch if is_first_process() else lambda _: lambda *_: None
    scenes = open_scenes(
        Path(settings.data), recipe.input_size, cache=cache, strict=settings.strict, say=quietly, watch=watch
    )
    training, validation = scenes.split(settings.folds, settings.fold)
    if len({scenes.records[index].group for index in validation}) < 2:
        raise TrainingError("the scenes to validate on are all of one day: rules need at least two")
    quietly(
        f"{len(training):,} scenes to train on, {len(validation):,} to validate on, "
        f"{len(scenes.problems):,} problems in the labels"
    )
    job = _Job(settings, run, origin, scenes, training, validation, quietly, watch)
    parts = recipe.accumulate
    while True:
        try:
            _fit(job, checkpoint, parts)
        except torch.OutOfMemoryError as error:
            processes = math.prod(_devices(_on_cuda(settings)))
            if processes > 1 or 2 * parts > recipe.batch:
                raise TrainingError(
                    f"out of memory with {recipe.batch // parts // processes} scenes at a time; "
                    f"--batch or --size must be smaller, or --accumulate larger"
                ) from error
            parts *= 2
            quietly(
                f"out of memory: going on with {recipe.batch // parts} scenes at a time, "
                f"{parts} times a step, which learns from {recipe.batch} as before"
            )
        else:
            return run / BEST
        torch.cuda.empty_cache()
        checkpoint = run / LAST if (run / LAST).exists() else None


def _fit(job: _Job, checkpoint: Path | None, parts: int) -> None:
    settings, run, training = job.settings, job.run, job.training
    recipe = settings.recipe
    processes = math.prod(_devices(_on_cuda(settings)))
    if recipe.batch % processes or recipe.batch < processes * parts:
        raise TrainingError(f"--batch {recipe.batch} cannot be shared by {processes} processes")
    if len(training) < recipe.batch:
        raise TrainingError(f"{len(training)} scenes to train on are fewer than --batch {recipe.batch}")
    torch.manual_seed(recipe.seed)
    task = SegmentationModule(recipe, job.origin.student(recipe), job.origin.network, job.origin.teachers)
    log = RunLog(run)
    if checkpoint is None:
        log.cut(0)  # of an attempt that ended before its first epoch was whole
    steps = min(len(training), recipe.scenes or len(training)) // recipe.batch
    trainer = _trainer(settings, run, _callbacks(job, log), log, parts, steps)
    on_gpu = trainer.strategy.root_device.type == "cuda"
    share = {"rank": trainer.global_rank, "processes": trainer.world_size}
    order = SceneBatchSampler(
        training, recipe.batch, parts, shuffle=True, seed=recipe.seed, limit=recipe.scenes, **share
    )
    quiet_order = SceneBatchSampler(job.validation, recipe.batch, shuffle=False, **share)
    if is_first_process() and not Settings.exist(run):
        settings.write(run)  # only now: what could be refused has been
    try:
        trainer.fit(
            task,
            batches(job.scenes, order, on_gpu=on_gpu),
            batches(job.scenes, quiet_order, on_gpu=on_gpu),
            ckpt_path=checkpoint,
            weights_only=True,
        )
    except SystemExit as stop:
        if trainer.interrupted:
            raise KeyboardInterrupt from stop
        raise


def _callbacks(job: _Job, log: RunLog) -> list[Callback]:
    """What happens around training; their order matters, see `ValidationCallback`."""
    settings, run, recipe = job.settings, job.run, job.settings.recipe

    def keep(weights: dict[str, Tensor], result: Result, epoch: int) -> None:
        card = describe_run(
            settings, run.name, job.origin.network, job.scenes, job.training, job.validation, result, epoch
        )
        training = card.training | job.origin.provenance
        save_weights(run / BEST, weights, dataclasses.replace(card, training=training))

    judge = ValidationCallback(
        job.scenes, job.validation, run / PANELS, settings.panel_every, keep, recipe.seed
    )
    callbacks: list[Callback] = [judge]
    if recipe.ema:
        callbacks.append(WeightAveraging(multi_avg_fn=_moving_average(recipe)))
    callbacks += [LearningRateMonitor("step"), ThroughputMonitor(job.say, job.watch, recipe.batch)]
    if recipe.patience:
        callbacks.append(EarlyStopping(DICE, patience=recipe.patience, mode="max"))
    return [*callbacks, KeepLast(run / LAST, log)]


def _moving_average(recipe: Recipe) -> Callable[[Any, Any, Any], None]:
    """How `AveragedModel` moves its averages: from them, the weights of a step, and how many came before."""
    plain: Callable[[Any, Any, Any], None] = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
    if not recipe.ema_warm_up:
        return plain

    def rising(averages: Any, weights: Any, steps: Any) -> None:
        decay = min(recipe.ema, (int(steps) + 1) / (int(steps) + 10))
        get_ema_multi_avg_fn(decay)(averages, weights, steps)  # type: ignore[no-untyped-call]

    return rising


def _trainer(
    settings: Settings, run: Path, callbacks: list[Callback], log: RunLog, parts: int, steps: int
) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch")
    recipe = settings.recipe
    loggers: list[Logger] = [log]
    if is_first_process():
        (run / PANELS).mkdir(parents=True, exist_ok=True)
        loggers += tracking.make_trackers(
            settings.trackers, run, settings.run_id, {**dataclasses.asdict(recipe), **settings.versions}
        )
    cuda = _on_cuda(settings)
    devices, nodes = _devices(cuda)
    many = nodes > 1 or devices > 1
    return pl.Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if many else "auto",
        sync_batchnorm=many and cuda,
        precision=PRECISIONS[precision(recipe, cuda)],
        max_epochs=recipe.epochs,
        accumulate_grad_batches=parts,
        logger=loggers,
        callbacks=callbacks,
        log_every_n_steps=max(1, min(_LOG_EVERY, steps)),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # `SceneBatchSampler` shares scenes out itself
        enable_checkpointing=False,  # `KeepLast` and `ValidationCallback` do it, whole or not at all
        enable_progress_bar=False,
        enable_model_summary=False,
        benchmark=cuda,
        default_root_dir=run,
    )


def _devices(cuda: bool) -> tuple[int, int]:
    """Processes on this machine, and machines, as torchrun or SLURM started them.

    Alone, all GPUs are used, or one process on the CPU.
    """
    local = os.environ.get("LOCAL_WORLD_SIZE")
    if local:
        return int(local), int(os.environ["WORLD_SIZE"]) // int(local)
    if SLURMEnvironment.detect():
        return int(os.environ.get("SLURM_NTASKS_PER_NODE", 1)), int(os.environ.get("SLURM_NNODES", 1))
    return (torch.cuda.device_count() if cuda else 1), 1


def _check(checkpoint: Path) -> None:
    """Refuse a checkpoint that cannot be read, before hours are spent on what leads to it."""
    try:
        torch.load(checkpoint, "cpu", weights_only=True, mmap=True)["pytorch-lightning_version"]
    except Exception as error:  # pickle, zip and torch raise what they like
        raise TrainingError(
            f"{checkpoint}: damaged, or not of a run; without this file --resume begins again"
        ) from error


def is_first_process() -> bool:
    """Whether this process speaks for a run: of several that train together, one does."""
    return _rank() == 0


def _on_cuda(settings: Settings) -> bool:
    if settings.device not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"--device {settings.device}: there are auto, cpu, cuda")
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: this PyTorch finds no GPU")
    return settings.device != "cpu" and torch.cuda.is_available()


def _rank() -> int:
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or os.environ.get("LOCAL_RANK") or 0)


PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
"""Lightning's names for a recipe's precisions."""


def precision(recipe: Recipe, cuda: bool) -> str:
    """The precision a recipe is followed in: `auto` takes half precision where the processor computes in it.

    Raises:
        TrainingError: fp16 without a GPU.
    """
    if recipe.precision == "fp16" and not cuda:
        raise TrainingError("--precision fp16 needs a GPU; there are bf16 and fp32")
    if recipe.precision != "auto":
        return recipe.precision
    if cuda:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    can: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases cannot tell
    return "bf16" if can.get("avx512_bf16") or can.get("amx_bf16") else "fp32"
