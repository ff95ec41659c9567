"""From files to pixels: pictures, manifests that list them, views of them, and views stored.

Which loss or network looks at them is none of its business.
"""
