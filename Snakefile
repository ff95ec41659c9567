# The reproducibility benchmark of the Threshold-Consistent Margin loss, as a workflow.
# What runs is said in config.yaml; how, in workflow/rules, one file a stage.
import os

from snakemake.utils import min_version

# Packages in the user's home hide those of an environment, and pip leaves out of a new one what it
# finds there. Set here, it holds for all that is started: conda, pip and every job.
os.environ.setdefault("PYTHONNOUSERSITE", "1")

min_version("9.20")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "workflow/rules/common.smk"


if config["container"]:

    container: config["container"]


include: "workflow/rules/versions.smk"
include: "workflow/rules/progress.smk"
include: "workflow/rules/refusals.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report_inputs.smk"
include: "workflow/rules/entries.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


for rule_file in CUSTOM_RULES:

    include: rule_file


rule all:
    default_target: True
    input:
        TABLES,
        FIGURES,
        ENTRIES,
        DEVIATIONS,
        PAGE,


rule data:
    input:
        MANIFESTS,


rule models:
    input:
        MODELS,


rule tables:
    input:
        TABLES,


rule figures:
    input:
        FIGURES,
