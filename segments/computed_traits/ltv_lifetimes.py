"""The one door to lifetimes 0.11.3 (archived): maximum likelihood of BG/NBD and Gamma-Gamma, and nothing else of it.

What its import and its fits do on the side (filters every FutureWarning, switches a pandas warning off, prints the
optimiser's result, warns of overflow, computes a Hessian for errors that nobody reads) stays behind this door. Its predictions are not used: see ``ltv``.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType

import numpy as np
from scipy.optimize import minimize

from segments.computed_traits.ltv import UNIT_DAYS, Floats, Histories, Ints, PurchaseModel, Unit

type GammaGammaParameters = tuple[float, float, float]
"""p, q, v; v in the currency of the amounts."""


@cache
def _lifetimes() -> ModuleType:
    """The library, imported on first use (it takes a second or two), with pandas' options put back."""
    import pandas as pd

    chained_assignment = pd.options.mode.chained_assignment
    with warnings.catch_warnings():
        import lifetimes
    pd.options.mode.chained_assignment = chained_assignment
    library: ModuleType = lifetimes
    return library


def _maximise(
    library: ModuleType,
    loss: Callable[..., float],
    arguments: tuple[object, ...],
    initial: Floats | None,
    parameters: int,
    _display: bool,
    tol: float,
    **_options: object,
) -> tuple[Floats, float, Floats]:
    """What ``BaseFitter._fit`` does, from the same start, without two things: the print on failure, and the Hessian.

    The Hessian only serves standard errors, which nobody reads here, and costs a third of the time; ones stand in for it.
    """
    from autograd import value_and_grad

    start = 0.1 * np.ones(parameters) if initial is None else initial
    found = minimize(value_and_grad(loss), jac=True, tol=tol, x0=start, args=arguments)
    if not found.success:
        raise library.utils.ConvergenceError(f"no maximum at tolerance {tol}")
    return found.x, float(found.fun), np.eye(parameters)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def bgnbd_fit(histories: Histories, *, unit: Unit, tolerance: float) -> PurchaseModel | None:
    """BG/NBD by maximum likelihood on distinct histories with weights; None when lifetimes does not converge.

    The caller has checked that ages are not all zero (lifetimes would divide by zero).
    """
    library = _lifetimes()
    step = UNIT_DAYS[unit]
    age = histories.age_days / step
    fitter = library.BetaGeoFitter()
    fitter._fit = partial(_maximise, library, fitter._negative_log_likelihood)
    with _quiet():
        try:
            fitter.fit(
                histories.repeat_orders, histories.recency_days / step, age, weights=histories.weights, tol=tolerance
            )
        except library.utils.ConvergenceError:
            return None
        r, alpha, a, b = (float(fitter.params_[name]) for name in ("r", "alpha", "a", "b"))
    # lifetimes reports the mean in time scaled to a maximum age of 1; each order time brings one factor back.
    mean = -float(fitter._negative_log_likelihood_)
    total = mean * float(histories.weights.sum()) - float(
        (histories.weights * histories.repeat_orders).sum()
    ) * math.log(float(age.max()))
    if not all(math.isfinite(value) and value > 0 for value in (r, alpha, a, b)) or not math.isfinite(total):
        return None
    return PurchaseModel("bgnbd", unit, r, alpha, a, b, log_likelihood=total, tolerance=tolerance)


def gamma_gamma_fit(
    repeat_orders: Ints, amount_mean: Floats, weights: Ints, *, tolerance: float = 1e-7
) -> GammaGammaParameters | None:
    """Gamma-Gamma by maximum likelihood; all means must be positive. None when lifetimes does not converge."""
    library = _lifetimes()
    fitter = library.GammaGammaFitter()
    fitter._fit = partial(_maximise, library, fitter._negative_log_likelihood)
    with _quiet():
        try:
            fitter.fit(repeat_orders, amount_mean, weights=weights, tol=tolerance)
        except library.utils.ConvergenceError:
            return None
        p, q, v = (float(fitter.params_[name]) for name in ("p", "q", "v"))
    return (p, q, v) if all(math.isfinite(value) and value > 0 for value in (p, q, v)) else None
