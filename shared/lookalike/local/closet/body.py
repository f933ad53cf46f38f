"""The drawn person: where the joints are, and the skin, face and hair around them. Body height 1, x = 0 in the middle."""

from dataclasses import dataclass

import numpy as np

from lookalike.local.closet.cloth import Cloth, Colour, solid
from lookalike.local.closet.geometry import Points, bent, eased, mirrored, oval, rounded, sharp, symmetric, tube, xy
from lookalike.local.closet.paint import Mark, Part

LEVELS = (0.185, 0.385, 0.5, 0.73, 0.945)
"""Height of shoulders, waist, hips, knees and ankles: garment lengths are given in these steps, 0 to 4."""
ARMS = (
    # upper arm and forearm, degrees outwards from hanging straight down
    (11, 3), (16, -4), (20, 6), (14, -16), (26, -10), (44, -52), (38, 20), (22, -62), (30, 34), (17, 8),
)  # fmt: skip
UPPER_ARM, FOREARM = 0.165, 0.15
SKINS: tuple[Colour, ...] = ((250, 220, 198), (240, 202, 172), (228, 184, 146), (206, 156, 116), (176, 124, 86),
                             (140, 94, 64), (104, 68, 46), (78, 52, 38))  # fmt: skip
HAIRS: tuple[Colour, ...] = ((28, 24, 24), (48, 34, 28), (82, 54, 36), (118, 78, 48), (164, 116, 66), (206, 168, 104),
                             (150, 66, 36), (150, 148, 150), (222, 214, 200))  # fmt: skip
HAIRCUTS = ("bald", "short", "short", "bob", "bob", "long", "long", "long", "bun", "afro", "ponytail")


@dataclass(frozen=True)
class Pose:
    """Joints as points, shape (2, 2): image left, image right. `laid` tells a garment laid flat from one worn."""

    elbows: Points
    wrists: Points
    knees: Points
    ankles: Points
    sway: float = 0.0
    build: float = 1.0
    laid: bool = False

    @property
    def shoulders(self) -> Points:
        return xy((-0.1, 0.205), (0.1, 0.205)) * (self.build, 1)

    @property
    def hips(self) -> Points:
        return xy((-0.05, 0.5), (0.05, 0.5)) * (self.build, 1) + (self.sway, 0)

    def centre(self, y: float) -> float:
        """Where the middle of the body is at height y."""
        return float(np.interp(y, (0.2, 0.5, 0.75), (0.0, self.sway, self.sway * 0.5)))

    def arm(self, side: int) -> Points:
        return np.stack((self.shoulders[side], self.elbows[side], self.wrists[side]))

    def leg(self, side: int) -> Points:
        return np.stack((self.hips[side], self.knees[side], self.ankles[side]))

    def reach(self, y: float) -> float:
        """How far the legs reach outwards at height y."""
        if self.laid or y < 0.5:
            return 0.0
        legs = [np.interp(y, self.leg(side)[:, 1], self.leg(side)[:, 0]) for side in (0, 1)]
        return float(max(-legs[0], legs[1])) + float(np.interp(y, (0.5, 0.73, 0.945), (0.056, 0.04, 0.028)))


def _ends(starts: Points, degrees: tuple[float, float], length: float) -> Points:
    turn = np.radians(degrees)
    return starts + np.stack((np.sin(turn) * (-1, 1), np.cos(turn)), axis=1) * length


def _posed(arms: Points, stance: tuple[float, float], sway: float, build: float, laid: bool) -> Pose:
    shoulders = xy((-0.1, 0.205), (0.1, 0.205)) * (build, 1)
    elbows = _ends(shoulders, (arms[0, 0], arms[1, 0]), UPPER_ARM)
    wrists = _ends(elbows, (arms[0, 1], arms[1, 1]), FOREARM)
    spread = np.array(stance)
    knees = np.stack((np.array((-0.048, 0.048)) * build + sway * 0.7 + spread * (-0.4, 0.4), np.full(2, LEVELS[3])), 1)
    ankles = np.stack((np.array((-0.042, 0.042)) * build + spread * (-1, 1), np.full(2, LEVELS[4])), 1)
    return Pose(elbows, wrists, knees, ankles, sway, build, laid)


def standing(rng: np.random.Generator) -> Pose:
    """Somebody standing: arms, legs and weight as they come."""
    arms = np.array(ARMS, dtype=float)[rng.integers(0, len(ARMS), 2)] + rng.normal(0, 3, (2, 2))
    stance = tuple(rng.uniform(-0.004, 0.035, 2))
    return _posed(arms, (stance[0], stance[1]), float(rng.normal(0, 0.008)), float(rng.uniform(0.9, 1.1)), False)


def laid_flat(rng: np.random.Generator) -> Pose:
    """No body: sleeves spread or folded down, legs a little apart."""
    out = rng.choice((8.0, 14.0, 20.0, 34.0, 48.0), p=(0.25, 0.25, 0.25, 0.15, 0.1)) + rng.normal(0, 2)
    bend = rng.choice((0.0, 0.0, -25.0, 14.0))
    arms = np.array([[out, out + bend], [out, out + bend]]) + rng.normal(0, 2.5, (2, 2))
    apart = float(rng.uniform(0.012, 0.055))
    return _posed(arms, (apart, apart), 0.0, 1.0, True)


