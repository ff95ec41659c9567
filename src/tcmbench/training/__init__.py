"""The training loop: which dataset or loss it trains is none of its business."""
