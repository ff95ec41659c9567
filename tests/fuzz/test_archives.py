"""Archives of random damage: read, or refused in one sentence, and nothing outside the folder."""

import bz2
import gzip
import io
import lzma
import shutil
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from tcmbench.archives import members
from tcmbench.archives.idx import read_labels
from tcmbench.common.errors import UserError
from tcmbench.datasets.matlab import class_names, columns
from tcmbench.preparation.unpack import unpack
from tests.datasets.layouts import jpeg
from tests.fuzz.damage import damaged, fuzzed, harmless

FILES = {"r/1.jpg": jpeg(1), "r/2.jpg": jpeg(2), "r/labels.txt": b"1 1.jpg\n2 2.jpg\n" * 9}


def tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as bundle:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            bundle.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("r/3.jpg")
        link.type, link.linkname = tarfile.LNKTYPE, "r/1.jpg"
        bundle.addfile(link)
    return packed.getvalue()


def zipped(method: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as bundle:
        for name, content in FILES.items():
            bundle.writestr(name, content)
    return packed.getvalue()


def idx(*axes: int) -> bytes:
    header = struct.pack(f">4B{len(axes)}I", 0, 0, 8, len(axes), *axes)
    return gzip.compress(header + bytes(int(np.prod(axes))))


def mat(**tables: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, tables, do_compression=True)
    return stream.getvalue()


TAR = tar()
WHOLE = {
    "a.tar": TAR,
    "a.tgz": gzip.compress(TAR),
    "a.tar.bz2": bz2.compress(TAR),
    "a.tar.xz": lzma.compress(TAR),
    "stored.zip": zipped(zipfile.ZIP_STORED),
    "deflated.zip": zipped(zipfile.ZIP_DEFLATED),
    "bzip2.zip": zipped(zipfile.ZIP_BZIP2),
    "lzma.zip": zipped(zipfile.ZIP_LZMA),
    "i-ubyte.gz": idx(3, 4, 4),
}


def read_all(path):
    for member in members(path):
        member.read()


def unpack_all(path):
    out = path.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    unpack(path, "r/", ["1.jpg", "2.jpg"], out / "images", "list")


@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_archive(name, tmp_path):
    @fuzzed
    @given(st.one_of(damaged(WHOLE[name]), st.binary(max_size=600)))
    def run(content):
        harmless(read_all, tmp_path / name, content)
        if not name.startswith("i-"):
            harmless(unpack_all, tmp_path / name, content)

    assert harmless(read_all, tmp_path / name, WHOLE[name])
    run()


def test_a_version_of_zip_that_does_not_exist_is_damage(tmp_path):
    whole = WHOLE["stored.zip"]
    place = whole.index(b"PK\1\2") + 6  # the version that is needed, in the first entry
    content = whole[:place] + b"\xff\0" + whole[place + 2 :]
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"is truncated or damaged \(zip file version 25"):
        read_all(tmp_path / "a.zip")


NAMES = st.one_of(
    st.sampled_from(["../x", "/x", "r/../../x", "..\\x", "C:\\x", "r/x\0y", "", ".", "r/./1.jpg"]),
    st.text(max_size=12),
)
KINDS = [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]


@fuzzed
@given(st.lists(st.tuples(NAMES, st.sampled_from(KINDS), NAMES), max_size=4))
def test_a_tar_of_strange_members_writes_nothing_outside(tmp_path_factory, entries):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", errors="surrogateescape") as bundle:
        for name, kind, link in [("r/1.jpg", tarfile.REGTYPE, ""), *entries]:
            info = tarfile.TarInfo(name.encode("utf-8", "replace").decode())
            info.type, info.linkname = kind, link.encode("utf-8", "replace").decode()
            info.size = len(FILES["r/1.jpg"]) if kind == tarfile.REGTYPE else 0
            bundle.addfile(info, io.BytesIO(FILES["r/1.jpg"]))
    folder = tmp_path_factory.mktemp("tar")
    for read in (read_all, unpack_all):
        harmless(read, folder / "a.tar", packed.getvalue())


def test_damaged_labels_of_digits(tmp_path):
    whole = idx(30)

    @fuzzed
    @given(damaged(whole))
    def run(content):
        harmless(read_labels, tmp_path / "l-ubyte.gz", content)

    assert harmless(read_labels, tmp_path / "l-ubyte.gz", whole)
    run()


def test_damaged_tables_of_matlab(tmp_path):
    record = np.dtype([("relative_im_path", "O"), ("class", "O")])
    rows = np.array([[("car_ims/1.jpg", 1), ("car_ims/2.jpg", 2)]], dtype=record)
    whole = mat(annotations=rows, class_names=np.array([["one", "two"]], object))
    fields = {"relative_im_path": str, "class": int}

    def read(path):
        class_names(path.read_bytes(), "a.mat")
        columns(path.read_bytes(), "a.mat", fields)

    @fuzzed
    @given(st.one_of(damaged(whole), st.binary(max_size=300).map(lambda end: whole[:128] + end)))
    def run(content):
        harmless(read, tmp_path / "a.mat", content)

    assert harmless(read, tmp_path / "a.mat", whole)
    run()
