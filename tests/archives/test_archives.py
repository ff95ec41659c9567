"""Archives that are cut, damaged or hostile: refused in one sentence, with nothing outside."""

import gzip
import hashlib
import io
import re
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from tcmbench import datasets
from tcmbench.archives import guards, members
from tcmbench.common.errors import UserError
from tcmbench.preparation.unpack import unpack
from tests.datasets.layouts import LAYOUTS, jpeg, pack

NAMES = sorted(LAYOUTS)
CUB = "CUB_200_2011/"


def read(name, archives, tmp_path):
    unpacked(name, pack(tmp_path / "archives", archives), tmp_path / "images")


def unpacked(name, archives, images):
    dataset = datasets.load(name)
    reading = dataset.layout().read(archives, dataset.counts)
    for part in reading.images:
        unpack(archives / part.archive, part.root, part.paths, images, part.source)


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# Damage


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_archive_is_named(name, share, tmp_path):
    pack(tmp_path / "archives", LAYOUTS[name]())
    archive = tmp_path / "archives" / datasets.load(name).layout().archives[0].name
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=rf"{archive.name} is truncated or damaged .* delete it"):
        unpacked(name, tmp_path / "archives", tmp_path / "images")


@pytest.mark.parametrize("name", NAMES)
def test_something_that_is_no_archive_is_named(name, tmp_path):
    archive = datasets.load(name).layout().archives[0].name
    archives = LAYOUTS[name]() | {archive: b"<html><title>Quota\n exceeded</title></html>" * 100}
    with pytest.raises(UserError, match=rf"{archive} is a web page \('Quota exceeded'\), not an"):
        read(name, archives, tmp_path)


def test_every_truncation_of_a_tar_is_noticed_even_where_all_images_were_read(tmp_path):
    archive = pack(tmp_path, {"a.tgz": {"r/1.jpg": jpeg(1), "r/2.jpg": jpeg(2)}}) / "a.tgz"
    whole = archive.read_bytes()
    for end in range(0, len(whole), 7):
        archive.write_bytes(whole[:end])
        with pytest.raises(UserError, match="is truncated or damaged"):
            unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")
    archive.write_bytes(whole)
    unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")


def test_damage_behind_the_last_member_is_noticed(tmp_path):
    archive = pack(tmp_path, {"a.tgz": {"r/1.jpg": jpeg(1)}}) / "a.tgz"
    # Tars may be padded without limit; the checksum stands behind the padding.
    padded = gzip.compress(gzip.decompress(archive.read_bytes()) + bytes(1_000_000))
    archive.write_bytes(padded)
    unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")
    archive.write_bytes(padded[:-9])
    with pytest.raises(UserError, match="is truncated or damaged"):
        unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
def test_a_wrong_checksum_is_noticed(name, tmp_path):
    archive = pack(tmp_path, {name: {"r/1.jpg": jpeg(1)}}) / name
    content = bytearray(archive.read_bytes())
    # A gzip stream ends with checksum and length; a zip has the checksum 14 bytes into a member.
    content[-8 if name == "a.tgz" else content.index(b"PK\1\2") + 16] ^= 1
    archive.write_bytes(content)
    with pytest.raises(UserError, match="is truncated or damaged"):
        unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")


# Hostile archives


