"""Published start weights, from a server that answers as the hub does: pinned, cached, refused."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import weights as door
from tcmbench.common.errors import UserError
from tcmbench.models import hub
from tcmbench.models.backbones import create_backbone
from tcmbench.models.network import EmbeddingModel, ModelSpec, load_tensors
from tests.paths import SRC
from tests.training.tiny_data import exit_code

DOOR = SRC / "weights.py"
NAME = "test_resnet.r160_in1k"
COMMIT, OLDER = "a" * 40, "b" * 40
RESOLVE = "/resolve/{revision}/{filename}"


@dataclass
class Hub:
    """A repository `timm/test_resnet.r160_in1k` of two commits, and what was asked of it."""

    files: dict[str, bytes]
    address: str = ""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    # Bytes after which a download breaks off, once.
    breaks_after: int | None = None


def handler(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            hub.asked.append((self.command, self.path, self.headers.get("Range")))
            if self.path.startswith("/store/"):
                return self.send(hub.files[self.path.removeprefix("/store/")], body)
            found = re.fullmatch(rf"/timm/{re.escape(NAME)}/resolve/(\w+)/(.+)", self.path)
            commit = COMMIT if found and found[1] == "main" else found and found[1]
            if not found or commit not in hub.files or found[2] != "model.safetensors":
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound" if found else "RepoNotFound")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            content = hub.files[commit]
            # The hub sends large files' readers on to its store.
            self.send_response(302)
            self.send_header("X-Repo-Commit", commit)
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            store = hub.address.replace("127.0.0.1", "localhost")
            self.send_header("Location", f"{store}/store/{commit}")
            self.send_header("Content-Length", "0")
            return self.end_headers()

        def send(self, content, body):
            start = int(re.findall(r"\d+", self.headers.get("Range", "bytes=0-"))[0])
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            if body and hub.breaks_after is not None:
                self.wfile.write(content[start : hub.breaks_after])
                hub.breaks_after = None
                self.close_connection = True
                self.wfile.flush()
                self.connection.close()
            elif body:
                self.wfile.write(content[start:])

    return Handler


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The network as timm publishes it, with its classifier, in two versions."""
    folder, files = tmp_path_factory.mktemp("published"), {}
    for seed, commit in enumerate((COMMIT, OLDER)):
        torch.manual_seed(seed)
        tensors = timm.create_model(NAME, pretrained=False).state_dict()
        save_file(tensors, folder / commit)
        files[commit] = (folder / commit).read_bytes()
    return files


@pytest.fixture
def server(published):
    served = Hub(published)
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler(served))
    served.address = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield served
    running.shutdown()
    running.server_close()


@pytest.fixture
def client(server, tmp_path, monkeypatch):
    """The hub's client in this process, pointed at the server; it reads its environment once."""
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{server.address}/{{repo_id}}{RESOLVE}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home/hub"))
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    return server


