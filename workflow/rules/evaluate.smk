# Recall@k and threshold consistency of the embeddings.
# Inputs: embeddings.npz. Outputs: metrics.json, utility.parquet, curves.parquet, classes.parquet,
# and the same in a folder of each further evaluation.

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
        far=EVALUATIONS[MAIN]["far_range"],
        beta=EVALUATIONS[MAIN]["beta"],
        epsilon=EVALUATIONS[MAIN]["epsilon"],
        thresholds=EVALUATIONS[MAIN]["num_thresholds"],
    shell:
        "python {input.script:q} --embeddings {input.embeddings:q} --out {output.metrics}"
        " --utility {output.utility} --curves {output.curves} --classes {output.classes}"
        " --far {params.far} --beta {params.beta}"
        " --epsilon {params.epsilon} --thresholds {params.thresholds}"
        " --device {resources.device} --max-hours 1000 > {log} 2>&1"


if FURTHER:

    use rule evaluate as evaluate_further with:
        output:
            metrics=f"{RUN}/{{evaluation}}/metrics.json",
            utility=f"{RUN}/{{evaluation}}/utility.parquet",
            curves=f"{RUN}/{{evaluation}}/curves.parquet",
            classes=f"{RUN}/{{evaluation}}/classes.parquet",
        log:
            f"{RUN}/{{evaluation}}/evaluate.log",
        benchmark:
            f"{RUN}/{{evaluation}}/evaluate.benchmark.tsv"
        params:
            far=of_evaluation("far_range"),
            beta=of_evaluation("beta"),
            epsilon=of_evaluation("epsilon"),
            thresholds=of_evaluation("num_thresholds"),
