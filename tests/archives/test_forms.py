"""Archives packed again by other means: read where the standard library can, else named."""

import bz2
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

import pytest

from tcmbench.archives import guards, members
from tcmbench.common.errors import UserError
from tcmbench.preparation.unpack import unpack
from tests.datasets.layouts import jpeg

FILES = {f"r/{seed}.jpg": jpeg(seed) for seed in range(1, 9)}


def tarred(files=FILES, links=()):
    """A tar of these files, then of hard links as (name, target); a file None is left out."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.LNKTYPE, target
            tar.addfile(info)
    return stream.getvalue()


def in_two_streams(pack):
    """As parallel packers write: a file of several packed streams, one behind the other."""
    content = tarred()
    return pack(content[:3000]) + pack(content[3000:])


def zipped(path, files=FILES, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return path


def contents(archive):
    return {member.name: member.read() for member in members(archive)}


def written(path, content):
    path.write_bytes(content)
    return path


# Other packers of a stream

FORMS = {
    "plain": tarred(),
    "gzip": gzip.compress(tarred()),
    "bzip2": bz2.compress(tarred()),
    "xz": lzma.compress(tarred()),
    "two gzip": in_two_streams(gzip.compress),
    "two bzip2": in_two_streams(bz2.compress),
    "two xz": in_two_streams(lzma.compress) + bytes(8),  # padding, XZ format 2.2
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a.tgz", "a.tar.gz", "a.zip"])
def test_a_tar_is_read_by_its_content(form, name, tmp_path):
    archive = written(tmp_path / name, FORMS[form])
    assert contents(archive) == FILES
    found = unpack(archive, "r/", ["3.jpg"], tmp_path / "o", "list", kinds=("sha256",))
    assert found.hashes == {"sha256": hashlib.sha256(FORMS[form]).hexdigest()}
    assert (tmp_path / "o/3.jpg").read_bytes() == FILES["r/3.jpg"]


def test_a_zip_is_read_under_the_name_of_a_tar(tmp_path):
    assert contents(zipped(tmp_path / "a.tgz")) == FILES


@pytest.mark.parametrize("form", ["plain", "bzip2", "xz"])
def test_every_truncation_is_noticed(form, tmp_path):
    whole = FORMS[form]
    # A tar ends with two blocks of zeros, of which one is enough, and any number behind them.
    used = -(-len(whole.rstrip(b"\0")) // 512) * 512
    least = used + 512 if form == "plain" else len(whole)
    for end in [*range(0, least, 97), *range(0, least, 512)]:
        archive = written(tmp_path / "a.tgz", whole[:end])
        with pytest.raises(UserError, match="is truncated or damaged"):
            list(members(archive))


def test_a_damaged_header_in_the_middle_is_noticed(tmp_path):
    content = bytearray(tarred())
    at = content.index(b"r/4.jpg")
    content[at] ^= 1
    with pytest.raises(UserError, match="is truncated or damaged"):
        list(members(written(tmp_path / "a.tar", bytes(content))))


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_a_bomb_of_any_packer_is_refused(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "SMALL", 1000)
    archive = written(tmp_path / "a.tgz", pack(tarred({"zeros": bytes(3_000_000)})))
    with pytest.raises(UserError, match=r"declares 3,0.* bytes, more than the"):
        list(members(archive))


def test_an_xz_that_wants_too_much_memory_is_refused(tmp_path):
    chain = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**29}]
    compressor = lzma.LZMACompressor(filters=[{**chain[0], "dict_size": 2**16}])
    packed = bytearray(compressor.compress(tarred()) + compressor.flush())
    # The dictionary's size is one byte of the block header, behind its filter (XZ format 5.3.1),
    # and that header has a checksum of its own.
    at = packed.index(b"\x21\x01", 12) + 2
    packed[at] = 34  # 2^29 bytes
    end = 12 + (packed[12] + 1) * 4
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(packed[12 : end - 4]))
    with pytest.raises(UserError, match=r"is truncated or damaged \(Memory usage limit"):
        list(members(written(tmp_path / "a.tgz", bytes(packed))))


# Names and links


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_backslashes_part_folders(name, tmp_path):
    files = {path.replace("/", "\\"): content for path, content in FILES.items()}
    archive = tmp_path / name
    if name == "a.zip":
        zipped(archive, {"r\\": b"", **files})
    else:
        written(archive, gzip.compress(tarred(files)))
    assert contents(archive) == FILES
    unpack(archive, "r/", ["3.jpg"], tmp_path / "o", "list")
    assert (tmp_path / "o/3.jpg").read_bytes() == FILES["r/3.jpg"]


def test_hard_links_to_members_have_their_content(tmp_path):
    links = [("r/x.jpg", "r/3.jpg"), ("r/y.jpg", "./r/3.jpg"), ("r/z.jpg", "r/x.jpg")]
    content = gzip.compress(tarred(links=links))
    archive = written(tmp_path / "a.tgz", content)
    assert contents(archive) == FILES | {name: FILES["r/3.jpg"] for name, _ in links}
    wanted = ["x.jpg", "y.jpg", "z.jpg", "1.jpg"]
    found = unpack(archive, "r/", wanted, tmp_path / "o", "list", kinds=("sha256",))
    assert found.hashes == {"sha256": hashlib.sha256(content).hexdigest()}
    assert {p.name for p in (tmp_path / "o").iterdir()} == set(wanted)
    assert (tmp_path / "o/z.jpg").read_bytes() == FILES["r/3.jpg"]


def test_many_links_to_a_large_file_are_a_bomb(tmp_path, monkeypatch):
    links = [(f"r/link{i}", "r/large") for i in range(100)]
    packed = gzip.compress(tarred({"r/large": bytes(1_000_000)}, links))
    archive = written(tmp_path / "a.tgz", packed)
    monkeypatch.setattr(guards, "SMALL", 2_000_000)
    with pytest.raises(UserError, match=r"declares 100,000,000 bytes, more than"):
        list(members(archive))


# Methods of a zip


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_the_methods_of_the_standard_library_are_read(method, tmp_path):
    archive = zipped(tmp_path / "a.zip", FILES | {"text.txt": b"word " * 10_000}, method)
    assert contents(archive) == FILES | {"text.txt": b"word " * 10_000}


def retold(path, changes, place=0):
    """Change 16-bit fields of all local headers and of the table, by their places in both."""
    content = bytearray(path.read_bytes())
    for local, table, value in changes:
        for sign, at in ((b"PK\3\4", local), (b"PK\1\2", table)):
            place = content.find(sign)
            while place >= 0:
                content[place + at : place + at + 2] = struct.pack("<H", value)
                place = content.find(sign, place + 4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("method", "called"),
    [
        (9, "Deflate64, as the Windows Explorer does with large files"),
        (93, "Zstandard"),
        (98, "PPMd"),
        (77, "method 77"),
    ],
)
def test_a_method_that_is_not_read_is_named(method, called, tmp_path):
    archive = retold(zipped(tmp_path / "a.zip"), [(8, 10, method)])
    with pytest.raises(UserError) as error:
        unpack(archive, "r/", ["1.jpg"], tmp_path / "o", "list")
    assert str(error.value) == (
        f"'r/1.jpg' in {archive} is packed by {called}, which is not read here; unpack the archive "
        "and zip its content again, for instance by 'zip -r' or 7-Zip's method Deflate"
    )


def test_an_encrypted_member_is_named(tmp_path):
    archive = retold(zipped(tmp_path / "a.zip"), [(6, 8, 1)])
    with pytest.raises(UserError, match=r"'r/1\.jpg' in .*a\.zip is encrypted; unpack the archive"):
        contents(archive)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_of_other_methods_that_lie_or_are_damaged(method, tmp_path):
    archive = zipped(tmp_path / "a.zip", {"zeros": bytes(5_000_000)}, method)
    whole = archive.read_bytes()
    place = whole.index(b"PK\1\2") + 24
    archive.write_bytes(whole[:place] + struct.pack("<I", 1000) + whole[place + 4 :])
    with pytest.raises(UserError, match="does not have the 1,000 bytes it declares"):
        contents(archive)
    archive.write_bytes(whole[:60] + b"\xff\xff\xff\xff" + whole[64:])
    with pytest.raises(UserError, match="is truncated or damaged"):
        contents(archive)


def test_lzma_with_a_dictionary_that_is_too_large_is_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"a": b"x" * 1000}, zipfile.ZIP_LZMA)
    content = bytearray(archive.read_bytes())
    at = 30 + 1 + 4 + 1  # header, name, version and size of the properties, lc lp pb
    content[at : at + 4] = struct.pack("<I", 2**31)
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"a dictionary of 2,147,483,648 bytes"):
        contents(archive)