def run(out, home, *options, **environment):
    """Call the command as a process of its own."""
    inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return subprocess.run(
        [sys.executable, DOOR, "--timm", NAME, "--out", out, *map(str, options)],
        env={**inherited, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def digest(content):
    return hashlib.sha256(content).hexdigest()


def pinned(files, commit=COMMIT):
    return {"revision": commit, "expected": digest(files[commit])}


def is_cut(cut, content, folder):
    """Say whether `cut` holds all of `content` but its classifier."""
    (folder / "whole").write_bytes(content)
    whole = load_file(folder / "whole")
    assert {name for name in whole if name not in cut} == {"fc.weight", "fc.bias"}
    return all(torch.equal(whole[name], value) for name, value in cut.items())


def test_fetched_at_its_commit_checked_and_cut(client, published, tmp_path, capsys):
    backbone, origin = hub.pretrained(NAME, {}, **pinned(published, OLDER))
    assert is_cut(backbone.state_dict(), published[OLDER], tmp_path)
    assert origin == {
        "hub": f"timm/{NAME}",
        "revision": OLDER,
        "file_sha256": digest(published[OLDER]),
    }
    # The pinned commit alone was asked for, nothing by the name of a branch.
    assert {path.split("/")[-2] for _, path, _ in client.asked} == {OLDER, "store"}
    assert "warning" not in capsys.readouterr().err


def test_unpinned_takes_the_newest_and_says_how_to_pin_it(client, published, tmp_path, capsys):
    backbone, origin = hub.pretrained(NAME, {})
    assert is_cut(backbone.state_dict(), published[COMMIT], tmp_path)
    assert origin["revision"] == COMMIT
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"warning: nothing pins the weights of {NAME}; accepted as they are, with revision: "
        f"{COMMIT} and sha256: {digest(published[COMMIT])}, to be put into config.yaml"
    )


def test_second_time_and_offline_come_from_the_cache(client, published, tmp_path, monkeypatch):
    hub.pretrained(NAME, {}, **pinned(published))
    asked = len(client.asked)
    hub.pretrained(NAME, {}, **pinned(published))
    assert len(client.asked) == asked  # a commit cannot change, so nobody is asked
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    backbone, _ = hub.pretrained(NAME, {}, **pinned(published))
    assert is_cut(backbone.state_dict(), published[COMMIT], tmp_path)
    assert len(client.asked) == asked


def test_a_broken_download_goes_on_where_it_ended(client, published, tmp_path, monkeypatch):
    client.breaks_after = 200_000
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)  # the file is small
    backbone, _ = hub.pretrained(NAME, {}, **pinned(published))
    assert is_cut(backbone.state_dict(), published[COMMIT], tmp_path)
    ranges = [asked for method, _, asked in client.asked if method == "GET" and asked]
    assert any(re.fullmatch(r"bytes=[1-9]\d*-", asked) for asked in ranges), client.asked


