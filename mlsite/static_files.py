"""The storage of static files in production."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class HashedStaticFilesStorage(ManifestStaticFilesStorage):
    """Names static files after their content, also where a script imports another one.

    Otherwise browsers would load imported scripts again with each page, and a script of an old release could import one
    of the next.
    """

    support_js_module_import_aggregation = True
