# Embeddings of the test images.
# Inputs: model.safetensors, run.json, the test manifest. Outputs: embeddings.npz

EMBED_SOURCES = code("embed.py")


rule embed:
    input:
        model=f"{RUN}/model.safetensors",
        record=f"{RUN}/run.json",
        manifest=f"results/data/{SCALE}/{{dataset}}/test.csv",
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
        mem_mb=16000 if FULL else 1500,
        runtime=240 if FULL else 10,
        device=DEVICE,
    params:
        run=subpath(input.model, parent=True),
        images=data_folder,
    shell:
        "python {input.script} --run {params.run} --manifest {input.manifest}"
        " --images {params.images:q} --out {output} --device {resources.device} > {log} 2>&1"
