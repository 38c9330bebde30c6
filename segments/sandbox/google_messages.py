"""The Data Manager API's messages, as far as the sandbox takes them; unknown names are refused, as Google does.

After the protos of google-ads-datamanager 0.9.4; REST spells names in camel case.
"""

import msgspec

ACCOUNT_TYPES = (
    "ACCOUNT_TYPE_UNSPECIFIED",
    "GOOGLE_ADS",
    "DISPLAY_VIDEO_PARTNER",
    "DISPLAY_VIDEO_ADVERTISER",
    "DATA_PARTNER",
)
CONSENTS = ("CONSENT_STATUS_UNSPECIFIED", "CONSENT_GRANTED", "CONSENT_DENIED")
ENCODINGS = ("ENCODING_UNSPECIFIED", "HEX", "BASE64")
TERMS = ("TERMS_OF_SERVICE_STATUS_UNSPECIFIED", "ACCEPTED", "REJECTED")


class Message(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A message of the proto: unknown names are refused, as Google does."""


class ProductAccount(Message):
    account_id: str
    account_type: str | int = 0
    product: str | int = 0


class DestinationMessage(Message):
    operating_account: ProductAccount
    product_destination_id: str
    reference: str = ""
    login_account: ProductAccount | None = None
    linked_account: ProductAccount | None = None


class Address(Message):
    given_name: str = ""
    family_name: str = ""
    region_code: str = ""
    postal_code: str = ""


class UserIdentifier(Message):
    email_address: str = ""
    phone_number: str = ""
    address: Address | None = None


class UserData(Message):
    user_identifiers: list[UserIdentifier]


class CompositeData(Message):
    user_data: UserData


class Consent(Message):
    ad_user_data: str | int = 0
    ad_personalization: str | int = 0


class AudienceMember(Message):
    composite_data: CompositeData | None = None
    user_data: UserData | None = None
    destination_references: list[str] = []
    consent: Consent | None = None


class TermsOfService(Message):
    customer_match_terms_of_service_status: str | int = 0


class RemoveRequest(Message):
    destinations: list[DestinationMessage]
    audience_members: list[AudienceMember]
    encoding: str | int = 0
    validate_only: bool = False


class IngestRequest(RemoveRequest):
    consent: Consent | None = None
    terms_of_service: TermsOfService | None = None


class ContactIdInfo(Message):
    data_source_type: str | int = 0


class IngestedUserListInfo(Message):
    upload_key_types: list[str | int]
    contact_id_info: ContactIdInfo | None = None


class UserList(Message):
    display_name: str
    ingested_user_list_info: IngestedUserListInfo
    description: str = ""
    membership_status: str | int = 0
    membership_duration: str = ""
    integration_code: str = ""
