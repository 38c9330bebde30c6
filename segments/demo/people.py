"""Made-up addresses, countries and consents for the demo's people, from a seed.

CDNOW's people have no names. Everything here is invented, stands under sources marked ``is_made_up``, and uses domains that
RFC 2606 reserves, so that no message could ever reach anybody.
"""

import csv
import datetime as dt
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DOMAINS = ("example.com", "example.org", "example.net")
COUNTRIES = {"US": 54, "GB": 12, "CA": 9, "DE": 9, "FR": 7, "ES": 4, "NL": 3, "AU": 2}
LANGUAGES = {"DE": "de", "FR": "fr", "ES": "es", "NL": "nl"}
EUROPE = {"GB", "DE", "FR", "ES", "NL"}
FIRST_NAMES = (
    "Alex Ana Ben Carla Chris Dana Eli Emma Felix Grace Hana Ian Iris Jo Jonas Kim Lea Leo Lina "
    "Luis Maya Max Mia Nina Noah Olga Omar Paul Rosa Ruth Sam Sara Tim Tom Uma Vera Will Yara Zoe"
)
LAST_NAMES = (
    "Abel Baker Brandt Clark Costa Diaz Evans Fischer Garcia Green Hall Hoffman Ito Jansen Kelly Klein Lopez Martin Meyer "
    "Moore Novak Ortiz Patel Perez Reed Rossi Roux Sanchez Scott Silva Smith Stone Taylor Turner Vega Walker Weber Wood Young"
)
# Share of people who granted, denied or withdrew; the rest was never asked. By purpose, for people outside and inside Europe.
CONSENT_SHARES = {
    "advertising": ((0.74, 0.12, 0.05), (0.55, 0.28, 0.06)),
    "email_marketing": ((0.68, 0.14, 0.08), (0.52, 0.27, 0.08)),
    "analytics": ((0.85, 0.07, 0.02), (0.66, 0.22, 0.03)),
    "personalisation": ((0.78, 0.11, 0.03), (0.60, 0.25, 0.04)),
}
PROFILE_COLUMNS = ("user_id", "email", "first_name", "last_name", "country", "language", "signed_up_at")
CONSENT_COLUMNS = ("user_id", "purpose", "action", "occurred_at", "method", "notice_version", "locale", "jurisdiction")


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person behind a real purchase history."""

    user_id: str
    email: str
    first_name: str
    last_name: str
    country: str
    language: str
    joined: dt.date


def people_invent(first_days: Mapping[str, dt.date], seed: int) -> list[Person]:
    """One person per key of ``first_days`` (their first purchase), in key order; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - invented data, not a secret
    first_names, last_names = FIRST_NAMES.split(), LAST_NAMES.split()
    countries, weights = list(COUNTRIES), list(COUNTRIES.values())
    people = []
    for user_id in sorted(first_days):
        first, last = chance.choice(first_names), chance.choice(last_names)
        country = chance.choices(countries, weights)[0]
        email = f"{first}.{last}.{user_id}@{chance.choice(DOMAINS)}".lower()
        people.append(Person(user_id, email, first, last, country, LANGUAGES.get(country, "en"), first_days[user_id]))
    return people


def profiles_write(people: list[Person], path: Path) -> int:
    """The customer file of the demo's shop; returns its rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(PROFILE_COLUMNS)
        for p in people:
            writer.writerow([p.user_id, p.email, p.first_name, p.last_name, p.country, p.language, p.joined])
    return len(people)


def consents_write(people: list[Person], path: Path, seed: int) -> int:
    """The consent file: the choice at the first purchase, and for some a later withdrawal; returns its rows."""
    chance = random.Random(seed)  # noqa: S311
    rows = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CONSENT_COLUMNS)
        for person in people:
            for purpose, shares in CONSENT_SHARES.items():
                granted, denied, withdrawn = shares[person.country in EUROPE]
                draw, lag = chance.random(), chance.randrange(5, 40)
                if draw >= granted + denied + withdrawn:
                    continue
                acts = [("denied", 0)] if granted <= draw < granted + denied else [("granted", 0)]
                if draw >= granted + denied:
                    acts.append(("withdrawn", lag))
                for action, days in acts:
                    at = f"{person.joined + dt.timedelta(days=days)}T12:05:00Z"
                    locale = f"{person.language}-{person.country}"
                    writer.writerow([person.user_id, purpose, action, at, "save", "demo-1", locale, person.country])
                    rows += 1
    return rows
