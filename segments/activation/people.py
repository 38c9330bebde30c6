"""People as a destination needs them, decrypted in the moment of sending, a batch at a time."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from cdp.identity.selectors import identifier_values
from cdp.profiles.selectors import profile_get_many
from segments.destinations.contract import Account, Destination, Member, Person

ADDRESS_TRAITS = {
    "given_name": "first_name",
    "family_name": "last_name",
    "region_code": "country",
    "postal_code": "postal_code",
}


def members_build(destination: Destination, account: Account, profile_nos: npt.NDArray[np.int64]) -> list[Member]:
    """Normalised and hashed, ascending; whoever holds nothing that the network can use is left out.

    Names and places are read only for connections that ask for them.
    """
    values: defaultdict[int, dict[str, list[str]]] = defaultdict(lambda: {"email": [], "phone": []})
    for profile_no, _, kind, value in identifier_values(profile_nos, destination.capabilities.identifier_types):
        values[profile_no][kind].append(value)
    places = address_traits(profile_nos) if account.settings.get("send_address") == "yes" else {}
    members = (
        destination.member_build(Person(number, tuple(held["email"]), tuple(held["phone"]), **places.get(number, {})))
        for number, held in sorted(values.items())
    )
    return [member for member in members if member]


def address_traits(profile_nos: npt.NDArray[np.int64]) -> dict[int, dict[str, str]]:
    return {
        int(row.profile_no): {field: str(row.traits.get(trait) or "") for field, trait in ADDRESS_TRAITS.items()}
        for row in profile_get_many(profile_nos.tolist())
    }