def limb(joints: Points, widths: tuple[float, ...]) -> Points:
    """A closed outline around bent joints."""
    return tube(eased(joints, 3), widths)


def person(rng: np.random.Generator, pose: Pose) -> list[Part]:
    """Skin, face and hair of somebody in that pose."""
    skin = solid(SKINS[rng.integers(len(SKINS))], "cotton")
    hair = solid(HAIRS[rng.integers(len(HAIRS))], "wool")
    haircut = HAIRCUTS[rng.integers(len(HAIRCUTS))]
    return [*_legs(pose, skin), *_trunk(pose, skin), *_arms(pose, skin), *_head(rng, skin, hair), *HAIR[haircut](hair)]


def _legs(pose: Pose, skin: Cloth) -> list[Part]:
    widths = (0.056, 0.052, 0.044, 0.034, 0.036, 0.028, 0.02)
    feet = [rounded(xy((-0.02, -0.03), (0.02, -0.03), (0.03, 0.03), (0.0, 0.04), (-0.03, 0.03))) + pose.ankles[side]
            for side in (0, 1)]  # fmt: skip
    legs = [Part(limb(pose.leg(side), widths), skin, 1, ink=0.25) for side in (0, 1)]
    return [*[Part(foot, skin, 0.5, ink=0.25) for foot in feet], *legs]


def _trunk(pose: Pose, skin: Cloth) -> list[Part]:
    half = xy((0, 0.13), (0.026, 0.13), (0.028, 0.165), (0.07, 0.178), (0.1, 0.19), (0.098, 0.27), (0.078, 0.385),
              (0.1, 0.5), (0.09, 0.54), (0, 0.545))  # fmt: skip
    outline = rounded(symmetric(half * (pose.build, 1)), 2)
    outline = outline + np.stack(([pose.centre(y) for y in outline[:, 1]], np.zeros(len(outline))), axis=1)
    bones = [Mark(xy((side * 0.012, 0.192), (side * 0.06, 0.186)), 0.003, -0.2) for side in (-1, 1)]
    return [Part(outline, skin, 2, tuple(bones), ink=0.2)]


def _arms(pose: Pose, skin: Cloth) -> list[Part]:
    parts = []
    for side in (0, 1):
        elbow, wrist = pose.elbows[side], pose.wrists[side]
        ahead = (wrist - elbow) / np.hypot(*(wrist - elbow))
        fist = tube(
            np.stack((wrist - ahead * 0.006, wrist + ahead * 0.03, wrist + ahead * 0.062)), (0.013, 0.023, 0.009)
        )
        thumb = tube(np.stack((wrist + ahead * 0.01, wrist + ahead * 0.036 + (0.012 - 0.024 * side, 0))), (0.01, 0.006))
        arm = limb(pose.arm(side), (0.016, 0.032, 0.033, 0.03, 0.027, 0.026, 0.026, 0.021, 0.016))
        parts += [Part(arm, skin, 40, ink=0.22), Part(rounded(thumb), skin, 40.1, ink=0.2),
                  Part(rounded(fist), skin, 40.2, ink=0.2)]  # fmt: skip
    return parts


HEAD = (0.0, 0.078)
HEAD_WIDTH, HEAD_HEIGHT = 0.047, 0.064


def _head(rng: np.random.Generator, skin: Cloth, hair: Cloth) -> list[Part]:
    chin = xy((0, -1.0), (0.62, -0.92), (1.0, -0.4), (0.96, 0.25), (0.6, 0.85), (0.2, 1.02), (0, 1.03))
    face = rounded(symmetric(chin * (HEAD_WIDTH, HEAD_HEIGHT))) + HEAD
    ears = [Part(oval((side * 0.047, 0.084), 0.008, 0.014), skin, 46.5, ink=0.25) for side in (-1, 1)]
    neck = Part(xy((-0.024, 0.115), (0.024, 0.115), (0.027, 0.18), (-0.027, 0.18)), skin.plain(tone=0.92), 3, ink=0.0)
    return [neck, *ears, Part(face, skin, 47, _features(rng, hair), ink=0.25), *_eyes(rng), _mouth(skin)]


def _features(rng: np.random.Generator, hair: Cloth) -> tuple[Mark, ...]:
    lift = rng.uniform(-0.003, 0.003)
    brows = [
        Mark(bent(xy((s * 0.01, 0.07), (s * 0.021, 0.066 + lift), (s * 0.031, 0.07))), 0.003, -0.55) for s in (-1, 1)
    ]
    nose = Mark(bent(xy((0.002, 0.08), (0.006, 0.097), (-0.003, 0.1))), 0.0022, -0.25)
    return (*brows, nose, Mark(xy((-0.03, 0.1), (-0.02, 0.1)), 0.018, -0.06, True))


