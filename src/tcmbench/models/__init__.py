"""Networks: a timm backbone with a head, and the weights they start from.

What they are trained on, and by which loss, is none of their business.
"""
