# Every figure as .svg, .pdf and .png.
# Inputs: tables of the suite, files of its runs, images. Outputs: results/figures/{suite}/*

# What is drawn of a table; `pareto` and `ablation` belong to the suites of these names, `margins` to
# those with `validation`.
FIGURES_OF_TABLES = {
    "summary": ("comparisons.csv", "Summary of all comparisons"),
    "plane": ("comparisons.csv", "Comparisons in the plane of OPIS and error"),
    "pareto": ("runs.csv", "OPIS against recognition error"),
    "ablation": ("runs.csv", "Margins and weights of TCM"),
    "margins": ("margins.csv", "Margins, validated on training classes"),
}
# What is drawn of a dataset's runs, and the file it needs beside metrics.json and run.json.
FIGURES_OF_DATASETS = {
    "deployer": ("utility.parquet", "Error rates at one threshold"),
    "training": ("metrics.json", "Training curves"),
}
FIGURES = (
    collect(
        "results/figures/{suite}/{name}.{format}",
        suite=SUITE,
        name=figure_names(),
        format=["svg", "pdf", "png"],
    )
    if COMPARED
    else MEASURED
)
CAPTIONS = [local(path) for path in sorted((ROOT / "report").glob("*.rst"))]


for FIGURE, (TABLE, CONTENT) in FIGURES_OF_TABLES.items():

    rule:
        name:
            f"figure_{FIGURE}"
        input:
            table=f"results/tables/{{suite}}/{TABLE}",
            script=script("figures.py"),
            code=code("figures.py"),
        output:
            svg=report(
                f"results/figures/{{suite}}/{FIGURE}.svg",
                caption=f"../../report/{FIGURE}.rst",
                category="Results",
                labels={"Content": CONTENT},
            ),
            print=multiext(f"results/figures/{{suite}}/{FIGURE}", ".pdf", ".png"),
        log:
            f"results/figures/{{suite}}/{FIGURE}.log",
        benchmark:
            f"results/figures/{{suite}}/{FIGURE}.benchmark.tsv"
        localrule: True
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            figure=FIGURE,
            tables=subpath(input.table, parent=True),
            folder=subpath(output.svg, parent=True),
            titles=title_option,
        shell:
            "python {input.script:q} {params.figure} --tables {params.tables} --out {params.folder}"
            " {params.titles} > {log} 2>&1"


for FIGURE, (NEEDED, CONTENT) in FIGURES_OF_DATASETS.items():

    rule:
        name:
            f"figure_{FIGURE}"
        input:
            metrics=of_dataset("metrics.json"),
            records=of_dataset("run.json"),
            needed=of_dataset(NEEDED),
            script=script("figures.py"),
            code=code("figures.py"),
        output:
            svg=report(
                f"results/figures/{{suite}}/{FIGURE}_{{dataset}}.svg",
                caption=f"../../report/{FIGURE}.rst",
                category=CONTENT,
                labels={"Dataset": "{dataset}"},
            ),
            print=multiext(
                f"results/figures/{{suite}}/{FIGURE}_{{dataset}}", ".pdf", ".png"
            ),
        log:
            f"results/figures/{{suite}}/{FIGURE}_{{dataset}}.log",
        benchmark:
            f"results/figures/{{suite}}/{FIGURE}_{{dataset}}.benchmark.tsv"
        localrule: True
        conda:
            "../../envs/report.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=20,
        params:
            figure=FIGURE,
            folder=subpath(output.svg, parent=True),
            runs=shown,
            beside=beside_hashes,
            titles=title_option,
        shell:
            "python {input.script:q} {params.figure} --dataset {wildcards.dataset}"
            " --out {params.folder} {params.titles} {params.runs} > {log} 2>&1"


rule figure_utility:
    input:
        metrics=of_dataset("metrics.json"),
        records=of_dataset("run.json"),
        utility=of_dataset("utility.parquet"),
        curves=of_dataset("curves.parquet"),
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
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        folder=subpath(output.pair, parent=True),
        runs=shown,
        beside=beside_hashes,
        titles=title_option,
    shell:
        "python {input.script:q} utility --dataset {wildcards.dataset} --out {params.folder}"
        " {params.titles} {params.runs} > {log} 2>&1"


rule figure_neighbours:
    input:
        files=pair_files,
        manifest=f"results/data/{SCALE}/{{dataset}}/test.csv",
        script=script("figures.py"),
        code=code("figures.py"),
    output:
        svg=report(
            "results/figures/{suite}/neighbours_{dataset}_{backbone}_{loss}.svg",
            caption="../../report/neighbours.rst",
            category="Nearest neighbours inside one threshold",
            labels={
                "Dataset": "{dataset}",
                "Backbone": "{backbone}",
                "Loss": "{loss}",
            },
        ),
        print=multiext(
            "results/figures/{suite}/neighbours_{dataset}_{backbone}_{loss}",
            ".pdf",
            ".png",
        ),
    log:
        "results/figures/{suite}/neighbours_{dataset}_{backbone}_{loss}.log",
    benchmark:
        "results/figures/{suite}/neighbours_{dataset}_{backbone}_{loss}.benchmark.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        images=data_folder,
        folder=subpath(output.svg, parent=True),
        runs=pair_folders,
        titles=title_option,
    shell:
        "python {input.script:q} neighbours --images {params.images:q} --manifest {input.manifest:q}"
        " --out {params.folder} {params.titles} {params.runs} > {log} 2>&1"


rule figure_toy:
    input:
        files=embedded_files(pair_of(RUNS[0])),
        script=script("figures.py"),
        code=code("figures.py"),
    output:
        svg=report(
            "results/figures/{suite}/toy.svg",
            caption="../../report/toy.rst",
            category="Results",
            labels={"Content": "Embeddings on the circle"},
        ),
        print=multiext("results/figures/{suite}/toy", ".pdf", ".png"),
    log:
        "results/figures/{suite}/toy.log",
    benchmark:
        "results/figures/{suite}/toy.benchmark.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        folder=subpath(output.svg, parent=True),
        runs=run_files(pair_of(RUNS[0])),
        titles=title_option,
    shell:
        "python {input.script:q} toy --out {params.folder} {params.titles} {params.runs}"
        " > {log} 2>&1"
