"""People are masked by default: enough to tell two apart on a screen, too little to write to anybody."""

DOTS = "•••"


def value_mask(type_key: str, value: str) -> str:
    """j•••@g•••.fr · +33 •• •• 41 · a_9c1…e2. An account id is shown: it is ours and reaches nobody."""
    if not value:
        return ""
    match type_key:
        case "email":
            return email_mask(value)
        case "phone":
            return f"{value[:3]} •• •• {value[-2:]}"
        case "user_id" | "external_id":
            return value if len(value) <= 14 and "@" not in value else middle_cut(value)
        case _:
            return middle_cut(value)


def email_mask(value: str) -> str:
    """First letters and the top domain."""
    name, _, domain = value.partition("@")
    host, _, top = domain.rpartition(".")
    return f"{name[:1]}{DOTS}@{host[:1]}{DOTS}.{top}"


def middle_cut(value: str) -> str:
    """Head and tail of something long; of something short only the head."""
    return f"{value[:5]}…{value[-2:]}" if len(value) > 9 else f"{value[:2]}{DOTS}"


def trait_mask(value: object) -> str:
    """A personal trait: the first letter."""
    text = str(value)
    return f"{text[:1]}{DOTS}" if text else ""
