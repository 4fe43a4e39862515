"""The search for a plan: the limit of cycles per inference at which the planner gives the wanted design."""

import math
from contextlib import suppress

from boards.board import Part
from gen.planning.candidates import Candidate, candidate, with_samples
from gen.planning.latency import expected_latency
from gen.planning.planner import NO_WEIGHTS, Planner, TooSlowError, Weights
from gen.planning.refusal import needs, too_big
from gen.planning.scope import Objective
from hw.plan import MOST_SELF_TEST_SAMPLES
from qblif.errors import UserError
from qblif.network.graph import Network

SHARE_OF_BOARD = 0.8
"""Share of the logic that a plan may take if no rate is requested; place and route needs the rest. Block RAMs are
counted exactly and need no such reserve."""
RELIABLE_SHARE = 0.9
"""Share of the logic beyond which a design may turn out not to fit. digits_resnet on an iCE40-HX8K: an estimated 7,628
of 7,680 logic cells, and 8,164 after synthesis."""
ABOVE_SLOWEST = 1.5
"""Factor on the LUTs of the slowest design: a plan may take up to this product where it exceeds ``easy_luts``.
With it cifar10_cnn takes 91,748 cycles per inference on a ULX3S-85F, at 84.0 MHz."""
HEADROOM = 0.9
"""Share of the cycles of a requested rate that the expected cycles may take: they are only expected, and layers wait
for each other."""
FINEST_STEP = 1 / 32
"""Resolution, in octaves of cycles, with which the fastest design that fits is found."""
TIGHTER_LIMITS, TIGHTER_STEP = 4, 1 / 8
"""Number and spacing, in octaves, of limits below a requested one at which a design may turn out smaller: layers are
chosen one by one."""
NARROWEST_LIMITS = 8
"""Limits, half an octave apart, starting with no limit, at which a design may still turn out smaller."""
ROUNDS, DEARER = 4, 3.0
"""How often, and by which factor, the price of an exceeded resource is raised."""


