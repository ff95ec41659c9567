"""What all rooms share, each small: errors, whole files, locks, provenance, progress, devices.

It imports no room, and knows none.
"""
