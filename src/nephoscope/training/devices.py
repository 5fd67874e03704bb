"""Processors, processes and precision of a run."""

import ctypes
import os
import platform
from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from nephoscope.core.errors import TrainingError
from nephoscope.training.config import Recipe

PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
"""Lightning's names of the precisions of recipes."""

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
    """
    local = os.environ.get("LOCAL_WORLD_SIZE")
    if local:
        return int(local), int(os.environ["WORLD_SIZE"]) // int(local)
    if SLURMEnvironment.detect():
        return int(os.environ.get("SLURM_NTASKS_PER_NODE", 1)), int(os.environ.get("SLURM_NNODES", 1))
    return (torch.cuda.device_count() if cuda else 1), 1


def is_first_process() -> bool:
    """Whether this process writes and logs, of several that train together."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next(filter(None, ranks), 0)) == 0


def precision(recipe: Recipe, cuda: bool) -> str:
    """The precision of a recipe; `auto` is half precision where the processor computes in it.

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
    return "bf16" if can.get("avx512_bf16") or can.get("amx_bf16") else "fp32"


def keep_freed_memory() -> None:
    """Let glibc's allocator keep freed memory until the process ends; other C libraries stay as they are.

    A step frees and allocates the same large blocks again. By default each returns to the kernel and comes
    back zeroed, page by page, which can take as long as the arithmetic.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for setting, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1)):
            libc.mallopt(setting, value)
