"""Downloads that are killed, crowded or walled in: real processes of src/download.py."""

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tcmbench.common.locks import exclusive
from tcmbench.download import fetch
from tests.download.faulty_server import CONTENT, Reply, Server, serving
from tests.paths import SRC

DOOR = SRC / "download.py"
NAME = "train2018.json.tar.gz"
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
# About 0.5 s for the whole file.
SLOW = Reply(piece=5_000, pause_s=0.01)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Server()) as running:
        yield running


@pytest.fixture
def expect(tmp_path):
    path = tmp_path / "expect.json"
    path.write_text(json.dumps({"sha256": {NAME: SHA256}}))
    return path


def start(out, url, expect, *more):
    command = [sys.executable, DOOR, "--dataset", "inat2018", "--out", out, "--file", NAME]
    command += ["--url", url, "--expect", expect, *more]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(process):
    output, errors = process.communicate(timeout=30)
    assert output == ""
    return process.returncode, errors


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def arrived(out):
    part = out / f".{NAME}.part"
    return part.stat().st_size if part.exists() else 0


def assert_whole(out):
    assert (out / NAME).read_bytes() == CONTENT
    assert json.loads((out / f"{NAME}.verified.json").read_text())["sha256"] == SHA256
    assert not (out / f".{NAME}.part").exists()


# Killed


