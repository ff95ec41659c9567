# Archives -> verified archives -> images and manifests; images of one's own -> manifests alone.
# Inputs: none at full scale; what the miniature rules render at miniature scale.
# Outputs: results/data/{scale}/{dataset}/{archives/*.verified.json,train.csv,test.csv,manifest.json}
# and, of a fold of the training classes, {dataset}~fold=1of4/{train.csv,validation.csv,manifest.json}
# Archives and images are deliberately not declared: Snakemake deletes the outputs of a rule before
# it runs it again, and they may be large, brought by hand, or shared with other workflows.

MANIFESTS = collect(
    "results/data/{scale}/{dataset}/{split}.csv",
    scale=SCALE,
    dataset=folds.of_suite(GRID),
    split=["train", "validation" if VALIDATED else "test"],
)


for DATASET in MINIATURES:

    rule:
        name:
            f"miniature_{DATASET}"
        input:
            script=script("miniature.py"),
            code=code(f"tcmbench/miniatures/{DATASET}.py"),
        output:
            archives=collect(
                "results/data/miniature/{dataset}/published/{file}",
                dataset=DATASET,
                file=archive_names(DATASET),
            ),
            expected=f"results/data/miniature/{DATASET}/published/expected.json",
        log:
            f"results/data/miniature/{DATASET}/miniature.log",
        benchmark:
            f"results/data/miniature/{DATASET}/miniature.benchmark.tsv"
        conda:
            "../../envs/data.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            dataset=DATASET,
            folder=subpath(output.expected, parent=True),
            seed=config["miniature_seed"],
        shell:
            "python {input.script:q} --dataset {params.dataset} --out {params.folder} "
            "--seed {params.seed} > {log} 2>&1"


rule download:
    input:
        unpack(published),
        # The bytes are fixed by their hash, whatever fetched them.
        script=ancient(script("download.py")),
    output:
        "results/data/{scale}/{dataset}/archives/{file}.verified.json",
    log:
        "results/data/{scale}/{dataset}/logs/download_{file}.log",
    benchmark:
        "results/data/{scale}/{dataset}/logs/download_{file}.benchmark.tsv"
    wildcard_constraints:
        file="[^/]+",
    retries: retries(2)
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        disk_mb=download_mb,
        runtime=1440,
    params:
        archives=archive_folder,
        receipts=subpath(output[0], parent=True),
        options=download_options,
    shell:
        "python {input.script:q} --dataset {wildcards.dataset} --file {wildcards.file}"
        " --out {params.archives:q} --receipts {params.receipts} {params.options} > {log} 2>&1"


rule prepare:
    input:
        receipts=receipts,
        expect=expected,
        skip=skip_list,
        script=script("prepare.py"),
        code=prepare_sources,
    output:
        train="results/data/{scale}/{dataset}/train.csv",
        test="results/data/{scale}/{dataset}/test.csv",
        manifest="results/data/{scale}/{dataset}/manifest.json",
    log:
        "results/data/{scale}/{dataset}/logs/prepare.log",
    benchmark:
        "results/data/{scale}/{dataset}/logs/prepare.benchmark.tsv"
    wildcard_constraints:
        dataset="[^/~]+",
    conda:
        "../../envs/data.yaml"
    threads: threads(on_gpu=False)
    resources:
        mem_mb=4000,
        disk_mb=unpacked_mb,
        runtime=720,
    params:
        archives=archive_folder,
        images=data_folder,
        receipts=lambda wildcards, input: Path(input.receipts[0]).parent,
        folder=subpath(output.manifest, parent=True),
        checks=prepare_checks,
        options=prepare_options,
    shell:
        "python {input.script:q} --dataset {wildcards.dataset} --archives {params.archives:q}"
        " --receipts {params.receipts} --out {params.images:q} --manifests {params.folder}"
        " --threads {threads} {params.checks} {params.options} > {log} 2>&1"


rule fold:
    input:
        train="results/data/{scale}/{dataset}/train.csv",
        script=script("folds.py"),
        code=code("folds.py"),
    output:
        train="results/data/{scale}/{dataset}~fold={number}of{folds}/train.csv",
        validation="results/data/{scale}/{dataset}~fold={number}of{folds}/validation.csv",
        manifest="results/data/{scale}/{dataset}~fold={number}of{folds}/manifest.json",
    log:
        "results/data/{scale}/{dataset}~fold={number}of{folds}/logs/fold.log",
    benchmark:
        "results/data/{scale}/{dataset}~fold={number}of{folds}/logs/fold.benchmark.tsv"
    wildcard_constraints:
        scale="full|miniature|own",
        dataset="[^/~]+",
        number="[0-9]+",
        folds="[0-9]+",
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        folder=subpath(output.train, parent=True),
    shell:
        "python {input.script:q} --manifest {input.train:q} --fold {wildcards.number}"
        " --of {wildcards.folds} --out {params.folder} > {log} 2>&1"


# One job a half, each with hashes of its own: a changed test image re-runs no training. Both check
# all pictures, to name all that cannot be decoded; what one has decoded the other does not.
rule check_photos:
    input:
        skip=skip_list,
        script=script("photos.py"),
        code=code("photos.py"),
    output:
        "results/data/own/{dataset}/{half}.csv",
    log:
        "results/data/own/{dataset}/logs/{half}.log",
    benchmark:
        "results/data/own/{dataset}/logs/{half}.benchmark.tsv"
    wildcard_constraints:
        dataset="[^/~]+",
        half="train|test",
    conda:
        "../../envs/data.yaml"
    threads: threads(on_gpu=False)
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        hashes=photos_hashes,
        options=photos_options,
        folder=subpath(output[0], parent=True),
    shell:
        "python {input.script:q} --name {wildcards.dataset} {params.options} --threads {threads}"
        " --half {wildcards.half} --out {params.folder} > {log} 2>&1"
