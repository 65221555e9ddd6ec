"""Results as files for other programs: JSON, CSV and NIfTI, and back; DICOM is a room of its own."""

from spinemri.export.reading import Masks, read_images, read_masks, read_measurements
from spinemri.export.study import write_comparison, write_study

__all__ = ["Masks", "read_images", "read_masks", "read_measurements", "write_comparison", "write_study"]
