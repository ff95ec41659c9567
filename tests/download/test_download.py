"""Every fault of a server: the file is right or absent, and the next call ends well.

`served` counts the bytes of bodies that a server sent: what was resumed was not sent again.
"""

import errno
import hashlib
import json
import time
from email.utils import formatdate

import pytest

from tcmbench.common.errors import UserError
from tcmbench.download import Patience, Trust, fetch
from tests.download.faulty_server import CONTENT, Reply, Server, serving

SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
OTHER = CONTENT[:2] + CONTENT[:1:-1]
HASTY = Patience(timeout_s=0.3, tries=3, pause_s=0.001)
PAGE = Reply(
    b"<!DOCTYPE html><title>Sign in\n please</title>", headers={"Content-Type": "text/html"}
)
CUTS = [0, 1, SIZE // 2, SIZE - 1]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Server()) as running:
        yield running


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "file.tgz"


def get(urls, target, **options):
    urls = [urls] if isinstance(urls, str) else urls
    options = {"patience": HASTY} | options
    fetch(urls, target, **options)


def visible(target):
    names = target.parent.iterdir() if target.parent.exists() else ()
    return sorted(p.name for p in names if not p.name.startswith("."))


def hidden(target):
    return sorted(p.name for p in target.parent.iterdir() if p.name.startswith("."))


def assert_whole(target):
    assert target.read_bytes() == CONTENT
    assert visible(target) == ["file.tgz", "file.tgz.verified.json"]
    assert hidden(target) == [".file.tgz.lock"]


def refused(urls, target, match, **options):
    with pytest.raises(UserError, match=match) as error:
        get(urls, target, **options)
    assert "\n" not in str(error.value)
    assert visible(target) == []
    return str(error.value)


# Good servers


@pytest.mark.parametrize("identity", [{"sha256": SHA256}, {"sha256": SHA256.upper()}, {"md5": MD5}])
@pytest.mark.parametrize("announce", [None, -1])
def test_http(announce, identity, server, target, capsys):
    get(server.gives(Reply(announce=announce)), target, **identity)
    assert_whole(target)
    assert capsys.readouterr().err == ""
    assert server.ranges() == [None]


def test_file_address_is_quick_and_silent(tmp_path, target, capsys):
    (tmp_path / "a b.tgz").write_bytes(CONTENT)
    start = time.monotonic()
    get((tmp_path / "a b.tgz").as_uri(), target, sha256=SHA256)
    assert time.monotonic() - start < 5
    assert_whole(target)
    assert capsys.readouterr() == ("", "")


def test_an_empty_file_is_a_file(server, target):
    get(server.gives(Reply(b"")), target, sha256=hashlib.sha256(b"").hexdigest())
    assert target.read_bytes() == b""


def test_a_fresh_download_is_hashed_as_it_arrives_and_never_read(server, target, monkeypatch):
    monkeypatch.setattr("tcmbench.download.identity.Digest.read", None)
    get(server.gives(Reply()), target, sha256=SHA256)
    get([], target, sha256=SHA256)
    assert_whole(target)


# Broken transfers


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("identity", [{"sha256": SHA256}, {"md5": MD5}])
def test_a_cut_is_resumed_or_started_over(identity, cut, ranges, server, target):
    get(server.gives(Reply(upto=cut, ranges=ranges), Reply(ranges=ranges)), target, **identity)
    assert_whole(target)
    assert server.ranges() == [None, f"bytes={cut}-" if cut else None]
    assert server.served == (SIZE if ranges else cut + SIZE)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("cut", CUTS)
def test_the_next_call_goes_on_where_the_last_one_gave_up(cut, ranges, server, target):
    cutting = server.gives(Reply(upto=cut, ranges=ranges))
    message = refused(cutting, target, "could not fetch", sha256=SHA256)
    assert f"the connection ended early, 3 times in a row ({cut:,} bytes have arrived)" in message
    assert f"put it at {target}" in message
    server.count_anew()
    get(server.gives(Reply(ranges=ranges)), target, sha256=SHA256)
    assert_whole(target)
    assert server.served == (SIZE - cut if ranges else SIZE)


def test_the_count_of_failures_starts_again_with_every_new_byte(server, target):
    steps = range(1, SIZE, SIZE // 19 + 1)  # 19 of them
    get(server.gives(*(Reply(upto=cut) for cut in steps), Reply()), target, sha256=SHA256)
    assert_whole(target)
    assert len(server.asked) == 20 > HASTY.tries
    assert server.served == SIZE


def test_a_server_that_never_gets_further_is_given_up(server, target):
    refused(server.gives(Reply(upto=9, ranges=False)), target, "3 times in a row", sha256=SHA256)
    # The first failure brought bytes; three more without new ones would be a fourth request.
    assert len(server.asked) == 3


def test_a_stall_ends_and_is_resumed(server, target):
    start = time.monotonic()
    get(server.gives(Reply(upto=1000, stall_s=9), Reply()), target, sha256=SHA256)
    assert 0.3 <= time.monotonic() - start < 8
    assert_whole(target)
    assert server.ranges() == [None, "bytes=1000-"]
    assert server.served == SIZE


def test_a_stall_before_the_headers_is_given_up(target):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/file.tgz"
        refused(url, target, "timed out, 3 times in a row", sha256=SHA256)


# Lies about size


@pytest.mark.parametrize("known", [{"sha256": SHA256}, {"sha256": SHA256, "size": SIZE}])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_length_that_is_too_large_does_not_matter_where_the_hash_fits(
    known, ranges, server, target
):
    get(server.gives(Reply(announce=SIZE + 5, ranges=ranges)), target, **known)
    assert_whole(target)
    assert len(server.asked) == 1


def test_a_length_that_is_too_large_is_noticed_where_no_hash_is_known(server, target):
    url = server.gives(Reply(announce=SIZE + 5))
    refused(url, target, rf"ended early, 3 .* \({SIZE:,} bytes", size=SIZE + 5)
    refused(url, target, f"expected {SIZE:,} bytes, it announces {SIZE + 5:,}", size=SIZE)


def test_a_length_that_is_too_small_is_noticed(server, target):
    short = Reply(announce=1000, upto=1000)
    get(server.gives(short, Reply()), target, sha256=SHA256, size=SIZE)
    assert_whole(target)
    assert server.ranges() == [None, "bytes=1000-"]


@pytest.mark.parametrize("known", [{"sha256": SHA256}, {"size": SIZE}])
def test_a_length_that_stays_too_small_is_refused(known, server, target):
    short = Reply(announce=1000, upto=1000, ranges=False)
    refused(server.gives(short), target, "expected", **known)


@pytest.mark.parametrize(
    "claim", ["bytes 0-9/10", f"bytes 1001-9999/{SIZE}", "bytes 1000-5/6", "items 1-2/3", ""]
)
def test_a_range_that_does_not_fit_is_not_appended(claim, server, target):
    get(server.gives(Reply(upto=1000), Reply(claim=claim or " "), Reply()), target, sha256=SHA256)
    assert_whole(target)
    assert server.ranges() == [None, "bytes=1000-", None]


# Refusals


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_refusal_sends_to_the_next_mirror_at_once(code, server, target):
    first = server.gives(Reply(code=code), path="/first")
    get([first, server.gives(Reply())], target, sha256=SHA256)
    assert_whole(target)
    assert server.paths() == ["/first", "/file.tgz"]


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_trouble_that_may_pass_is_tried_again(code, server, target):
    get(server.gives(Reply(b"x", code), Reply(b"y", code), Reply()), target, sha256=SHA256)
    assert_whole(target)
    assert len(server.asked) == 3


@pytest.mark.parametrize(("date", "code"), [(True, 429), (False, 503)])
def test_retry_after_is_respected(date, code, server, target):
    asked = formatdate(time.time() + 2, usegmt=True) if date else "1"
    busy = Reply(b"", code, {"Retry-After": asked})
    start = time.monotonic()
    get(server.gives(busy, Reply()), target, sha256=SHA256)
    # A date has whole seconds.
    assert 0.9 <= time.monotonic() - start < 30


@pytest.mark.parametrize("asked", ["3600", "soon"])
def test_retry_after_has_a_bound_and_may_be_nonsense(asked, server, target):
    busy = Reply(b"", 429, {"Retry-After": asked})
    patience = Patience(timeout_s=1, pause_s=0.001, longest_pause_s=0.05)
    start = time.monotonic()
    get(server.gives(busy, Reply()), target, sha256=SHA256, patience=patience)
    assert time.monotonic() - start < 30


def test_pauses_double_up_to_a_bound():
    patience = Patience(pause_s=1, longest_pause_s=6)
    for failures, longest in ((1, 1), (2, 2), (3, 4), (4, 6), (9, 6)):
        pauses = [patience.pause(failures) for _ in range(50)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
    assert patience.pause(3, 5.5) == 5.5


def test_the_next_mirror_is_tried_and_the_part_goes_with_it(server, target):
    urls = [
        "http://127.0.0.1:1/refused",
        server.gives(Reply(upto=SIZE // 2), path="/half"),
        server.gives(PAGE, path="/page"),
        server.gives(Reply(b"", 404), path="/gone"),
        server.gives(Reply()),
        server.gives(Reply(), path="/never"),
    ]
    get(urls, target, sha256=SHA256)
    assert_whole(target)
    assert "/never" not in server.paths()
    assert server.served == SIZE + len(PAGE.content)


def test_all_mirrors_failing_gives_one_sentence_with_every_reason(server, target, tmp_path):
    urls = [
        "http://127.0.0.1:1/x",
        server.gives(Reply(code=404), path="/missing"),
        server.gives(PAGE, path="/page"),
        (tmp_path / "absent").as_uri(),
        "http://[nonsense/",
    ]
    message = refused(urls, target, "could not fetch file.tgz", sha256=SHA256)
    assert f"{urls[0]}: Connection refused, 3 times in a row" in message
    assert f"{urls[1]}: HTTP 404 Not Found" in message
    assert f"{urls[2]}: it gave a web page ('Sign in please') instead of the file" in message
    assert f"{urls[3]}: No such file or directory" in message
    assert urls[4] in message
    assert f"try again later, or fetch it by hand and put it at {target}" in message


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_refused_early(kind, server, target):
    page = b"\xef\xbb\xbf\n <!DOCTYPE HTML>" + b"x" * 5_000_000
    url = server.gives(Reply(page, headers={"Content-Type": kind}))
    refused(url, target, "it gave a web page", size=len(page))
    assert hidden(target) == [".file.tgz.lock"]


def test_a_web_page_is_fine_where_one_is_wanted(server, target):
    get(server.gives(PAGE), target.with_suffix(".html"), size=len(PAGE.content))
    assert target.with_suffix(".html").read_bytes() == PAGE.content


# Wrong content


@pytest.mark.parametrize(("kind", "digits"), [("sha256", "0" * 64), ("md5", "0" * 32)])
def test_a_wrong_hash_leaves_nothing(kind, digits, server, target):
    found = hashlib.new(kind, CONTENT).hexdigest()
    url = server.gives(Reply())
    refused(url, target, f"expected {kind} {digits}, got {found}", **{kind: digits})
    assert hidden(target) == [".file.tgz.lock"]
    assert server.ranges() == [None]


def test_sha256_decides_where_both_hashes_are_known(server, target):
    get(server.gives(Reply()), target, sha256=SHA256, md5="0" * 32)
    assert_whole(target)


@pytest.mark.parametrize(
    ("part", "ranges"),
    [
        (OTHER[:1000], ["bytes=1000-", None]),
        (CONTENT + b"more", [f"bytes={SIZE + 4}-", None]),
        (OTHER, [f"bytes={SIZE}-", None]),
        (CONTENT, []),
        (b"", [None]),
    ],
)
def test_a_part_of_other_content_costs_one_more_download(part, ranges, server, target):
    target.parent.mkdir()
    (target.parent / ".file.tgz.part").write_bytes(part)
    get(server.gives(Reply()) if ranges else "http://127.0.0.1:1/", target, sha256=SHA256)
    assert_whole(target)
    assert server.ranges() == ranges


def test_after_starting_over_the_count_of_failures_starts_again(server, target):
    target.parent.mkdir()
    (target.parent / ".file.tgz.part").write_bytes(OTHER[:1000])
    cuts = [Reply(upto=cut) for cut in (10, 20, 30, 40, 50)]
    get(server.gives(Reply(), *cuts, Reply()), target, sha256=SHA256)
    assert_whole(target)


def test_a_wrong_mirror_after_a_good_half_is_not_the_end(server, target):
    half = server.gives(Reply(upto=SIZE // 2), path="/half")
    wrong = server.gives(Reply(OTHER), path="/wrong")
    get([half, wrong, server.gives(Reply())], target, sha256=SHA256)
    assert_whole(target)
    assert server.paths() == ["/half"] * 3 + ["/wrong"] * 2 + ["/file.tgz"]


# Without a hash


def test_without_a_hash_only_the_same_version_is_resumed(server, target):
    old = Reply(OTHER, headers={"ETag": '"1"'}, upto=1000)
    new = Reply(headers={"ETag": '"2"'})
    get(server.gives(old, new), target, size=SIZE)
    assert_whole(target)
    assert server.asked[1][3]["If-Range"] == '"1"'
    target.unlink()
    server.count_anew()
    get(server.gives(Reply(headers={"ETag": '"2"'}, upto=1000), new), target, size=SIZE)
    assert_whole(target)
    assert server.served == SIZE


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}])
def test_without_a_hash_and_a_version_it_starts_over(headers, server, target):
    get(server.gives(Reply(OTHER, headers=headers, upto=1000), Reply(headers=headers)), target)
    assert_whole(target)
    assert server.ranges() == [None, None]


def test_without_a_hash_a_version_that_changed_in_spite_of_if_range_starts_over(server, target):
    class Careless(Reply):
        pass

    url = server.gives(Reply(OTHER, headers={"ETag": '"1"'}, upto=1000), Reply(code=500))
    refused(url, target, "HTTP 500")
    note = target.parent / ".file.tgz.part.json"
    assert json.loads(note.read_text()) == {"url": url, "validator": '"1"'}
    # The note of another version than the one that the server compares with and then serves.
    note.write_text(json.dumps({"url": url, "validator": '"2"'}))
    server.plan["/file.tgz"] = [Reply(headers={"ETag": '"2"', "Last-Modified": "x"})]
    (target.parent / ".file.tgz.part").write_bytes(CONTENT[:1000])
    server.count_anew()
    get(url, target)
    assert_whole(target)
    assert server.served == SIZE - 1000


def test_without_a_hash_a_part_that_is_whole_is_taken(server, target):
    target.parent.mkdir()
    url = server.gives(Reply(headers={"ETag": '"1"'}))
    (target.parent / ".file.tgz.part").write_bytes(CONTENT)
    note = {"url": url, "validator": '"1"'}
    (target.parent / ".file.tgz.part.json").write_text(json.dumps(note))
    get(url, target)
    assert_whole(target)
    assert server.served == 0


def test_without_a_hash_the_part_of_another_mirror_is_not_used(server, target):
    cut = server.gives(Reply(OTHER, headers={"ETag": '"1"'}, upto=1000), path="/cut")
    get([cut, server.gives(Reply(headers={"ETag": '"1"'}))], target)
    assert_whole(target)
    assert server.ranges()[-1] is None


def test_without_a_hash_the_size_must_fit_and_the_found_hash_is_told(server, target, capsys):
    refused(server.gives(Reply(announce=-1)), target, f"expected 7 bytes, got {SIZE:,}", size=7)
    get(server.gives(Reply()), target, size=SIZE)
    warning = capsys.readouterr().err
    assert warning.startswith("warning: no hash is known for file.tgz")
    assert SHA256 in warning
    assert warning.count("\n") == 1


# Redirects, Google Drive, proxies


def test_a_redirect_keeps_the_range_and_retries_begin_at_the_first_address(server, target):
    def away(number):
        return Reply(b"", 302, {"Location": f"/cdn{number}?signature={number}"})

    server.gives(Reply(upto=1000), path="/cdn1?signature=1")
    server.gives(Reply(), path="/cdn2?signature=2")
    get(server.gives(away(1), away(2)), target, sha256=SHA256)
    assert_whole(target)
    assert [(path, asked) for _, path, asked, _ in server.asked] == [
        ("/file.tgz", None),
        ("/cdn1?signature=1", None),
        ("/file.tgz", "bytes=1000-"),
        ("/cdn2?signature=2", "bytes=1000-"),
    ]


def test_a_circle_of_redirects_is_given_up(server, target):
    url = server.gives(Reply(b"", 302, {"Location": "/file.tgz"}))
    refused(url, target, "Exceeded 30 redirects", sha256=SHA256)


FORM = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<form action="/other"><input type="hidden" name="not" value="this"></form>
<form id="download-form" action="{action}" method="get"><input type="submit" value="Download">
<input type="hidden" name="id" value="1TclrpQ&amp;O">
<input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="3c-9"></form>
</body></html>"""
LINK = (
    '<html><a href="/no">x</a><a href="/uc?export=download&amp;confirm=Ab1&amp;id=9">go</a></html>'
)
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("page", "address"),
    [
        (
            FORM.format(action="/download"),
            "/download?id=1TclrpQ%26O&export=download&confirm=t&uuid=3c-9",
        ),
        (LINK, "/uc?export=download&confirm=Ab1&id=9"),
    ],
)
def test_the_question_of_google_drive_is_answered(page, address, server, target):
    url = server.gives(Reply(page.encode(), headers=HTML, ranges=False), path="/drive")
    server.gives(Reply(upto=SIZE // 2), Reply(), path=address)
    get(url, target, sha256=SHA256)
    assert_whole(target)
    assert server.paths() == ["/drive", address] * 2
    assert server.ranges()[-1] == f"bytes={SIZE // 2}-"


def test_a_question_without_end_and_one_that_leads_elsewhere_are_refused(server, target):
    loop = server.gives(Reply(FORM.format(action="/drive").encode(), headers=HTML), path="/drive")
    server.plan["/drive?id=1TclrpQ%26O&export=download&confirm=t&uuid=3c-9"] = server.plan["/drive"]
    refused(loop, target, "a web page instead of the file, twice", sha256=SHA256)
    away = FORM.format(action="http://127.0.0.1:1/x").encode()
    server.plan["/drive"] = [Reply(away, headers=HTML)]
    refused(loop, target, r"a web page \('Google Drive - Virus scan warning'\) ins", sha256=SHA256)


@pytest.mark.parametrize("code", [206, 416])
def test_a_page_that_honours_ranges_is_still_read(code, server, target):
    # Such a server answers the range of the file with that part of its page, or with none.
    target.parent.mkdir()
    page = Reply(FORM.format(action="/download").encode(), headers=HTML)
    start = len(page.content) + (-9 if code == 206 else 9)
    (target.parent / ".file.tgz.part").write_bytes(CONTENT[:start])
    server.gives(Reply(), path="/download?id=1TclrpQ%26O&export=download&confirm=t&uuid=3c-9")
    get(server.gives(page), target, sha256=SHA256)
    assert_whole(target)


def test_a_quota_page_sends_to_the_next_mirror(server, target):
    page = b"<html><title>Google Drive - Quota exceeded</title><p>Too many users</p></html>"
    quota = server.gives(Reply(page, headers=HTML), path="/drive")
    get([quota, server.gives(Reply())], target, sha256=SHA256)
    assert server.paths() == ["/drive", "/file.tgz"]


def test_proxies_are_those_of_the_environment(server, target, monkeypatch):
    # A plain proxy for http is a server that is asked for whole addresses.
    with serving(Server()) as proxy:
        proxy.plan["http://data.example/file.tgz"] = [Reply()]
        monkeypatch.setenv("http_proxy", proxy.url)
        get("http://data.example/file.tgz", target, sha256=SHA256)
        assert_whole(target)
        assert proxy.paths() == ["http://data.example/file.tgz"]
        target.unlink()
        get(server.gives(Reply()), target, sha256=SHA256)
        assert (len(proxy.asked), len(server.asked)) == (1, 1)
        monkeypatch.delenv("no_proxy")
        proxy.plan[server.gives(Reply())] = [Reply()]
        target.unlink()
        get(server.gives(Reply()), target, sha256=SHA256)
        assert (len(proxy.asked), len(server.asked)) == (2, 1)


def test_a_dead_proxy_is_named(target, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    refused("http://data.example/x", target, "the proxy: Connection refused", sha256=SHA256)


# A file that is there


def test_a_file_that_is_there_is_checked_without_the_network(target):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    get("http://127.0.0.1:1/never", target, sha256=SHA256)
    receipt = json.loads((target.parent / "file.tgz.verified.json").read_text())
    assert receipt == {
        "file": "file.tgz",
        "bytes": SIZE,
        "mtime_ns": target.stat().st_mtime_ns,
        "sha256": SHA256,
        "md5": None,
        "source": "by hand",
        "published": True,
    }
    with pytest.raises(
        UserError, match=r"file\.tgz is not the published file: expected md5 .* rem"
    ):
        get("http://127.0.0.1:1/never", target, md5="0" * 32)
    assert target.read_bytes() == CONTENT


def test_another_file_gives_way_where_that_is_wanted(server, target):
    target.parent.mkdir()
    target.write_bytes(b"of an older version")
    url = server.gives(Reply())
    get(url, target, sha256=SHA256, replace=True)
    assert target.read_bytes() == CONTENT
    # Nothing better to be had: what is there stays.
    with pytest.raises(UserError, match="could not fetch"):
        get("http://127.0.0.1:1/never", target, sha256="0" * 64, replace=True)
    assert target.read_bytes() == CONTENT


def test_a_receipt_spares_the_read_while_the_file_is_unchanged(
    server, target, tmp_path, monkeypatch
):
    folder = tmp_path / "receipts"
    url = server.gives(Reply())
    get(url, target, md5=MD5, receipts=folder)
    receipt = json.loads((folder / "file.tgz.verified.json").read_text())
    assert (receipt["md5"], receipt["sha256"], receipt["source"]) == (MD5, SHA256, url)
    assert visible(target) == ["file.tgz"]
    read = []
    monkeypatch.setattr(
        "tcmbench.download.identity.Digest.read", lambda self, path, name: read.append(path)
    )
    get([], target, md5=MD5, receipts=folder)
    get([], target, sha256=SHA256, receipts=folder)
    assert read == []
    for change in (
        lambda: None,
        lambda: target.touch(),
        lambda: target.write_bytes(OTHER),
        lambda: (folder / "file.tgz.verified.json").write_text("{}"),
        lambda: (folder / "file.tgz.verified.json").unlink(),
    ):
        change()
        wanted = {"sha256": "0" * 64} if not read else {"md5": MD5}
        with pytest.raises(UserError, match="is not the published file"):
            get([], target, receipts=folder, **wanted)
    assert read == [target] * 5


def test_a_file_without_mirrors_says_at_once_where_to_put_it(target):
    message = refused([], target, "has no public address: fetch it by hand", sha256=SHA256)
    assert f"put it at {target} and call again" in message
    assert not target.parent.exists()


@pytest.mark.parametrize("url", ["file.tgz", "s3://bucket/file.tgz", ""])
def test_something_that_is_no_address_is_refused(url, target):
    with pytest.raises(UserError, match="is not an address; begin it with https://, http://"):
        get([url], target, sha256=SHA256)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_that_fails_is_not_blamed_on_the_mirror(code, server, target, monkeypatch):
    class Full:
        def __init__(self, stream):
            self.stream, self.room = stream, 100_000

        def write(self, data):
            if not self.room:
                raise OSError(code, "No space left on device")
            written = self.stream.write(data[: self.room])
            self.room -= written
            return written

        def __getattr__(self, name):
            return getattr(self.stream, name)

    from tcmbench.download.part import Part

    original = Part.__enter__
    monkeypatch.setattr(
        Part,
        "__enter__",
        lambda self: setattr(original(self), "_stream", Full(self._stream)) or self,
    )
    urls = [server.gives(Reply()), server.gives(Reply(), path="/never")]
    refused(urls, target, "No space left on device after 100,000 bytes", sha256=SHA256)
    assert server.paths() == ["/file.tgz"]
    monkeypatch.undo()
    server.count_anew()
    get(urls, target, sha256=SHA256)
    assert_whole(target)
    assert server.served == SIZE - 100_000


# Trust on first use


@pytest.fixture
def trust(tmp_path):
    return Trust(tmp_path / "kept" / "trusted.json", "toy/file.tgz")


def test_the_first_hash_is_kept_and_later_ones_must_match(server, target, trust, capsys):
    url = server.gives(Reply())
    get(url, target, trust=trust)
    assert f"kept in {trust.file}" in capsys.readouterr().err
    entry = json.loads(trust.file.read_text())["toy/file.tgz"]
    assert {k: entry[k] for k in ("sha256", "bytes", "source")} == {
        "sha256": SHA256,
        "bytes": SIZE,
        "source": url,
    }
    assert len(entry["first_seen"]) == 10
    receipt = json.loads((target.parent / "file.tgz.verified.json").read_text())
    assert receipt["published"] is False
    target.unlink()
    get(server.gives(Reply(upto=9), Reply()), target, trust=trust)
    assert server.served == 2 * SIZE  # a trusted hash resumes like a published one
    assert capsys.readouterr().err == ""
    before = trust.file.read_bytes()
    target.unlink()
    (target.parent / "file.tgz.verified.json").unlink()
    message = refused(server.gives(Reply(OTHER)), target, "could not fetch", trust=trust)
    for word in (SHA256, hashlib.sha256(OTHER).hexdigest(), str(trust.file), "toy/file.tgz"):
        assert word in message
    target.write_bytes(OTHER)
    with pytest.raises(UserError, match=r"is not the published file: .*trusted since"):
        get(url, target, trust=trust)
    assert trust.file.read_bytes() == before


def test_a_published_hash_needs_no_trust(server, target, trust):
    get(server.gives(Reply()), target, sha256=SHA256, trust=trust)
    assert not trust.file.exists()


def test_another_process_may_have_recorded_another_hash_meanwhile(server, target, trust):
    class Late(Trust):
        seen = 0

        def expected(self, size=None):
            Late.seen += 1
            if Late.seen == 2:  # just before the name is given
                Trust(self.file, self.key).record("0" * 64, 1, "elsewhere")
            return Trust.expected(self, size)

    late = Late(trust.file, trust.key)
    refused(server.gives(Reply()), target, f"has the sha256 {SHA256}, not 000", trust=late)


@pytest.mark.parametrize("content", ["[]", "{", '{"toy/file.tgz": 3}', '{"toy/file.tgz": {}}'])
def test_a_broken_table_of_trust_is_named(content, target, trust):
    trust.file.parent.mkdir()
    trust.file.write_text(content)
    refused("http://127.0.0.1:1/", target, "trusted.json", trust=trust)


QUOTA = b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>"
REFUSED = b'{"error": {"code": 403, "message": "quota"}}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (QUOTA, r"a web page \('Google Drive - Quota exceeded'\), not an archive"),
        (REFUSED, r"a JSON text \(.*quota.*\), not an archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid x", "a pointer of git LFS in place"),
        (b"", "empty, not an archive"),
        (bytes(1000), "of unknown content, not an archive"),
    ],
)
def test_what_is_no_archive_is_pinned_neither_by_hand_nor_fetched(
    content, words, server, target, trust
):
    target.parent.mkdir()
    target.write_bytes(content)
    with pytest.raises(UserError, match=rf"file\.tgz is not the published file: it is {words}"):
        get("http://127.0.0.1:1/", target, trust=trust)
    assert target.read_bytes() == content
    with pytest.raises(UserError, match=rf"it is {words}"):
        get("http://127.0.0.1:1/", target, sha256=None, size=len(content))
    target.unlink()
    served = {"Content-Type": "application/octet-stream"}
    refused(
        server.gives(Reply(content, headers=served)), target, f"it (gave|is) {words}", trust=trust
    )
    assert not trust.file.exists()
    assert visible(target) == []
    # The right file is then free to come.
    get(server.gives(Reply()), target, trust=trust)
    assert_whole(target)


def test_of_a_wrong_hash_the_page_is_the_cause_that_is_named(server, target):
    target.parent.mkdir()
    target.write_bytes(QUOTA)
    with pytest.raises(UserError, match="it is a web page"):
        get("http://127.0.0.1:1/", target, sha256=SHA256)
    get(server.gives(Reply()), target, sha256=SHA256, replace=True)
    assert_whole(target)


def test_a_file_that_a_browser_has_numbered_is_taken(target):
    target.parent.mkdir()
    numbered = target.with_name("FILE (1).tgz")
    numbered.write_bytes(CONTENT)
    get("http://127.0.0.1:1/", target, sha256=SHA256)
    receipt = json.loads((target.parent / "file.tgz.verified.json").read_text())
    assert (receipt["file"], receipt["sha256"]) == ("file.tgz", SHA256)
    get("http://127.0.0.1:1/", target, sha256=SHA256)  # by its receipt
    assert visible(target) == ["FILE (1).tgz", "file.tgz.verified.json"]
    numbered.write_bytes(OTHER)
    with pytest.raises(UserError, match=r"FILE \(1\)\.tgz is not the published file"):
        get("http://127.0.0.1:1/", target, sha256=SHA256)
