"""The cuts of garments: what each kind is made in, as tables. Lengths in steps of `body.LEVELS`, widths in body heights."""

from dataclasses import dataclass

Profile = tuple[tuple[float, float], ...]
"""Half widths from top to hem: (level, half width)."""


@dataclass(frozen=True)
class Cut:
    """A way of making a garment: its outline, its sleeves or legs, its details and the cloth it is made of.

    `sleeve` is a share of the arm, `cuff` the half width at its end; for trousers and shorts `profile` gives half
    widths of one leg at hip, knee and hem.
    """

    weaves: tuple[str, ...]
    profile: Profile = ()
    sleeve: float = 0.0
    cuff: float = 0.04
    neck: str = "crew"
    details: tuple[str, ...] = ()
    waist: str | None = None
    shape: str = ""
    chance: float = 1.0


NECKS: dict[str, Profile] = {
    # the right half of the neckline: (x, y) from the neck's side to its middle, body heights
    "crew": ((0.04, 0.168), (0.034, 0.186), (0.018, 0.2), (0.0, 0.203)),
    "high": ((0.032, 0.163), (0.026, 0.172), (0.014, 0.178), (0.0, 0.18)),
    "scoop": ((0.05, 0.171), (0.044, 0.205), (0.025, 0.232), (0.0, 0.238)),
    "v": ((0.042, 0.168), (0.03, 0.2), (0.012, 0.238), (0.0, 0.256)),
    "deep-v": ((0.045, 0.168), (0.036, 0.21), (0.016, 0.27), (0.0, 0.3)),
    "boat": ((0.066, 0.176), (0.04, 0.188), (0.02, 0.193), (0.0, 0.194)),
    "square": ((0.055, 0.172), (0.054, 0.222), (0.053, 0.226), (0.0, 0.226)),
    "sweetheart": ((0.062, 0.174), (0.058, 0.225), (0.03, 0.222), (0.0, 0.242)),
}

FIT: Profile = ((0.45, 0.099), (1.0, 0.084), (1.95, 0.103))
EASY: Profile = ((0.45, 0.106), (1.0, 0.098), (2.0, 0.106))
BOXY: Profile = ((0.45, 0.118), (1.0, 0.116), (1.8, 0.116))

