"""From archives to a folder of images with its two manifests; `build` is the way in."""
