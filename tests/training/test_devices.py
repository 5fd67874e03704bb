"""How many processes train together, as torchrun or SLURM started them, and in which precision."""

import pytest
import torch

from nephoscope.core.errors import TrainingError
from nephoscope.training import devices
from nephoscope.training.config import make_recipe
from nephoscope.training.devices import count_processes, precision

BATCH = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "job.sh", "SLURM_PROCID": "0", "SLURM_NNODES": "2"}


@pytest.fixture
def started_by(monkeypatch):
    """Sets the environment that a launcher gives its processes."""
    for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE", "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)

    def start(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


def test_alone_a_process_trains_on_the_cpu(started_by):
    assert count_processes(cuda=False) == (1, 1)


def test_torchrun_states_processes_a_machine(started_by):
    started_by(LOCAL_WORLD_SIZE="4", WORLD_SIZE="8")
    assert count_processes(cuda=False) == (4, 2)


def test_srun_states_tasks_a_machine(started_by):
    started_by(**BATCH, SLURM_NTASKS="8", SLURM_NTASKS_PER_NODE="4", SLURM_STEP_ID="0")
    assert count_processes(cuda=False) == (4, 2)


def test_one_task_needs_no_srun(started_by):
    started_by(**BATCH | {"SLURM_NNODES": "1"}, SLURM_NTASKS="1")
    assert count_processes(cuda=False) == (1, 1)


@pytest.mark.parametrize("each", [{}, {"SLURM_NTASKS_PER_NODE": "4"}])
def test_tasks_that_nobody_starts_are_not_waited_for(started_by, each):
    started_by(**BATCH, SLURM_NTASKS="8", **each)
    with pytest.raises(TrainingError, match="reserved 8 tasks.*start it with srun --ntasks-per-node 4"):
        count_processes(cuda=False)


def test_srun_without_tasks_a_machine_is_refused(started_by):
    started_by(**BATCH, SLURM_NTASKS="8", SLURM_STEP_ID="0")
    with pytest.raises(TrainingError, match="use --ntasks-per-node 4 in place of --ntasks 8"):
        count_processes(cuda=False)


@pytest.mark.parametrize(
    ("can", "vendor", "expected"),
    [
        ({}, "GenuineIntel", "fp32"),
        ({"avx512_bf16": True}, "GenuineIntel", "fp32"),
        ({"avx512_bf16": True, "amx_bf16": True}, "GenuineIntel", "bf16"),
        ({"avx512_bf16": True}, "AuthenticAMD", "bf16"),
    ],
)
def test_half_precision_is_used_where_it_is_quicker(monkeypatch, can, vendor, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    monkeypatch.setattr(devices, "_processor", lambda: f"vendor_id : {vendor}")
    assert precision(make_recipe(), cuda=False) == expected
    assert precision(make_recipe(precision="bf16"), cuda=False) == "bf16"


def test_half_precision_of_gpus_needs_one():
    with pytest.raises(TrainingError, match="needs a GPU"):
        precision(make_recipe(precision="fp16"), cuda=False)
