"""The models of `bayes` are BoTorch's: they agree with GPyTorch, and serve its acquisition functions and optimisers."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.acquisition.knowledge_gradient import qKnowledgeGradient
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.optim.optimize import optimize_acqf, optimize_acqf_discrete, optimize_acqf_mixed
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import Kernel, MaternKernel, ScaleKernel
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.means import ZeroMean
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.models import ExactGP

from ecoml.errors import UsageError
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies import create_strategy
from ecoml.strategies.bayes.acquisition import Outlook, WorthPerJoule
from ecoml.strategies.bayes.features import Features
from ecoml.strategies.bayes.models.curves import curve_model
from ecoml.strategies.bayes.models.energy import EnergyModel
from ecoml.strategies.bayes.models.surrogate import CurveData, Surrogate, _loss, fit
from ecoml.testing.recorder import record_search
from ecoml.trial import Measurement

HORIZON = math.log(20.0)


def curves(configurations=10, seed=0):
    """Three points of each of some learning curves over three features, the last two of which are one choice."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.random(configurations), np.eye(2)[rng.integers(2, size=configurations)]])
    owner, tau = np.repeat(np.arange(configurations), 3), np.log(np.tile([2.0, 6.0, 18.0], configurations))
    y = np.sin(4.0 * x[owner, 0]) + x[owner, 1] + 0.3 * tau + 0.05 * rng.normal(size=len(tau))
    return CurveData(x, np.array([0, 1, 1]), owner, tau, (y - y.mean()) / y.std())


def anywhere(*shape, seed=1):
    rng = np.random.default_rng(seed)
    choice = np.eye(2)[rng.integers(2, size=shape)]
    return torch.from_numpy(np.concatenate([rng.random((*shape, 1)), choice, 3.0 * rng.random((*shape, 1))], -1))


class Same(Kernel):  # type: ignore[misc]  # GPyTorch has no types
    """1 where rows are equal, else 0."""

    def forward(self, x1, x2, diag=False, **_):
        return (x1 == x2 if diag else x1[..., :, None, :] == x2[..., None, :, :]).all(-1).double()


def by_gpytorch(process):
    """The same process, all by GPyTorch's own layers."""
    *lengthscales, time = process.kernel.lengthscales.tolist()
    features = range(len(lengthscales))
    kx = MaternKernel(nu=2.5, ard_num_dims=len(lengthscales), active_dims=features).double()
    kx.lengthscale = torch.tensor(lengthscales).double()
    kt = MaternKernel(nu=2.5, active_dims=[len(lengthscales)]).double()
    kt.lengthscale = time
    same = Same(active_dims=features)

    def scaled(kernel, variance):
        product = ScaleKernel(kernel).double()
        product.outputscale = variance
        return product

    alpha, beta, gamma, epsilon, eta = process.kernel.variances
    kernel = scaled(kx, alpha) + scaled(kx * kt, beta) + scaled(same, gamma) + scaled(same * kt, epsilon)

    class Exact(ExactGP):  # type: ignore[misc]  # as above
        def __init__(self):
            noise = FixedNoiseGaussianLikelihood(process.noise)
            super().__init__(process.X, process.Y[:, 0], noise)
            self.mean_module, self.covar_module = ZeroMean(), kernel + scaled(kt, eta)

        def forward(self, X):
            return MultivariateNormal(self.mean_module(X), self.covar_module(X))

    return Exact().double()


@pytest.fixture(scope="module")
def data():
    return curves()


@pytest.fixture(scope="module")
def process(data):
    return curve_model(fit(data), data)


def outlook(data, process, **settings):
    started = torch.from_numpy(np.column_stack([data.x, np.full(len(data.x), np.log(18.0))]))
    energy = EnergyModel(data.x, np.exp(data.x[:, 0]), np.zeros(len(data.x)))
    front = torch.tensor([[1.0, -0.5], [2.0, 0.3], [4.0, 0.9]], dtype=torch.double)
    nothing = torch.empty(0, started.shape[1], dtype=torch.double)
    return Outlook(
        process, energy, front, **{"suspended": started[:4], "pending": nothing, "spent_j": 50.0, **settings}
    )


def test_the_posterior_is_gpytorchs(process):
    """Where q points are asked for at once, alone, or with a gradient."""
    theirs = by_gpytorch(process).eval()
    X = torch.cat([anywhere(7), process.X[:3] + torch.tensor([0.0, 0.0, 0.0, 0.4])])  # known configurations, too
    X.requires_grad_()
    ours = process.posterior(X)
    expected = theirs(X)
    assert ours.mean[:, 0].tolist() == pytest.approx(expected.mean.tolist(), abs=1e-6)
    assert torch.allclose(ours.distribution.covariance_matrix, expected.covariance_matrix, rtol=0, atol=1e-6)
    single = process.posterior(X.unsqueeze(-2))
    assert single.mean[:, 0, 0].tolist() == pytest.approx(expected.mean.tolist(), abs=1e-6)
    assert single.variance[:, 0, 0].tolist() == pytest.approx(expected.variance.tolist(), abs=1e-6)
    slope, their_slope = [torch.autograd.grad((of.mean.sum() + of.variance.sum()), X)[0] for of in (ours, expected)]
    assert torch.allclose(slope, their_slope, rtol=0, atol=1e-6)


