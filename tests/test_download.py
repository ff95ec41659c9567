import hashlib
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tcmbench.progress
from layouts import LAYOUTS, pack
from tcmbench.datasets import load
from tcmbench.download import fetch
from tcmbench.errors import UserError
from tcmbench.progress import Progress

CONTENT = bytes(range(256)) * 5_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
DOOR = Path(__file__).parents[1] / "src" / "download.py"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        cut = len(CONTENT) // 3 if self.path == "/cut" else len(CONTENT)
        self.wfile.write(CONTENT[:cut] if self.path != "/wrong" else b"x" * cut)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "file.tgz"


def assert_nothing_left(target):
    assert not target.parent.exists() or not list(target.parent.iterdir())


@pytest.mark.parametrize("identity", [{"sha256": SHA256}, {"sha256": SHA256.upper()}, {"md5": MD5}])
@pytest.mark.parametrize("path", ["/good", "/unsized"])
def test_http(path, identity, server, target, capsys):
    fetch([server.url + path], target, **identity)
    assert target.read_bytes() == CONTENT
    assert [p.name for p in target.parent.iterdir()] == ["file.tgz"]
    assert capsys.readouterr().err == ""


def test_file_address(tmp_path, target):
    (tmp_path / "a b.tgz").write_bytes(CONTENT)
    fetch([(tmp_path / "a b.tgz").as_uri()], target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_the_next_address_is_tried(server, target):
    urls = [f"{server.url}/{path}" for path in ("missing", "cut", "wrong", "good", "never")]
    fetch(urls, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert server.asked == ["/missing", "/cut", "/wrong", "/good"]


def test_all_addresses_failing_gives_one_sentence_with_every_reason(server, target, tmp_path):
    urls = [f"{server.url}/missing", f"{server.url}/cut", (tmp_path / "absent").as_uri()]
    with pytest.raises(UserError) as error:
        fetch(urls, target, sha256=SHA256)
    message = str(error.value)
    assert message.startswith("could not fetch file.tgz (")
    assert f"{urls[0]}: HTTP Error 404: Not Found" in message
    assert f"{urls[1]}: the connection ended after 426,666 of 1,280,000 bytes" in message
    assert f"{urls[2]}: <urlopen error" in message
    assert f"put it at {target}" in message
    assert "\n" not in message
    assert_nothing_left(target)


@pytest.mark.parametrize(("kind", "hexdigits"), [("sha256", "0" * 64), ("md5", "0" * 32)])
def test_a_wrong_hash_leaves_nothing(kind, hexdigits, server, target):
    found = hashlib.new(kind, CONTENT).hexdigest()
    with pytest.raises(UserError, match=f"expected {kind} {hexdigits}, got {found}"):
        fetch([f"{server.url}/good"], target, **{kind: hexdigits})
    assert_nothing_left(target)


def test_sha256_decides_where_both_hashes_are_known(server, target):
    fetch([f"{server.url}/good"], target, sha256=SHA256, md5="0" * 32)
    assert target.exists()


def test_without_a_hash_the_size_must_fit_and_the_found_hash_is_told(server, target, capsys):
    with pytest.raises(UserError, match="expected 7 bytes, got 1,280,000 bytes"):
        fetch([f"{server.url}/good"], target, size=7)
    assert_nothing_left(target)
    fetch([f"{server.url}/good"], target, size=len(CONTENT))
    warning = capsys.readouterr().err
    assert warning.startswith("warning: no hash is known for file.tgz")
    assert SHA256 in warning
    assert warning.count("\n") == 1


def test_a_file_that_is_there_is_kept_and_checked_without_the_network(target):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    fetch(["http://127.0.0.1:1/never"], target, sha256=SHA256)
    with pytest.raises(
        UserError, match=r"file\.tgz is not the published file: expected md5 .* remove"
    ):
        fetch(["http://127.0.0.1:1/never"], target, md5="0" * 32)
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_not_blamed_on_the_address(server, target, monkeypatch):
    class Full:
        def update(self, chunk):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tcmbench.download._Check.update", Full.update)
    with pytest.raises(OSError, match="No space left") as error:
        fetch([f"{server.url}/good"], target, sha256=SHA256)
    assert not isinstance(error.value, UserError)
    assert_nothing_left(target)


@pytest.mark.parametrize("url", ["file.tgz", "s3://bucket/file.tgz", ""])
def test_something_that_is_no_address_is_refused(url, target):
    with pytest.raises(UserError, match="is not an address; begin it with https://, http://"):
        fetch([url], target, sha256=SHA256)


# The expectation file


def test_an_expectation_replaces_hashes_and_counts(tmp_path):
    path = tmp_path / "expect.json"
    counts = {"train_images": 1, "train_classes": 2, "test_images": 3, "test_classes": 4}
    path.write_text(json.dumps({"sha256": {"car_ims.tgz": "ab"}, "counts": counts}))
    cars = load("cars196").expecting(path)
    assert [(a.name, a.sha256, a.md5, a.size) for a in cars.layout().archives] == [
        ("car_ims.tgz", "ab", None, None),
        ("cars_annos.mat", None, None, None),
    ]
    assert vars(cars.counts) == counts
    path.write_text("{}")
    assert load("cars196").expecting(path).counts == load("cars196").counts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with the keys counts, sha256"),
        ({"sha265": {}}, "unknown key 'sha265'; did you mean 'sha256'"),
        ({"sha256": {"car_im.tgz": ""}}, "unknown key 'car_im.tgz'; did you mean 'car_ims.tgz'"),
        ({"counts": {"train_images": 1}}, "counts needs the whole numbers test_classes, "),
        (
            {"counts": dict.fromkeys(("train_images", "train_classes", "test_images"), 1)
             | {"test_classes": "4"}},
            "counts needs the whole numbers",
        ),
    ],
)  # fmt: skip
def test_an_expectation_of_another_shape_is_refused(content, message, tmp_path):
    path = tmp_path / "expect.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        load("cars196").expecting(path)


