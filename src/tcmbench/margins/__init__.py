"""TCM's margins without the test split: on folds of the training classes, or by error rates.

It must not know how a model is trained.
"""
