"""What a suite costs before it runs: operations, steps, memory, hours, download and disk.

Nothing here needs a GPU, data or network; networks are walked through without their numbers.
"""
