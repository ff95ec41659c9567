# Recall@k and threshold consistency of the embeddings.
# Inputs: embeddings.npz. Outputs: metrics.json, utility.parquet, curves.parquet, classes.parquet

EVALUATE_SOURCES = code("evaluate.py")


rule evaluate:
    input:
        embeddings=f"{RUN}/embeddings.npz",
        script=script("evaluate.py"),
        code=EVALUATE_SOURCES,
    output:
        metrics=f"{RUN}/metrics.json",
        utility=f"{RUN}/utility.parquet",
        curves=f"{RUN}/curves.parquet",
        classes=f"{RUN}/classes.parquet",
    log:
        f"{RUN}/evaluate.log",
    benchmark:
        f"{RUN}/evaluate.benchmark.tsv"
    conda:
        "../../envs/train.yaml"
    threads: THREADS
    resources:
        gpu=int(ON_GPU),
        mem_mb=8000 if LARGE else 1500,
        runtime=120 if LARGE else 10,
        device=DEVICE,
    params:
        far=lookup("evaluation/far_range", within=config),
        beta=lookup("evaluation/beta", within=config),
        epsilon=lookup("evaluation/epsilon", within=config),
        thresholds=lookup("evaluation/num_thresholds", within=config),
    shell:
        "python {input.script:q} --embeddings {input.embeddings:q} --out {output.metrics}"
        " --utility {output.utility} --curves {output.curves} --classes {output.classes}"
        " --far {params.far} --beta {params.beta}"
        " --epsilon {params.epsilon} --thresholds {params.thresholds}"
        " --device {resources.device} --max-hours 1000 > {log} 2>&1"
