"""Pictures of measured runs; one file a figure.

Tables and files of runs come in: no torch, no images of training, no training.
"""
