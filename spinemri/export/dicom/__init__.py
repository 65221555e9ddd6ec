"""Results as DICOM objects: segmentations, structured reports, RT structure set, key images, the printed report.

`spinemri.export.dicom.write` is the way in. Nothing is imported here, so that a run without DICOM does not wait for
highdicom.
"""
