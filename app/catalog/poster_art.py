"""The art of drawn posters: a palette and a pattern for each genre, varied by a seed.

A pattern is drawn in the upper 500 by 500 of the poster. It uses presentation attributes only, which content
security policies allow.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

Pattern = Callable[["Dice", str, str], str]


@dataclass(slots=True)
class Dice:
    """Numbers that follow from a seed, the same in each process and version of Python."""

    state: int

    def below(self, n: int) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % n

    def within(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colors: the background above and below, and two of the pattern."""

    above: str
    below: str
    one: str
    other: str


def palette(hue: int, accent: int, dice: Dice) -> Palette:
    """The palette of a genre, with both hues turned a little."""
    turn = dice.within(-15, 15)
    hue, accent, light = (hue + turn) % 360, (accent + turn) % 360, dice.within(0, 8)
    return Palette(
        f"hsl({hue},46%,{21 + light}%)",
        f"hsl({(hue + 14) % 360},52%,10%)",
        f"hsl({accent},72%,{62 + light // 2}%)",
        f"hsl({hue},44%,{38 + light}%)",
    )


def circle(x: float, y: float, r: float, color: str, more: str = "") -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" fill="{color}"{more}/>'


def path(d: str, color: str, more: str = "") -> str:
    return f'<path d="{d}" fill="{color}"{more}/>'


def lines(d: str, color: str, width: float, more: str = "") -> str:
    return f'<path d="{d}" fill="none" stroke="{color}" stroke-width="{width:g}"{more}/>'


def rays(dice: Dice, one: str, other: str) -> str:
    """Rays from a point at the edge."""
    x, n = dice.within(90, 410), dice.within(9, 12)
    d = ""
    for place in range(n):
        start, end = (math.pi * (place + part) / n for part in (0.0, 0.5))
        d += f"M{x} 470L{x - 720 * math.cos(start):.0f} {470 - 720 * math.sin(start):.0f}"
        d += f"L{x - 720 * math.cos(end):.0f} {470 - 720 * math.sin(end):.0f}Z"
    return path(d, other) + circle(x, 470, dice.within(90, 120), one)


def mountains(dice: Dice, one: str, other: str) -> str:
    """A sun behind ridges."""
    sun = circle(dice.within(120, 380), dice.within(150, 210), dice.within(62, 86), one)
    ridges = ""
    for base, opacity in ((300, 0.45), (370, 0.7), (440, 1)):
        peaks = "".join(f"L{x} {base + dice.within(-70, 60)}" for x in range(0, 501, 125))
        ridges += path(f"M0 640{peaks}L500 640Z", other, f' opacity="{opacity}"')
    return sun + ridges


