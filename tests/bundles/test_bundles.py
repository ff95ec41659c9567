"""Bundles: what is packed, what holds, and what is refused, each with its reason."""

import getpass
import hashlib
import json
import shutil
import socket
import zipfile

import numpy as np
import pandas as pd
import pytest

from tcmbench import commands, datasets
from tcmbench.bundles import pack, pins, verify
from tcmbench.bundles.private import scrubbed
from tcmbench.bundles.sealed import MANIFEST, seal
from tcmbench.common.errors import UserError
from tcmbench.miniatures import write_miniature
from tcmbench.tables.contributed import contributed_table
from tests.bundles.made import CONFIG, LABELS, PATHS, edit, evaluate, write_run, write_runs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs; tests copy them."""
    root = tmp_path_factory.mktemp("made")
    write_runs(root)
    return root


@pytest.fixture
def runs(made, tmp_path, pinned):
    shutil.copytree(made, tmp_path / "mine")
    return sorted((tmp_path / "mine").glob("results/runs/*/*/*/*/*"))


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Pin the split of these runs as that of the miniature."""
    path = tmp_path / "splits.toml"
    path.write_text(f'cub = "{pins.split_hash(LABELS, PATHS)}"\n')
    monkeypatch.setattr(pins, "SPLITS", path)


def checked(runs, tmp_path, precision="float32"):
    pack(runs, tmp_path / "b.zip", "Jane Doe", precision)
    return verify(tmp_path / "b.zip", CONFIG)


def reasons(verdict):
    return [f"{one.question}: {one.detail}" for one in verdict.failures]


# --- what holds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_a_bundle_of_measured_runs_holds(runs, tmp_path, precision):
    verdict = checked(runs, tmp_path, precision)
    assert reasons(verdict) == []
    held = {one.question for one in verdict.findings if one.verdict == "holds"}
    assert held == {
        *("identity", "model", "embeddings", "metrics", "tables", "split"),
        *("configuration", "evaluation"),
    }
    row = verdict.contribution.frame.iloc[0]
    assert (row["by"], row["hardware"], row["measured"]) == (
        "Jane Doe",
        "A processor",
        "2026-01-02",
    )
    tolerance = 1e-9 if precision == "float32" else 1e-3
    for variant, folder in zip(("base", "tcm"), runs, strict=True):
        stated = json.loads((folder / "metrics.json").read_text())
        assert row[f"opis_{variant}"] == pytest.approx(stated["opis"], abs=tolerance)


def test_what_float16_changes_is_stated(runs, tmp_path):
    said = pack(runs, tmp_path / "b.zip", "Jane Doe", "float16")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(tmp_path / "out")
    for one, folder in zip(said, runs, strict=True):
        packed = tmp_path / "out/runs" / one["run"]
        rows, rounded = (np.load(at / "embeddings.npz")["embeddings"] for at in (folder, packed))
        assert rounded.dtype == np.float16
        error = np.abs(rows.astype(np.float64) - rounded).max()
        assert one["largest_error"] == pytest.approx(error, rel=1e-12)
        before, after = (json.loads((at / "metrics.json").read_text()) for at in (folder, packed))
        for name in ("recall_at_1", "map_at_r", "opis", "epsilon_opis"):
            assert one["changes"][name] == pytest.approx(after[name] - before[name], abs=1e-15)
    assert any(one["changes"]["opis"] for one in said)
    assert json.loads((tmp_path / "out/bundle.json").read_text())["runs"] == said


def test_equal_runs_give_equal_bytes_that_other_tools_can_check(runs, tmp_path):
    for name in ("a.zip", "b.zip"):
        pack(runs, tmp_path / name, "Jane Doe", "float32")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        lines = archive.read(MANIFEST).decode().splitlines()
        assert len(lines) == 1 + 2 * 7
        for line in lines:
            digest, name = line.split("  ")
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.zip", "b.zip", "mine", "splits.toml")
    ]


def test_no_path_nor_name_of_a_machine_travels(runs, tmp_path):
    for folder in runs:
        edit(
            folder / "run.json", notes=f"results/{socket.gethostname()}/x", where="C:\\Users\\jane"
        )
    pack(runs, tmp_path / "b.zip", "Jane Doe")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    for secret in (
        b"/home",
        b"Users",
        str(tmp_path).encode(),
        b"/" + socket.gethostname().encode(),
    ):
        assert secret not in content
    assert scrubbed({"a": ["/x/y/z.csv", "~/z", "a/b", "file:///x/y"], "b": 1}) == {
        "a": [".../z.csv", ".../z", "a/b", ".../y"],
        "b": 1,
    }
    assert scrubbed(f"data/{getpass.getuser()}/x") == "data/.../x"
    assert scrubbed(getpass.getuser()) == getpass.getuser(), "a word alone may be a dataset"


