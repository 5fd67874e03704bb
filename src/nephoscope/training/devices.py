"""Processors, processes and precision of a run."""

import ctypes
import os
import platform
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from nephoscope.core.errors import TrainingError
from nephoscope.training.config import Recipe

PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
"""Lightning's names of the precisions of recipes."""

START_LIMIT = timedelta(minutes=30)
"""How long a process of several waits for the others, at the start and whenever they exchange numbers."""

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # as glibc's malloc.h numbers them


def use_cuda(device: str) -> bool:
    """Whether `auto`, `cpu` or `cuda` means a GPU here.

    Raises:
        TrainingError: an unknown device, or `cuda` without a GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"unknown --device {device!r}; available: auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: PyTorch finds no GPU")
    return device != "cpu" and torch.cuda.is_available()


def count_processes(cuda: bool) -> tuple[int, int]:
    """Processes a machine, and machines, as torchrun or SLURM started them.

    Started otherwise, a process a GPU, or one on the CPU.

    Raises:
        TrainingError: SLURM reserved several tasks, and srun did not start them as Lightning needs it.
    """
    local = os.environ.get("LOCAL_WORLD_SIZE")
    if local:
        return int(local), int(os.environ["WORLD_SIZE"]) // int(local)
    if SLURMEnvironment.detect():
        return _count_slurm_tasks()
    return (torch.cuda.device_count() if cuda else 1), 1


def _count_slurm_tasks() -> tuple[int, int]:
    """Tasks a machine, and machines; without the check, one process would wait for the others for ever."""
    tasks, machines = int(os.environ["SLURM_NTASKS"]), int(os.environ.get("SLURM_NNODES", 1))
    each = os.environ.get("SLURM_NTASKS_PER_NODE")
    if tasks > 1 and "SLURM_STEP_ID" not in os.environ:  # which srun sets
        raise TrainingError(
            f"SLURM reserved {tasks} tasks, but only this process was started: start it with "
            f"srun --ntasks-per-node {each or tasks // machines} nephoscope train ..., or reserve one task"
        )
    if tasks > 1 and each is None:
        raise TrainingError(
            f"srun started {tasks} tasks without stating how many a machine: use "
            f"--ntasks-per-node {tasks // machines} in place of --ntasks {tasks}"
        )
    return int(each or 1), machines


def is_first_process() -> bool:
    """Whether this process writes and logs, of several that train together."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next(filter(None, ranks), 0)) == 0


def precision(recipe: Recipe, cuda: bool) -> str:
    """The precision of a recipe; `auto` is half precision where the processor is quicker in it.

    On AMD's processors bf16 is quicker than fp32. On one of Intel's, whose AVX-512 has it but which has no
    AMX, a step took 1.5 times as long in it.

    Raises:
        TrainingError: fp16 without a GPU.
    """
    if recipe.precision == "fp16" and not cuda:
        raise TrainingError("--precision fp16 needs a GPU; use bf16 or fp32")
    if recipe.precision != "auto":
        return recipe.precision
    if cuda:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    can: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older releases
    is_quicker = can.get("amx_bf16") or (can.get("avx512_bf16") and "AuthenticAMD" in _processor())
    return "bf16" if is_quicker else "fp32"


def _processor() -> str:
    """What the system says about the processor, with its vendor."""
    facts = Path("/proc/cpuinfo")
    return facts.read_text(errors="replace") if facts.is_file() else platform.processor()


def keep_freed_memory() -> None:
    """Let glibc's allocator keep freed memory until the process ends; other C libraries stay as they are.

    A step frees and allocates the same large blocks again. By default each returns to the kernel and comes
    back zeroed, page by page, which can take as long as the arithmetic.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for setting, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1)):
            libc.mallopt(setting, value)
