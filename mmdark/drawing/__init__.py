"""Pictures for a person who looks: faces on an image, panels beside each other; stands under everything that draws."""

from .faces import GREEN, MAGENTA, OUTLINE, counted, draw_faces
from .panels import GAP, HEADER, WHITE, Brightening, Title, brighten, join_panels, pixels_of

__all__ = [
    'GAP',
    'GREEN',
    'HEADER',
    'MAGENTA',
    'OUTLINE',
    'WHITE',
    'Brightening',
    'Title',
    'brighten',
    'counted',
    'draw_faces',
    'join_panels',
    'pixels_of',
]
