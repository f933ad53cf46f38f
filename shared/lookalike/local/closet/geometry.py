"""Outlines of garments: smooth curves, tubes and where they are placed in the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""Shape (n, 2): x to the right, y down."""


def xy(*pairs: tuple[float, float]) -> Points:
    """The pairs as points, shape (n, 2)."""
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def rounded(outline: Points, times: int = 2) -> Points:
    """A closed outline with its corners cut (Chaikin); a point given twice stays a sharp corner."""
    for _ in range(times):
        following = np.roll(outline, -1, axis=0)
        outline = np.stack((0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following), 1).reshape(-1, 2)
    return outline


def sharp(points: Points) -> Points:
    """Points that `rounded` leaves where they are."""
    return np.repeat(points, 2, axis=0)


def mirrored(points: Points, centre: float = 0.0) -> Points:
    """Points flipped left to right about x = centre, in the same order."""
    return points * (-1.0, 1.0) + (2.0 * centre, 0.0)


def symmetric(half: Points) -> Points:
    """A closed outline from its right half, given from top to bottom."""
    return np.concatenate((half, mirrored(half)[::-1]))


def bent(points: Points, count: int = 14) -> Points:
    """A smooth curve through a few points, `count` points long (quadratic through three, linear through two)."""
    steps = np.linspace(0.0, 1.0, len(points))
    fine = np.linspace(0.0, 1.0, count)
    degree = min(len(points) - 1, 3)
    fits = [np.polynomial.polynomial.polyfit(steps, points[:, axis], degree) for axis in (0, 1)]
    return np.stack([np.polynomial.polynomial.polyval(fine, fit) for fit in fits], axis=1)


def resampled(path: Points, count: int) -> Points:
    """`count` points evenly spaced along an open path."""
    lengths = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))))
    at = np.linspace(0.0, lengths[-1], count)
    return np.stack((np.interp(at, lengths, path[:, 0]), np.interp(at, lengths, path[:, 1])), axis=1)


def along(path: Points, start: float, end: float, count: int = 9) -> Points:
    """The stretch of an open path from fraction `start` to fraction `end` of its length."""
    fine = resampled(path, 101)
    return resampled(fine[round(start * 100) : max(round(end * 100), round(start * 100) + 1) + 1], count)


def eased(path: Points, times: int = 2) -> Points:
    """An open path with its inner corners rounded and its ends kept."""
    for _ in range(times):
        cut = np.stack((0.75 * path[:-1] + 0.25 * path[1:], 0.25 * path[:-1] + 0.75 * path[1:]), 1).reshape(-1, 2)
        path = np.concatenate((path[:1], cut, path[-1:]))
    return path


def tube(path: Points, widths: Sequence[float]) -> Points:
    """The closed outline around an open path; half widths are spread evenly along it."""
    tangent = np.gradient(path, axis=0)
    normal = np.stack((-tangent[:, 1], tangent[:, 0]), axis=1) / np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    width = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(widths)), widths)[:, None]
    return np.concatenate((path + normal * width, (path - normal * width)[::-1]))


def oval(centre: tuple[float, float], width: float, height: float, count: int = 28) -> Points:
    """An ellipse of the given half width and half height."""
    turn = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    return np.stack((np.cos(turn) * width, np.sin(turn) * height), axis=1) + centre


def heading(path: Points) -> float:
    """The angle in radians by which a downward path is turned from the vertical."""
    dx, dy = path[-1] - path[0]
    return float(np.arctan2(-dx, dy))


@dataclass(frozen=True)
class Place:
    """Where and how large something is drawn: pixels per unit, turn in radians, position of the origin in pixels."""

    scale: float
    angle: float = 0.0
    x: float = 0.0
    y: float = 0.0

    def __call__(self, points: Points) -> Points:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turned = points @ np.array([[cos, sin], [-sin, cos]])
        return np.asarray(turned * self.scale + (self.x, self.y), dtype=np.float64)
