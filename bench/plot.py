"""Draws every ratio between the gateway and a peer as a bar, as SVG."""

import json
from xml.sax.saxutils import escape

WIDTH, BAR, GAP, LABEL = 760, 22, 10, 340


def draw_ratios(directory):
    """One bar for each figure called `gateway ÷ …` in a directory's results; the line is 1, where both cost the same."""
    ratios = {}
    for path in sorted(directory.glob("*.json")):
        results = json.loads(path.read_text())
        ratios.update({name: value for name, value in results.items() if name.startswith("gateway ÷ ")})
    longest = max([1.0, *ratios.values()])
    scale = (WIDTH - LABEL - 60) / longest
    height = len(ratios) * (BAR + GAP) + 50
    one = LABEL + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="10" y="20" font-weight="600">CPU of the gateway ÷ CPU of the peer for the same work (less is better)</text>',
    ]
    for number, (name, value) in enumerate(ratios.items()):
        y = 36 + number * (BAR + GAP)
        colour = "#2e7d32" if value <= 1 else "#b26a00"
        parts += [
            f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{value * scale:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LABEL + value * scale + 6:.1f}" y="{y + 16}">{value:g}</text>',
        ]
    parts.append(f'<line x1="{one:.1f}" y1="30" x2="{one:.1f}" y2="{height - 8}" stroke="#555" stroke-dasharray="3 3"/>')
    return "\n".join([*parts, "</svg>", ""])
