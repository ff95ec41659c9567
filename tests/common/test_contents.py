"""What a file is by its first bytes: the right word for each kind, and none for what is unknown."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save
from scipy.io import savemat

from tcmbench.common.contents import ARCHIVE, MATLAB, SAFETENSORS, demand, recognised, unlike
from tcmbench.common.errors import UserError


def written(write):
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def zipped(stream):
    with zipfile.ZipFile(stream, "w") as bundle:
        bundle.writestr("a", "b")


def tarred(stream):
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))


# Each made by the library that makes such files.
KINDS = {
    "zip": written(zipped),
    "gzip": gzip.compress(b"x"),
    "bzip2": bz2.compress(b"x"),
    "xz": lzma.compress(b"x"),
    "tar": written(tarred),
    "matlab": written(lambda stream: savemat(stream, {"x": 1})),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),  # HDF5 File Format Specification, section II.A
    "npy": written(lambda stream: np.save(stream, np.zeros(3))),
    "torch": written(lambda stream: torch.save({"a": torch.zeros(2)}, stream)),
    "safetensors": save({"a": torch.zeros(2)}),
}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_each_kind_are_recognised(kind):
    assert recognised(KINDS[kind]).kind == kind


def test_older_pickles_and_an_empty_zip_are_recognised():
    assert recognised(pickle.dumps({}, protocol=2)).kind == "torch"
    old = written(lambda s: torch.save({"a": 1}, s, _use_new_zipfile_serialization=False))
    assert recognised(old).kind == "torch"
    assert recognised(written(lambda stream: zipfile.ZipFile(stream, "w").close())).kind == "zip"


@pytest.mark.parametrize(
    "content", [b"", b"x", bytes(range(256)), bytes(4096), b"\xff\xfe\xfd" * 99]
)
def test_nothing_is_said_of_unknown_bytes(content):
    assert recognised(content) is None


PAGE = "<!DOCTYPE html>\n<html><head><title>Sign&nbsp;in &ndash; Zürich</title></head></html>"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PAGE.encode(), "a web page ('Sign in – Zürich')"),
        (b"\xef\xbb\xbf \n" + PAGE.encode(), "a web page ('Sign in – Zürich')"),
        (PAGE.encode("utf-16"), "a web page ('Sign in – Zürich')"),
        (b"<!-- saved -->\n<HTML lang=de>\x9f\xe4\xf6\xfc", "a web page"),
        (b"<html><TITLE>" + b"word " * 100, "a web page ('" + "word " * 14 + "word...')"),
        (b'{"error": {"code": 403}}', 'a JSON text ({"error": {"code": 403}})'),
        (b"<?xml version='1.0'?><Error/>", "an XML text (<?xml version='1.0'?><Error/>)"),
        (b"Rate limit exceeded.\n", "a text (Rate limit exceeded.)"),
        (LFS, "a pointer of git LFS in place of the file"),
    ],
)
def test_texts_in_place_of_files_are_quoted(content, words):
    assert recognised(content).phrase == words
    assert unlike(content, "x.tar.gz") == f"{words}, not an archive"


@pytest.mark.parametrize("name", ["a.zip", "A.TGZ", "a.tar.gz", "a.tar"])
def test_any_archive_keeps_the_promise_of_any_archive(name):
    for kind in ("zip", "gzip", "bzip2", "xz", "tar"):
        assert unlike(KINDS[kind], name, strict=True) is None
    assert unlike(KINDS["torch"], name) == "a PyTorch file (pickle), not an archive"
    assert unlike(b"", name) is None
    assert unlike(b"", name, strict=True) == "empty, not an archive"
    assert unlike(bytes(100), name, strict=True) == "of unknown content, not an archive"


def test_a_name_without_promise_is_broken_by_pages_and_pointers_alone():
    assert unlike(PAGE.encode(), "x.bin") == "a web page ('Sign in – Zürich')"
    assert unlike(LFS, "x") == "a pointer of git LFS in place of the file"
    assert unlike(PAGE.encode(), "page.HTML") is None
    assert unlike(b"Rate limit exceeded.", "notes.txt", strict=True) is None


@pytest.mark.parametrize(
    ("content", "promised", "sentence"),
    [
        (
            b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM",
            MATLAB,
            "FILE is a MATLAB 7.3 file (HDF5), not a MATLAB file of version 5; load it in MATLAB "
            "and save it with -v7",
        ),
        (
            b"Rar!\x1a\x07\x01\x00",
            ARCHIVE,
            "FILE is a RAR archive, not an archive that is read here; unpack it and pack its "
            "content again as .zip",
        ),
        (
            LFS,
            SAFETENSORS,
            "FILE is a pointer of git LFS in place of the file, not a safetensors file; run 'git "
            "lfs pull' in the repository that it comes from, or fetch the file itself",
        ),
    ],
)
def test_a_refusal_names_the_cause_and_the_way_out(content, promised, sentence):
    with pytest.raises(UserError) as error:
        demand(content, "FILE", promised)
    assert str(error.value) == sentence
