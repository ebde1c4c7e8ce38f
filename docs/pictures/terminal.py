"""Draws a terminal as SVG: `make demo | tee demo.txt; python docs/pictures/terminal.py < demo.txt > demo.svg`."""

import sys
from html import escape

LINE_PX, CHAR_PX, PAD_PX = 19, 8.0, 14
COLOURS = {"advised": "#7ee787", "heard": "#a5d6ff", "discarded": "#8b949e", "notice": "#f0c674", "said": "#c9d1d9"}


def colour(line: str) -> str:
    """The colour of a line of the timeline, by its kind."""
    return next((shade for word, shade in COLOURS.items() if f" s  {word}" in line), "#e6edf3")


def main() -> None:
    """Read lines from standard input, write the picture to standard output."""
    lines = [line.rstrip()[:132] for line in sys.stdin]
    width = PAD_PX * 2 + CHAR_PX * max(map(len, lines), default=1)
    height = PAD_PX * 2 + LINE_PX * len(lines)
    rows = "\n".join(
        f'<text x="{PAD_PX}" y="{PAD_PX + LINE_PX * (n + 0.75):.0f}" fill="{colour(line)}">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    sys.stdout.write(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" xml:space="preserve" '
        f'font-family="ui-monospace, monospace" font-size="13.3"><style>text {{ white-space: pre }}</style>'
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n{rows}\n</svg>\n'
    )


if __name__ == "__main__":
    main()
