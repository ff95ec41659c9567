"""A real Slurm on this machine, in a folder of its own: one node, its cores, two pretended GPUs.

Nothing is read from or written to /etc or /run, so a Slurm that is installed here is left alone.
"""

import importlib.util
import os
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue")
PLUGIN = "snakemake_executor_plugin_slurm"
GPUS = 2
NULL = os.makedev(1, 3)
# Short times, so that a requeued job is taken up again within seconds and not after two minutes.
CONFIGURATION = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
KillWait=30
GresTypes=gpu
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 \
  CPUs={cores} RealMemory={memory} Gres=gpu:toy:{gpus}
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Say why no Slurm can be started here; nothing where one can."""
    if os.getuid() != 0:
        return "only root can start Slurm's daemons"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"Debian's packages slurm-wlm and munge are not here ({', '.join(lacking)})"
    if importlib.util.find_spec(PLUGIN) is None:
        return "snakemake-executor-plugin-slurm is not installed"
    return ""


@dataclass(frozen=True)
class Cluster:
    """A Slurm that runs.

    Attributes:
        environment: what a workflow needs to find it; `PATH` goes in front of the usual one.
    """

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        environment = {**os.environ, "SLURM_CONF": self.environment["SLURM_CONF"]}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def jobs(self, state: str = "RUNNING") -> dict[str, str]:
        """Return the jobs in a state: what `rule_train_...` each is for, by its number."""
        lines = self.ask("squeue", "--noheader", f"--states={state}", "--format=%i %k").splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    def asked(self, job: str) -> str:
        """Return cores, memory and time that a job asks for, and its GPUs."""
        told = self.ask("scontrol", "show", "job", job)
        return " ".join(re.findall(r"(?:TRES|TresPerJob|TimeLimit)=(\S+)", told))

    def gpu(self, job: str) -> str | None:
        """Return the number of the pretended GPU that a running job has been given."""
        told = self.ask("scontrol", "show", "job", "-d", job)
        found = re.search(r"GRES=gpu[^ ]*\(IDX:([0-9,-]+)\)", told)
        return found[1] if found else None


@contextmanager
def started(folder: Path, cores: int, memory_mb: int) -> Iterator[Cluster]:
    """Start munged, slurmctld and slurmd, and end them and all jobs after.

    Args:
        folder: where everything of it lives.
        cores: that its node is said to have.
        memory_mb: likewise.
    """
    _write(folder, cores, memory_mb)
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": str(folder / "bin")}
    with ExitStack() as daemons:
        for command in (
            ["munged", "--foreground", f"--key-file={folder}/munge.key", "--force",
             f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
             f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"],
            ["slurmctld", "-D", "-i"],
            ["slurmd", "-D", "-N", "localhost"],
        ):  # fmt: skip
            daemons.enter_context(_daemon(command, folder))
            time.sleep(1)
        cluster = Cluster(environment)
        _wait_for_node(cluster)
        try:
            yield cluster
        finally:
            cluster.ask("scancel", "--full", "--signal=KILL", "--partition=main")
            cluster.ask("scancel", "--partition=main")
            time.sleep(2)
            _end_what_is_left(folder)


def _end_what_is_left(folder: Path) -> None:
    """Kill processes of jobs whose parent ended first: proctrack/linuxproc loses sight of them."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(folder / "bin") in process.environ().get("PATH", "").split(os.pathsep):
                process.kill()


def _write(folder: Path, cores: int, memory_mb: int) -> None:
    """Write the configuration and the devices."""
    for name in ("state", "spool", "gpu", "bin"):
        (folder / name).mkdir(parents=True)
    for index in range(GPUS):
        os.mknod(folder / f"gpu/pretended{index}", stat.S_IFCHR | 0o600, NULL)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    text = CONFIGURATION.format(
        folder=folder,
        host=socket.gethostname().partition(".")[0],
        control=_free_port(),
        daemon=_free_port(),
        cores=cores,
        memory=memory_mb,
        gpus=GPUS,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(
        f"Name=gpu Type=toy File={folder}/gpu/pretended[0-{GPUS - 1}]\n"
    )
    # The executor starts `srun` within a job without SLURM_CONF, as clusters keep it under /etc.
    srun = folder / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _daemon(command: list[str], folder: Path) -> Iterator[None]:
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    with (folder / f"{command[0]}.out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _wait_for_node(cluster: Cluster) -> None:
    deadline = time.monotonic() + 60
    while "idle" not in cluster.ask("sinfo", "--noheader", "--format=%T"):
        assert time.monotonic() < deadline, cluster.ask("sinfo")
        time.sleep(1)
