"""NIfTI images as studies: a file, a folder, or BIDS. RAS becomes LPS here and nowhere else."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from spinemri.errors import Flag, InputError, UsageError
from spinemri.intake.appearance import guess_weighting
from spinemri.intake.bids import (
    NiftiName,
    named_plane,
    parse_name,
    read_sidecar,
    sidecar_tags,
    sidecar_time,
    study_key,
    subject_key,
    with_option,
)
from spinemri.intake.candidates import Candidate, classify_stack, with_study_named
from spinemri.intake.classify import knows_weighting
from spinemri.intake.enhancement import infer_contrast
from spinemri.intake.fields import iso_date
from spinemri.intake.model import Plane, Rejected, Stack, Study, Weighting
from spinemri.intake.roles import choose_roles
from spinemri.intake.rules import SeriesRules
from spinemri.intake.sources import Source, contents_sha256
from spinemri.intake.tags import SeriesTags
from spinemri.uids import derived_uid
from spinemri.volume import Grid, Volume, canonical, canonical_grid

__all__ = ["NiftiReader", "is_nifti", "nifti_studies"]

CONTRAST_OPTIONS = ("T1", "T2", "STIR", "T1c")
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NEARLY_ISOTROPIC = 1.2


def is_nifti(source: Source) -> bool:
    """Tell a NIfTI image by its name."""
    return source.name.lower().endswith((".nii", ".nii.gz"))


def nifti_studies(
    images: Sequence[Source],
    sources: Sequence[Source],
    rejected: Sequence[Rejected],
    rules: SeriesRules,
    contrast: str | None,
) -> tuple[Study, ...]:
    """Build one study per BIDS session, or per folder.

    Parameters
    ----------
    images : sequence of Source
        NIfTI files, masks among them.
    sources : sequence of Source
        All files, to find the sidecars.
    rejected : sequence of Rejected
        What was refused before.
    rules : SeriesRules
    contrast : str or None
        What the user says the images show, used where sidecar and name are silent.

    Returns
    -------
    tuple of Study
        Ordered by date where all have one, else by name.

    Raises
    ------
    InputError
        SEVERAL_PATIENTS for several BIDS subjects, NO_DICOM if there are only masks or unreadable files.
    UsageError
        BAD_CONTRAST for an unknown `contrast`.
    """
    if contrast is not None and contrast not in CONTRAST_OPTIONS:
        raise UsageError("BAD_CONTRAST", f"contrast is {contrast!r}.", f"Give one of {', '.join(CONTRAST_OPTIONS)}.")
    sidecars = {source.name: source for source in sources if source.name.lower().endswith(".json")}
    found: dict[tuple[str, str, str], list[_Image]] = defaultdict(list)
    refused = list(rejected)
    for source in images:
        image = _open(source, sidecars)
        if isinstance(image, Rejected):
            refused.append(image)
        else:
            found[study_key(source, image.name)].append(image)
    _check(found, refused)
    studies = [_study(key[0], members, refused, rules, contrast) for key, members in sorted(found.items())]
    return (
        tuple(sorted(studies, key=lambda study: study.study_date))
        if all(s.study_date for s in studies)
        else tuple(studies)
    )


@dataclass(frozen=True, eq=False)
class _Image:
    """One readable NIfTI image with what is written about it."""

    source: Source
    name: NiftiName
    sidecar: Mapping[str, Any]
    grid: Grid
    oriented: bool


def _check(found: Mapping[tuple[str, str, str], Sequence[_Image]], refused: Sequence[Rejected]) -> None:
    subjects = {subject for subject, _, _ in found} - {""}
    if len(subjects) > 1:
        raise InputError(
            "SEVERAL_PATIENTS", f"The input holds {len(subjects)} BIDS subjects.", "Give the folder of one subject."
        )
    if not found:
        what = "; ".join(dict.fromkeys(item.reason for item in refused))
        raise InputError("NO_DICOM", f"No NIfTI file can be used: {what}.", "Give DICOM or NIfTI images.")


def _open(source: Source, sidecars: Mapping[str, Source]) -> _Image | Rejected:
    """Read the header, or say why the file cannot be used."""
    name = parse_name(source)
    if name.is_mask:
        return Rejected(source.name, "MASK", "named as a mask or a segmentation")
    try:
        image = _load(source)
        shape, affine, codes = image.shape, np.asarray(image.affine, dtype=float), _codes(image)
        dtype = image.get_data_dtype()
    except Exception as error:  # noqa: BLE001 - a broken file may raise anything
        return Rejected(source.name, "CORRUPT_FILE", f"the header cannot be read ({type(error).__name__})")
    if len(shape) < 3 or any(n > 1 for n in shape[3:]) or dtype.fields is not None:
        return Rejected(source.name, "NOT_3D", f"an image of shape {'x'.join(map(str, shape))}, not one volume")
    try:
        grid = Grid((shape[0], shape[1], shape[2]), _RAS_TO_LPS @ affine)
    except ValueError:
        return Rejected(source.name, "NO_GEOMETRY", "its affine is singular")
    stem = source.name[: -len(".nii.gz")] if source.name.lower().endswith(".gz") else source.name[: -len(".nii")]
    return _Image(source, name, read_sidecar(sidecars.get(f"{stem}.json")), grid, any(codes))


def _load(source: Source) -> Any:  # noqa: ANN401 - nibabel is untyped
    if not source.members:
        return nib.load(source.path)
    content = source.read()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    kind = nib.Nifti2Image if content[:4] in {b"\x1c\x02\0\0", b"\0\0\x02\x1c"} else nib.Nifti1Image
    return kind.from_bytes(content)


def _codes(image: Any) -> tuple[int, int]:  # noqa: ANN401 - nibabel is untyped
    return int(image.header["sform_code"]), int(image.header["qform_code"])


def _study(
    subject: str, images: Sequence[_Image], refused: Sequence[Rejected], rules: SeriesRules, contrast: str | None
) -> Study:
    digest = contents_sha256(image.source for image in images)
    sidecars = [image.sidecar for image in images]
    named = next((str(s["StudyInstanceUID"]) for s in sidecars if s.get("StudyInstanceUID")), "")
    study_uid = named or derived_uid("study", digest)
    ordered = sorted(images, key=lambda image: (sidecar_time(image.sidecar), image.source))
    candidates = [
        _candidate(image, f"s{number:03d}_1", study_uid, rules, contrast) for number, image in enumerate(ordered, 1)
    ]
    dates = {iso_date(sidecar_time(sidecar)) for sidecar in sidecars} - {"", "0000-00-00"}
    return Study(
        study_instance_uid=study_uid,
        study_date=min(dates, default=""),
        patient_key=subject_key(subject),
        stacks=choose_roles(infer_contrast(with_study_named(candidates, rules))),
        rejected=tuple(refused),
        inputs_sha256=digest,
    )


def _candidate(image: _Image, stack_id: str, study_uid: str, rules: SeriesRules, contrast: str | None) -> Candidate:
    reader = NiftiReader(image.source, image.grid.affine, _frame_uid(image, study_uid))
    tags = sidecar_tags(image.sidecar, image.name)
    plane, plane_evidence = _plane(image)
    bare = Stack(
        stack_id=stack_id,
        series_instance_uid=str(image.sidecar.get("SeriesInstanceUID", "")),
        series_description=tags.description or image.name.stem,
        plane=plane,
        weighting=Weighting.OTHER,
        fat_suppressed=None,
        contrast_enhanced=None,
        region="",
        grid=canonical_grid(image.grid),
        frame_of_reference_uid=reader.frame_of_reference_uid,
        acquired=sidecar_time(image.sidecar),
        reader=reader,
        flags=_flags(image, stack_id),
    )
    told, source = _with_contrast(tags, reader, rules, contrast, plane)
    candidate = classify_stack(bare, told, rules)
    first, second, *others = candidate.stack.evidence
    second = f"{candidate.stack.weighting.value}: {source}" if source else second
    flags = bare.flags
    if source.startswith("guessed"):
        message = f"{stack_id} is taken for {candidate.stack.weighting.value}, {source}. Give its contrast to be sure."
        flags = (*flags, Flag("WEIGHTING_GUESSED", message))
    stack = replace(candidate.stack, evidence=(f"{first}; {plane_evidence}", second, *others), flags=flags)
    return replace(candidate, stack=stack)


def _frame_uid(image: _Image, study_uid: str) -> str:
    """Images of one folder share scanner coordinates, unless a file has none."""
    if image.sidecar.get("FrameOfReferenceUID"):
        return str(image.sidecar["FrameOfReferenceUID"])
    return derived_uid("frame", study_uid) if image.oriented else derived_uid("frame", study_uid, image.source.name)


def _flags(image: _Image, stack_id: str) -> tuple[Flag, ...]:
    if image.oriented:
        return ()
    message = f"{stack_id}: neither qform nor sform is set, so left and right are not known. Check the orientation."
    return (Flag("NO_ORIENTATION", message),)


def _with_contrast(
    tags: SeriesTags, reader: NiftiReader, rules: SeriesRules, option: str | None, plane: Plane
) -> tuple[SeriesTags, str]:
    """Add what the user says, or else what the image shows, where sidecar and name are silent."""
    if knows_weighting(tags, rules):
        if option == "T1c" and not tags.contrast_agent and "T1" in tags.file_name.upper():
            return replace(tags, contrast_agent="given by the user"), ""
        return tags, ""
    if option is not None:
        return with_option(tags, option), "given by the user; sidecar and name do not tell"
    if plane is not Plane.SAGITTAL:
        return tags, ""
    weighting, why = guess_weighting(reader())
    return replace(tags, acquisition_contrast=weighting.value.upper()), f"{why}; sidecar and name do not tell"


def _plane(image: _Image) -> tuple[Plane, str]:
    """Return the plane across the coarsest axis; nearly isotropic voxels have none, so name or shape decide."""
    grid = canonical_grid(image.grid)
    planes = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)
    if max(grid.spacing) >= _NEARLY_ISOTROPIC * min(grid.spacing):
        return planes[int(np.argmax(grid.spacing))], f"the coarsest spacing is {max(grid.spacing):.2f} mm"
    named = named_plane(image.name)
    if named is not None:
        return named, "nearly isotropic, and the name says the plane"
    return planes[
        int(np.argmin(grid.shape))
    ], f"nearly isotropic, with fewest voxels ({min(grid.shape)}) along this axis"


@dataclass(frozen=True, eq=False)
class NiftiReader:
    """Reads the pixels of one NIfTI image.

    Attributes
    ----------
    source : Source
    affine : (4, 4) ndarray
        Voxel index to LPS mm.
    frame_of_reference_uid : str
    """

    source: Source
    affine: NDArray[np.float64]
    frame_of_reference_uid: str

    def __call__(self) -> Volume:
        """Return the canonical float32 volume.

        Raises
        ------
        InputError
            PIXELS_UNREADABLE.
        """
        try:
            array = np.asarray(_load(self.source).dataobj, dtype=np.float32)
        except Exception as error:
            raise InputError(
                "PIXELS_UNREADABLE",
                f"The NIfTI image cannot be read to its end ({type(error).__name__}).",
                "Convert or copy it again.",
            ) from error
        array = np.nan_to_num(array.reshape(array.shape[:3]), nan=0.0, posinf=0.0, neginf=0.0)
        return canonical(Volume(array, self.affine, self.frame_of_reference_uid))

    def read(self) -> tuple[Volume, tuple[Flag, ...]]:
        """Return the volume; nothing is ever repaired."""
        return self(), ()
