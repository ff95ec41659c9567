"""From archives to a folder of images with its two manifests; `build` is the way in.

It knows no torch, and nothing of what the images are for.
"""
