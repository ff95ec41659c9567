# Start weights of each backbone: fetched from the hub (pinned by commit and hash), brought by hand,
# or pretrained here on single digits. The only rule besides `download` that uses the network.
# Outputs: results/weights/{backbone}.{safetensors,json}

FETCHED = any(
    config["backbones"][name]["weights"] == "hub" for name in GRID["backbones"]
)


rule weights:
    input:
        by_hand=weight_file,
        # The bytes are fixed by their hash, whatever fetched them.
        script=ancient(script("weights.py")),
        code=weight_sources,
    output:
        weights="results/weights/{backbone}.safetensors",
        record="results/weights/{backbone}.json",
    log:
        "results/weights/{backbone}.log",
    benchmark:
        "results/weights/{backbone}.benchmark.tsv"
    # Compute nodes of a cluster often have no network; pretraining needs none.
    localrule: FETCHED
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        packages=weight_packages,
        timm=lookup("backbones/{backbone}/timm", within=config),
        source=lookup("backbones/{backbone}/weights", within=config),
        arguments=weight_arguments,
        pins=weight_pins,
    shell:
        "python {input.script:q} --timm {params.timm} --source {params.source}"
        " --model-args {params.arguments:q} {params.pins} --out {output.weights} > {log} 2>&1"