def _eyes(rng: np.random.Generator) -> list[Part]:
    if rng.random() < 0.16:
        dark = solid((30, 28, 30), "leather")
        bridge = Part(xy((-0.04, 0.076), (0.04, 0.076), (0.04, 0.079), (-0.04, 0.079)), dark, 47.2, shadow=0)
        return [*[Part(oval((s * 0.02, 0.081), 0.016, 0.011), dark, 47.3, shadow=0) for s in (-1, 1)], bridge]
    white, iris = solid((238, 234, 230)), solid(((66, 44, 30), (70, 96, 120), (80, 92, 60))[rng.integers(3)])
    balls = [Part(oval((s * 0.02, 0.08), 0.0085, 0.0045), white, 47.1, ink=0.5, shadow=0, bulge=0) for s in (-1, 1)]
    return balls + [
        Part(oval((s * 0.02, 0.08), 0.004, 0.0044), iris, 47.2, ink=0.6, shadow=0, bulge=0) for s in (-1, 1)
    ]


def _mouth(skin: Cloth) -> Part:
    red, green, blue = skin.colours[0]
    lips = solid((int(red * 0.86), int(green * 0.62), int(blue * 0.62)))
    curve = rounded(xy((-0.014, 0.115), (-0.004, 0.112), (0, 0.1135), (0.004, 0.112), (0.014, 0.115), (0, 0.1215)))
    return Part(curve, lips, 47.1, (Mark(xy((-0.012, 0.1155), (0.012, 0.1155)), 0.002, -0.35),), ink=0.1, shadow=0)


def _crown(cloth: Cloth, side: float, low: float) -> Part:
    """Hair on the head: from the temples over the top, down to `low` at the sides."""
    outer = xy((0.0, 0.003), (0.032, 0.006), (0.053, 0.035), (0.055 + side, low))
    inner = xy((0.043, low), (0.042, 0.06), (0.028, 0.044), (0.0, 0.04))
    half = np.concatenate((outer[:-1], sharp(outer[-1:]), sharp(inner[:1]), inner[1:]))
    strands = tuple(Mark(bent(xy((x * 0.3, 0.008), (x, 0.02), (x * 1.25, 0.045))), 0.003, tone, True)
                    for x, tone in ((-0.035, 0.3), (-0.02, -0.3), (0.012, 0.35), (0.03, -0.3)))  # fmt: skip
    return Part(rounded(symmetric(half)), cloth, 50, strands, ink=0.3, shadow=0.2)


def _behind(cloth: Cloth, width: float, low: float) -> Part:
    half = xy((0, 0.004), (0.036, 0.01), (0.056, 0.05), (width, (low + 0.09) / 2), (width * 1.05, low - 0.02), (0, low))
    strands = tuple(Mark(xy((x, 0.1), (x * 1.3, low)), 0.004, tone, True)
                    for x, tone in zip(np.linspace(-width, width, 8), (-0.4, 0.3) * 4, strict=True))  # fmt: skip
    return Part(rounded(symmetric(half)), cloth.plain(tone=0.85), -8, strands, ink=0.3)


def _lock(cloth: Cloth, side: int, low: float) -> Part:
    path = bent(xy((0.046, 0.05), (0.055, 0.1), (0.056, low)))
    outline = tube(path if side else mirrored(path), (0.008, 0.013, 0.014, 0.004))
    return Part(outline, cloth, 51, (Mark(path if side else mirrored(path), 0.004, 0.35, True),), ink=0.3)


def _long(cloth: Cloth) -> list[Part]:
    return [_behind(cloth, 0.068, 0.27), _crown(cloth, 0.002, 0.08), _lock(cloth, 0, 0.24), _lock(cloth, 1, 0.23)]


def _bun(cloth: Cloth) -> list[Part]:
    return [Part(oval((0, -0.004), 0.024, 0.02), cloth, -7), _crown(cloth, -0.006, 0.07)]


def _ponytail(cloth: Cloth) -> list[Part]:
    tail = tube(bent(xy((0.03, 0.03), (0.075, 0.08), (0.062, 0.21))), (0.012, 0.024, 0.02, 0.004))
    return [Part(tail, cloth, -7), _crown(cloth, -0.006, 0.07)]


def _afro(cloth: Cloth) -> list[Part]:
    turn = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    radius = 1 + 0.03 * np.sin(turn * 11)
    cloud = np.stack((np.cos(turn) * radius * 0.083, np.sin(turn) * radius * 0.078), axis=1) + (0, 0.055)
    return [Part(cloud, cloth, -7), _crown(cloth, 0.004, 0.075)]


HAIR = {
    "bald": lambda cloth: [], "short": lambda cloth: [_crown(cloth, -0.005, 0.062)],
    "bob": lambda cloth: [_behind(cloth, 0.064, 0.15), _crown(cloth, 0.006, 0.125)],
    "long": _long, "bun": _bun, "ponytail": _ponytail, "afro": _afro,
}  # fmt: skip
