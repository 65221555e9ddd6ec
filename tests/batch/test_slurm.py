"""A cluster of one node, from Debian's packages: munge, slurmctld and slurmd on loopback."""

import os
import shutil
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from spinemri.batch.clusters import Machine, SlurmJobs, slurm_crew
from spinemri.batch.engine import Engine, Patience
from spinemri.batch.journal import Journal
from spinemri.batch.obstacles import Surroundings

# Killed on purpose, dask leaves sockets for the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
CONF = """
ClusterName=spinemri
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=10000
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=3000 State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def slurm(tmp_path_factory, monkeypatch):
    """Start the three daemons in a folder of their own; as root, as they want it."""
    missing = [program for program in PROGRAMS if _find(program) is None]
    if missing:
        pytest.skip("Slurm is absent: install Debian's munge, slurmctld, slurmd and slurm-client")
    if os.getuid() != 0:
        pytest.skip("Slurm's daemons need root")
    # A path that others may enter: munge refuses any other.
    folder = Path("/tmp") / f"spinemri-slurm-{os.getpid()}"
    for name in (".", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, folder=folder, ports=_free_ports(2)))
    monkeypatch.setenv("SLURM_CONF", str(conf))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    munge = [
        f"--{name}={folder}/munge.{name.partition('-')[0]}"
        for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")
    ]
    daemons = [
        ["munged", "--foreground", "--force", *munge],
        ["slurmctld", "-D", "-f", str(conf)],
        ["slurmd", "-D", "-f", str(conf), "-N", host],
    ]
    started = []
    try:
        for command in daemons:
            started.append(subprocess.Popen([_find(command[0]), *command[1:]], **quiet))
            time.sleep(0.5)
        _wait_for_node(folder)
        yield folder
    finally:
        subprocess.run(["scancel", "--full", "--state=RUNNING", "-u", "root"], check=False, **quiet)
        for process in reversed(started):
            process.terminate()
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_node(folder: Path) -> None:
    said = ""
    for _ in range(120):
        said = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False).stdout
        if said.startswith("idle"):
            return
        time.sleep(0.25)
    logs = "".join(log.read_text()[-600:] for log in folder.glob("*.log"))
    raise AssertionError(f"the node is {said!r}: {logs}")


def test_a_batch_of_twenty_runs_as_jobs(bench, slurm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds = ["deadly once", "broken"] + ["fine"] * 18
    tasks = bench.tasks(*(bench.visit(f"S{number:02d}", behaviour=kind) for number, kind in enumerate(kinds)))
    jobs = SlurmJobs(1, Machine(2, 2, 1500), queue="batch", walltime="00:10:00")
    with Journal(bench.out) as journal:
        surroundings = Surroundings(bench.root, bench.out, room_bytes=0)
        engine = Engine(partial(slurm_crew, jobs, 90.0), journal, surroundings, bench.events.append, Patience(0.05))
        engine.run(tasks, lambda *_: (), len(tasks))
    states = bench.states()
    assert len(states) == 20
    assert states.pop("sub-S01/ses-1") == ("failed", "NO_SPINE_SERIES", 1)
    assert set(states.values()) == {("done", "", 1)}
    assert len(list((bench.out / "visits").rglob("measurements.json"))) == 19
    # It ran there and not here.
    assert "_slurm_rpc_submit_batch_job" in (slurm / "slurmctld.log").read_text()