def test_absolute_paths_of_images_are_refused(made, tmp_path):
    run = write_run(tmp_path, "base", paths=np.char.add("/home/jane/", PATHS))
    with pytest.raises(UserError, match=r"holds the absolute path '/home/jane/images/0/0.jpg'"):
        pack([run], tmp_path / "b.zip", "Jane Doe")
    assert not (tmp_path / "b.zip").exists()


# --- what is refused ----------------------------------------------------------------------------


def test_one_changed_byte_anywhere_is_seen(runs, tmp_path):
    path = tmp_path / "b.zip"
    pack(runs, path, "Jane Doe")
    whole = path.read_bytes()
    places = np.random.default_rng(0).integers(len(whole), size=40).tolist()
    for place in (*places, 4, 10, len(whole) - 1, len(whole) - 64, len(whole) - 70):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(UserError, match=r"was changed since it was made|is no bundle"):
            verify(path, CONFIG)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"was changed|is no bundle"):
        verify(path, CONFIG)


def test_a_changed_manifest_is_seen_behind_a_right_seal(runs, tmp_path):
    pack(runs, tmp_path / "b.zip", "Jane Doe", "float32")
    inside = tmp_path / "inside"
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(inside)
    (inside / "runs/evil.sh").write_text("x")
    (inside / MANIFEST).unlink()
    seal(inside, tmp_path / "c.zip")
    with pytest.raises(UserError, match=r"holds 'runs/evil.sh', which no bundle does"):
        verify(tmp_path / "c.zip", CONFIG)


def test_another_split_is_refused(tmp_path, pinned):
    other = PATHS.copy()
    other[0] = "images/0/another.jpg"
    runs = [write_run(tmp_path, variant, paths=other) for variant in ("base", "tcm")]
    verdict = checked(runs, tmp_path)
    assert reasons(verdict) == ["split: 60 images of 12 classes are not the test split"] * 2
    assert verdict.contribution is None


def test_two_splits_in_one_bundle_are_refused(tmp_path, made):
    mixed = [write_run(tmp_path, "base"), write_run(tmp_path, "tcm", paths=PATHS[::-1])]
    assert "split: other test images than the runs before it" in reasons(checked(mixed, tmp_path))


def test_swapped_base_and_tcm_are_refused(runs, tmp_path):
    base, tcm = runs
    swapped(base, tcm, *(path.name for path in base.iterdir()))
    found = [one for one in reasons(checked(runs, tmp_path)) if one.startswith("identity")]
    assert found == [
        "identity: run.json is of variant tcm, but stands in the folder of base",
        "identity: run.json is of variant base, but stands in the folder of tcm",
    ]


def test_swapped_embeddings_are_refused_though_all_numbers_follow_from_them(runs, tmp_path):
    base, tcm = runs
    measured = [path.name for path in base.iterdir() if path.name not in ("run.json", "log.csv")]
    swapped(base, tcm, *measured)
    with pytest.raises(UserError, match="was measured of other weights than run"):
        pack(runs, tmp_path / "b.zip", "Jane Doe", "float32")
    for run in runs:
        origin = json.loads((run / "metrics.json").read_text())["provenance"]
        edit(run / "metrics.json", provenance=origin | {"weights_sha256": None})
    expected = ["model: the embeddings are those of another model than run.json's"] * 2
    assert reasons(checked(runs, tmp_path)) == expected


def swapped(one, other, *names):
    for name in names:
        (one / name).rename(one / "kept")
        (other / name).rename(one / name)
        (one / "kept").rename(other / name)


@pytest.mark.parametrize(
    ("key", "value"), [("opis", 0.0001), ("recall_at_1", 1.0), ("d_min", 0.1), ("num_images", 61)]
)
def test_metrics_that_do_not_follow_are_refused(runs, tmp_path, key, value):
    edit(runs[0] / "metrics.json", **{key: value})
    (reason,) = reasons(checked(runs, tmp_path))
    assert reason.startswith(f"metrics: {key} is said to be {value:.9g} but is ")


def test_metrics_of_other_embeddings_are_refused(runs, tmp_path):
    shutil.copy(runs[1] / "embeddings.npz", runs[0] / "embeddings.npz")
    found = reasons(checked(runs, tmp_path))
    assert "embeddings: metrics.json was measured from another file of embeddings" in found
    assert any(one.startswith("metrics: ") for one in found)
    assert "embeddings: they are those of cub/test_resnet/smooth_ap/base/seed0" in found


def test_a_table_that_does_not_follow_is_refused(runs, tmp_path):
    path = runs[0] / "classes.parquet"
    table = pd.read_parquet(path)
    table.loc[0, "recall_at_1"] = 0.123
    table.to_parquet(path)
    expected = "tables: classes.parquet: column 'recall_at_1' does not follow from the embeddings"
    assert reasons(checked(runs, tmp_path)) == [expected]


def test_another_configuration_is_refused(runs, tmp_path):
    for folder in runs:
        edit(folder / "run.json", config__optimization__batch_size=63)
    found = reasons(checked(runs, tmp_path))
    assert found == ["configuration: optimization.batch_size is 63 instead of 64"] * 2


