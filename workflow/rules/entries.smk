# Embeddings that were made elsewhere: measured, tabulated and drawn like the runs, never trained.
# Inputs: the files that a suite names under `entries`.
# Outputs: results/entries/{entry}/*, results/tables/{suite}/entries.*, results/figures/*/entries.*

ENTRIES = (
    collect(
        ["results/tables/{suite}/entries.csv", "results/figures/{suite}/entries.svg"],
        suite=SUITE,
    )
    if GRID["entries"]
    else []
)
MEASURED_ENTRIES = collect(
    "results/entries/{entry}/{file}",
    entry=GRID["entries"],
    file=["metrics.json", "utility.parquet"],
)


rule evaluate_entry:
    input:
        embeddings=entry_embeddings,
        script=script("evaluate.py"),
        code=EVALUATE_SOURCES,
    output:
        metrics="results/entries/{entry}/metrics.json",
        utility="results/entries/{entry}/utility.parquet",
    log:
        "results/entries/{entry}/evaluate.log",
    benchmark:
        "results/entries/{entry}/evaluate.benchmark.tsv"
    conda:
        "../../envs/evaluate.yaml"
    threads: THREADS
    resources:
        gpu=int(ON_GPU),
        mem_mb=8000 if FULL else 1500,
        runtime=120 if FULL else 10,
        device=DEVICE,
    params:
        far=lookup("evaluation/far_range", within=config),
        beta=lookup("evaluation/beta", within=config),
        epsilon=lookup("evaluation/epsilon", within=config),
        thresholds=lookup("evaluation/num_thresholds", within=config),
    shell:
        "python {input.script} --embeddings {input.embeddings:q} --out {output.metrics}"
        " --utility {output.utility} --far {params.far} --beta {params.beta}"
        " --epsilon {params.epsilon} --thresholds {params.thresholds}"
        " --device {resources.device} --max-hours 1000 > {log} 2>&1"


rule entries:
    input:
        measured=MEASURED_ENTRIES,
        script=script("entries.py"),
        code=code("entries.py"),
    output:
        csv="results/tables/{suite}/entries.csv",
        html=report(
            "results/tables/{suite}/entries.html",
            caption="../../report/entries_table.rst",
            category="Embeddings made elsewhere",
            labels={"Content": "Table"},
        ),
        svg=report(
            "results/figures/{suite}/entries.svg",
            caption="../../report/entries.rst",
            category="Embeddings made elsewhere",
            labels={"Content": "Utility curves"},
        ),
        print=multiext("results/figures/{suite}/entries", ".pdf", ".png"),
    log:
        "results/tables/{suite}/entries.log",
    benchmark:
        "results/tables/{suite}/entries.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        tables=subpath(output.csv, parent=True),
        figures=subpath(output.svg, parent=True),
        entries=entry_options(),
    shell:
        "python {input.script} --tables {params.tables} --figures {params.figures}"
        " {params.entries} > {log} 2>&1"
