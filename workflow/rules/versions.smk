# What decides a number beside the sources: versions of packages, as parameters of jobs. No rules.
# Snakemake's own trigger is the environment as a whole, which changes where --use-conda is added or
# left out and where the checkout is moved: `plan_and_refuse` leaves it out.

# The environment has the versions of requirements.lock.
PINS = dict(
    re.findall(
        r"^ *- ([\w-]+)==([^ \n]+)",
        (ROOT / "envs/train.yaml").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)


def packages(*names):
    """The packages that decide a number and their versions: another one re-runs what it changes."""
    decisive = ("numpy", "pillow", "timm", "torch", "torchvision", *names)
    return ", ".join(f"{name} {PINS[name]}" for name in decisive if name in PINS)


def loss_packages(loss):
    """The same, with the package that a loss comes from."""
    package = config["losses"][loss].get("class", "").partition(".")[0]
    return packages(package.replace("_", "-"))


def weight_packages(wildcards):
    """Versions for pretraining; a fetched file has its hash."""
    fetched = config["backbones"][wildcards.backbone]["weights"] == "hub"
    return "" if fetched else packages("scikit-learn")
