"""Read TCM's margins off the false accept and false reject rates of training pairs.

python src/margins.py --run FOLDER --far 0.01 --frr 0.1
"""

from tcmbench.commands.margins import command, parser
from tcmbench.common.commands import run_command

if __name__ == "__main__":
    run_command(parser(), command)
