"""The table of mirrors, the check of all of them, and the one address by ftp."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from urllib.parse import urlsplit

import pytest

from tcmbench.common.errors import UserError
from tcmbench.datasets import load, names
from tcmbench.datasets.base import MIRRORS, Archive
from tcmbench.download import Patience, fetch
from tcmbench.download.links import Link, probe, table, unreachable
from tests.download.faulty_server import CONTENT, Reply, Server, serving
from tests.download.ftp_server import ftp_server
from tests.paths import SRC

DOOR = SRC / "check_links.py"
SIZE = len(CONTENT)
TABLE = tomllib.loads(MIRRORS.read_text())
ENTRIES = [(dataset, name) for dataset, files in TABLE.items() for name in files]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Server()) as running:
        yield running


# The table


def test_every_file_of_every_layout_is_listed_and_every_entry_is_used():
    used = {
        (name, archive.name)
        for name in names()
        for layout in load(name).layouts.values()
        for archive in layout.archives
    }
    assert used == set(ENTRIES)


@pytest.mark.parametrize(("dataset", "name"), ENTRIES)
def test_an_entry_of_the_table_makes_sense(dataset, name):
    entry = TABLE[dataset][name]
    assert set(entry) <= {"size", "sha256", "md5", "mirrors"}
    assert "/" not in name
    assert not name.startswith(".")
    for kind, digits in (("sha256", 64), ("md5", 32)):
        assert re.fullmatch(rf"[0-9a-f]{{{digits}}}", entry.get(kind, "0" * digits))
    assert type(entry.get("size", 1)) is int
    assert entry.get("size", 1) > 0
    assert len(set(entry["mirrors"])) == len(entry["mirrors"])
    schemes = [urlsplit(url).scheme for url in entry["mirrors"]]
    # Encryption cannot vouch for a file, but a hash does: others are last and only where one is.
    if any(scheme != "https" for scheme in schemes):
        assert "sha256" in entry
        assert schemes[0] == "https"
        assert set(schemes) <= {"https", "http", "ftp"}


def test_no_address_and_no_hash_stands_twice():
    urls = [url for dataset, name in ENTRIES for url in TABLE[dataset][name]["mirrors"]]
    hashes = [
        TABLE[d][n][kind] for d, n in ENTRIES for kind in ("md5", "sha256") if kind in TABLE[d][n]
    ]
    assert len(set(urls)) == len(urls)
    assert len(set(hashes)) == len(hashes)


# The check of links


def ask(url, size=None):
    link = probe("toy", Archive("file.tgz", (url,), size), url, 2.0)
    assert (link.dataset, link.file, link.url) == ("toy", "file.tgz", url)
    return link.state, link.size


def test_a_good_mirror_is_asked_for_its_head_alone(server):
    assert ask(server.gives(Reply()), SIZE) == ("ok", SIZE)
    assert ask(server.gives(Reply())) == ("ok", SIZE)
    assert [method for method, *_ in server.asked] == ["HEAD", "HEAD"]
    assert server.served == 0


@pytest.mark.parametrize("refusal", [Reply(b"", 403), Reply(b"", 405), Reply(announce=-1)])
def test_where_the_head_says_nothing_one_byte_is_asked_for(refusal, server):
    assert ask(server.gives(refusal, Reply()), SIZE) == ("ok", SIZE)
    assert [(method, asked) for method, _, asked, _ in server.asked] == [
        ("HEAD", None),
        ("GET", "bytes=0-0"),
    ]
    assert server.served <= 1


def test_every_trouble_has_a_word(server):
    page = Reply(b"<html>Quota</html>", headers={"Content-Type": "text/html"})
    assert ask(server.gives(Reply()), SIZE + 1) == ("wrong size", SIZE)
    assert ask(server.gives(page), SIZE) == ("web page", None)
    assert ask(server.gives(Reply(b"", 404)), SIZE) == ("HTTP 404 Not Found", None)
    assert ask(server.gives(Reply(b"", 503)), SIZE) == ("HTTP 503 Service Unavailable", None)
    assert ask("http://127.0.0.1:1/x") == ("Connection refused", None)
    assert ask(server.gives(Reply(announce=-1, ranges=False))) == ("ok", None)
    assert ask("") == ("by hand", None)


def test_ftp_is_asked_for_the_size(server):
    with ftp_server(CONTENT) as address:
        assert ask(f"{address}/sop.zip", SIZE) == ("ok", SIZE)
        assert ask(f"{address}/sop.zip", 7) == ("wrong size", SIZE)
        assert ask(f"{address}/other.zip") == ("550 no such file", None)
    assert ask("ftp://127.0.0.1:1/x") == ("Connection refused", None)


def test_a_file_is_lost_where_mirrors_are_known_and_none_works():
    def link(file, state):
        return Link("toy", file, "h", "u", state, None)

    links = [link("a", "ok"), link("a", "HTTP 404"), link("b", "web page"), link("b", "wrong size")]
    links += [link("c", "by hand"), link("d", "HTTP 404"), link("d", "ok")]
    assert unreachable(links) == ["toy/b"]
    assert table([Link("toy", "a.zip", "host.example", "u", "ok", 1234), links[4]]) == (
        "dataset  file   host          state    size\n"
        "toy      a.zip  host.example  ok       1,234\n"
        "toy      c      h             by hand  -"
    )


def test_command_without_a_network_reports_every_mirror(tmp_path, monkeypatch):
    # A proxy that refuses stands for a machine without network; ftp would go past it.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    report = tmp_path / "links.json"
    command = [sys.executable, DOOR, "--dataset", "cub", "--json", report, "--timeout", "2"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "no mirror works for cub/CUB_200_2011.tgz\n"
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["dataset", "file", "host", "state", "size"]
    links = json.loads(report.read_text())
    assert [link["url"] for link in links] == TABLE["cub"]["CUB_200_2011.tgz"]["mirrors"]
    assert {link["state"] for link in links} == {"the proxy: Connection refused"}
    assert len(lines) == 1 + len(links)


# The address by ftp


HASTY = Patience(timeout_s=1, tries=2, pause_s=0.001)


def test_ftp_starts_over_after_a_cut(tmp_path):
    digits = hashlib.sha256(CONTENT).hexdigest()
    with ftp_server(CONTENT, cuts=[1000]) as address:
        fetch([f"{address}/sop.zip"], tmp_path / "sop.zip", sha256=digits, patience=HASTY)
        assert (tmp_path / "sop.zip").read_bytes() == CONTENT
        with pytest.raises(UserError, match="550 no such folder"):
            fetch([f"{address}/other.zip"], tmp_path / "x.zip", sha256=digits, patience=HASTY)