def test_another_evaluation_is_refused(runs, tmp_path):
    for folder in runs:
        words = ("--far", "0.02", "0.2", "--epsilon", "0.2")
        source = ("--embeddings", str(folder / "embeddings.npz"))
        commands.main(["evaluate", *source, "--out", str(folder / "metrics.json"), *words])
    found = reasons(checked(runs, tmp_path))
    assert "evaluation: far_range is [0.02, 0.2] instead of [0.01, 0.1]" in found


def test_published_data_and_weights_by_their_hashes(runs, tmp_path):
    wanted = datasets.load("cub").archive("CUB_200_2011.tgz").sha256
    run = pins.Run("cub", "resnet50", "smooth_ap", "base", 0)
    record = {"data": {"layout": "official", "archives": {"CUB_200_2011.tgz": {"sha256": wanted}}}}
    assert pins.data_finding(run, "full", record).verdict == "holds"
    record["data"]["archives"]["CUB_200_2011.tgz"]["sha256"] = "0" * 64
    assert "is not the published file" in pins.data_finding(run, "full", record).detail
    config, file = pins.read_pins(CONFIG), tmp_path / "weights/resnet50.json"
    started = {"initial_weights_sha256": "abc"}
    assert pins.weights_finding(run, config, started, tmp_path).verdict == "open"
    file.parent.mkdir()
    hub = config["backbones"]["resnet50"]["sha256"]
    for sha, fetched, verdict in (
        ("abc", hub, "holds"),
        ("abd", hub, "FAILS"),
        ("abc", 0, "FAILS"),
    ):
        file.write_text(json.dumps({"sha256": sha, "file_sha256": fetched}))
        assert pins.weights_finding(run, config, started, tmp_path).verdict == verdict
    # 60 images of 12 classes are no test split of CUB.
    assert "instead of 5,924" in pins.split_finding(run, "full", runs[0], {}).detail


def test_runs_that_are_not_whole_are_refused(runs, tmp_path):
    (runs[0] / "curves.parquet").unlink()
    with pytest.raises(UserError, match=r"curves.parquet does not exist; finish the run"):
        pack(runs, tmp_path / "b.zip", "Jane Doe")
    evaluate(runs[0])
    with pytest.raises(UserError, match="name in one line of 80 letters who measured"):
        pack(runs, tmp_path / "b.zip", "Jane\nDoe")


def test_pinned_splits_are_those_of_the_miniatures(tmp_path):
    for name in ("sop", "inat2018"):
        write_miniature(name, tmp_path / name)
        dataset = datasets.load(name).expecting(tmp_path / name / "expected.json")
        test = dataset.layout().read(tmp_path / name, dataset.counts).split.test
        labels, paths = zip(*((item.label, f"images/{item.path}") for item in test), strict=True)
        wanted = pins.SPLITS.read_text()
        assert f'{name} = "{pins.split_hash(np.array(labels), np.array(paths))}"' in wanted


# --- the commands and the table -----------------------------------------------------------------


def test_commands_pack_verify_and_keep_rows(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(CONFIG, tmp_path / "config.yaml")
    commands.main(["bundle", *map(str, runs), "--by", "Jane Doe", "--out", "b.zip"])
    assert "rounding errs by" in capsys.readouterr().out
    commands.main(["verify", "b.zip", "--out", "results/contributed"])
    shown = capsys.readouterr().out
    assert "2 runs by Jane Doe, on A processor" in shown
    assert "metrics              2     0     0" in shown
    (file,) = (tmp_path / "results/contributed").iterdir()
    assert file.name.startswith("jane-doe-")
    own = pd.read_csv(file).assign(opis_base=0.5).to_dict("records")
    table = contributed_table([file], own)
    assert [row[1] for row in table["rows"]] == ["measured here", "Jane Doe, A processor"]
    assert table["rows"][0][2][3] == "500"
    edit(runs[0] / "metrics.json", opis=0.1)
    commands.main(
        ["bundle", *map(str, runs), "--by", "J", "--out", "b.zip", "--embeddings", "float32"]
    )
    with pytest.raises(SystemExit) as left:
        commands.main(["verify", "b.zip"])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert "b.zip is refused: cub/test_resnet/smooth_ap/base/seed0: metrics: opis is said" in error
    assert error.count("\n") == 1


def test_commands_say_what_is_wrong(tmp_path, capsys):
    (tmp_path / "x.zip").write_text("no zip")
    for words, message in (
        (["verify", str(tmp_path / "x.zip")], "is no bundle; make one with 'tcmbench bundle'"),
        (["verify", str(tmp_path / "y.zip")], "does not exist"),
        (["bundle", "--by", "J", "--out", "b.zip"], "name either the run folders or"),
    ):
        with pytest.raises(SystemExit) as left:
            commands.main(words)
        assert left.value.code == 2
        assert message in capsys.readouterr().err