def bubbles(dice: Dice, one: str, other: str) -> str:
    """Circles of many sizes."""
    drawn = ""
    for place in range(11):
        x, y = 70 + 120 * (place % 4) + dice.within(-30, 30), 90 + 140 * (place // 4) + dice.within(-30, 30)
        drawn += circle(x, y, dice.within(18, 62), one if dice.below(3) == 0 else other)
    return drawn


def scallops(dice: Dice, one: str, other: str) -> str:
    """Rows of half circles."""
    odd, drawn = dice.below(12), ""
    for place in range(12):
        x, y = 125 * (place % 4) + 62.5, 150 + 115 * (place // 4)
        d = f"M{x - 56:g} {y}A56 56 0 0 {dice.below(2)} {x + 56:g} {y}Z"
        drawn += path(d, one if place == odd else other)
    return drawn


def blinds(dice: Dice, one: str, other: str) -> str:
    """Light through blinds."""
    tilt, n = dice.within(18, 46), 9
    d = "".join(f"M0 {60 + 50 * row}L500 {60 + 50 * row - tilt}v24L0 {84 + 50 * row}Z" for row in range(n))
    return circle(dice.within(150, 350), dice.within(200, 290), 118, one) + path(d, other)


def ripples(dice: Dice, one: str, other: str) -> str:
    """Rings around a point."""
    x, y = dice.within(180, 320), dice.within(210, 270)
    rings = "".join(
        f'<circle cx="{x}" cy="{y}" r="{r}" stroke-dasharray="{dice.within(90, 300)} {dice.within(20, 90)}"/>'
        for r in range(70, 331, 52)
    )
    group = f'<g fill="none" stroke="{other}" stroke-width="16">{rings}</g>'
    return group + circle(x, y, 34, one)


def orbits(dice: Dice, one: str, other: str) -> str:
    """A planet with a ring, and stars."""
    x, y, r = dice.within(190, 310), dice.within(220, 280), dice.within(92, 128)
    stars = "".join(f"M{dice.within(20, 480)} {dice.within(20, 470)}h3" for _ in range(16))
    turn = f' transform="rotate({dice.within(-32, -14)} {x} {y})"'
    ring = f"M{x - r * 1.75:.0f} {y}a{r * 1.75:.0f} {r * 0.42:.0f} 0 0 0 {r * 3.5:.0f} 0"
    return lines(stars, "#fff", 3) + circle(x, y, r, other) + lines(ring, one, 13, turn)


def moon(dice: Dice, one: str, other: str) -> str:
    """A crescent and sparks."""
    x, y, r = dice.within(200, 300), dice.within(200, 260), dice.within(104, 132)
    d = f"M{x} {y - r}a{r} {r} 0 1 0 {r} {r}a{r * 0.78:.0f} {r * 0.78:.0f} 0 1 1 {-r} {-r}Z"
    sparks = ""
    for _ in range(9):
        s, sx, sy = dice.within(7, 18), dice.within(40, 460), dice.within(50, 450)
        sparks += f"M{sx} {sy - s}q0 {s} {s} {s}q{-s} 0 {-s} {s}q0 {-s} {-s} {-s}q{s} 0 {s} {-s}Z"
    return path(sparks, other) + path(d, one)


def teeth(dice: Dice, one: str, other: str) -> str:
    """A moon over thorns."""
    d = "M0 640V430"
    for x in range(0, 500, 50):
        d += f"L{x + dice.within(18, 32)} {dice.within(210, 390)}L{x + 50} 430"
    return circle(dice.within(160, 340), dice.within(150, 200), dice.within(84, 110), one) + path(
        f"{d}V640Z", other
    )


def bars(dice: Dice, one: str, other: str) -> str:
    """Bars of an equalizer."""
    odd = dice.below(9)
    drawn = ""
    for place in range(9):
        tall, color = dice.within(60, 330), one if place == odd else other
        size = f'width="32" height="{tall}" rx="16"'
        drawn += f'<rect x="{34 + 50 * place}" y="{450 - tall}" {size} fill="{color}"/>'
    return drawn


def pair(dice: Dice, one: str, other: str) -> str:
    """Two circles that meet."""
    y, r, apart = dice.within(220, 260), dice.within(120, 142), dice.within(58, 92)
    return circle(250 - apart, y, r, other) + circle(250 + apart, y, r, one, ' opacity=".82"')


def funnel(dice: Dice, one: str, other: str) -> str:
    """Squares that turn into the distance."""
    turn, drawn = dice.within(6, 13), ""
    for place in range(7):
        side = 420 - 58 * place
        drawn += (
            f'<rect x="{250 - side / 2:g}" y="{260 - side / 2:g}" width="{side}" height="{side}" '
            f'transform="rotate({turn * place} 250 260)"/>'
        )
    group = f'<g fill="none" stroke="{other}" stroke-width="12">{drawn}</g>'
    return group + circle(250, 260, 22, one)


def chevrons(dice: Dice, one: str, other: str) -> str:
    """Chevrons in rows."""
    odd, drop = dice.below(6), dice.within(60, 110)
    return "".join(
        lines(f"M-20 {90 + 68 * row}L250 {90 + 68 * row + drop}L520 {90 + 68 * row}", color, 26)
        for row in range(6)
        for color in [one if row == odd else other]
    )


def horizon(dice: Dice, one: str, other: str) -> str:
    """A low sun in bands over a plain."""
    r, y = dice.within(140, 170), dice.within(300, 340)
    sun = path(f"M{250 - r} {y}a{r} {r} 0 0 1 {2 * r} 0Z", one)
    bands = "".join(f"M0 {y + 34 * row}h500v{4 + 5 * row}H0Z" for row in range(6))
    return sun + path(bands, other)


def frames(dice: Dice, one: str, other: str) -> str:
    """Frames on a strip."""
    odd, drawn = dice.below(12), ""
    for place in range(12):
        x, y = 52 + 136 * (place % 3), 54 + 108 * (place // 3)
        color = one if place == odd else other
        drawn += f'<rect x="{x}" y="{y}" width="124" height="96" rx="6" fill="{color}"/>'
    return drawn


def arches(dice: Dice, one: str, other: str) -> str:
    """Arches within each other."""
    x, n = dice.within(190, 310), 5
    odd = dice.below(n)
    return "".join(
        lines(f"M{x - r} 470V300a{r} {r} 0 0 1 {2 * r} 0V470", one if row == odd else other, 24)
        for row in range(n)
        for r in [44 + 46 * row]
    )


def petals(dice: Dice, one: str, other: str) -> str:
    """Quarter circles on a grid."""
    corners = ("M{x} {y}h120a120 120 0 0 1-120 120Z", "M{x} {y}h120v120a120 120 0 0 1-120-120Z")
    odd, drawn = dice.below(9), ""
    for place in range(9):
        x, y = 64 + 124 * (place % 3), 56 + 124 * (place // 3)
        d = corners[dice.below(2)].format(x=x, y=y)
        turn = f' transform="rotate({90 * dice.below(4)} {x + 60} {y + 60})"'
        drawn += path(d, one if place == odd else other, turn)
    return drawn


def waves(dice: Dice, one: str, other: str) -> str:
    """A sun over waves."""
    tall, d = dice.within(20, 44), ""
    for row in range(5):
        d += f"M{-dice.within(0, 160)} {260 + 56 * row}q80 {-tall} 160 0t160 0t160 0t160 0"
    sun = circle(dice.within(130, 370), dice.within(150, 200), dice.within(70, 96), one)
    return sun + lines(d, other, 18)


# Hue of the background, hue of the accent, and the patterns of each genre.
GENRES: dict[str, tuple[int, int, tuple[Pattern, ...]]] = {
    "Action": (8, 42, (rays, chevrons)),
    "Adventure": (168, 38, (mountains, waves)),
    "Animation": (268, 48, (bubbles, petals)),
    "Children": (196, 46, (bubbles, scallops)),
    "Comedy": (336, 44, (scallops, petals)),
    "Crime": (222, 16, (blinds, frames)),
    "Documentary": (206, 84, (frames,)),
    "Drama": (24, 32, (pair, arches, waves, petals, ripples)),
    "Fantasy": (282, 50, (moon, mountains)),
    "Film-Noir": (216, 46, (blinds,)),
    "Horror": (350, 8, (teeth, funnel)),
    "Musical": (312, 40, (bars, petals)),
    "Mystery": (244, 172, (ripples, arches)),
    "Romance": (342, 18, (pair, waves)),
    "Sci-Fi": (228, 186, (orbits, ripples)),
    "Thriller": (190, 2, (funnel, blinds)),
    "War": (88, 36, (chevrons, rays)),
    "Western": (18, 40, (horizon, mountains)),
}
OTHER = (214, 36, (ripples, arches, petals))
# Of several genres, the one that comes first here decides.
TELLING = (
    "Western", "Sci-Fi", "Horror", "Film-Noir", "Fantasy", "Musical", "War", "Animation", "Documentary",
    "Mystery", "Crime", "Romance", "Thriller", "Adventure", "Action", "Comedy", "Children", "Drama",
)  # fmt: skip


def art(genres: tuple[str, ...], seed: int) -> tuple[Palette, str]:
    """The palette and the pattern of a movie with these genres."""
    genre = next((name for name in TELLING if name in genres), "")
    hue, accent, patterns = GENRES.get(genre, OTHER)
    dice = Dice(seed * 0x9E3779B97F4A7C15 % (1 << 64))
    dice.below(2)
    colors, pattern = palette(hue, accent, dice), patterns[dice.below(len(patterns))]
    return colors, pattern(dice, colors.one, colors.other)
