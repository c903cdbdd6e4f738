"""What a count of rare things allows to be said of how often they happen."""

from __future__ import annotations

from math import exp, lgamma, log, log1p


def upper(happened: int, of: int, confidence: float = 0.95) -> float:
    """The one-sided upper bound of a proportion, after Clopper and Pearson.

    It is exact: whatever the true proportion, the bound is below it in at most
    1 - `confidence` of all experiments. With nothing seen it is near 3 / `of`.

    Source:
        Clopper, Pearson, The use of confidence or fiducial limits illustrated in the
        case of the binomial, Biometrika 26 (1934).
    """
    if of == 0 or happened >= of:
        return 1.0
    low, high = happened / of, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if at_most(happened, of, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def at_most(happened: int, of: int, p: float) -> float:
    """The probability that of `of` trials at most `happened` hit, each with chance `p`."""
    return _beta(1 - p, of - happened, happened + 1)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    return exp(front) * _fraction(x, a, b) / a


_STEPS_MAX = 100_000
_TINY = 1e-300


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's way through the continued fraction (DLMF 8.17.22)."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _STEPS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = found
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            found *= c * d
        if abs(found - before) <= 1e-13 * abs(found):
            return found
    raise ArithmeticError("the continued fraction does not end")


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
