"""Embed the images of a split.

python src/embed.py --run FOLDER --manifest FILE.csv --images FOLDER [--view FILE.npy]
                    --out FILE.npz
"""

from tcmbench.commands.embed import command, parser
from tcmbench.common.commands import run_command

if __name__ == "__main__":
    run_command(parser(), command)
