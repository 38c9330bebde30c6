"""Addresses of every page of the admin, all below /admin/. Ids in them are opaque; an address of a person never is one."""

from django.urls import path

from cdp.access import settings_pages
from cdp.collect import pages as collect
from cdp.collect import replay_pages as replay
from cdp.consent import pages as consent
from cdp.consent import signal_pages
from cdp.identity import pages as identity
from segments.activation import acting_pages as acting
from segments.activation import connection_pages as connections
from segments.activation import pages as activation
from segments.audiences import editing_pages as editing
from segments.audiences import pages as audiences
from segments.computed_traits import pages as models
from segments.workspace import pages as workspace
from segments.workspace import person_pages, shell

app_name = "page"
urlpatterns = [
    path("", workspace.overview_page, name="overview"),
    path("live/", shell.live_page, name="live"),
    path("people/", identity.people_page, name="people"),
    path("people/<uuid:profile_id>/", person_pages.person_page, name="person"),
    path("people/<uuid:profile_id>/why/<slug:key>/", person_pages.person_why_page, name="person_why"),
    path("people/<uuid:profile_id>/merge/", identity.merge_page, name="merge"),
    path("people/<uuid:profile_id>/erase/", identity.erase_page, name="erase"),
    path("identity/", identity.identity_page, name="identity"),
    path("identity/<int:decision_no>/undo/", identity.merge_undo_page, name="merge_undo"),
    path("consent/", consent.consent_page, name="consent"),
    path("consent/signals/", signal_pages.signal_page, name="signals"),
    path("models/", models.models_page, name="models"),
    path("models/compute/", models.run_again, name="run_again"),
    path("models/runs/<int:run_no>/", models.run_page, name="run"),
    path("segments/", audiences.segments_page, name="segments"),
    path("segments/new/", editing.segment_new_page, name="segment_new"),
    path("segments/preview/", editing.segment_preview_page, name="segment_preview"),
    path("segments/<slug:key>/", audiences.segment_page, name="segment"),
    path("segments/<slug:key>/edit/", editing.segment_edit_page, name="segment_edit"),
    path("segments/<slug:key>/refresh/", editing.segment_refresh_page, name="segment_refresh"),
    path("segments/<slug:key>/archive/", editing.segment_archive_page, name="segment_archive"),
    path("audiences/", activation.audiences_page, name="audiences"),
    path("audiences/new/", acting.audience_new_page, name="audience_new"),
    path("audiences/<int:target_no>/", activation.target_page, name="target"),
    path("audiences/<int:target_no>/runs/", activation.target_runs_page, name="target_runs"),
    path("audiences/<int:target_no>/dry-run/", acting.target_dry_run_page, name="target_dry_run"),
    path("audiences/<int:target_no>/sync/", acting.target_sync_page, name="target_sync"),
    path("audiences/<int:target_no>/pause/", acting.target_pause_page, name="target_pause"),
    path("runs/<int:sync_no>/", activation.sync_page, name="sync"),
    path("runs/<int:sync_no>/approve/", acting.sync_approve_page, name="sync_approve"),
    path("runs/<int:sync_no>/cancel/", acting.sync_cancel_page, name="sync_cancel"),
    path("runs/<int:sync_no>/additions/", acting.sync_additions_page, name="sync_additions"),
    path("destinations/", connections.destinations_page, name="destinations"),
    path("destinations/new/<slug:slug>/", connections.connection_new_page, name="connection_new"),
    path("destinations/accounts/<slug:key>/", connections.connection_page, name="connection"),
    path("destinations/<slug:slug>/purposes/", connections.purposes_page, name="destination_purposes"),
    path("sources/", collect.sources_page, name="sources"),
    path("sources/new/", collect.source_new_page, name="source_new"),
    path("sources/refused/", collect.rejects_page, name="rejects"),
    path("sources/refused/<int:reject_no>/", collect.reject_sample_page, name="reject_sample"),
    path("sources/refused/<int:reject_no>/replay/", replay.reject_replay_page, name="reject_replay"),
    path("sources/<int:source_no>/", collect.source_page, name="source"),
    path("sources/<int:source_no>/tail/", collect.source_tail_page, name="source_tail"),
    path("sources/<int:source_no>/replay/<slug:code>/", replay.rejects_replay_page, name="rejects_replay"),
    path("settings/", settings_pages.settings_page, name="settings"),
    path("settings/keys/new/", settings_pages.api_key_new_page, name="api_key_new"),
    path("settings/keys/<slug:prefix>/revoke/", settings_pages.api_key_revoke_page, name="api_key_revoke"),
    path("settings/audit/", settings_pages.audit_page, name="audit"),
]
