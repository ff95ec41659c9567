# Tables, the page of all results, and the texts of the report.
# Inputs: metrics.json, run.json, utility.parquet of the suite's runs; numbers of others in report/.
# Outputs: results/tables/{suite}/*, results/index.html

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
DEVIATIONS = f"results/tables/{SUITE}/deviations.html"
PAGE = "results/index.html"
# Verified results of others, which come with the repository.
CONTRIBUTED = sorted(str(path) for path in Path("results/contributed").glob("*.csv"))


rule comparisons:
    input:
        metrics=run_files(RUNS, "metrics.json"),
        records=run_files(RUNS, "run.json"),
        curves=run_files(RUNS, "utility.parquet"),
        classes=run_files(RUNS, "classes.parquet"),
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
        "python {input.script:q} --suite {wildcards.suite} --out {params.folder}"
        " --paper {input.paper:q} --published {input.published:q} {params.runs} > {log} 2>&1"


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
        pareto=pareto_option,
    shell:
        "python {input.script:q} --tables {params.folder} --out {params.folder} {params.pareto}"
        " > {log} 2>&1"


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
        "python -m docutils --writer=html5 --stylesheet={input.style:q} {input.text:q} {output} 2> {log}"


rule page:
    input:
        metrics=run_files(RUNS, "metrics.json"),
        records=run_files(RUNS, "run.json"),
        curves=run_files(RUNS, "utility.parquet"),
        classes=run_files(RUNS, "classes.parquet"),
        figures=FIGURES,
        entries=[MEASURED_ENTRIES, ENTRIES],
        contributed=CONTRIBUTED,
        captions=CAPTIONS,
        comparisons=f"results/tables/{SUITE}/comparisons.csv",
        paper=local(ROOT / "report/paper_results.csv"),
        published=local(ROOT / "report/published_recall.csv"),
        script=script("page.py"),
        code=code("page.py"),
    output:
        PAGE,
    log:
        "results/page.log",
    benchmark:
        "results/page.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        suite=SUITE,
        contributed="--contributed results/contributed" if CONTRIBUTED else "",
        entries=entry_options,
        runs=run_files(RUNS),
    shell:
        "python {input.script:q} --suite {params.suite} --comparisons {input.comparisons:q}"
        " --paper {input.paper:q} --published {input.published:q}"
        " --out {output} {params.contributed} {params.entries} {params.runs} > {log} 2>&1"
