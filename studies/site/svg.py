"""Small drawings as SVG text: shapes in the order in which they are added, on a white background."""

from dataclasses import dataclass, field
from html import escape

INK, PALE, TEAL, ORANGE, VIOLET = "#37474f", "#eceff1", "#00897b", "#ef6c00", "#5e35b1"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"


@dataclass
class Drawing:
    """A drawing of ``width`` times ``height`` units; ``title`` says what it shows to those who do not see it."""

    width: float
    height: float
    title: str
    shapes: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, fill: str, line: str = INK) -> None:
        """A rectangle with round corners."""
        self.shapes.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='3' fill='{fill}' stroke='{line}'/>"
        )

    def line(self, *points: tuple[float, float], colour: str = INK, dashed: bool = False, arrow: bool = False) -> None:
        """A line through points."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        more = " stroke-dasharray='4 3'" * dashed + " marker-end='url(#arrow)'" * arrow
        self.shapes.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.4'{more}/>")

    def text(
        self, x: float, y: float, words: str, *, size: float = 13, anchor: str = "start", colour: str = INK,
        bold: bool = False,
    ) -> None:  # fmt: skip
        """Words at a place; ``anchor`` is start, middle or end."""
        weight = " font-weight='bold'" * bold
        self.shapes.append(
            f"<text x='{x:g}' y='{y:g}' font-size='{size:g}' text-anchor='{anchor}' fill='{colour}'{weight}>"
            f"{escape(words)}</text>"
        )

    def __str__(self) -> str:
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self.width:g} {self.height:g}' "
            f"width='{self.width:g}' role='img' {FONT}>\n<title>{escape(self.title)}</title>\n"
            "<defs><marker id='arrow' markerWidth='8' markerHeight='8' refX='7' refY='4' orient='auto'>"
            f"<path d='M0,0 L8,4 L0,8 z' fill='{INK}'/></marker></defs>\n"
            f"<rect width='{self.width:g}' height='{self.height:g}' fill='#ffffff'/>\n"
        )
        return head + "\n".join(self.shapes) + "\n</svg>\n"
