# Embeddings of the test images, or of those of a fold, which at full scale are decoded once for all runs.
# Inputs: model.safetensors, run.json, the manifest of what is scored.
# Outputs: results/data/{scale}/{dataset}/views/{resize}_{crop}.{npy,json}; embeddings.npz

# A run's test images are listed by its manifest.
EMBED_SOURCES = code("embed.py", skip=["photos"])


rule evaluation_view:
    input:
        manifest=scored_manifest,
        script=script("view.py"),
        code=code("view.py"),
    output:
        view="results/data/{scale}/{dataset}/views/{resize}_{crop}.npy",
        record="results/data/{scale}/{dataset}/views/{resize}_{crop}.json",
    log:
        "results/data/{scale}/{dataset}/logs/view_{resize}_{crop}.log",
    benchmark:
        "results/data/{scale}/{dataset}/logs/view_{resize}_{crop}.benchmark.tsv"
    wildcard_constraints:
        resize="[0-9]+",
        crop="[0-9]+",
    conda:
        "../../envs/train.yaml"
    threads: THREADS
    resources:
        mem_mb=8000,
        disk_mb=view_mb,
        runtime=240,
    params:
        packages=packages(),
        images=data_folder,
    shell:
        "python {input.script:q} --manifest {input.manifest:q} --images {params.images:q}"
        " --resize {wildcards.resize} --crop {wildcards.crop} --out {output.view} > {log} 2>&1"


rule embed:
    input:
        model=f"{RUN}/model.safetensors",
        record=f"{RUN}/run.json",
        manifest=scored_manifest,
        view=stored_view,
        script=script("embed.py"),
        code=EMBED_SOURCES,
    output:
        f"{RUN}/embeddings.npz",
    log:
        f"{RUN}/embed.log",
    benchmark:
        f"{RUN}/embed.benchmark.tsv"
    conda:
        "../../envs/train.yaml"
    threads: THREADS
    resources:
        gpu=int(ON_GPU),
        mem_mb=16000 if LARGE else 1500,
        runtime=240 if LARGE else 10,
        device=DEVICE,
    params:
        packages=packages(),
        run=subpath(input.model, parent=True),
        images=data_folder,
        view=view_option,
    shell:
        "python {input.script:q} --run {params.run} --manifest {input.manifest:q}"
        " --images {params.images:q} {params.view} --out {output}"
        " --device {resources.device} > {log} 2>&1"
