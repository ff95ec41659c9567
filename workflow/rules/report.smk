# Tables, figures and the texts of the report.
# Inputs: metrics.json, run.json, utility.parquet of the suite's runs; numbers of others in report/.
# Outputs: results/tables/{suite}/*, results/figures/{suite}/*

TABLES = collect(
    "results/tables/{suite}/{name}",
    suite=SUITE,
    name=[
        "runs.csv",
        "comparisons.csv",
        "comparisons.md",
        "comparisons.tex",
        "comparisons.html",
        "claims.json",
        "claims.md",
        "claims.html",
    ],
)
FIGURES = collect(
    "results/figures/{suite}/{name}.{format}",
    suite=SUITE,
    name=["summary"]
    + collect(
        "utility_{dataset}{variant}",
        dataset=GRID["datasets"],
        variant=["", "_base", "_tcm"],
    ),
    format=["svg", "pdf", "png"],
)
DEVIATIONS = f"results/tables/{SUITE}/deviations.html"


rule comparisons:
    input:
        metrics=run_files(RUNS, "metrics.json"),
        records=run_files(RUNS, "run.json"),
        curves=run_files(RUNS, "utility.parquet"),
        paper=local(ROOT / "report/paper_results.csv"),
        published=local(ROOT / "report/published_recall.csv"),
        script=script("aggregate.py"),
        code=code("aggregate.py"),
    output:
        runs="results/tables/{suite}/runs.csv",
        csv="results/tables/{suite}/comparisons.csv",
        md="results/tables/{suite}/comparisons.md",
        tex="results/tables/{suite}/comparisons.tex",
        html=report(
            "results/tables/{suite}/comparisons.html",
            caption="../../report/comparisons.rst",
            category="Results",
            labels={"Content": "Table of comparisons"},
        ),
    log:
        "results/tables/{suite}/comparisons.log",
    benchmark:
        "results/tables/{suite}/comparisons.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        folder=subpath(output.csv, parent=True),
        runs=run_files(RUNS),
    shell:
        "python {input.script} --suite {wildcards.suite} --out {params.folder}"
        " --paper {input.paper} --published {input.published} {params.runs} > {log} 2>&1"


rule claims:
    input:
        comparisons="results/tables/{suite}/comparisons.csv",
        runs="results/tables/{suite}/runs.csv",
        script=script("claims.py"),
        code=code("claims.py"),
    output:
        json="results/tables/{suite}/claims.json",
        md="results/tables/{suite}/claims.md",
        html=report(
            "results/tables/{suite}/claims.html",
            caption="../../report/claims.rst",
            category="Results",
            labels={"Content": "Claims and verdicts"},
        ),
    log:
        "results/tables/{suite}/claims.log",
    benchmark:
        "results/tables/{suite}/claims.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        folder=subpath(output.json, parent=True),
    shell:
        "python {input.script} --tables {params.folder} --out {params.folder} > {log} 2>&1"


rule figure_summary:
    input:
        table="results/tables/{suite}/comparisons.csv",
        script=script("figures.py"),
        code=code("figures.py"),
    output:
        svg=report(
            "results/figures/{suite}/summary.svg",
            caption="../../report/summary.rst",
            category="Results",
            labels={"Content": "Summary of all comparisons"},
        ),
        pdf="results/figures/{suite}/summary.pdf",
        png="results/figures/{suite}/summary.png",
    log:
        "results/figures/{suite}/summary.log",
    benchmark:
        "results/figures/{suite}/summary.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        tables=subpath(input.table, parent=True),
        folder=subpath(output.svg, parent=True),
    shell:
        "python {input.script} summary --tables {params.tables} --out {params.folder}"
        " > {log} 2>&1"


rule figure_utility:
    input:
        metrics=of_dataset("metrics.json"),
        records=of_dataset("run.json"),
        curves=of_dataset("utility.parquet"),
        script=script("figures.py"),
        code=code("figures.py"),
    output:
        pair=report(
            "results/figures/{suite}/utility_{dataset}.svg",
            caption="../../report/utility.rst",
            category="Utility curves, base beside +TCM",
            labels={"Dataset": "{dataset}"},
        ),
        base=report(
            "results/figures/{suite}/utility_{dataset}_base.svg",
            caption="../../report/utility_variant.rst",
            category="Utility curves, TCM switched on and off",
            labels={"Dataset": "{dataset}", "TCM": "no"},
        ),
        tcm=report(
            "results/figures/{suite}/utility_{dataset}_tcm.svg",
            caption="../../report/utility_variant.rst",
            category="Utility curves, TCM switched on and off",
            labels={"Dataset": "{dataset}", "TCM": "yes"},
        ),
        print=multiext("results/figures/{suite}/utility_{dataset}", ".pdf", ".png"),
        print_base=multiext(
            "results/figures/{suite}/utility_{dataset}_base", ".pdf", ".png"
        ),
        print_tcm=multiext(
            "results/figures/{suite}/utility_{dataset}_tcm", ".pdf", ".png"
        ),
    log:
        "results/figures/{suite}/utility_{dataset}.log",
    benchmark:
        "results/figures/{suite}/utility_{dataset}.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        folder=subpath(output.pair, parent=True),
        runs=of_dataset(),
    shell:
        "python {input.script} utility --dataset {wildcards.dataset} --out {params.folder}"
        " {params.runs} > {log} 2>&1"


rule deviations:
    input:
        text=local(ROOT / "report/deviations.rst"),
        style=local(ROOT / "report/report.css"),
    output:
        report(
            "results/tables/{suite}/deviations.html",
            caption="../../report/deviations_caption.rst",
            category="Protocol",
            labels={"Content": "Deviations and open points"},
        ),
    log:
        "results/tables/{suite}/deviations.log",
    benchmark:
        "results/tables/{suite}/deviations.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "python -m docutils --writer=html5 --stylesheet={input.style} {input.text} {output} 2> {log}"