def test_the_command_follows_the_environment_and_keeps_a_record(server, published, tmp_path):
    out, home = tmp_path / "new/test_resnet.safetensors", tmp_path / "home"
    options = ["--revision", COMMIT, "--sha256", digest(published[COMMIT])]
    quiet = {"HF_ENDPOINT": server.address, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = run(out, home, *options, **quiet)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_cut(load_file(out), published[COMMIT], tmp_path)
    load_tensors(create_backbone(NAME, {}), out)
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["revision"] == COMMIT
    assert record["file_sha256"] == digest(published[COMMIT])
    assert record["sha256"] == digest(out.read_bytes())
    assert len(list(home.rglob("snapshots/*/model.safetensors"))) == 1


def test_the_command_offline_without_a_cache_is_one_sentence(tmp_path):
    out = tmp_path / "hub.safetensors"
    done = run(out, tmp_path / "home", "--revision", COMMIT, HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: model.safetensors of timm/{NAME} at revision {COMMIT} cannot")
    assert line.endswith(BY_HAND)
    assert not out.exists()
    assert not out.with_suffix(".json").exists()


BY_HAND = (
    "; try again with network, or fetch it by hand and name it as 'file' of the backbone in "
    "config.yaml"
)


@pytest.mark.parametrize("trouble", ["no such commit", "no such file", "no server"])
def test_what_cannot_be_had_is_one_sentence(client, monkeypatch, trouble):
    revision = "c" * 40 if trouble == "no such commit" else COMMIT
    if trouble == "no such file":
        monkeypatch.setattr(hub, "NAME", "other.safetensors")
    elif trouble == "no server":
        address = "http://127.0.0.1:9/{repo_id}" + RESOLVE
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's five tries
    with pytest.raises(UserError) as error:
        hub.pretrained(NAME, {}, revision)
    sentence = str(error.value)
    assert sentence.startswith(f"{hub.NAME} of timm/{NAME} at revision {revision} cannot be had (")
    assert sentence.endswith(BY_HAND)
    assert len(sentence) < 500


def test_another_file_than_the_pinned_one_is_refused(client, published, tmp_path):
    with pytest.raises(UserError) as error:
        hub.pretrained(NAME, {}, COMMIT, "0" * 64)
    (cached,) = tmp_path.rglob("snapshots/*/model.safetensors")
    assert str(error.value) == (
        f"{cached} is not the model.safetensors of timm/{NAME} that is wanted: its sha256 "
        f"is {digest(published[COMMIT])} instead of {'0' * 64}; delete it and fetch it again, or "
        "correct 'sha256' in config.yaml"
    )


def test_a_file_by_hand_needs_no_network(client, published, tmp_path):
    by_hand = tmp_path / "by_hand.safetensors"
    by_hand.write_bytes(published[COMMIT])
    expected = digest(published[COMMIT])
    backbone, origin = hub.pretrained(NAME, {}, COMMIT, expected, by_hand)
    assert is_cut(backbone.state_dict(), published[COMMIT], tmp_path)
    assert origin == {"hub": f"timm/{NAME}", "revision": None, "file_sha256": expected}
    assert client.asked == []


@pytest.mark.parametrize(
    ("content", "expected", "sentence"),
    [
        (None, None, "weights {path} do not exist; check 'file' in config.yaml"),
        (b"x", "0" * 64, "{path} is not the model.safetensors of timm/test_resnet.r160_in1k that"),
        (b"x", None, "{path} does not hold the weights of test_resnet.r160_in1k ("),
        ("other", None, "{path} does not hold the weights of test_resnet.r160_in1k ("),
    ],
)
def test_a_file_by_hand_that_is_wrong(tmp_path, content, expected, sentence):
    path = tmp_path / "by_hand.safetensors"
    if content == "other":
        # Another network: nothing of it may be left out silently.
        save_file(timm.create_model("test_vit", pretrained=False).state_dict(), path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        hub.pretrained(NAME, {}, expected=expected, file=path)
    assert str(error.value).startswith(sentence.format(path=path))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("test_resnet.nonsense", "timm has no weights 'test_resnet.nonsense' ("),
        (
            "vit_base_patch16_224_in21k",
            "timm has no weights 'vit_base_patch16_224_in21k' (Model architecture "
            "(vit_base_patch16_224_in21k) has no pretrained cfg registered.); it is called "
            "'vit_base_patch16_224.augreg_in21k' today; check the name",
        ),
        ("test_mambaout", "timm publishes no weights of 'test_mambaout' on the hub; name a tag"),
    ],
)
def test_a_network_without_published_weights(name, sentence):
    with pytest.raises(UserError) as error:
        hub.pretrained(name, {})
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("pin", ["--revision", "--sha256", "--file"])
def test_pins_are_for_the_hub_alone(tmp_path, capsys, pin):
    out = tmp_path / "out.safetensors"
    options = ["--timm", NAME, "--source", "digits", "--out", out]
    assert exit_code(door, *options, pin, "x") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "but the source is 'digits'; remove them from the backbone's entry of config.yaml"
    )
    assert not out.exists()


