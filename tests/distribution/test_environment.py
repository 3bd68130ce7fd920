"""What launchers set, and what is made of it."""

import os

import pytest

from distkeras.distribution import environment
from distkeras.distribution.environment import Launched, child_environment, launched

HYDRA = {"PMI_SIZE": "4", "PMI_RANK": "2", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "0"}
OPENMPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_RANK": "3",
}
SLURM = {
    "SLURM_NTASKS": "5",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
}
BATCH_SCRIPT = {"SLURM_NTASKS": "5", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}


@pytest.mark.parametrize(
    "variables, family, size, rank, local_rank, local_size",
    [
        (HYDRA, "mpich", 4, 2, 0, 2),
        (OPENMPI, "openmpi", 4, 3, 1, 2),
        (SLURM, "", 5, 4, 0, 1),
        ({**SLURM, "SLURM_NODEID": "1"}, "", 5, 4, 0, 2),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "odd"}, "", 5, 4, 0, None),
        ({"SLURM_STEP_NUM_TASKS": "2", "PMIX_RANK": "1"}, "", 2, 1, None, None),
        ({**SLURM, **HYDRA}, "mpich", 4, 2, 0, 2),
        ({"PMI_SIZE": "4"}, "mpich", 4, None, None, None),
    ],
)
def test_launched(variables, family, size, rank, local_rank, local_size):
    found = launched(variables)
    assert found == Launched(found.launcher, family, size, rank, local_rank, local_size)


@pytest.mark.parametrize(
    "variables", [{}, BATCH_SCRIPT, {"PMI_SIZE": "many"}, {"PMI_SIZE": ""}, {"PMIX_RANK": "0"}]
)
def test_not_launched(variables):
    assert launched(variables) is None


def test_children_of_a_rank_are_not_launched():
    assert launched({**HYDRA, environment.RANK_PROCESS: "1"}) is None
    assert launched({**HYDRA, environment.RANK_PROCESS: str(os.getpid())}).rank == 2


def test_child_environment_keeps_settings_and_drops_places():
    settings = {"PATH": "/bin", "OMPI_MCA_btl": "tcp", "PRTE_MCA_x": "1", "SLURM_JOB_ID": "7"}
    places = {**HYDRA, **OPENMPI, "PMI_FD": "9", environment.RANK_PROCESS: "1"}
    assert child_environment({**settings, **places}) == settings
    kept = child_environment({**SLURM, **settings})
    assert launched(kept) is None
    assert kept["SLURM_NTASKS"] == "5"


@pytest.mark.parametrize(
    "own, parent, local_size, threads",
    [
        (8, 8, 1, 8),  # alone
        (8, 8, 3, 2),  # shared
        (2, 2, 4, 1),  # oversubscribed
        (1, 8, 2, 1),  # bound to one core by the launcher
        (4, 8, 4, 2),  # bound to half a machine together with another rank
    ],
)
def test_threads(own, parent, local_size, threads, monkeypatch):
    monkeypatch.setattr(environment, "available_cores", lambda pid=0: parent if pid else own)
    settings = environment.thread_settings(local_size, {})
    assert set(settings) == set(environment.THREAD_VARIABLES)
    assert set(settings.values()) == {str(threads)}


@pytest.mark.parametrize("name", environment.THREAD_VARIABLES)
def test_threads_that_the_user_set_stay(name):
    assert environment.thread_settings(1, {name: "5"}) == {}