CUTS: dict[str, dict[str, Cut]] = {
    "top": {
        "t-shirt": Cut(("cotton",), EASY, 0.34, 0.05, "crew", ("rib-neck",), chance=2),
        "fitted tee": Cut(("cotton", "knit"), FIT, 0.26, 0.038, "scoop", ("rib-neck",)),
        "boxy tee": Cut(("cotton",), BOXY, 0.45, 0.058, "crew", ("rib-neck", "chest-pocket", "print")),
        "shirt": Cut(("cotton", "canvas", "denim"), ((0.45, 0.105), (1, 0.097), (2.15, 0.107)), 0.99, 0.026, "high",
                     ("collar", "placket", "cuffs", "chest-pocket"), chance=2),
        "short-sleeved shirt": Cut(("cotton", "satin"), BOXY, 0.42, 0.056, "high", ("collar", "placket")),
        "blouse": Cut(("satin", "cotton"), ((0.45, 0.103), (1, 0.096), (1.95, 0.118)), 0.97, 0.03, "v",
                      ("puff", "cuffs", "bow")),
        "tank top": Cut(("cotton", "knit"), FIT, 0, 0, "scoop", ("straps",)),
        "camisole": Cut(("satin",), ((0.45, 0.092), (1, 0.085), (1.9, 0.106)), 0, 0, "sweetheart", ("thin-straps",)),
        "polo shirt": Cut(("cotton", "knit"), EASY, 0.36, 0.046, "high", ("collar", "short-placket", "rib-cuffs")),
        "jumper": Cut(("knit",), ((0.45, 0.112), (1, 0.108), (1.85, 0.106)), 1.0, 0.03, "crew",
                      ("rib-neck", "rib-hem", "rib-cuffs"), chance=1.5),
        "rollneck": Cut(("knit",), ((0.45, 0.105), (1, 0.098), (1.9, 0.104)), 1.0, 0.026, "high",
                        ("roll", "rib-hem", "rib-cuffs")),
        "hoodie": Cut(("cotton",), ((0.45, 0.115), (1, 0.112), (1.95, 0.11)), 1.0, 0.033, "crew",
                      ("hood", "kangaroo", "rib-hem", "rib-cuffs", "print"), chance=1.5),
        "sweatshirt": Cut(("cotton",), BOXY, 1.0, 0.033, "crew", ("rib-neck", "rib-hem", "rib-cuffs", "print")),
        "crop top": Cut(("cotton", "knit"), ((0.45, 0.099), (0.8, 0.09), (1.1, 0.088)), 0.25, 0.036, "square"),
    },
    "outerwear": {
        "blazer": Cut(("wool", "cotton"), ((0.45, 0.115), (1, 0.102), (2.3, 0.124)), 0.99, 0.034, "deep-v",
                      ("lapels", "buttons", "flap-pockets"), chance=2),
        "wool coat": Cut(("wool",), ((0.45, 0.122), (1, 0.114), (2, 0.124), (3, 0.142)), 0.99, 0.04, "deep-v",
                         ("lapels", "buttons", "flap-pockets"), chance=2),
        "trench coat": Cut(("canvas",), ((0.45, 0.12), (1, 0.102), (2, 0.125), (3.15, 0.158)), 0.99, 0.038, "v",
                           ("lapels", "double-buttons", "belt", "flap-pockets")),
        "bomber jacket": Cut(("satin", "leather", "canvas"), ((0.45, 0.123), (1, 0.126), (1.7, 0.112)), 1.0, 0.033,
                             "high", ("zip", "rib-hem", "rib-cuffs", "rib-neck")),
        "puffer jacket": Cut(("satin",), ((0.45, 0.13), (1, 0.134), (1.95, 0.126)), 1.0, 0.044, "high",
                             ("zip", "quilt", "stand")),
        "denim jacket": Cut(("denim",), ((0.45, 0.116), (1, 0.11), (1.6, 0.105)), 0.99, 0.03, "high",
                            ("collar", "placket", "cuffs", "chest-pockets"), chance=1.5),
        "leather jacket": Cut(("leather",), ((0.45, 0.114), (1, 0.106), (1.75, 0.106)), 0.99, 0.031, "deep-v",
                              ("lapels", "zip", "flap-pockets")),
        "parka": Cut(("canvas", "cotton"), ((0.45, 0.124), (1, 0.118), (2.6, 0.136)), 1.0, 0.04, "high",
                     ("hood", "zip", "flap-pockets", "belt")),
        "cardigan": Cut(("knit",), ((0.45, 0.112), (1, 0.108), (2.1, 0.114)), 1.0, 0.03, "deep-v",
                        ("buttons", "rib-hem", "rib-cuffs"), chance=1.5),
        "gilet": Cut(("satin", "wool"), ((0.45, 0.116), (1, 0.118), (1.9, 0.116)), 0, 0, "high",
                     ("zip", "quilt", "stand"), chance=0.7),
    },
    "dress": {
        "shift dress": Cut(("cotton", "wool"), ((0.45, 0.104), (1, 0.102), (2, 0.118), (2.8, 0.128)), 0.24, 0.04, "boat"),
        "a-line dress": Cut(("cotton", "satin"), ((0.45, 0.098), (1, 0.08), (2, 0.135), (2.9, 0.19)), 0.0, 0.0, "scoop",
                            ("straps", "seam", "drape"), chance=1.5),
        "sheath dress": Cut(("cotton", "knit", "leather"), ((0.45, 0.097), (1, 0.079), (2, 0.104), (3, 0.096)), 0.2,
                            0.036, "square", ("seam",)),
        "slip dress": Cut(("satin",), ((0.45, 0.092), (1, 0.084), (2, 0.112), (3.4, 0.136)), 0, 0, "sweetheart",
                          ("thin-straps", "drape")),
        "maxi dress": Cut(("cotton", "satin"), ((0.45, 0.098), (1, 0.082), (2, 0.13), (3.85, 0.2)), 0.3, 0.046, "v",
                          ("belt", "drape")),
        "wrap dress": Cut(("satin", "cotton"), ((0.45, 0.1), (1, 0.082), (2, 0.12), (3.1, 0.165)), 0.7, 0.042, "deep-v",
                          ("wrap", "belt", "drape"), chance=1.3),
        "shirt dress": Cut(("cotton", "denim", "canvas"), ((0.45, 0.107), (1, 0.095), (2, 0.122), (3, 0.142)), 0.95,
                           0.028, "high", ("collar", "placket", "belt", "cuffs", "chest-pocket")),
        "jumper dress": Cut(("knit",), ((0.45, 0.11), (1, 0.106), (2, 0.116), (2.65, 0.11)), 1.0, 0.03, "crew",
                            ("rib-neck", "rib-hem", "rib-cuffs")),
        "tiered dress": Cut(("cotton",), ((0.45, 0.102), (1, 0.104), (2, 0.145), (3.3, 0.2)), 0.55, 0.052, "crew",
                            ("tiers", "drape", "puff")),
    },
    "skirt": {
        "pencil skirt": Cut(("wool", "leather", "cotton"), ((1, 0.08), (2, 0.105), (3, 0.092)), details=("waistband", "seam"),
                            waist="high"),
        "a-line skirt": Cut(("wool", "cotton", "canvas"), ((1, 0.08), (2, 0.13), (2.8, 0.168)), details=("waistband", "drape"),
                            waist="high"),
        "mini skirt": Cut(("leather", "wool", "denim"), ((1.2, 0.086), (2, 0.112), (2.3, 0.122)), details=("waistband",),
                          waist="mid"),
        "denim skirt": Cut(("denim",), ((1.15, 0.084), (2, 0.11), (2.55, 0.124)),
                           details=("waistband", "fly", "buttons-front", "side-pockets"), waist="mid"),
        "pleated skirt": Cut(("satin", "wool"), ((1, 0.08), (2, 0.128), (3.2, 0.178)), details=("waistband", "pleats"),
                             waist="high", chance=1.5),
        "maxi skirt": Cut(("cotton", "satin"), ((1, 0.08), (2, 0.13), (3.85, 0.2)), details=("waistband", "drape"),
                          waist="elastic"),
        "tiered skirt": Cut(("cotton",), ((1, 0.08), (2, 0.14), (3.4, 0.2)), details=("waistband", "tiers", "drape"),
                            waist="elastic"),
        "circle skirt": Cut(("satin", "cotton"), ((1, 0.078), (1.6, 0.14), (2.7, 0.225)), details=("waistband", "drape"),
                            waist="high"),
    },
    "trousers": {
        "skinny jeans": Cut(("denim",), ((2, 0.054), (3, 0.037), (3.95, 0.025)), details=("waistband", "fly", "side-pockets"),
                            waist="mid", chance=1.5),
        "straight jeans": Cut(("denim",), ((2, 0.058), (3, 0.05), (3.98, 0.046)),
                              details=("waistband", "fly", "side-pockets"), waist="high", chance=1.5),
        "wide-leg trousers": Cut(("wool", "cotton", "satin"), ((2, 0.062), (3, 0.07), (4.1, 0.082)),
                                 details=("waistband", "fly", "press"), waist="high", chance=1.3),
        "tailored trousers": Cut(("wool", "cotton"), ((2, 0.058), (3, 0.046), (3.95, 0.036)),
                                 details=("waistband", "fly", "press", "side-pockets"), waist="mid", chance=1.5),
        "flared trousers": Cut(("denim", "cotton"), ((2, 0.056), (3, 0.042), (4.1, 0.076)), details=("waistband", "fly"),
                               waist="high"),
        "cargo trousers": Cut(("canvas",), ((2, 0.064), (3, 0.056), (3.95, 0.042)),
                              details=("waistband", "fly", "cargo", "side-pockets"), waist="mid"),
        "joggers": Cut(("cotton",), ((2, 0.062), (3, 0.052), (3.9, 0.03)), details=("elastic", "strings", "hem-ribs"),
                       waist="elastic"),
        "cropped trousers": Cut(("cotton", "wool"), ((2, 0.06), (3, 0.054), (3.6, 0.056)), details=("waistband", "fly"),
                                waist="high"),
        "leather trousers": Cut(("leather",), ((2, 0.056), (3, 0.042), (3.95, 0.034)), details=("waistband", "fly"),
                                waist="high", chance=0.7),
    },
    "shorts": {
        "tailored shorts": Cut(("wool", "cotton"), ((2, 0.06), (2.7, 0.066)), details=("waistband", "fly", "press"), waist="high"),
        "denim shorts": Cut(("denim",), ((2, 0.058), (2.4, 0.064)), details=("waistband", "fly", "side-pockets", "fray"),
                            waist="high", chance=1.4),
        "bermuda shorts": Cut(("cotton", "canvas"), ((2, 0.06), (2.95, 0.058)), details=("waistband", "fly", "side-pockets"),
                              waist="mid"),
        "running shorts": Cut(("satin", "cotton"), ((2, 0.066), (2.42, 0.078)), details=("elastic", "strings", "piping"),
                              waist="elastic"),
        "cargo shorts": Cut(("canvas",), ((2, 0.064), (2.9, 0.068)), details=("waistband", "fly", "cargo"), waist="mid"),
    },
    "shoes": {
        "trainers": Cut(("leather", "canvas", "cotton"), shape="trainer", chance=2),
        "high-top trainers": Cut(("canvas", "leather"), shape="high-top"),
        "ankle boots": Cut(("leather",), shape="ankle-boot", chance=1.4),
        "tall boots": Cut(("leather",), shape="tall-boot"),
        "heels": Cut(("leather", "satin"), shape="pump", chance=1.4),
        "loafers": Cut(("leather",), shape="loafer"),
        "sandals": Cut(("leather",), shape="sandal"),
        "ballet flats": Cut(("leather", "satin"), shape="flat"),
    },
    "bag": {
        "tote bag": Cut(("canvas", "leather"), shape="tote", chance=1.3),
        "handbag": Cut(("leather",), shape="handbag", chance=1.4),
        "shoulder bag": Cut(("leather", "canvas"), shape="shoulder", chance=1.2),
        "backpack": Cut(("canvas", "leather"), shape="backpack"),
        "bucket bag": Cut(("leather",), shape="bucket"),
        "clutch": Cut(("leather", "satin"), shape="clutch", chance=0.7),
        "duffel bag": Cut(("canvas", "leather"), shape="duffel", chance=0.7),
    },
    "hat": {
        "baseball cap": Cut(("canvas", "cotton"), shape="cap", chance=1.3),
        "beanie": Cut(("knit",), shape="beanie", chance=1.3),
        "fedora": Cut(("wool",), shape="fedora"),
        "sun hat": Cut(("canvas",), shape="sunhat"),
        "bucket hat": Cut(("cotton", "canvas", "denim"), shape="bucket-hat"),
        "beret": Cut(("wool",), shape="beret"),
    },
    "scarf": {
        "long scarf": Cut(("knit", "wool"), shape="long", chance=2),
        "loop scarf": Cut(("knit",), shape="loop"),
        "silk scarf": Cut(("satin",), shape="kerchief"),
        "fringed shawl": Cut(("wool",), shape="shawl"),
    },
}  # fmt: skip