# The command


def run(*arguments):
    return subprocess.run(
        [sys.executable, DOOR, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_command_fetches_every_archive_of_an_expectation(tmp_path):
    origin = pack(tmp_path / "origin", LAYOUTS["inat2018"]())
    hashes = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in origin.iterdir()}
    expect = tmp_path / "expect.json"
    expect.write_text(json.dumps({"sha256": hashes}))
    out = tmp_path / "out"
    for name in hashes:
        address = (origin / name).as_uri()
        done = run("--dataset", "inat2018", "--out", out, "--file", name, "--url", address,
                   "--expect", expect)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {
        p.name: p.read_bytes() for p in origin.iterdir()
    }
    # All are there by now, so the call for all of them only checks and needs no network.
    done = run("--dataset", "inat2018", "--out", out, "--expect", expect)
    assert (done.returncode, done.stderr) == (0, "")


def test_command_refuses_bad_input_with_one_line(tmp_path):
    archive = pack(tmp_path, LAYOUTS["cub"]()) / "CUB_200_2011.tgz"
    out = tmp_path / "out"
    cases = {
        "there is no dataset 'cubs'; did you mean 'cub'?": ["--dataset", "cubs"],
        "CUB-200-2011 has no archive 'CUB.tgz'; did you mean": [
            "--dataset", "cub", "--file", "CUB.tgz",
        ],
        "expected sha256 0c685df5597a8b24": ["--dataset", "cub", "--url", archive.as_uri()],
        "--url gives one file; say which with --file (one of car_ims.tgz, cars_annos.mat)": [
            "--dataset", "cars196", "--url", archive.as_uri(),
        ],
    }  # fmt: skip
    for message, arguments in cases.items():
        done = run("--out", out, *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert not out.exists() or not list(out.iterdir())


# Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(tcmbench.progress.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_silent_at_first_and_then_tells_the_time_left(clock, capsys):
    with Progress(1_234, "images", "unpacking") as progress:
        clock[0] += 19.9
        progress.update(199)
        assert capsys.readouterr().err == ""
        clock[0] += 0.1
        progress.update()
        # 200 images in 20 s are 10 a second; the other 1,034 need 103.4 s.
        assert capsys.readouterr().err == (
            "unpacking: 200 of 1,234 images, 10.0 images/s, 01:43 left\n"
        )
        clock[0] += 19
        progress.update()
    assert capsys.readouterr().err == ""


def test_progress_rewrites_its_line_on_a_terminal(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(None, "MB", "downloading") as progress:
        for _ in range(2):
            clock[0] += 2
            progress.update(30)
    assert capsys.readouterr().err == (
        "\rdownloading: 30 MB, 15.0 MB/s\x1b[K\rdownloading: 60 MB, 15.0 MB/s\x1b[K\n"
    )


def test_progress_counts_hours(clock, capsys):
    progress = Progress(120_000, "MB", "x")
    clock[0] += 20
    progress.update(200)
    # The other 119,800 MB at 10 MB/s need 11,980 s = 3 h 19 min 40 s.
    assert "3:19:40 left" in capsys.readouterr().err
