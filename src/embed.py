"""Embed images: those of a split with a trained run, or those of a folder with any timm model.

python src/embed.py --run FOLDER --manifest FILE.csv --images FOLDER [--view FILE.npy]
                    --out FILE.npz
python src/embed.py --timm NAME [--weights FILE] --folder PHOTOS --out FILE.npz
"""

from tcmbench.commands.embed import command, parser
from tcmbench.common.commands import run_command

if __name__ == "__main__":
    run_command(parser(), command)
