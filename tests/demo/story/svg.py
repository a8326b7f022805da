"""Just enough SVG for the chart: text, lines, areas, and a plot that maps values to pixels."""

from dataclasses import dataclass
from html import escape
from math import log10

INK, FAINT, GRID = "#1f2933", "#6b7785", "#e3e8ee"


def text(x: float, y: float, words: str, *, size=12, anchor="start", colour=INK, weight="normal", halo=False) -> str:
    """With `halo` a white edge keeps the words readable over lines and areas."""
    edge = ' stroke="#ffffff" stroke-width="3" stroke-linejoin="round" paint-order="stroke"' if halo else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
        f'font-weight="{weight}"{edge}>{escape(words)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, *, colour=GRID, width=1.0, dash="") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dashes}/>'


def box(x: float, y: float, width: float, height: float, *, fill: str, radius=0) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" height="{height:.1f}" fill="{fill}" rx="{radius}"/>'
    )


def area(upper: list[tuple], lower: list[tuple], *, fill: str, opacity=1.0) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *reversed(lower)])
    return f'<polygon points="{points}" fill="{fill}" fill-opacity="{opacity}"/>'


def curve(points: list[tuple], *, colour: str, width=2.0) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


@dataclass(frozen=True)
class Plot:
    """One row of the chart: a vertical scale from low to high over `height` pixels below `top`."""

    top: float
    height: float
    low: float
    high: float
    logarithmic: bool = False

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def y(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = log10(value / self.low) / log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.bottom - share * self.height
