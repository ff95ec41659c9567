"""Find one global distance threshold for a file of embeddings, and say which classes it fits.

Usage: python src/threshold.py --embeddings FILE.npz --far 0.01 [--apply OTHER.npz] [--out FOLDER]
"""

from tcmbench.commands.threshold import command, parser
from tcmbench.common.commands import run_command

if __name__ == "__main__":
    run_command(parser(), command)