class Search:
    """Searches for the limit of cycles per inference at which the planner gives the wanted design.

    Attributes:
        samples: the most samples, of a stream timesteps, that the self-test shall hold. A design gets as many of them
            as fit on the board in a table that is not too deep. If not even one fits, it gets none if there is a host
            link.
        tried: every design so far.
    """

    def __init__(self, planner: Planner, clock_mhz: float, sha256: str) -> None:
        self.planner, self.clock_mhz, self.sha256 = planner, clock_mhz, sha256
        self.board = planner.board
        self.samples = min(MOST_SELF_TEST_SAMPLES, results_known(planner)) if self.board.has_self_test else 0
        self.tried: list[Candidate] = []

    def best(self, objective: Objective | None) -> Candidate:
        """The best design found for an objective, see :data:`gen.planning.scope.Objective`; without one the fastest
        that is easy to route. Raises UserError."""
        if objective is None:
            return self.fastest(easy=True)
        found = self.fastest(easy=False)
        fitting = [one for one in self.tried if not one.excess(self.board, SHARE_OF_BOARD)] or [found]
        return found if objective == "fps" else min(fitting, key=lambda one: self.rank(one, objective))

    def rank(self, found: Candidate, objective: Objective | None) -> float:
        """How far a design is from an objective; the smaller the better."""
        if objective == "area":
            return found.share(self.board)
        if objective == "latency":
            return expected_latency(found.config, self.planner.forms.expectation)
        return found.slowest

    def smallest(self, target_fps: float) -> Candidate:
        """The smallest design found that reaches ``target_fps`` inferences per second; raises UserError."""
        limit = self.clock_mhz * 1e6 / target_fps * HEADROOM
        self._within(limit, 1.0)
        for step in range(1, TIGHTER_LIMITS + 1):
            with suppress(TooSlowError):
                self._within(limit * 2 ** (-step * TIGHTER_STEP), 1.0)
        fitting = [one for one in self.tried if not one.excess(self.board, 1.0)]
        if fitting:
            return min(fitting, key=lambda one: (-one.plan.self_test_samples, one.share(self.board)))
        if self._deeper():
            return self.smallest(target_fps)
        reason = needs(self.board, self._roomiest(self.tried).resources, f"at {target_fps:g} inferences per second")
        rate = math.floor(self.clock_mhz * 1e6 / self.fastest().slowest * HEADROOM)
        raise UserError(f"{reason}; take --target-fps {rate}")

    def fastest(self, *, easy: bool = True) -> Candidate:
        """The fastest design found that stays within 80 % of the board's logic and, if wanted, is ``easy`` to route. If
        none is easy to route, the slowest one within 80 %; if none is within 80 %, the one that leaves the most logic
        free. Raises UserError."""
        best = self.narrowest(SHARE_OF_BOARD)
        if best is None:
            self.narrowest(RELIABLE_SHARE)
            best = self._roomiest(self.tried)
            if best.excess(self.board, RELIABLE_SHARE):
                if self._deeper():
                    return self.fastest(easy=easy)
                reason = needs(self.board, best.resources, share=RELIABLE_SHARE)
                raise too_big(self.planner, reason, self.fits_elsewhere)
            return best
        fewest = best.plan.self_test_samples
        cycles, fits = best.slowest, 0.0
        most_luts = max(self.board.family.easy_luts, best.total("lut") * ABOVE_SLOWEST) if easy else math.inf
        too_fast = math.log2(max(2.0, cycles))
        while too_fast - fits > FINEST_STEP:
            middle = (fits + too_fast) / 2
            tried = self._fitting(cycles * 2**-middle)
            if tried is None or tried.total("lut") > most_luts or tried.plan.self_test_samples < fewest:
                too_fast = middle
            else:
                best, fits = tried, middle
        return best

    def narrowest(self, share: float) -> Candidate | None:
        """The first of the slowest designs that stays within ``share`` of the logic and has a self-test; otherwise the
        first that stays within it; None if none does."""
        limit, fitting = math.inf, None
        for step in range(NARROWEST_LIMITS):
            with suppress(TooSlowError):
                found = self._within(limit, share)
                if not found.excess(self.board, share):
                    if found.plan.self_test_samples:
                        return found
                    fitting = fitting or found
                if limit == math.inf:
                    cycles = found.slowest
            limit = cycles * 2 ** (-(step + 1) / 2)
        return fitting

    def _deeper(self) -> bool:
        """Allow tables of any depth from here on; returns whether they were not allowed until now."""
        avoided = self.planner.deepest < math.inf
        self.planner.deepest = math.inf
        return avoided

    def _roomiest(self, found: list[Candidate]) -> Candidate:
        """Of the designs that fit, the one that leaves the most logic free; if none fits, the closest to fitting."""
        fitting = [one for one in found if not one.excess(self.board, 1.0)]
        return min(fitting or found, key=lambda one: one.fullest(self.board, logic=bool(fitting)))

    def fits_elsewhere(self, network: Network, board: Part) -> bool:
        """Whether the slowest design of another network, or on another board, fits there."""
        forms = self.planner.forms
        planner = Planner(forms if network is forms.network else forms.of(network), board)
        planner.deepest = math.inf
        found = Search(planner, self.clock_mhz, self.sha256)._within(math.inf, RELIABLE_SHARE)
        return not found.excess(board, RELIABLE_SHARE)

    def _fitting(self, limit: float) -> Candidate | None:
        """The design under ``limit`` cycles; None if there is no such design or it exceeds 80 % of the board."""
        try:
            tried = self._within(limit, SHARE_OF_BOARD)
        except TooSlowError:
            return None
        return None if tried.excess(self.board, SHARE_OF_BOARD) else tried

    def _within(self, limit: float, share: float) -> Candidate:
        """The cheapest design under ``limit`` cycles. If it exceeds its share of the board, the price of each exceeded
        resource is raised and the search repeated, a few times; the caller must check the final fit. Raises
        TooSlowError."""
        weights = dict(NO_WEIGHTS)
        for _ in range(ROUNDS):
            found = self._candidate(limit, weights)
            excess = found.excess(self.board, share)
            if not excess:
                break
            weights |= {key: weights.get(key, 1.0) * DEARER for key in excess}
        return found

    def _candidate(self, limit: float, weights: Weights) -> Candidate:
        draft = self.planner.draft(limit, weights)
        found = candidate(self.planner, draft, self.clock_mhz, self.sha256, self.samples)
        most = max(min(1, self.samples), min(self.samples, self.planner.deepest // found.config.beats_per_result))
        for count in range(int(most), 0 if self.board.needs_self_test else -1, -1):
            found = with_samples(found, self.board, count)
            if "bram" not in found.excess(self.board, 1.0):
                break
        self.tried.append(found)
        return found


def results_known(planner: Planner) -> int:
    """Results that a self-test can ask for: one of every reference input; in a stream, of every timestep of the first.

    Without reference inputs the self-test has one arbitrary input.
    """
    inputs = planner.forms.expectation.inputs
    if inputs is None:
        return 1
    return int(inputs.shape[1]) if planner.network.mode == "stream" else len(inputs)