def test_killed_at_ten_random_moments_it_goes_on_from_there(tmp_path, server, expect):
    out, kept = tmp_path / "out", []
    chance = random.Random(2018)
    for number in range(10):
        process = start(out, server.gives(SLOW), expect)
        goal = max(kept, default=0) + chance.randrange(1, SIZE // 12)
        until(lambda: arrived(out) >= goal)  # noqa: B023
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
        assert not (out / NAME).exists()
        kept.append(arrived(out))
        part = (out / f".{NAME}.part").read_bytes()
        assert part == CONTENT[: len(part)], number
    assert kept == sorted(kept)
    assert kept[-1] < SIZE
    # Each run began where the one before was killed.
    assert server.ranges() == [None, *(f"bytes={size}-" for size in kept[:-1])]
    with serving(Server()) as fresh:
        assert done(start(out, fresh.gives(Reply()), expect)) == (0, "")
        assert fresh.served == SIZE - kept[-1]
    assert_whole(out)


@pytest.mark.parametrize("moment", ["before the name", "before the receipt"])
def test_killed_at_the_very_end(moment, tmp_path, server, expect):
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tcmbench.download import fetch, part, fetching\n"
        "def die(*arguments, **options): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"if {moment == 'before the name'}: part.Part.publish = die\n"
        "else: fetching.Receipt.write = die\n"
        f"fetch([sys.argv[1]], Path(sys.argv[2]), sha256={SHA256!r})\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    killed = subprocess.run(
        [sys.executable, "-c", code, server.gives(Reply()), out / NAME],
        env=os.environ | {"PYTHONPATH": str(DOOR.parent)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert (out / NAME).exists() == (moment == "before the receipt")
    assert done(start(out, server.gives(Reply()), expect)) == (0, "")
    assert_whole(out)
    assert len(server.asked) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_says_that_the_next_call_continues(number, tmp_path, server, expect):
    out = tmp_path / "out"
    process = start(out, server.gives(SLOW), expect)
    until(lambda: arrived(out) > 20_000)
    process.send_signal(number)
    code, errors = done(process)
    assert (code, errors) == (130, "interrupted; the next call continues or starts over cleanly\n")
    kept = arrived(out)
    assert not (out / NAME).exists()
    assert not (out / f".{NAME}.holder.json").exists()
    with serving(Server()) as fresh:
        assert done(start(out, fresh.gives(Reply()), expect)) == (0, "")
        assert fresh.served == SIZE - kept
    assert_whole(out)


# Side by side


def test_two_downloaders_fetch_once(tmp_path, server, expect):
    out = tmp_path / "out"
    url = server.gives(SLOW)
    both = [start(out, url, expect) for _ in range(2)]
    ended = [done(process) for process in both]
    assert [code for code, _ in ended] == [0, 0]
    # One of them waited and said for whom, unless the other was done before it came.
    said = sorted(line for _, line in ended)
    assert said[0] == ""
    assert said[1] == "" or "waiting for process " in said[1]
    assert_whole(out)
    assert server.served == SIZE
    assert len(server.asked) == 1


def test_the_lock_of_a_killed_process_locks_nothing(tmp_path, server, expect):
    out = tmp_path / "out"
    first = start(out, server.gives(Reply(upto=1000, stall_s=30)), expect)
    until(lambda: arrived(out) == 1000)
    second = start(out, server.gives(Reply()), expect)
    assert f"waiting for process {first.pid} on " in second.stderr.readline()
    assert second.poll() is None
    assert (out / f".{NAME}.lock").exists()
    first.kill()
    first.communicate()
    assert done(second)[0] == 0
    assert_whole(out)
    assert server.served == SIZE


def test_a_waiting_process_says_for_whom_and_when_nothing_arrives(tmp_path, capfd):
    target, part = tmp_path / "x.tgz", tmp_path / ".x.tgz.part"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tcmbench.common.locks import exclusive\n"
        "with exclusive(Path(sys.argv[1]), 'downloads', part=Path(sys.argv[2])):\n"
        "    Path(sys.argv[2]).write_bytes(bytes(3_000_000)); print('held', flush=True)\n"
        "    time.sleep(1.5)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, target, part],
        env=os.environ | {"PYTHONPATH": str(DOOR.parent)},
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    with exclusive(target, "downloads x.tgz", part=part, notice_s=0.2, quiet_s=0.7):
        assert holder.wait() == 0
        mine = json.loads((tmp_path / ".x.tgz.holder.json").read_text())
        assert (mine["host"], mine["pid"]) == (socket.gethostname(), os.getpid())
    holder.stdout.close()
    lines = capfd.readouterr().err.splitlines()
    who = f"waiting for process {holder.pid} on {socket.gethostname()} (since "
    assert len(lines) >= 4
    assert all(line.startswith(who) for line in lines)
    assert all("which downloads x.tgz (3 MB so far)" in line for line in lines)
    assert "nothing has arrived" not in lines[0]
    assert "nothing has arrived there for 1 s, end it if it hangs" in lines[-1]
    assert not (tmp_path / ".x.tgz.holder.json").exists()


@pytest.mark.parametrize("alive", [True, False])
def test_without_flock_the_marker_of_a_dead_process_is_removed(alive, tmp_path, monkeypatch):
    import errno
    import fcntl

    def missing(*arguments):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock = tmp_path / ".x.tgz.lock"
    lock.write_text(f"{other.pid}\n{socket.gethostname()}\n")
    if not alive:
        other.communicate(b"\n")
    entered = []

    class WaitedError(Exception):
        pass

    def stop(self):
        raise WaitedError

    monkeypatch.setattr("tcmbench.common.locks._Watch.tell", stop)
    try:
        with exclusive(tmp_path / "x.tgz", "downloads", part=tmp_path / "part", notice_s=0.3):
            entered.append(lock.read_text().split()[0])
    except WaitedError:
        pass
    assert entered == ([] if alive else [str(os.getpid())])
    assert lock.exists() == alive
    if alive:
        other.communicate(b"\n")


def test_hashes_of_first_use_are_recorded_by_many_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tcmbench.download import Trust\n"
        "number = int(sys.argv[2]); table = Path(sys.argv[1])\n"
        "for i in range(15): Trust(table, f'toy/{number}-{i}').record('a' * 64, i, 'x')\n"
        "try: Trust(table, 'toy/same').record(str(number) * 64, 0, 'x'); print('first')\n"
        "except Exception as error: print('other', error)\n"
    )
    table = tmp_path / "trusted.json"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, table, str(number)],
            env=os.environ | {"PYTHONPATH": str(DOOR.parent)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    outputs = [writer.communicate()[0] for writer in writers]
    assert len(json.loads(table.read_text())) == 4 * 15 + 1
    assert sorted(output.split()[0] for output in outputs) == ["first", "other", "other", "other"]


# Walls


@contextmanager
def mounted(folder, *options):
    """A small tmpfs, for root where mounts are allowed; else the test is skipped."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", *options, "none", folder]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_and_the_next_call_goes_on(tmp_path, server, expect):
    with mounted(tmp_path / "small", "-o", "size=128k") as out:
        code, errors = done(start(out, server.gives(Reply()), expect))
        assert code == 2
        assert errors.startswith(f"error: cannot write {out}/.{NAME}.part (No space left on device")
        assert errors.count("\n") == 1
        assert not (out / NAME).exists()
        kept = arrived(out)
        assert 60_000 < kept <= 128 * 1024
        subprocess.run(["mount", "-o", "remount,size=1m", out], check=True)
        server.count_anew()
        assert done(start(out, server.gives(Reply()), expect)) == (0, "")
        assert_whole(out)
        assert server.served == SIZE - kept


def test_a_read_only_folder_is_one_sentence(tmp_path, server, expect):
    with mounted(tmp_path / "locked") as out:
        (out / "sub").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", out], check=True)
        for folder in (out, out / "sub", out / "new"):
            code, errors = done(start(folder, server.gives(Reply()), expect))
            assert (code, errors.count("\n")) == (2, 1)
            assert errors.startswith("error: Read-only file system: ")
        assert server.asked == []
        subprocess.run(["mount", "-o", "remount,rw", out], check=True)
        assert done(start(out, server.gives(Reply()), expect)) == (0, "")
        assert_whole(out)


def test_a_shared_read_only_copy_is_used_with_receipts_elsewhere(tmp_path, server, expect):
    with mounted(tmp_path / "shared") as out:
        (out / NAME).write_bytes(CONTENT)
        subprocess.run(["mount", "-o", "remount,ro", out], check=True)
        code, errors = done(start(out, server.gives(Reply()), expect))
        assert code == 2
        assert f"error: {NAME} is the right file, but its receipt cannot be written" in errors
        receipts = tmp_path / "receipts"
        for _ in range(2):
            found = done(start(out, server.gives(Reply()), expect, "--receipts", receipts))
            assert found == (0, "")
        receipt = json.loads((receipts / f"{NAME}.verified.json").read_text())
        assert (receipt["sha256"], receipt["source"]) == (SHA256, "by hand")
        assert server.asked == []


def test_a_folder_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "x.tgz").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        fetch(["http://127.0.0.1:1/"], tmp_path / "x.tgz", sha256=SHA256)
