"""Two sets of embeddings compared: by a plain bootstrap, in words, in a figure, as a command."""

import json

import numpy as np
import pytest

from tcmbench import commands
from tcmbench.common.errors import UserError
from tcmbench.compare import compare
from tcmbench.compare.text import text, verdict
from tcmbench.evaluation import Definition
from tcmbench.metrics.io.reading import Labelled
from tests.metrics.references import opis_reference, recall_reference


def clusters(seed, spread, count=24, images=6):
    """The same classes, more or less spread."""
    labels = np.repeat(np.arange(count), images)
    centres = np.random.default_rng(1).normal(size=(count, 12))
    spreads = spread * np.exp(0.5 * np.random.default_rng(2).normal(size=count))
    noise = np.random.default_rng(seed).normal(size=(len(labels), 12))
    return centres[labels] + spreads[labels, None] * noise, labels


def measured(first, second, **definition):
    sets = [Labelled(*one) if isinstance(one, tuple) else one for one in (first, second)]
    return compare(*sets, Definition(**definition), "cpu")


def test_differences_are_those_of_the_metrics():
    near, wide = clusters(0, 0.5), clusters(3, 0.9)
    found = measured(near, wide)
    for name in ("opis", "epsilon_opis"):
        values = [opis_reference(*one)[name] for one in (near, wide)]
        one = found.differences[name]
        assert (one.first, one.second) == pytest.approx(tuple(values), abs=1e-6)
        assert one.change == pytest.approx(values[1] - values[0], abs=1e-6)
    recall = found.differences["recall_at_1"]
    assert recall.change == pytest.approx(recall_reference(*wide, 1) - recall_reference(*near, 1))
    assert (recall.verdict, found.differences["opis"].verdict) == ("worse", "worse")


def test_interval_against_a_plain_bootstrap_of_classes():
    near, wide = clusters(0, 0.5, 60), clusters(3, 0.6, 60)
    found = measured(near, wide)
    hits = []
    for embeddings, labels in (near, wide):
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, -2)
        hits.append((labels[cosine.argmax(1)] == labels).reshape(60, -1).mean(1))
    change = hits[1] - hits[0]
    drawn = np.random.default_rng(0).integers(60, size=(2000, 60))
    low, high = np.quantile(change[drawn].mean(1), [0.025, 0.975])
    interval = found.differences["recall_at_1"].interval
    assert interval[0] < found.differences["recall_at_1"].change < interval[1]
    # A studentized interval is a little wider than a percentile one.
    assert high - low <= 1.2 * (interval[1] - interval[0]) <= 2.4 * (high - low)


def test_equal_sets_do_not_differ():
    one = clusters(0, 0.5)
    found = measured(one, one)
    assert all(each.change == 0 for each in found.differences.values())
    assert "does not differ" in verdict(found, "A", "B")


def test_order_of_rows_is_irrelevant():
    (embeddings, labels), other = clusters(0, 0.5), clusters(3, 0.9)
    order = np.random.default_rng(0).permutation(len(labels))
    straight = measured((embeddings, labels), other).differences
    assert measured((embeddings[order], labels[order]), other).differences == straight


def test_verdicts_in_one_sentence():
    near, wide = clusters(0, 0.5), clusters(3, 0.9)
    assert verdict(measured(near, wide), "A", "B") == "B is worse than A in R@1, OPIS and 10%-OPIS."
    assert "is better than old in R@1, OPIS and" in verdict(measured(wide, near), "old", "new")
    few = clusters(0, 0.5, 6), clusters(3, 0.9, 6)
    found = measured(*few)
    assert "6 classes are too few for an interval" in verdict(found, "A", "B")
    assert found.differences["opis"].interval is None
    assert "[" not in text(found, "a", "b").partition("Brackets")[0]


def test_other_images_are_refused():
    embeddings, labels = clusters(0, 0.5)
    with pytest.raises(UserError, match="of 0 the first has 6 and the second 5"):
        measured((embeddings, labels), (embeddings[1:], labels[1:]))
    paths = np.array([f"{number}.png" for number in range(len(labels))])
    same = Labelled(embeddings, labels, paths=paths)
    other = Labelled(embeddings, labels, paths=np.char.replace(paths, "7.png", "7.jpg"))
    with pytest.raises(UserError, match="is in one alone"):
        measured(same, other)
    texts = Labelled(embeddings, labels, dict(enumerate("abcdefghijklmnopqrstuvwx")), texts=True)
    renamed = Labelled(embeddings, labels, dict(enumerate("abcdefghijklmnopqrstuvwz")), texts=True)
    with pytest.raises(UserError, match="of 'x' the first has 6 and the second 0"):
        measured(texts, renamed)


def test_command_writes_and_says_what_is_wrong(tmp_path, capsys):
    for name, one in (("a", clusters(0, 0.5)), ("b", clusters(3, 0.9)), ("c", clusters(0, 1, 25))):
        np.savez(tmp_path / f"{name}.npz", embeddings=one[0], labels=one[1])
    words = ["compare", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "--device", "cpu"]
    commands.main([*words, "--out", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert "B is worse than A in R@1, OPIS and 10%-OPIS." in shown
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"compare.json", "compare.svg", "compare.pdf", "compare.png"}
    found = json.loads((tmp_path / "out/compare.json").read_text())
    assert found["verdict"] in shown
    assert found["differences"]["opis"]["interval"][0] > 0
    assert str(tmp_path) not in (tmp_path / "out/compare.json").read_text()
    with pytest.raises(SystemExit) as left:
        commands.main([*words[:2], str(tmp_path / "c.npz")])
    assert left.value.code == 2
    assert "do not hold the same images: of 24" in capsys.readouterr().err
