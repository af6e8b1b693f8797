"""`python -m bot.chart`: a drawing as JSON on stdin, a PNG of bars on stdout. Knows nothing of handoffs.

Sized for a phone: 900 pixels wide, shown there at about 390, so nothing is written smaller than 25 pixels.
"""

from __future__ import annotations

import io
import os
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Sheet
from matplotlib.ft2font import FT2Font

from bot.picture import Bar, Drawing, Figure, Panel, load

# Pixels.
WIDTH, MARGIN = 900, 44
INSIDE = WIDTH - 2 * MARGIN
HALF = (INSIDE - MARGIN) // 2
LABELS = 296  # what lying bars of the whole width are called
MOST_LABEL, MOST_END = 0.42, 0.4  # of the width: what a bar is called, what it says
BESIDE = 14  # between a bar and its words
HEAD, FIGURES, GAP, HEAD_OF_PANEL = 112, 164, 34, 54
ROW, BAR = 45, 28
COLUMNS = 190  # height of the tallest upright bar
TITLE, SMALL, TEXT, HEADING, BIG = 44, 25, 28, 31, 58
DPI = 100
MOST_LETTERS = 120  # more never fit on a line

INK, SOFT, RULE, PAPER = "#1b2733", "#5b6875", "#d8dee4", "#ffffff"
# Okabe and Ito's, who chose them so that every eye tells them apart; the words beside the bars tell as much.
TONES = {
    "plain": "#0072b2",
    "customer": "#e69f00",
    "staff": "#0072b2",
    "system": "#8893a0",
    "wait": "#009e73",
    "length": "#56b4e9",
    "good": "#009e73",
    "middling": "#e69f00",
    "bad": "#d55e00",
}
PALE = 0.45


def font_files() -> list[Path]:
    """Chinese from a package, so that it is there on any machine; what that font lacks, from matplotlib's own.

    The package is not imported: importing it would change matplotlib's settings.
    """
    spec = find_spec("zhplot")
    if spec is None or spec.origin is None:
        raise SystemExit("the font package zhplot is not installed")
    own = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return [Path(spec.origin).with_name("fonts") / "NotoSansSC-Regular.ttf", own]


class Page:
    """A sheet that is written on from top to bottom, in pixels. `y` is where the next thing begins."""

    def __init__(self, height: int) -> None:
        files = font_files()
        for file in files:
            font_manager.fontManager.addfont(file)
        self._names = [font_manager.FontProperties(fname=file).get_name() for file in files]
        self._known = {code for file in files for code in FT2Font(str(file)).get_charmap()}
        self.height, self.y = height, MARGIN
        self._sheet = Sheet(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self._renderer = FigureCanvasAgg(self._sheet).get_renderer()  # type: ignore[no-untyped-call]

    def text(
        self, x: float, y: float, text: str, size: float, color: str = INK, ha: str = "left", most: float = INSIDE
    ) -> None:
        """`y` is the middle of the line; what is longer than `most` is cut."""
        self._sheet.text(
            x / WIDTH, 1 - y / self.height, self._cut(text, size, most), color=color, ha=ha, va="center_baseline",
            fontfamily=self._names, fontsize=size * 72 / DPI, parse_math=False,
        )  # fmt: skip

    def fitting(self, text: str, size: float, most: float) -> float:
        """The size at which the text is no wider than `most`, if possible down to half."""
        width = self._measure(self._legible(text)[:MOST_LETTERS], size)
        return size if width <= most else max(size / 2, 0.97 * size * most / width)  # glyphs have whole pixels

    def widest(self, texts: list[str], most: float) -> float:
        """What the longest text takes, but at most so much."""
        return min(most, 2 + max(self._measure(self._legible(text)[:MOST_LETTERS], TEXT) for text in texts))

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        box = (x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height)
        axes: Axes = self._sheet.add_axes(box)
        axes.axis("off")
        return axes

    def rule(self) -> None:
        axes = self.axes(MARGIN, self.y, INSIDE, 2)
        axes.axhline(0, color=RULE, linewidth=1.5)

    def png(self) -> bytes:
        out = io.BytesIO()
        self._sheet.savefig(out, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 9})
        return out.getvalue()

    def _cut(self, text: str, size: float, most: float) -> str:
        whole = self._legible(text)
        if len(whole) <= MOST_LETTERS and self._measure(whole, size) <= most:
            return whole
        lengths = range(min(len(whole), MOST_LETTERS))
        fits = bisect_right(lengths, most, key=lambda length: self._measure(whole[:length] + "…", size))
        return whole[: max(0, fits - 1)].rstrip() + "…"

    def _legible(self, text: str) -> str:
        """Without what no font here can show: emoji, control characters, half of a pair."""
        shown = "".join(each if ord(each) in self._known else " " for each in text)
        return " ".join(shown.split()) or "?" * bool(text)

    def _measure(self, text: str, size: float) -> float:
        properties = font_manager.FontProperties(family=self._names, size=size * 72 / DPI)
        width, _, _ = self._renderer.get_text_width_height_descent(text, properties, ismath=False)
        return float(width)


