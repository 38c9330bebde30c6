"""Default deny: a view names a scope per method, or nobody gets in."""

from typing import TYPE_CHECKING

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from cdp.access.authentication import NO_KEY, Caller

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which loads the default permissions, that is this module


class HasScope(BasePermission):
    """Reads ``required_scopes = {"GET": "profiles:read"}`` of the view; HEAD counts as GET.

    A method the view does not offer passes, so that the answer is 405; one it offers without a scope is refused.
    """

    message = "This key lacks the scope that the call needs."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = "GET" if request.method == "HEAD" else request.method or ""
        if method != "OPTIONS" and not hasattr(view, method.lower()):
            return True
        caller = request.auth
        if not isinstance(caller, Caller):
            raise NotAuthenticated(NO_KEY)
        scope = getattr(view, "required_scopes", {}).get(method)
        if scope is None:
            self.message = "No scope opens this method."
            return False
        self.message = f"This key lacks the scope {scope}."
        return scope in caller.scopes