def hostile_tar(path, name, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as tar:
        for member in ("r/1.jpg", name):
            info = tarfile.TarInfo(member)
            if member == name:
                info.type, info.linkname = kind, link
            info.size = 4 if info.isreg() else 0
            tar.addfile(info, io.BytesIO(b"evil"))


@pytest.mark.parametrize(
    ("name", "kind", "link", "flaw"),
    [
        ("r/../../evil.jpg", tarfile.REGTYPE, "", "leads out of the folder"),
        ("../evil.jpg", tarfile.REGTYPE, "", "leads out of the folder"),
        ("/tmp/evil.jpg", tarfile.REGTYPE, "", "leads out of the folder"),
        ("r/evil.jpg", tarfile.SYMTYPE, "/etc/passwd", "is a link or a device"),
        ("r/evil.jpg", tarfile.LNKTYPE, "r/2.jpg", "is a link to 'r/2.jpg', and no file of that"),
        ("r/evil.jpg", tarfile.LNKTYPE, "r/evil.jpg", "is a link to a link without end"),
        ("r/evil.jpg", tarfile.CHRTYPE, "", "is a link or a device"),
        ("r/evil.jpg", tarfile.FIFOTYPE, "", "is a link or a device"),
    ],
)
def test_a_hostile_tar_is_refused(name, kind, link, flaw, tmp_path):
    archive = tmp_path / "in" / "a.tgz"
    archive.parent.mkdir()
    hostile_tar(archive, name, kind, link)
    before = files_below(tmp_path)
    with pytest.raises(UserError, match=f"holds '{re.escape(name)}', which {flaw}"):
        list(members(archive))
    with pytest.raises(UserError):
        unpack(archive, "r/", ["../../evil.jpg", "evil.jpg"], tmp_path / "out" / "images", "list")
    assert files_below(tmp_path) == before
    assert not Path("/tmp/evil.jpg").exists()


@pytest.mark.parametrize("link", ["/etc/passwd", "../../etc/passwd", "..\\passwd"])
def test_a_hard_link_that_leads_out_is_refused(link, tmp_path):
    archive = tmp_path / "a.tgz"
    hostile_tar(archive, "r/evil.jpg", tarfile.LNKTYPE, link)
    with pytest.raises(UserError, match=rf"holds {re.escape(repr(link))}, which leads out"):
        list(members(archive))


@pytest.mark.parametrize("name", ["r/../../evil.jpg", "/tmp/evil.jpg", "r/link.jpg"])
def test_a_hostile_zip_is_refused(name, tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        info = zipfile.ZipInfo(name)
        kind = stat.S_IFLNK if "link" in name else stat.S_IFREG
        info.external_attr = (kind | 0o644) << 16
        bundle.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match=f"holds '{re.escape(name)}', which "):
        unpack(archive, "r/", ["../../evil.jpg", "link.jpg"], tmp_path / "o" / "images", "list")
    assert files_below(tmp_path) == {"a.zip"}


def test_a_hostile_label_file_writes_nothing_outside(tmp_path):
    archives = LAYOUTS["cub"]()
    members = archives["CUB_200_2011.tgz"]
    members[f"{CUB}images.txt"] = members[f"{CUB}images.txt"].replace(
        b"001.Black", b"../../001.Black"
    )
    before = files_below(pack(tmp_path / "archives", archives))
    with pytest.raises(UserError, match="names 2 images that are not in"):
        unpacked("cub", tmp_path / "archives", tmp_path / "deep" / "images")
    outside = {p for p in files_below(tmp_path) if not p.startswith("deep/images/")}
    assert outside == {f"archives/{name}" for name in before}


@pytest.mark.parametrize("name", ["r\\..\\evil.jpg", "C:evil.jpg", "c:/evil.jpg"])
@pytest.mark.parametrize("suffix", ["tgz", "zip"])
def test_names_that_lead_out_on_other_systems_are_refused(name, suffix, tmp_path):
    archive = pack(tmp_path, {f"a.{suffix}": {name: b"evil"}}) / f"a.{suffix}"
    with pytest.raises(UserError, match="leads out of the folder on some systems"):
        list(members(archive))


@pytest.mark.parametrize("suffix", ["tgz", "zip"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_wanted_member_that_comes_twice_is_refused(suffix, tmp_path):
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(archive, "w") as bundle:
            for seed in (1, 2):
                bundle.writestr("r/1.jpg", jpeg(seed))
    else:
        with tarfile.open(archive, "w:gz") as tar:
            for seed in (1, 2):
                info = tarfile.TarInfo("r/1.jpg")
                info.size = len(jpeg(seed))
                tar.addfile(info, io.BytesIO(jpeg(seed)))
    with pytest.raises(UserError, match=r"holds 'r/1\.jpg' twice"):
        unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")


def declared(path, size, name="r/1.jpg"):
    """A gzipped tar whose first header declares what does not follow."""
    info = tarfile.TarInfo(name)
    info.size = size
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)))
    return path


def test_a_tar_that_declares_a_huge_image_is_refused_unread(tmp_path):
    archive = declared(tmp_path / "a.tgz", guards.LARGEST_IMAGE + 1)
    with pytest.raises(UserError, match=r"'r/1\.jpg' in .*a\.tgz declares 268,435,457 bytes"):
        unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")
    # One that nobody wants would have to be inflated all the same to get past it.
    archive = declared(tmp_path / "a.tgz", 2**40, "other")
    with pytest.raises(UserError, match=r"a\.tgz declares 1,099,511,62\d,\d+ bytes, more than"):
        unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")


