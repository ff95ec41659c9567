"""What an evaluation will take on this machine, in time and memory, from a small trial.

It knows sizes: no file, and no embedding of the user's.
"""
