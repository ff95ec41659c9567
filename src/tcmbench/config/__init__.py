"""config.yaml: read, checked, filled in, and spread over the runs of a suite.

It knows names, not what stands behind them: no dataset, no loss, no torch.
"""
