"""The images that show people what a label means."""

import logging
import re

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from predictions import labels
from worker.inference.repository.names import VERSION_NAME
from worker.inference.repository.reference_images import InvalidReferences

_NUMBER = re.compile(r"0|[1-9][0-9]{0,5}")
YEAR = 365 * 24 * 60 * 60

logger = logging.getLogger(__name__)


@require_safe
def reference_image(request: HttpRequest, version: str, position: str, number: str) -> HttpResponse:
    """Serves a reference image of the label at a position in the output of a version's network, to anyone."""
    # Only a whole `name@version`: the newest version of a name may be another one later.
    is_valid = VERSION_NAME.fullmatch(version) and _NUMBER.fullmatch(position) and _NUMBER.fullmatch(number)
    images = labels.of_version(version).images if is_valid else None
    if images is None:
        raise Http404("There is no such version, or it has no reference images.")
    try:
        content = images.read(int(position), int(number))
    except KeyError as error:
        raise Http404("The label has no such image.") from error
    except (InvalidReferences, OSError) as error:
        logger.warning("A reference image of %s cannot be read: %s", version, error)
        raise Http404("The image cannot be read.") from error
    response = HttpResponse(content, content_type="image/jpeg")
    patch_cache_control(response, public=True, max_age=YEAR, immutable=True)
    return response