def test_what_every_search_believes_without_torch_is_the_same(data, process):
    X = anywhere(9)
    mean = Surrogate(fit(data), data).mean(X[:, :-1].numpy(), np.full(9, -1), X[:, -1].numpy())
    assert process.posterior(X).mean[:, 0].tolist() == pytest.approx(mean.tolist(), abs=1e-6)


def test_hyperparameters_are_fitted_by_the_likelihood_that_gpytorch_has(data):
    """The gradient by hand leads where theirs would."""
    at, scales, flat = fit(data), np.full(9, 1e9), np.zeros(9)  # priors so wide that they say nothing
    theirs = by_gpytorch(curve_model(at, data)).train()
    likelihood = ExactMarginalLogLikelihood(theirs.likelihood, theirs)
    expected = -likelihood(theirs(*theirs.train_inputs), theirs.train_targets).item() * len(data.y)
    assert _loss(at, data, flat, scales)[0] == pytest.approx(expected - 0.5 * len(data.y) * math.log(2 * math.pi))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_conditioned_on_more_it_is_as_if_it_had_been_told_at_once(data, process, shape):
    new, Y, at = anywhere(*shape, 4), torch.ones(*shape, 4, 1, dtype=torch.double), anywhere(5, seed=2)
    process = curve_model(fit(data), data)
    conditioned = process.condition_on_observations(new, Y)
    assert conditioned.batch_shape == torch.Size(shape)
    found = conditioned.posterior(at)
    assert found.mean.shape == (*shape, 5, 1)
    theirs = by_gpytorch(process).eval()
    for index in np.ndindex(shape):
        theirs.set_train_data(torch.cat([process.X, new[index]]), torch.cat([process.Y, Y[index]])[:, 0], strict=False)
        theirs.likelihood = FixedNoiseGaussianLikelihood(torch.cat([process.noise, process.noise[:4]]))
        expected = theirs(at)
        assert found.mean[index][:, 0].tolist() == pytest.approx(expected.mean.tolist(), abs=1e-4)
        assert found.variance[index][:, 0].tolist() == pytest.approx(expected.variance.tolist(), abs=1e-4)


def test_what_a_configuration_took_is_known_and_what_others_take_is_near_it(data):
    step_j = np.exp(2.0 * data.x[:, 0])
    model = EnergyModel(data.x, step_j, np.zeros(len(step_j)))
    assert model.step_j(data.x) == pytest.approx(step_j, rel=1e-4)
    X = anywhere(40)
    posterior = model.posterior(X.unsqueeze(-2))
    assert isinstance(posterior, GPyTorchPosterior)
    assert posterior.mean[:, 0, 0].tolist() == pytest.approx((-2.0 * X[:, 0] - X[:, -1]).tolist(), abs=0.2)
    assert (posterior.variance > 0).all()


def test_the_value_has_a_gradient_and_is_the_same_in_any_batch(data, process):
    worth = WorthPerJoule(outlook(data, process))
    X = anywhere(6, 1).requires_grad_()
    value = worth(X)
    assert value.tolist() == pytest.approx([worth(x).item() for x in X])
    slope = torch.autograd.grad(value.sum(), X)[0][:, 0]
    step = torch.zeros(4, dtype=torch.double)
    step[0] = 1e-6
    assert slope[:, 0].tolist() == pytest.approx(((worth(X + step) - worth(X - step)) / 2e-6).tolist(), rel=1e-4)


def test_discrete_and_mixed_optimisers_find_its_maximum(data, process):
    worth = WorthPerJoule(outlook(data, process))
    choices = anywhere(60)
    _, value = optimize_acqf_discrete(worth, q=1, choices=choices)
    assert value.item() == pytest.approx(worth(choices.unsqueeze(-2)).max().item())
    bounds = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, HORIZON]], dtype=torch.double)
    options = [{1: 1.0, 2: 0.0, 3: HORIZON}, {1: 0.0, 2: 1.0, 3: HORIZON}]
    mixed, best = optimize_acqf_mixed(worth, bounds, q=1, num_restarts=2, raw_samples=16, fixed_features_list=options)
    grid = torch.linspace(0.0, 1.0, 101, dtype=torch.double)
    for choice in torch.eye(2, dtype=torch.double):
        X = torch.cat([grid[:, None], choice.expand(101, 2), torch.full((101, 1), HORIZON)], dim=1)
        assert best is not None
        assert best.item() >= worth(X.unsqueeze(-2)).max().item() - 1e-3
    assert mixed[0, 3] == HORIZON