def test_arguments_of_the_network_are_followed(tmp_path):
    """A vision transformer for another image size: timm adapts the position embeddings."""
    whole = timm.create_model("test_vit.r160_in1k", pretrained=False)
    save_file(whole.state_dict(), tmp_path / "vit")
    backbone, _ = hub.pretrained("test_vit.r160_in1k", {"img_size": 64}, file=tmp_path / "vit")
    assert backbone.pos_embed.shape[1] == (64 // 16) ** 2 + 1
    assert torch.equal(backbone.blocks[0].attn.qkv.weight, whole.blocks[0].attn.qkv.weight)
    assert torch.equal(backbone.cls_token, whole.cls_token)


def test_a_model_never_asks_the_network(client):
    EmbeddingModel(ModelSpec(NAME, "gem", True, 8, True))
    assert client.asked == []
    # The same name with weights would have asked.
    hub.pretrained(NAME, {})
    assert client.asked != []


# Weights as people have them


def network(name=NAME, **more):
    torch.manual_seed(3)
    return timm.create_model(name, pretrained=False, **more).state_dict()


def by_hand(tensors, path, name=NAME, **model_args):
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return hub.pretrained(name, model_args, file=path)[0].state_dict()


@pytest.mark.parametrize("change", ["no classifier", "no bias", "other classes", "no counters"])
def test_the_classifier_may_be_absent_or_another_one(change, tmp_path):
    tensors = network()
    expected = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    if change == "no classifier":
        tensors = dict(expected)
    elif change == "no counters":  # as torch wrote before 0.4.1
        tensors = {k: v for k, v in expected.items() if not k.endswith("num_batches_tracked")}
    elif change == "no bias":
        del tensors["fc.bias"]
    else:
        tensors |= {"fc.weight": tensors["fc.weight"][:7], "fc.bias": tensors["fc.bias"][:7]}
    found = by_hand(tensors, tmp_path / "w.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_vision_transformer_without_classifier_for_another_size(tmp_path):
    tensors = {k: v for k, v in network("test_vit").items() if not k.startswith("head.")}
    found = by_hand(tensors, tmp_path / "w", "test_vit.r160_in1k", img_size=64)
    assert found["pos_embed"].shape[1] == (64 // 16) ** 2 + 1
    assert torch.equal(found["blocks.0.attn.qkv.weight"], tensors["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            lambda t: {f"module.{k}": v for k, v in t.items()},
            "its names begin with 'module.', as those of a wrapped network do); save it again "
            "without 'module.' in front of each name",
        ),
        (
            lambda t: {f"state_dict.model.{k}": v for k, v in t.items()},
            "its names begin with 'state_dict.model.', as those of a wrapped network do); save",
        ),
        (
            lambda t: {k: v for k, v in t.items() if k != "bn1.weight" and k[:3] != "fc."},
            "it lacks 'bn1.weight', 'fc.bias', 'fc.weight', and has nothing that the "
            "network has not); it is of another network",
        ),
        (
            lambda t: t | {"extra": torch.zeros(1)},
            "it lacks nothing, and has 'extra' that the network has not); it is of another",
        ),
        (
            lambda t: t | {"bn1.weight": torch.zeros(3)},
            "'bn1.weight' is [3] instead of [32]",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, cause, tmp_path, capsys):
    changed = change(network())
    path = tmp_path / "w.safetensors"
    with pytest.raises(UserError) as error:
        by_hand(changed, path)
    assert f"{path} does not hold the weights of {NAME} ({cause}" in str(error.value)
    assert "accepted" not in capsys.readouterr().err


@pytest.mark.parametrize(("pool", "other"), [("avg", "token"), ("token", "avg")])
def test_another_global_pool_is_named(pool, other, tmp_path):
    with pytest.raises(UserError) as error:
        by_hand(
            network("test_vit", global_pool=other), tmp_path / "w", "test_vit", global_pool=pool
        )
    assert "as that of another global_pool); set 'global_pool' in model_args" in str(error.value)
    assert "'norm.bias', 'norm.weight'" in str(error.value)
    assert "'fc_norm.bias', 'fc_norm.weight'" in str(error.value)


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        (lambda path: torch.save(network(), path), "is a PyTorch file (pickle), not a safetensors"),
        (
            lambda path: path.write_text("<!DOCTYPE html><title>401</title>"),
            "is a web page ('401')",
        ),
        (
            lambda path: path.write_text(
                "version https://git-lfs.github.com/spec/v1\noid sha256:0"
            ),
            "is a pointer of git LFS in place of the file, not a safetensors file",
        ),
    ],
)
@pytest.mark.parametrize("pin", [None, "0" * 64])
def test_what_is_no_safetensors_file_is_named_before_it_is_hashed(
    write, cause, pin, tmp_path, capsys
):
    path = tmp_path / "w.safetensors"
    write(path)
    with pytest.raises(UserError) as error:
        hub.pretrained(NAME, {}, expected=pin, file=path)
    assert str(error.value).startswith(f"{path} {cause}")
    assert "accepted" not in capsys.readouterr().err


def test_a_file_by_hand_is_never_written_over(tmp_path, capsys):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"mine")
    assert exit_code(door, "--timm", NAME, "--file", path, "--out", path) == 2
    assert capsys.readouterr().err == (
        f"error: {path} is read and would be overwritten; give the output another name\n"
    )
    assert path.read_bytes() == b"mine"
