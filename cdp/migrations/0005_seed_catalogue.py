"""What every workspace starts with: identifier types, purposes and the usual traits of a person."""

from django.db import migrations

# key, title, normaliser, priority, is_known, is_unique, max_per_profile, max_profiles
IDENTIFIER_TYPES = [
    ("user_id", "Account id", "text", 1, True, True, 1, 25),
    ("email", "Email address", "email", 2, True, False, 10, 25),
    ("phone", "Phone number", "phone", 3, True, False, 10, 25),
    ("external_id", "External id", "text", 4, True, False, 20, 25),
    ("device_id", "Device id", "device", 8, False, False, 50, 5),
    ("anonymous_id", "Anonymous id", "text", 9, False, False, 200, 5),
]
PURPOSES = [
    ("analytics", "Analytics", "Measure how the site and the shop are used."),
    ("personalisation", "Personalisation", "Adapt content and offers to the person."),
    ("email_marketing", "Email marketing", "Send news and offers by email."),
    ("advertising", "Advertising", "Show ads on other companies' sites, by audiences sent to ad networks."),
]
# key, title, value type, is_personal
TRAITS = [
    ("first_name", "First name", "text", True),
    ("last_name", "Last name", "text", True),
    ("name", "Name", "text", True),
    ("birthday", "Birthday", "date", True),
    ("gender", "Gender", "text", True),
    ("age", "Age", "number", True),
    ("address_city", "City", "text", True),
    ("address_postal_code", "Postal code", "text", True),
    ("country", "Country", "text", False),
    ("language", "Language", "text", False),
    ("plan", "Plan", "text", False),
    ("signed_up_at", "Signed up", "date", False),
]


def seed(apps, schema_editor):
    """Add what is missing; what somebody has changed stays as it is."""
    IdentifierType, Purpose, Trait = (apps.get_model("cdp", name) for name in ("IdentifierType", "Purpose", "Trait"))
    for key, title, normaliser, priority, is_known, is_unique, max_per_profile, max_profiles in IDENTIFIER_TYPES:
        IdentifierType.objects.get_or_create(
            key=key,
            defaults={
                "title": title,
                "normaliser": normaliser,
                "priority": priority,
                "is_known": is_known,
                "is_unique": is_unique,
                "max_per_profile": max_per_profile,
                "max_profiles": max_profiles,
            },
        )
    for position, (key, title, description) in enumerate(PURPOSES, start=1):
        Purpose.objects.get_or_create(
            key=key, defaults={"title": title, "description": description, "position": position}
        )
    for key, title, value_type, is_personal in TRAITS:
        Trait.objects.get_or_create(
            key=key, defaults={"title": title, "value_type": value_type, "is_personal": is_personal}
        )


class Migration(migrations.Migration):
    dependencies = [("cdp", "0004_append_only")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
