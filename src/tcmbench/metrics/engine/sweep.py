"""All that the metrics need of the pairs: in one float32 pass where that is sure, else exactly."""

import numpy as np
import torch
from torch import Tensor

from tcmbench.metrics.engine import brackets, readout
from tcmbench.metrics.engine.brackets import NO_BINS, Bins
from tcmbench.metrics.engine.calibration import far_distances, far_ranks, frr_distances
from tcmbench.metrics.engine.counting import count_pairs, full_precision
from tcmbench.metrics.engine.inputs import LabelledRows
from tcmbench.metrics.engine.neighbours import best_positives, count_ahead, decide, rank_limits
from tcmbench.metrics.engine.pairs import AllTiles, PositiveTiles, tile_side
from tcmbench.metrics.engine.plan import Calibration, Options, Sweep
from tcmbench.metrics.engine.rates import Array, Rates, count_positives, count_rates, rates
from tcmbench.metrics.engine.rounding import quantile_rounding
from tcmbench.metrics.engine.threads import one_thread, workers
from tcmbench.metrics.engine.totals import Totals

# Fewer images are measured exactly: that takes a tenth of a second.
_EXACT_BELOW = 2048
_MANY = 20_000
# Pairs are counted by class and bin, at 4 bytes each.
_COUNTS = 1 << 26


def sweep(
    rows: LabelledRows, calibration: Calibration | None, ks: tuple[int, ...], options: Options
) -> Sweep:
    """Find the error rates, if a calibration is given, and the ranks, if there is a k."""
    with full_precision():
        return _Pass(rows, calibration, ks, options).run()


class _Pass:
    def __init__(
        self,
        rows: LabelledRows,
        calibration: Calibration | None,
        ks: tuple[int, ...],
        options: Options,
    ) -> None:
        self.rows = rows
        self.calibration = calibration
        self.ks = ks
        self.options = options
        self.side = tile_side(rows, options.block_size)
        self.pairs = AllTiles(rows, self.side)
        self.positives = PositiveTiles(rows)

    def run(self) -> Sweep:
        exact = self.options.exact
        if exact is None:
            exact = len(self.rows) < _EXACT_BELOW
        bins = None if exact else self._bins()
        if bins is not None:
            return self._once(bins)
        ahead = None
        if self.ks:
            best = best_positives(self.rows, self.positives)
            ahead = _unless_alone(self.rows, count_ahead(self.rows, best, self.pairs))
        found = None if self.calibration is None else self._exact_rates(self.calibration)
        return Sweep(found, ahead, one_pass=False)

    def _once(self, bins: Bins) -> Sweep:
        rows, options = self.rows, self.options
        limits = rows.unit.new_full((2, len(rows)), torch.inf)
        if self.ks:
            with one_thread(self.positives.are_small):
                best = best_positives(rows, self.positives)
            limits = rank_limits(rows, best)
        totals = count_pairs(
            rows, limits, bins, self.side, options.engine, options.report, options.devices
        )
        ahead = None
        if self.ks:
            ahead = decide(rows, best, limits, totals.ahead, self.ks, self.side)
            ahead = _unless_alone(rows, ahead)
        if self.calibration is None:
            return Sweep(None, ahead, one_pass=True)
        found = self._read(self.calibration, totals, bins)
        if found is not None:
            return Sweep(found, ahead, one_pass=True)
        return Sweep(self._exact_rates(self.calibration), ahead, one_pass=False)

    def _bins(self) -> Bins | None:
        if self.calibration is None:
            return NO_BINS
        # Threads count the classes of a strip of rows for themselves, beside the table of all.
        classes = int((self.rows.sizes >= 2).sum()) + 1
        most = _COUNTS // (classes + workers() * min(classes, self.side))
        if self.calibration.frr_range is None:
            with one_thread(len(self.rows) < _MANY):
                return brackets.around_rates(self.rows, self.calibration.far_range, most)
        return brackets.around_distances(*self._exact_ends(self.calibration), most)

    def _read(self, calibration: Calibration, totals: Totals, bins: Bins) -> Rates | None:
        """Return the rates where the counts are fine enough for them."""
        rows = self.rows
        try:
            if calibration.frr_range is None:
                ranks = far_ranks(rows, calibration.far_range)
                ends = readout.range_ends(totals, bins, ranks, quantile_rounding(rows))
            else:
                ends = self._exact_ends(calibration)
            thresholds = _spaced(ends, calibration)
            negatives = readout.accepted(totals, bins, thresholds)
        except readout.UnsureError:
            return None
        with one_thread(self.positives.are_small):
            positives = count_positives(rows, thresholds, self.positives)
        fine = rates(rows, thresholds, positives, negatives.fine)
        coarse = rates(rows, thresholds, positives, negatives.coarse)
        return fine if calibration.agree(fine, coarse) else None

    def _exact_rates(self, calibration: Calibration) -> Rates:
        thresholds = _spaced(self._exact_ends(calibration), calibration)
        return count_rates(self.rows, thresholds, self.positives, self.pairs)

    def _exact_ends(self, calibration: Calibration) -> tuple[float, float]:
        if calibration.frr_range is None:
            return far_distances(self.rows, calibration.far_range, self.positives, self.pairs)
        return frr_distances(self.rows, calibration.frr_range, self.positives)


def _spaced(ends: tuple[float, float], calibration: Calibration) -> Array:
    return np.linspace(ends[0], ends[1], calibration.num_thresholds)


def _unless_alone(rows: LabelledRows, ahead: Tensor) -> Tensor:
    alone = torch.from_numpy(rows.sizes == 1).to(ahead.device)[rows.class_of]
    return ahead.masked_fill(alone, torch.iinfo(ahead.dtype).max)
