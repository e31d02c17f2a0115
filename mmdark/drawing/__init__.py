"""Draw objects on an image, and images side by side."""

from .classes import FACE, GREEN, colour_of, counted, counted_classes, name_of, noun_of, plural_of
from .faces import MAGENTA, OUTLINE, draw_faces
from .panels import GAP, HEADER, WHITE, Brightening, Title, brighten, join_panels, pixels_of, tensor_of

__all__ = [
    'FACE',
    'GAP',
    'GREEN',
    'HEADER',
    'MAGENTA',
    'OUTLINE',
    'WHITE',
    'Brightening',
    'Title',
    'brighten',
    'colour_of',
    'counted',
    'counted_classes',
    'draw_faces',
    'join_panels',
    'name_of',
    'noun_of',
    'pixels_of',
    'plural_of',
    'tensor_of',
]
