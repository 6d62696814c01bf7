"""The words that make a number, and the units that doses, times and sizes are given in.

Tables alone; `rag/attribution/quantities.py` reads numbers by them, and `rag/attribution/references.py` tells
numbers that count something from those that do not.
"""

from __future__ import annotations

from index.words import listed

SMALL = dict(
    zip(
        listed(
            """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen
"""
        ),
        range(20),
        strict=True,
    )
)
TENS = dict(
    zip(
        listed(
            """
twenty thirty forty fifty sixty seventy eighty ninety
"""
        ),
        range(20, 100, 10),
        strict=True,
    )
)
SCALE = {"hundred": 100.0, "thousand": 1e3, "million": 1e6, "billion": 1e9}
PARTS = {"half": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5}
PARTS |= {"fifths": 5, "tenth": 10, "tenths": 10}
VULGAR = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3, "⅛": 0.125}
TIMES = {"once": 1.0, "twice": 2.0, "thrice": 3.0}


def _units(table: str) -> dict[str, tuple[str, float]]:
    found: dict[str, tuple[str, float]] = {}
    for line in table.strip().splitlines():
        name, factor, words = line.split(maxsplit=2)
        found |= {word: (name, float(factor)) for word in words.split()}
    return found


# Canonical unit, factor to it, spellings. Mass in micrograms and volume in millilitres: exact powers of ten.
UNITS = _units(
    """
    mcg 1 mcg µg ug microgram micrograms microgramme microgrammes
    mcg 0.001 ng nanogram nanograms
    mcg 1e3 mg mgs milligram milligrams milligramme milligrammes
    mcg 1e6 g gm gms gram grams gramme grammes
    mcg 1e9 kg kgs kilogram kilograms
    ml 1 ml mls cc milliliter milliliters millilitre millilitres
    ml 10 cl
    ml 100 dl deciliter deciliters decilitre decilitres
    ml 1e3 l liter liters litre litres
    iu 1 iu u unit units
    mmol 1 mmol mmols millimole millimoles
    mmol 1e3 mol mole moles
    meq 1 meq
    mmhg 1 mmhg
    tablet 1 tablet tablets tab tabs pill pills caplet caplets
    capsule 1 capsule capsules
    drop 1 drop drops
    puff 1 puff puffs
    spray 1 spray sprays
    teaspoon 1 teaspoon teaspoons tsp teaspoonful teaspoonfuls
    tablespoon 1 tablespoon tablespoons tbsp
    dose 1 dose doses
    injection 1 injection injections shot shots
    sachet 1 sachet sachets
    patch 1 patch patches
    lozenge 1 lozenge lozenges
    ampoule 1 ampoule ampoules vial vials
    percent 1 percent percentage
    second 1 second seconds sec secs
    minute 1 minute minutes min mins
    hour 1 hour hours hr hrs
    day 1 day days
    week 1 week weeks
    month 1 month months
    year 1 year years yr yrs
    decade 1 decade decades
    mm 1 millimeter millimeters millimetre millimetres mm
    mm 10 cm centimeter centimeters centimetre centimetres
    mm 1e3 m meter meters metre metres
    inch 1 inch inches
    foot 1 foot feet ft
    pound 1 pound pounds lb lbs
    ounce 1 ounce ounces oz
    calorie 1 calorie calories kcal
    degree 1 degree degrees
    """
)
DOSE = frozenset(
    listed(
        """
mcg ml iu mmol meq mmhg tablet capsule drop puff spray teaspoon tablespoon dose injection sachet patch lozenge
ampoule
"""
    )
)
PERIODS = {"day": "day", "daily": "day", "night": "day", "nightly": "day", "hour": "hour", "hourly": "hour"}
PERIODS |= {"week": "week", "weekly": "week", "month": "month", "monthly": "month", "minute": "minute"}
PER = {"kg": "kg", "kilogram": "kg", "dl": "dl", "deciliter": "dl", "l": "l", "liter": "l", "litre": "l", "ml": "ml"}
PER |= {"milliliter": "ml", "dose": "dose", "m2": "m2", "day": "day", "hour": "hour", "week": "week", "h": "hour"}
PER |= {"d": "day", "hr": "hour", "minute": "minute", "min": "minute", "month": "month", "year": "year"}
