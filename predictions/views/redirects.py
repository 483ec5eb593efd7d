"""Redirects of the pages."""

from django.http import HttpResponseRedirect


class HttpResponseSeeOther(HttpResponseRedirect):
    """Redirects with GET after a form was processed (RFC 9110, 15.4.4)."""

    status_code = 303
