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
    file=["metrics.json", "utility.parquet", "curves.parquet"],
)


use rule evaluate as evaluate_entry with:
    input:
        embeddings=entry_embeddings,
        script=script("evaluate.py"),
        code=EVALUATE_SOURCES,
    output:
        metrics="results/entries/{entry}/metrics.json",
        utility="results/entries/{entry}/utility.parquet",
        curves="results/entries/{entry}/curves.parquet",
        classes="results/entries/{entry}/classes.parquet",
    log:
        "results/entries/{entry}/evaluate.log",
    benchmark:
        "results/entries/{entry}/evaluate.benchmark.tsv"


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
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        tables=subpath(output.csv, parent=True),
        figures=subpath(output.svg, parent=True),
        entries=entry_options,
    shell:
        "python {input.script:q} --tables {params.tables} --figures {params.figures}"
        " {params.entries} > {log} 2>&1"
