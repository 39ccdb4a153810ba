"""The acquisition function: a candidate's expected hypervolume improvement per joule.

Notation
    X                       … × 1 × (D+1), features and the logarithm of the step at which a training would end
    (e₁, a₁) … (e_k, a_k)   the current front: log energy and utility, both ascending
    f ~ N(μ, s²)            utility of a candidate at the end of its training
    c                       the highest possible utility
    e                       log of the candidate's energy at its end
    g                       log of the part of this energy that is still to be spent

    EHVI = Σⱼ ℓⱼ · E[(min(f, c) − aⱼ)⁺],   ℓⱼ = length of [max(e, eⱼ), eⱼ₊₁],   e_{k+1} = e_k + R
    E[(min(f, c) − a)⁺] = E[(f − a)⁺] − E[(f − c)⁺]   for a ≤ c
    worth = log EHVI − ½ g,   or log P(f ≥ target) − g if the search has a target

The energy of a training is known well before it is trained, so the improvement of hypervolume is a sum of ordinary
expected improvements, one for each stretch of the front to the right of the candidate. R, the length of the last
stretch, determines how much more the score counts than low energy. It has this length also for a candidate more
expensive than all others, so that the best utility counts at any energy: its joules are already in g.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.models.model import Model, ModelList
from botorch.utils.transforms import t_batch_mode_transform
from torch import Tensor
from torch.special import erfcx, log_ndtr, ndtr

from ecoml.strategies.bayes.models.gaussian_process import expected, marginal

LAST = 10.0  # R
COST_WEIGHT = 0.5  # of g
_SURCHARGE = 0.01  # of the energy spent is added to what each training takes, or there would be no end to cheap ones
_MARGIN = 0.03  # in standard deviations of utilities: by less than this nothing is improved, or copies of the best win
_ROOM = 1e-6  # between the front and c at least: where all is right already, the most probable to be so is worth most
_LEAST = 1e-9  # variance


@dataclass(frozen=True, slots=True)
class Outlook:
    """The information for a decision.

    Attributes:
        utility: A model of scaled utilities at X (…, q, D+1): features of a configuration, the logarithm of a step.
        frugality: A model of −log joules up to this step, at the same X.
        front: (k, 2), log energies and utilities of this search's front, both ascending, k ≥ 1.
        suspended: Features of the trials that can be continued, and logarithms of their completed steps (s, D+1).
        pending: The same for running trials, at the steps of their next measurements (p, D+1).
        spent_j: Joules of all trials so far.
        ceiling: The highest possible utility; inf if scores have no bound.
        target: The utility at which the search ends; None: there is none.
        caution: Factor of the standard deviations of utilities, which do not include the uncertainty of the
            hyperparameters.
    """

    utility: Model
    frugality: Model
    front: Tensor
    suspended: Tensor
    pending: Tensor
    spent_j: float
    ceiling: float = math.inf
    target: float | None = None
    caution: float = 1.0

    def log_energy(self, X: Tensor) -> Tensor:
        """e (b,) of candidates X (b, 1, D+1)."""
        return -expected(self.frugality, X)[:, 0]

    def log_to_go(self, X: Tensor, log_energy: Tensor | None = None) -> Tensor:
        """g (b,) of candidates X (b, 1, D+1); their log energies (b,) can be given."""
        own = (X[..., :-1] == self.suspended[:, :-1]).all(-1)
        done = (own * self.suspended[:, -1].exp()).sum(-1)
        log_energy = self.log_energy(X) if log_energy is None else log_energy
        return log_to_go(log_energy, done, X[:, 0, -1].exp(), self.spent_j)

    @property
    def objectives(self) -> ModelList:
        """Both models as one model with two outputs to be maximised, as BoTorch's multi-objective acquisitions
        take it.
        """
        return ModelList(self.utility, self.frugality)


class WorthPerJoule(AcquisitionFunction):
    """The acquisition function of `bayes`.

    Pending trials are assumed to end as expected (Ginsbourger, Le Riche, Carraro 2010): the model of utilities is
    conditioned on its mean there, and this point is on the front, so that similar candidates are worth less.
    """

    def __init__(self, outlook: Outlook) -> None:
        super().__init__(outlook.utility)
        self._outlook = outlook
        self._front = outlook.front
        self.set_X_pending(outlook.pending if len(outlook.pending) else None)

    def set_X_pending(self, X_pending: Tensor | None = None) -> None:
        """Set the pending X (p, D+1); None: there are none."""
        super().set_X_pending(X_pending)
        outlook = self._outlook
        self.model, self._front = outlook.utility, outlook.front
        if self.X_pending is not None:
            with torch.no_grad():
                mean = expected(self.model, self.X_pending)
                self.model = self.model.condition_on_observations(self.X_pending, mean.unsqueeze(-1))
                ends = torch.stack([-expected(outlook.frugality, self.X_pending), mean], dim=-1)
            self._front = _front(torch.cat([outlook.front, ends]))

    @t_batch_mode_transform(expected_q=1)  # type: ignore[arg-type]  # its own methods have a narrower self, too
    def forward(self, X: Tensor) -> Tensor:
        """Logarithm of the worth per joule (b,) of b candidates X (b, 1, D+1)."""
        outlook = self._outlook
        mean, variance = marginal(self.model, X)
        deviation = outlook.caution * variance.clamp_min(_LEAST).sqrt()
        log_energy = outlook.log_energy(X)
        to_go = outlook.log_to_go(X, log_energy)
        if outlook.target is not None:
            probability: Tensor = log_ndtr((mean - outlook.target) / deviation)
            return probability - to_go
        ceiling = outlook.ceiling - _MARGIN
        improvement = log_improvement(mean - _MARGIN, deviation, log_energy, self._front, LAST, ceiling)
        return improvement - COST_WEIGHT * to_go


def log_to_go(log_energy: Tensor, done: Tensor, steps: Tensor, spent_j: float) -> Tensor:
    """g (b,): log joules from the completed steps to the end, including the surcharge.

    Args:
        log_energy: Log energy of the complete training (b,).
        done: Completed steps (b,).
        steps: Steps at the end (b,), at least one more than `done`.
        spent_j: Joules of the search so far.
    """
    share = torch.maximum(1.0 - done / steps, 1.0 / steps)
    return torch.log((log_energy.exp() + _SURCHARGE * spent_j) * share)


def log_improvement(
    mean: Tensor, deviation: Tensor, log_energy: Tensor, front: Tensor, last: float, ceiling: float
) -> Tensor:
    """log EHVI (b,) of b candidates.

    Args:
        mean: μ (b,).
        deviation: s (b,), > 0.
        log_energy: e (b,).
        front: (k, 2), log energies and utilities of the front, both ascending, k ≥ 1; utilities above c count as c.
        last: R.
        ceiling: c; inf if scores have no bound.
    """
    begins, scores = front[:, 0], front[:, 1].clamp(max=ceiling)
    lengths = begins[1:] - torch.maximum(begins[:-1], log_energy[:, None])
    lengths = torch.nn.functional.pad(lengths, (0, 1), value=last)
    improvement = log_expected_improvement((mean[:, None] - scores) / deviation[:, None])
    if math.isfinite(ceiling):
        over = (mean[:, None] - (scores + _ROOM).clamp(min=ceiling)) / deviation[:, None]
        above = log_expected_improvement(over)
        improvement = improvement + torch.log(-torch.expm1((above - improvement).clamp(max=-1e-15)))
    reached = lengths > 0
    log_lengths = torch.where(reached, torch.where(reached, lengths, 1.0).log(), -math.inf)
    return torch.logsumexp(log_lengths + improvement, dim=-1) + deviation.log()


def log_expected_improvement(z: Tensor) -> Tensor:
    """log E[(z + ε)⁺], ε ~ N(0, 1), accurate also far below zero.

    Ament et al., Unexpected Improvements to Expected Improvement for Bayesian Optimization (NeurIPS 2023), eq. 9.
    """
    low, high = z.clamp(max=0.0), z.clamp(min=0.0)
    # φ(z) + z Φ(z) = φ(z) (1 − |z| Φ(z)/φ(z)); the ratio is √(π/2) erfcx(|z|/√2)
    near, far = low.clamp(min=-1e3), low.clamp(max=-1e3)
    ratio = -near * math.sqrt(math.pi / 2) * erfcx(-near / math.sqrt(2))
    left = torch.where(low < -1e3, -2.0 * torch.log(-far), torch.log1p(-ratio))
    below = -0.5 * low**2 - 0.5 * math.log(2 * math.pi) + left
    above = torch.log(torch.exp(-0.5 * high**2) / math.sqrt(2 * math.pi) + high * ndtr(high))
    return torch.where(z > 0, above, below)


def _front(points: Tensor) -> Tensor:
    """The points (n, 2) of log energy and utility that no other point beats in both, in ascending order."""
    ordered = points[torch.argsort(points[:, 0], stable=True)]
    best_before = torch.cummax(ordered[:, 1], dim=0).values.roll(1)
    best_before[0] = -math.inf
    return ordered[ordered[:, 1] > best_before]
