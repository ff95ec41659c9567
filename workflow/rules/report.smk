# Tables, the page of all results, and the texts of the report.
# Local, as figures are: on a cluster a job would take longer to start than any of them takes.
# Inputs: metrics.json, run.json, utility.parquet of the suite's runs; numbers of others in report/.
# Outputs: results/tables/{suite}/*, results/index.html

COMPARISONS = [
    "runs.csv",
    "comparisons.csv",
    "comparisons.md",
    "comparisons.tex",
    "comparisons.html",
]
CLAIMS = ["claims.json", "claims.md", "claims.html"]
TABLES = (
    collect(
        "results/tables/{suite}/{name}",
        suite=SUITE,
        name=[
            *COMPARISONS,
            *(["margins.csv"] if VALIDATED else CLAIMS),
            *(f"{further}/{name}" for further in FURTHER for name in COMPARISONS),
        ],
    )
    if COMPARED
    else MEASURED
)
DEVIATIONS = f"results/tables/{SUITE}/deviations.html"
PAGE = "results/index.html" if COMPARED else []
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
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        folder=subpath(output.csv, parent=True),
        runs=shown,
        beside=beside_hashes,
        options=table_options,
    shell:
        "python {input.script:q} --suite {wildcards.suite} --out {params.folder}"
        " --paper {input.paper:q} --published {input.published:q} {params.options} {params.runs}"
        " > {log} 2>&1"


if FURTHER:

    use rule comparisons as comparisons_further with:
        input:
            metrics=further_files("metrics.json"),
            records=run_files(RUNS, "run.json"),
            curves=further_files("utility.parquet"),
            classes=further_files("classes.parquet"),
            paper=local(ROOT / "report/paper_results.csv"),
            published=local(ROOT / "report/published_recall.csv"),
            script=script("aggregate.py"),
            code=code("aggregate.py"),
        output:
            runs="results/tables/{suite}/{evaluation}/runs.csv",
            csv="results/tables/{suite}/{evaluation}/comparisons.csv",
            md="results/tables/{suite}/{evaluation}/comparisons.md",
            tex="results/tables/{suite}/{evaluation}/comparisons.tex",
            html=report(
                "results/tables/{suite}/{evaluation}/comparisons.html",
                caption="../../report/comparisons.rst",
                category="Results",
                labels={"Content": "Table of comparisons, {evaluation}"},
            ),
        log:
            "results/tables/{suite}/{evaluation}/comparisons.log",
        benchmark:
            "results/tables/{suite}/{evaluation}/comparisons.benchmark.tsv"


rule margins:
    input:
        metrics=run_files(RUNS, "metrics.json"),
        records=run_files(RUNS, "run.json"),
        script=script("tune.py"),
        code=code("tune.py"),
    output:
        "results/tables/{suite}/margins.csv",
    log:
        "results/tables/{suite}/margins.log",
    benchmark:
        "results/tables/{suite}/margins.benchmark.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        folder=subpath(output[0], parent=True),
        runs=shown,
        beside=beside_hashes,
    shell:
        "python {input.script:q} --out {params.folder} {params.runs} > {log} 2>&1"


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
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        folder=subpath(output.json, parent=True),
        pareto=pareto_option,
        whole=whole_suite,
        titles=title_option,
    shell:
        "python {input.script:q} --tables {params.folder} --out {params.folder} {params.pareto}"
        " {params.whole} {params.titles} > {log} 2>&1"


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
    localrule: True
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
        further=collect(
            "results/tables/{suite}/{evaluation}/comparisons.csv",
            suite=SUITE,
            evaluation=FURTHER,
        ),
        paper=local(ROOT / "report/paper_results.csv"),
        published=local(ROOT / "report/published_recall.csv"),
        script=script("page.py"),
        code=code("page.py"),
    output:
        "results/index.html",
    log:
        "results/page.log",
    benchmark:
        "results/page.benchmark.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        suite=SUITE,
        tuned=TUNED,
        contributed="--contributed results/contributed" if CONTRIBUTED else "",
        entries=entry_options,
        runs=shown,
        beside=beside_hashes,
        whole=whole_suite,
        titles=title_option,
        evaluations=[f"--evaluation {name}" for name in FURTHER],
    shell:
        "python {input.script:q} --suite {params.suite} --comparisons {input.comparisons:q}"
        " --paper {input.paper:q} --published {input.published:q}"
        " --out {output} {params.tuned} {params.contributed} {params.entries} {params.whole}"
        " {params.titles} {params.evaluations} {params.runs} > {log} 2>&1"
