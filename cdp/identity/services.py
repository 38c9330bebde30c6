"""Who is who: resolve what arrives, merge and part people, erase somebody."""

import datetime as dt
from dataclasses import dataclass

from django.db import connection, transaction

from cdp.access.services import audit
from cdp.consent.services import suppressions_forget
from cdp.core.errors import RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.events.services import identifiers_erase, outbox_write
from cdp.identity.models import Identifier, IdentityDecision
from cdp.identity.moving import Move, identifiers_held, identifiers_place, moves_apply, people_recompute
from cdp.identity.records import Observation, Resolution
from cdp.identity.resolving import identifiers_resolve
from cdp.identity.selectors import profile_family, profile_living
from cdp.profiles.locks import people_lock
from cdp.profiles.services import profiles_erase, profiles_parted

__all__ = [
    "SYSTEM_SOURCE_NO",
    "Erasure",
    "Observation",
    "Resolution",
    "identifiers_resolve",
    "merge_undo",
    "profile_erase",
    "profiles_merge",
]

SYSTEM_SOURCE_NO = 0  # acts of staff and of our own API, which come from no source


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure took away; numbers only."""

    profile_nos: list[ProfileNo]
    identifiers: int
    erased_at: dt.datetime


def profiles_merge(winner_no: int, loser_no: int, reason: str, actor: str, now: dt.datetime) -> int:
    """Make two living people one by hand; returns the ``decision_no`` that undoes it.

    Limits do not hold for a human's decision. Raises RejectedError when either is unknown, merged, erased, or both are one.
    """
    with transaction.atomic():
        people_lock()
        for field, number in (("winner", winner_no), ("loser", loser_no)):
            if profile_living(number) != number:
                raise RejectedError("no living profile has this number.", code="not_found", field=field)
        if winner_no == loser_no:
            raise RejectedError("a profile cannot be merged with itself.", code="same_profile", field="loser")
        # Parted by hand and joined by hand: the later decision of a human holds.
        IdentityDecision.objects.filter(
            kind="unmerged",
            undone_at=None,
            profile_no__in=profile_family(winner_no) + profile_family(loser_no),
            other_profile_no__in=profile_family(winner_no) + profile_family(loser_no),
        ).update(undone_at=now)
        moves_apply([Move(winner_no, loser_no, f"by hand: {reason}"[:120], SYSTEM_SOURCE_NO)], now)
        decision = IdentityDecision.objects.filter(kind="merged", other_profile_no=loser_no).latest("decision_no")
        audit(actor, "profiles_merged", "profile", winner_no, {"loser_no": loser_no, "reason": reason})
    return decision.decision_no


def merge_undo(decision_no: int, actor: str, now: dt.datetime) -> None:
    """Part two people again: the identifiers that the merge moved go back, wherever they are now, and stay apart.

    Identifiers that came later stay with the survivor. Raises RejectedError when the decision is no merge in force or one
    of the two was erased.
    """
    with transaction.atomic():
        people_lock()
        decision = IdentityDecision.objects.select_for_update().filter(decision_no=decision_no).first()
        if decision is None or decision.kind != "merged" or decision.other_profile_no is None:
            raise RejectedError("no merge has this number.", code="not_found", field="decision_no")
        if decision.undone_at is not None:
            raise RejectedError("this merge was undone already.", code="already_undone", field="decision_no")
        survivor_no, parted_no = profile_living(decision.profile_no), decision.other_profile_no
        if survivor_no is None:
            raise RejectedError("the person was erased; nothing can be parted.", code="erased", field="decision_no")
        back = [
            number for number in identifiers_held([survivor_no])[survivor_no] if number in set(decision.identifier_nos)
        ]
        profiles_parted(parted_no)
        identifiers_place(dict.fromkeys(back, parted_no))
        IdentityDecision.objects.create(
            kind="unmerged",
            profile_no=decision.profile_no,
            other_profile_no=parted_no,
            identifier_nos=back,
            reason=f"by hand: merge {decision_no} undone",
            source_no=SYSTEM_SOURCE_NO,
            decided_at=now,
        )
        decision.undone_at = now
        decision.save(update_fields=["undone_at"])
        people_recompute([survivor_no, parted_no])
        audit(actor, "merge_undone", "profile", survivor_no, {"decision_no": decision_no, "parted_no": parted_no})
        outbox_write(
            "profiles_unmerged",
            {"profile_nos": sorted([survivor_no, parted_no]), "pairs": [[survivor_no, parted_no]]},
        )


def profile_erase(profile_no: int, actor: str, now: dt.datetime) -> Erasure:
    """Erase one person, with everybody merged into them: identifiers, traits, computed values, consent states, events.

    Tombstones keep the identifiers from coming back. What remains are opaque numbers: consent acts, decisions, the audit
    line. The message ``profile_erased`` lets audiences remove the person at the networks. Safe to repeat.
    Raises RejectedError when no profile has this number or it was erased before.
    """
    with transaction.atomic():
        people_lock()
        living_no = profile_living(profile_no)
        if living_no is None:
            raise RejectedError("no living profile has this number.", code="not_found", field="profile_no")
        family = profile_family(living_no)
        held = [number for numbers in identifiers_held(family).values() for number in numbers]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO cdp_identitytombstone (type_id, blind_index, erased_at) "
                "SELECT type_id, blind_index, %s FROM cdp_identifier WHERE identifier_no = ANY(%s) ON CONFLICT DO NOTHING",
                [now, held],
            )
        Identifier.objects.filter(identifier_no__in=held).delete()
        people_recompute(family)
        suppressions_forget(held)
        profiles_erase(family, held, now)
        IdentityDecision.objects.filter(profile_no__in=family).update(message_id="")
        identifiers_erase([IdentifierNo(number) for number in held], now)
        audit(actor, "profile_erased", "profile", living_no, {"profiles": len(family), "identifiers": len(held)})
        outbox_write("profile_erased", {"profile_nos": family})
    return Erasure([ProfileNo(number) for number in family], len(held), now)
