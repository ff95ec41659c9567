"""Measure threshold consistency (OPIS) and retrieval quality of a file of embeddings.

Usage: python src/evaluate.py --embeddings FILE.npz --out metrics.json [--utility utility.parquet]
       python src/evaluate.py --embeddings E.npy --labels L.npy --out metrics.json
"""

from tcmbench.commands.evaluate import command, parser
from tcmbench.common.commands import run_command

if __name__ == "__main__":
    run_command(parser(), command)