def test_a_label_file_has_its_own_bound(tmp_path, monkeypatch):
    archive = pack(tmp_path, {"a.zip": {"labels.txt": b"12345"}}) / "a.zip"
    monkeypatch.setattr(guards, "LARGEST_TEXT", 5)
    assert next(members(archive)).read() == b"12345"
    monkeypatch.setattr(guards, "LARGEST_TEXT", 4)
    with pytest.raises(UserError, match=r"labels\.txt declares 5 bytes"):
        next(members(archive)).read()


@pytest.mark.parametrize("suffix", ["tgz", "zip"])
def test_a_bomb_is_refused_by_its_expansion(suffix, tmp_path, monkeypatch):
    archive = pack(tmp_path, {f"a.{suffix}": {"zeros": bytes(2_000_000)}}) / f"a.{suffix}"
    assert [len(m.read()) for m in members(archive)] == [2_000_000]
    monkeypatch.setattr(guards, "SMALL", 1000)
    with pytest.raises(UserError, match=r"declares 2,0.* bytes, more than the"):
        list(members(archive))


def test_endless_padding_behind_a_tar_is_a_bomb_too(tmp_path, monkeypatch):
    archive = pack(tmp_path, {"a.tgz": {"r/1.jpg": jpeg(1)}}) / "a.tgz"
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes()) + bytes(10_000_000)))
    monkeypatch.setattr(guards, "SMALL", 1000)
    with pytest.raises(UserError, match=r"declares .* bytes, more than the"):
        unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [2**25, -512])
def test_a_header_of_a_strange_size_neither_fills_memory_nor_loops(kind, size, tmp_path):
    info = tarfile.TarInfo("r/1.jpg")
    info.type, info.size = kind, size
    archive = tmp_path / "a.tgz"
    archive.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)))
    with pytest.raises(UserError, match="is truncated or damaged"):
        list(members(archive))


def test_a_zip_whose_members_overlap_is_damaged(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("r/1.jpg", jpeg(1))
        bundle.writestr("r/2.jpg", b"")
        # The second is said to begin where the first does.
        bundle.filelist[1].header_offset = bundle.filelist[0].header_offset
    with pytest.raises(UserError, match="is truncated or damaged"):
        unpack(archive, "r/", ["1.jpg", "2.jpg"], tmp_path / "images", "list")


@pytest.mark.parametrize("change", [-1, 1])
def test_a_zip_member_that_is_not_of_its_declared_size_is_damaged(change, tmp_path):
    archive = pack(tmp_path, {"a.zip": {"r/1.jpg": jpeg(1)}}) / "a.zip"
    content = bytearray(archive.read_bytes())
    place = content.index(b"PK\1\2") + 24
    size = int.from_bytes(content[place : place + 4], "little") + change
    content[place : place + 4] = size.to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"does not have the .* bytes it declares"):
        unpack(archive, "r/", ["1.jpg"], tmp_path / "images", "list")


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
def test_the_hashes_of_one_pass_are_those_of_the_file(name, tmp_path):
    archive = pack(tmp_path, {name: {f"r/{i}.jpg": jpeg(i) for i in range(1, 30)}}) / name
    found = unpack(
        archive, "r/", ["7.jpg", "20.jpg"], tmp_path / "images", "list", kinds=("sha256", "md5")
    )
    content = archive.read_bytes()
    assert found.hashes == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content).hexdigest(),
    }


@pytest.mark.parametrize("content", [jpeg(4)[:300], jpeg(4)[:-100], b"", b"not an image"])
@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
def test_a_corrupt_image_is_named(content, name, tmp_path):
    files = {f"r/{seed}.jpg": jpeg(seed) for seed in range(1, 7)} | {"r/4.jpg": content}
    archive = pack(tmp_path, {name: files}) / name
    wanted = [f"{seed}.jpg" for seed in range(1, 7)]
    found = unpack(archive, "r/", wanted, tmp_path / "images", "list")
    assert list(found.unreadable) == ["4.jpg"]
    assert found.unreadable["4.jpg"]
    wanted.remove("4.jpg")
    assert files_below(tmp_path / "images") == set(wanted)
