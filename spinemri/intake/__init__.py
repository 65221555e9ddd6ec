"""From a path to studies: reading headers, grouping into stacks, classifying, choosing roles.

`read_study` and `read_studies` are the way in, `list_studies` also shows what cannot be measured, `read_pixels` reads a
stack together with what had to be repaired, and `Stack.instances` the DICOM headers behind it.
"""

from spinemri.intake.model import Plane, Rejected, Role, SourceInstance, Stack, Study, Weighting
from spinemri.intake.pixels import read_pixels
from spinemri.intake.studies import list_studies, read_studies, read_study

__all__ = [
    "Plane",
    "Rejected",
    "Role",
    "SourceInstance",
    "Stack",
    "Study",
    "Weighting",
    "list_studies",
    "read_pixels",
    "read_studies",
    "read_study",
]