def render(drawing: Drawing) -> bytes:
    page = Page(height_of(drawing))
    _head(page, drawing)
    _figures(page, drawing.figures)
    for band in _bands(drawing.panels):
        for place, panel in enumerate(band):
            _panel(page, panel, MARGIN + place * (HALF + MARGIN))
        page.y += _height(band)
    page.y += GAP // 2 if drawing.notes else 0
    for note in drawing.notes:
        page.text(MARGIN, page.y + ROW / 2, note, TEXT, SOFT)
        page.y += ROW
    return page.png()


def height_of(drawing: Drawing) -> int:
    bands = sum(_height(band) for band in _bands(drawing.panels))
    notes = GAP // 2 + len(drawing.notes) * ROW if drawing.notes else 0
    return MARGIN + HEAD + FIGURES + bands + notes + MARGIN


def _bands(panels: Iterable[Panel]) -> list[list[Panel]]:
    """Panels beside each other."""
    bands: list[list[Panel]] = []
    for panel in panels:
        if panel.half and bands and len(bands[-1]) == 1 and bands[-1][0].half:
            bands[-1].append(panel)
        else:
            bands.append([panel])
    return bands


def _height(band: list[Panel]) -> int:
    bars = max(COLUMNS + 2 * ROW if panel.upright else len(panel.bars) * ROW for panel in band)
    return GAP + HEAD_OF_PANEL + bars


def _head(page: Page, drawing: Drawing) -> None:
    page.text(MARGIN, page.y + 24, drawing.title, TITLE)
    page.text(MARGIN, page.y + 76, drawing.subtitle, SMALL, SOFT)
    page.y += HEAD


def _figures(page: Page, figures: tuple[Figure, ...]) -> None:
    page.rule()
    width = INSIDE / max(1, len(figures))
    for place, figure in enumerate(figures):
        x, most = MARGIN + place * width, width - 28
        page.text(x, page.y + 60, figure.value, page.fitting(figure.value, BIG, most), most=most)
        page.text(x, page.y + 112, figure.label, SMALL, SOFT, most=most)
        page.text(x, page.y + 146, figure.note, SMALL, SOFT, most=most)
    page.y += FIGURES


def _panel(page: Page, panel: Panel, x: int) -> None:
    page.text(x, page.y + GAP + 20, panel.title, HEADING)
    y = page.y + GAP + HEAD_OF_PANEL
    if panel.upright:
        _upright(page, panel.bars, y)
    else:
        _lying(page, panel, x, y)


def _lying(page: Page, panel: Panel, left: int, y: int) -> None:
    """Labels of panels of the whole width stand in one column; in half of it every pixel counts."""
    bars, longest = panel.bars, _most(panel.bars)
    width = HALF if panel.half else INSIDE
    labels = page.widest([bar.label for bar in bars], MOST_LABEL * width) if panel.half else LABELS
    ends = page.widest([bar.text for bar in bars], MOST_END * width)
    room = width - labels - ends - 2 * BESIDE
    axes = page.axes(left + labels + BESIDE, y, room, len(bars) * ROW)
    axes.set(xlim=(0, longest), ylim=(len(bars) - 0.5, -0.5))
    for place, (bar, color) in enumerate(_coloured(bars)):
        axes.barh(place, bar.value, height=BAR / ROW, color=color)
        middle, end = y + (place + 0.5) * ROW, left + labels + 2 * BESIDE + room * bar.value / longest
        page.text(left, middle, bar.label, TEXT, most=labels)
        page.text(end, middle, bar.text, TEXT, most=ends)


def _upright(page: Page, bars: tuple[Bar, ...], y: int) -> None:
    highest, width = _most(bars), INSIDE / max(1, len(bars))
    axes = page.axes(MARGIN, y + ROW, INSIDE, COLUMNS)
    axes.set(xlim=(-0.5, len(bars) - 0.5), ylim=(0, highest))
    for place, (bar, color) in enumerate(_coloured(bars)):
        axes.bar(place, bar.value, width=0.6, color=color)
        middle = MARGIN + (place + 0.5) * width
        top = y + ROW + COLUMNS * (1 - bar.value / highest)
        page.text(middle, top - ROW / 2, bar.text, TEXT, ha="center", most=width)
        page.text(middle, y + COLUMNS + 1.5 * ROW, bar.label, SMALL, SOFT, ha="center", most=width)


def _coloured(bars: tuple[Bar, ...]) -> Iterator[tuple[Bar, tuple[float, float, float, float]]]:
    for bar in bars:
        yield bar, mpl.colors.to_rgba(TONES.get(bar.tone, TONES["plain"]), PALE if bar.pale else 1.0)


def _most(bars: tuple[Bar, ...]) -> float:
    return max([bar.value for bar in bars], default=0.0) or 1.0


def main() -> None:
    if hasattr(os, "nice"):
        os.nice(10)  # the bot goes first
    sys.stdout.buffer.write(render(load(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
