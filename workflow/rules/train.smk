# One rule for each loss of the configuration, so that a loss is seen, called and re-run by itself.
# Inputs: the training manifest (never the test one), start weights, the sources of this loss.
# Outputs: model.safetensors and run.json in the run's folder; last.ckpt is deliberately not
# declared, since Snakemake deletes the outputs of a killed job, and a run continues from it.

MODELS = [f"{run.folder}/model.safetensors" for run in RUNS]
TRAIN_SOURCES = sources(SRC / "train.py", skip=["regularizers"])


def loss_sources(loss):
    """The loss's file and what it imports."""
    own = config["losses"][loss].get("file")
    return sources(own or SRC / f"tcmbench/losses/{loss}.py")


def regularizer_sources(wildcards):
    """The margin's file, for the runs that use it."""
    if wildcards.variant == "base":
        return []
    return sources(SRC / "tcmbench/regularizers/tcm.py")


def start_weights(wildcards):
    """The backbone's start weights, unless it starts from random ones."""
    if config["backbones"][wildcards.backbone]["weights"] == "none":
        return []
    return f"results/weights/{wildcards.backbone}.safetensors"


def train_json(loss):
    """The configuration of a run of this loss as JSON: a changed key re-runs what it changes."""
    return lambda wildcards: json.dumps(TRAIN_CONFIGS[run_of(wildcards, loss)])


for LOSS, ENTRY in config["losses"].items():
    if ENTRY["rule"] == "custom":
        continue

    rule:
        name:
            f"train_{LOSS}"
        input:
            manifest=f"results/data/{SCALE}/{{dataset}}/train.csv",
            weights=start_weights,
            script=script("train.py"),
            code=TRAIN_SOURCES,
            loss=loss_sources(LOSS),
            regularizer=regularizer_sources,
        output:
            model=f"{RUN.replace('{loss}', LOSS)}/model.safetensors",
            record=f"{RUN.replace('{loss}', LOSS)}/run.json",
        log:
            f"{RUN.replace('{loss}', LOSS)}/train.log",
        benchmark:
            f"{RUN.replace('{loss}', LOSS)}/train.benchmark.tsv"
        conda:
            "../../envs/train.yaml"
        threads: 16 if FULL else 1
        resources:
            gpu=int(ON_GPU),
            mem_mb=32000 if FULL else 1500,
            runtime=1440 if FULL else 30,
            device=DEVICE,
        params:
            config=train_json(LOSS),
            folder=subpath(output.model, parent=True),
        shell:
            "python {input.script} --config - --out {params.folder} --resume"
            " --device {resources.device} <<< {params.config:q} > {log} 2>&1"
