"""Line charts over time as SVG."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 960, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 30, 26
"""Margins around the plot: space for the values, the title and the times."""
MAX_Y_TICKS, MAX_X_TICKS = 5, 11
TIME_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600)
"""Distances in seconds between two times of the axis."""

Point = tuple[float, float]
"""Seconds since the start, and a value."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line. `style` is a CSS class; the line is interrupted between its parts."""

    label: str
    style: str
    parts: Sequence[Sequence[Point]]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment. `style` is a CSS class."""

    seconds: float
    label: str
    style: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps seconds and values to pixels."""

    seconds: float
    maximum: float

    def x(self, seconds: float) -> float:
        """Return the horizontal position."""
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds

    def y(self, value: float) -> float:
        """Return the vertical position."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.maximum


def line_chart(title: str, seconds: float, series: Sequence[Series], marks: Sequence[Mark] = ()) -> str:
    """Return an SVG element with lines from zero up, and with vertical lines at the marks."""
    highest = max((value for one in series for part in one.parts for _, value in part), default=0)
    step = _round_step(highest)
    scale = Scale(seconds, step * max(1, math.ceil(highest / step)))
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
            _text(LEFT, 18, title, "title"),
            *_legend(series),
            *_grid(scale, step),
            *(_mark(scale, mark) for mark in marks),
            *(_line(scale, one.style, part) for one in series for part in one.parts if part),
            "</svg>",
        ]
    )


def _round_step(highest: float) -> float:
    """Return 1, 2 or 5 times a power of ten, of which at most `MAX_Y_TICKS` reach the highest value."""
    if highest <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(highest / MAX_Y_TICKS))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * MAX_Y_TICKS >= highest)


def _grid(scale: Scale, step: float) -> Iterator[str]:
    for number in range(round(scale.maximum / step) + 1):
        y = scale.y(number * step)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
        yield _text(LEFT - 8, y + 4, f"{number * step:g}", "value")
    time_step = next((one for one in TIME_STEPS if scale.seconds / one <= MAX_X_TICKS), TIME_STEPS[-1])
    for moment in range(0, int(scale.seconds) + 1, time_step):
        yield _text(scale.x(moment), HEIGHT - 8, f"{moment // 60}:{moment % 60:02}", "time")


def _legend(series: Sequence[Series]) -> Iterator[str]:
    for number, one in enumerate(reversed(series)):
        x = WIDTH - RIGHT - 150 * (number + 1)
        yield f'<line x1="{x}" x2="{x + 22}" y1="14" y2="14" class="line {one.style}"/>'
        yield _text(x + 28, 18, one.label, "legend")


def _mark(scale: Scale, mark: Mark) -> str:
    x = scale.x(mark.seconds)
    top = HEIGHT - BOTTOM - 8 if mark.style == "rebuild" else TOP
    label = escape(f"{mark.label} at {mark.seconds:.1f} s")
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{HEIGHT - BOTTOM}" class="mark {mark.style}">'
        f"<title>{label}</title></line>"
    )


def _line(scale: Scale, style: str, part: Sequence[Point]) -> str:
    points = " ".join(f"{scale.x(seconds):.1f},{scale.y(value):.1f}" for seconds, value in part)
    return f'<polyline points="{points}" class="line {style}"/>'


def _text(x: float, y: float, content: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(content)}</text>'