def test_what_is_pending_is_not_proposed_again(data, process):
    worth = WorthPerJoule(outlook(data, process))
    choices = anywhere(60)
    choices[:, -1] = HORIZON
    first, second = optimize_acqf_discrete(worth, q=2, choices=choices, unique=False)[0]
    assert not torch.equal(first, second)
    worth.set_X_pending(first[None])
    lower = worth(first[None])
    worth.set_X_pending(None)
    assert lower < worth(first[None]) - 1.0
    assert WorthPerJoule(outlook(data, process, pending=first[None]))(first[None]) == lower


def test_other_acquisition_functions_of_botorch_take_both_models(data, process):
    known, choices = outlook(data, process), anywhere(30)
    best, _ = optimize_acqf_discrete(LogExpectedImprovement(known.utility, best_f=0.5), q=1, choices=choices)
    assert known.utility.posterior(best).mean > known.utility.posterior(choices).mean.mean()
    scalarised = qLogNParEGO(known.objectives, process.X[::3], scalarization_weights=torch.tensor([0.9, 0.1]).double())
    both, value = optimize_acqf_discrete(scalarised, q=2, choices=choices)
    assert len(both) == 2
    assert value is not None
    assert value.isfinite().all()
    bounds = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, HORIZON]], dtype=torch.double)
    gradient = qKnowledgeGradient(known.utility, num_fantasies=2)
    _, gained = optimize_acqf(gradient, bounds, q=1, num_restarts=1, raw_samples=4, options={"maxiter": 3})
    assert gained is not None
    assert gained.isfinite()


SPACE = Space(
    {"rate": Float(1e-3, 1.0, log=True), "width": Int(4, 32, log=True), "block": Choice(["plain", "dense", "wide"])}
)


def test_a_row_of_features_leads_back_to_its_configuration():
    rng = np.random.default_rng(0)
    space = Space(
        {
            **SPACE.parameters,
            "dropout": Float(0.0, 0.9, when={"block": ["dense", "wide"]}),
            "norm": Choice([False, True]),
            "one": Choice(["only"]),
        }
    )
    features = Features(space)
    configs = [space.sample(rng) for _ in range(30)]
    x = features(configs, np.array([space.encode(config) for config in configs]))
    assert [space.decode(features.inverse(row)) for row in x] == configs


def train(config):
    best = {"plain": 0.7, "dense": 0.9, "wide": 0.8}[config["block"]] - 0.1 * abs(math.log10(config["rate"]) + 1.5)
    for step in range(1, 11):
        yield Measurement(best * (1 - math.exp(-step / 3)), float(config["width"]))


MINE = """
from botorch.acquisition import UpperConfidenceBound
from botorch.models import SingleTaskGP


def model(X, Y):
    return SingleTaskGP(X, Y)


def bound(outlook):
    return UpperConfidenceBound(outlook.utility, beta=4.0)


def wrong(outlook):
    return lambda X: outlook.utility.posterior(X).mean


number = 3
"""


def test_a_model_and_an_acquisition_of_ones_own_are_named_in_a_strategy_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)

    def strategy(settings):
        (tmp_path / "mine.toml").write_text(f'strategy = "bayes"\n[settings]\n{settings}\n')
        return create_strategy("mine.toml", SPACE, 0)

    def search(strategy):
        return record_search(strategy, SPACE, train, decisions=14)

    found = {
        settings: search(strategy(settings))
        for settings in ("", 'model = "mine.py:model"', 'acquisition = "mine.py:bound"')
    }
    decisions = [repr(one.decisions) for one in found.values()]
    assert len(set(decisions)) == 3
    assert all(max(trial.score or 0.0 for trial in one.trials.values()) > 0.6 for one in found.values())
    for name, said in (("mine.py:nomodel", "KeyError"), ("mine.py:number", "not a function"), ("mime:model", "mime")):
        with pytest.raises(UsageError, match=said) as caught:
            strategy(f'model = "{name}"')
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"must return \d+ numbers"):
        search(strategy('acquisition = "mine.py:wrong"'))


def test_searches_by_other_strategies_import_no_torch(tmp_path):
    """What they believe of near ties at their end does without."""
    code = (
        "import sys\n"
        "import ecoml\n"
        "def train(config):\n"
        "    for step in range(3):\n"
        "        yield ecoml.Measurement(0.9 + 0.001 * (config['x'] + step), 1.0)\n"
        "space = ecoml.Space({'x': ecoml.Float(0.0, 1.0)})\n"
        "how = {'energy': 'reported', 'directory': 'run', 'strategy': 'random'}\n"
        "ecoml.Searcher(space, train, budget_j=60, **how).run()\n"
        "assert 'ecoml.strategies.bayes.front' in sys.modules\n"
        "print([name for name in ('torch', 'gpytorch', 'botorch') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
