# SPDX-License-Identifier: MIT
"""docs/benchmarks.svg: the figures beside those of other kernels, on a logarithmic scale.

A picture in SVG is text, so nothing is needed to draw one.
"""
import html
import math

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 960, 28, 330, 40, 78, 46
FONT = 'font-family="DejaVu Sans, Verdana, sans-serif"'
# Colours that people who see few of them can tell apart, and a shape for each.
STYLES = {
    "exo": ("#d55e00", "circle"),
    "xv6": ("#888888", "bar"),
    "xv6 tuned": ("#56b4e9", "triangle"),
    "Linux": ("#0072b2", "diamond"),
    "seL4": ("#009e73", "square"),
}


def text(x, y, words, anchor="start", size=13, fill="#222222", extra=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" fill="{fill}"'
        f' text-anchor="{anchor}"{extra}>{html.escape(words)}</text>'
    )


def mark(x, y, name):
    colour, shape = STYLES[name]
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6.5" fill="{colour}"/>'
    points = {
        "bar": [(-6.5, -2.5), (6.5, -2.5), (6.5, 2.5), (-6.5, 2.5)],
        "square": [(-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)],
        "triangle": [(-5.5, 4.5), (5.5, 4.5), (0, -5.5)],
        "diamond": [(-6, 0), (0, -6), (6, 0), (0, 6)],
    }[shape]
    joined = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)
    return f'<polygon points="{joined}" fill="{colour}"/>'


def draw(rows):
    """The picture of [(operation, aim or None, {kernel: figure})]."""
    values = [value for _, _, figures in rows for value in figures.values()]
    values += [aim for _, aim, _ in rows if aim]
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    height = TOP + ROW * len(rows) + BOTTOM
    bottom = TOP + ROW * len(rows)

    def place(value):
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(20, 28, "Instructions of an operation: less is better", size=17),
    ]
    x = LEFT
    for name in STYLES:
        lines += [mark(x, 51, name), text(x + 12, 56, name)]
        x += 34 + 9 * len(name)
    lines += [
        f'<line x1="{x}" x2="{x}" y1="42" y2="60" stroke="#222222" stroke-width="2"/>',
        text(x + 8, 56, "exo's aim"),
    ]
    for power in range(low, high + 1):
        x = place(10**power)
        lines += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#dddddd"/>',
            text(x, bottom + 20, f"{10**power:,}", "middle", 12, "#555555"),
        ]
    for number, (operation, aim, figures) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        if number % 2 == 0:
            lines.append(
                f'<rect x="0" y="{y - ROW / 2:.1f}" width="{WIDTH}" height="{ROW}"'
                ' fill="#000000" fill-opacity="0.035"/>'
            )
        lines.append(text(LEFT - 12, y + 4.5, operation, "end"))
        if aim:
            x = place(aim)
            lines.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 10:.1f}" y2="{y + 10:.1f}"'
                ' stroke="#222222" stroke-width="2"/>'
            )
        for name in reversed(STYLES):
            if name in figures:
                lines.append(mark(place(figures[name]), y, name))
    return "\n".join([*lines, "</svg>", ""])
