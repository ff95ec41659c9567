# One rule for each loss of the configuration, so that a loss is seen, called and re-run by itself.
# Inputs: the training manifest (never the test one), start weights, the sources of this loss.
# Outputs: model.safetensors and run.json in the run's folder; last.ckpt is deliberately not
# declared, since Snakemake deletes the outputs of a killed job, and a run continues from it.
# Snakemake deletes logs as well: what all tries have said stays in attempts.log behind the log.
# A loss's rule also trains its swept points, whose folders have them behind the loss's name.

MODELS = [f"{run.folder}/model.safetensors" for run in RUNS]
TRAIN_SOURCES = code("train.py", skip=["regularizers"])
TRAIN_RULES = {
    f"train_{name}"
    for name, entry in config["losses"].items()
    if entry["rule"] != "custom"
}


for LOSS, ENTRY in config["losses"].items():
    if ENTRY["rule"] == "custom":
        continue

    RUN_OF_LOSS = RUN.replace("{loss}", f"{LOSS}{{point}}")

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
            model=f"{RUN_OF_LOSS}/model.safetensors",
            record=f"{RUN_OF_LOSS}/run.json",
        log:
            f"{RUN_OF_LOSS}/train.log",
        benchmark:
            f"{RUN_OF_LOSS}/train.benchmark.tsv"
        # A training that ran out of time or was preempted saves its state and is taken up again.
        retries: retries(3)
        conda:
            "../../envs/train.yaml"
        threads: for_each_process(LOSS, THREADS)
        resources:
            gpu=for_each_process(LOSS, int(ON_GPU)),
            mem_mb=for_each_process(LOSS, 32000 if LARGE else 1500),
            runtime=1440 if LARGE else 30,
            device=DEVICE,
            # Not a parameter: how a training is watched changes no result, so it re-runs nothing.
            watching=watch_options(config),
        params:
            packages=loss_packages(LOSS),
            config=train_json(LOSS),
            folder=subpath(output.model, parent=True),
        shell:
            "ln -sf attempts.log {log};"
            " python {input.script:q} --config - --out {params.folder} --resume"
            " --device {resources.device} {resources.watching} <<< {params.config:q} >> {log} 2>&1"
