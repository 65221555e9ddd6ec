"""Masks of other tools, in their documented numbering, become our tissues and level names."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from foreign_masks import VERSE, iso_grid, save, spineps, toolbox, totalspineseg
from synthetic_spine import NAMES, PITCH_MM, Spine, sagittal_grid
from written_study import WrittenStudy, exact_labels, write_spine

from spinemri.anatomy.model import Levels
from spinemri.anatomy.numberings import OURS, SPINEPS, TOTALSPINESEG, recognise
from spinemri.config import Config, ReportSettings
from spinemri.errors import UsageError
from spinemri.nomenclature import Tissue
from spinemri.pipeline import Options, compare_studies, remeasure, run_study
from spinemri.pipeline.label_files import read_ids
from spinemri.pipeline.labels import GivenAnatomy, read_labels

SPINE = Spine()
GRID = sagittal_grid(SPINE)
TABLES_ONLY = Config(report=ReportSettings(html=False))


def _agreement(given: GivenAnatomy, *tissues: Tissue) -> float:
    """Dice of some tissues with what was drawn."""
    ours = np.isin(given.tissues.array, tissues)
    truth = np.isin(exact_labels(SPINE, GRID), tissues)
    return 2 * float((ours & truth).sum()) / float(ours.sum() + truth.sum())


def _farthest_mm(levels: Levels, back_mm: float) -> float:
    """How far any named vertebra lies from where it was drawn, `back_mm` from the canal's centre."""
    truth = {
        name: SPINE.to_lps([0.0, SPINE.curve((3 - i) * PITCH_MM) + back_mm, (3 - i) * PITCH_MM])
        for i, name in enumerate(NAMES)
    }
    return max(float(np.linalg.norm(truth[v.name] - np.array(v.centre_lps_mm))) for v in levels.vertebrae if v.name)


@pytest.mark.parametrize(
    ("ids", "scheme"),
    [
        ({1, 2, 3, 4, 5, 6, 8}, OURS),
        ({1, 2, 44, 45, 50, 95, 100}, TOTALSPINESEG),
        ({2, 21, 22, 72}, TOTALSPINESEG),
        ({26, 41, 42, 49, 60, 61, 62, 100}, SPINEPS),
        ({61, 49, 50, 100}, SPINEPS),
        # Without cord and canal nobody can tell L1 to L5 of one tool from the arches of the other.
        ({41, 42, 43, 44, 45, 100}, None),
        ({1, 2, 60, 61}, None),
        ({1, 2, 100, 201}, None),
    ],
)
def test_the_numbering_is_told_from_the_ids(ids: set[int], scheme: object) -> None:
    assert recognise(ids) is scheme


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> GivenAnatomy:
    folder = tmp_path_factory.mktemp("tss")
    totalspineseg(folder / "step2_output" / "scan.nii.gz", SPINE, iso_grid(SPINE))
    save(folder / "step1_output" / "scan.nii.gz", np.ones((4, 5, 6), dtype=np.uint8), iso_grid(SPINE))
    return read_labels(folder, GRID)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> WrittenStudy:
    return write_spine(tmp_path_factory.mktemp("study"), SPINE, contrast=False, axial=False)


class TestTotalSpineSeg:
    def test_tissues_land_where_they_were_drawn(self, given: GivenAnatomy) -> None:
        # Nearest neighbour between grids of about 1 mm displaces borders by half a voxel: thin tissues lose most.
        assert _agreement(given, Tissue.CORD) > 0.9
        assert _agreement(given, Tissue.DURAL_SAC) > 0.85
        assert _agreement(given, Tissue.DISC) > 0.9

    def test_whole_vertebrae_are_divided_at_the_sac(self, given: GivenAnatomy) -> None:
        assert _agreement(given, Tissue.BODY) > 0.95
        assert _agreement(given, Tissue.POSTERIOR_ELEMENTS) > 0.85
        # What changes sides would be found in the wrong half.
        truth = exact_labels(SPINE, GRID)
        wrong = (given.tissues.array == Tissue.BODY) & (truth == Tissue.POSTERIOR_ELEMENTS)
        assert not wrong.any()

    def test_levels_are_those_of_the_file(self, given: GivenAnatomy) -> None:
        assert given.levels is not None
        assert [v.name for v in given.levels.vertebrae] == list(NAMES)
        assert given.levels.anchor == "totalspineseg"
        # The uppermost and lowest bodies are drawn on beyond T4 and T10.
        inner = replace(given.levels, vertebrae=given.levels.vertebrae[1:-1])
        assert _farthest_mm(inner, back_mm=-23.0) < 1.5

    def test_it_says_what_was_done_and_that_it_knows_no_mass(self, given: GivenAnatomy) -> None:
        assert [flag.code for flag in given.flags] == ["LABELS_TRANSLATED"]
        assert not given.outlines_mass


class TestSpineps:
    def test_tissues_and_labelled_vertebrae(self, tmp_path: Path) -> None:
        given = read_labels(spineps(tmp_path, SPINE, iso_grid(SPINE), VERSE), GRID)
        for tissue, least in ((Tissue.BODY, 0.95), (Tissue.DISC, 0.9), (Tissue.CORD, 0.9), (Tissue.DURAL_SAC, 0.85)):
            assert _agreement(given, tissue) > least
        assert given.levels is not None
        assert [v.name for v in given.levels.vertebrae] == list(NAMES)
        assert given.levels.anchor == "spineps"

    def test_numbers_counted_from_the_top_of_the_image_are_no_names(self, tmp_path: Path) -> None:
        counted = {name: number for number, name in enumerate(NAMES, start=1)}
        given = read_labels(spineps(tmp_path, SPINE, iso_grid(SPINE), counted), GRID)
        assert given.levels is None
        assert "LEVELS_COUNTED_FROM_TOP" in {flag.code for flag in given.flags}

    def test_the_semantic_mask_alone_names_nothing(self, tmp_path: Path) -> None:
        path = spineps(tmp_path, SPINE, iso_grid(SPINE), VERSE)
        path.with_name(path.name.replace("seg-spine", "seg-vert")).unlink()
        assert read_labels(path, GRID).levels is None

    def test_the_real_patch(self, real_data: Path) -> None:
        path = real_data / "subregion_patches" / "sub-mri_seg-subreg_label-6_msk.nii.gz"
        given = read_labels(path, read_ids(path).grid)
        counts = {tissue: int((given.tissues.array == tissue).sum()) for tissue in Tissue}
        # 345 voxels of cord, 4137 of canal, 8597 of disc and 22772 + 1891 of body and end plate are in the file.
        assert counts[Tissue.CORD] == 345
        assert counts[Tissue.DURAL_SAC] == 4137
        assert counts[Tissue.DISC] == 8597
        assert counts[Tissue.BODY] == 24663


class TestToolbox:
    @pytest.mark.parametrize("discs", [True, False])
    def test_canal_cord_and_levels_come_from_files_of_their_own(self, tmp_path: Path, discs: bool) -> None:
        given = read_labels(toolbox(tmp_path, SPINE, iso_grid(SPINE), discs=discs), GRID)
        assert _agreement(given, Tissue.CORD) > 0.9
        assert _agreement(given, Tissue.DURAL_SAC) > 0.85
        assert given.levels is not None
        names = [v.name for v in given.levels.vertebrae]
        # A vertebra is known by the discs on either side: the outermost two are not.
        assert names == list(NAMES[1:-1] if discs else NAMES)
        inner = replace(given.levels, vertebrae=tuple(v for v in given.levels.vertebrae if v.name in NAMES[1:-1]))
        # Marks lie at the nearest voxel of 1.5 mm; the cord's levels at its own centre.
        assert _farthest_mm(inner, back_mm=-10.0 if discs else -2.0) < 3.0
        assert [d.name for d in given.levels.discs] == ["T4/5", "T5/6", "T6/7", "T7/8", "T8/9", "T9/10"]

    def test_without_a_canal_the_folder_is_refused(self, tmp_path: Path) -> None:
        folder = toolbox(tmp_path, SPINE, iso_grid(SPINE), discs=True)
        (folder / "t2_canal_seg.nii.gz").unlink()
        with pytest.raises(UsageError, match="none by a name"):
            read_labels(folder, GRID)


def test_several_masks_of_one_kind_are_never_chosen_from(tmp_path: Path) -> None:
    for name in ("a", "b"):
        totalspineseg(tmp_path / "step2_output" / f"{name}.nii.gz", SPINE, iso_grid(SPINE))
    with pytest.raises(UsageError, match="2 masks of one kind") as caught:
        read_labels(tmp_path, GRID)
    assert caught.value.code == "BAD_LABELS"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 NIfTI files"):
        read_labels(tmp_path, GRID)


class TestRun:
    def test_levels_come_from_the_masks_and_no_mass_is_claimed(self, study: WrittenStudy, tmp_path: Path) -> None:
        masks = totalspineseg(tmp_path / "masks.nii.gz", SPINE, iso_grid(SPINE))
        result = run_study(study.folder, tmp_path / "out", Options(config=TABLES_ONLY, labels=(masks,))).measurements
        assert result.levels.numbering == "absolute"
        assert result.levels.anchor == "labels:totalspineseg"
        assert {"T5", "T6", "T7", "T8", "T9"} <= {v.name for v in result.levels.vertebrae}
        codes = {flag.code for flag in result.quality.flags}
        assert result.mass.status == "not_assessable"
        assert result.mass.volume_ml is None
        assert {"MASS_NOT_OUTLINED", "LABELS_TRANSLATED", "CANAL_UNKNOWN"} <= codes
        again = remeasure(tmp_path / "out")
        assert again.measurements.mass.status == "not_assessable"

    def test_canal_and_cord_alone_are_measured_under_the_names_of_the_file(
        self, study: WrittenStudy, tmp_path: Path
    ) -> None:
        masks = toolbox(tmp_path / "masks", SPINE, iso_grid(SPINE), discs=True)
        result = run_study(study.folder, tmp_path / "out", Options(config=TABLES_ONLY, labels=(masks,)))
        assert result.measurements.levels.anchor == "labels:sct"
        rows = [row for row in result.profile if row.level == "T7"]
        # T7 is 22 mm tall with its share of the discs; the disc's sections carry the disc's name.
        assert 10 <= len(rows) <= 22
        # The sac is drawn 17 mm wide; a voxel of 4 mm takes or leaves up to half a slice on either side.
        widths = [row.sac_transverse_mm for row in rows if row.sac_transverse_mm is not None]
        assert np.median(widths) == pytest.approx(17.0, abs=4.0)


class TestCompare:
    """Visits under the names of masks, and one whose masks are refused."""

    @pytest.fixture
    def followup(self, tmp_path: Path) -> WrittenStudy:
        facts = {"study": "study-2", "date": "20240320", "contrast": False, "axial": False}
        return write_spine(tmp_path / "followup", SPINE, **facts)

    def test_canal_and_cord_alone(self, study: WrittenStudy, followup: WrittenStudy, tmp_path: Path) -> None:
        masks = toolbox(tmp_path / "masks", SPINE, iso_grid(SPINE), discs=True)
        options = Options(config=TABLES_ONLY, labels=(masks, masks))
        compared = compare_studies([study.folder, followup.folder], tmp_path / "out", options)
        assert compared.comparison.timepoints[1].verdict == "not_assessable"
        assert {result.measurements.mass.status for result in compared.results} == {"not_assessable"}
        names = [{v.name for v in result.measurements.levels.vertebrae} for result in compared.results]
        assert names[0] == set(NAMES[1:-1])
        assert names[1] <= set(NAMES)

    def test_a_visit_that_shows_no_spine(self, study: WrittenStudy, followup: WrittenStudy, tmp_path: Path) -> None:
        mirrored = save(tmp_path / "mirrored.nii.gz", np.ascontiguousarray(exact_labels(SPINE, GRID)[:, ::-1]), GRID)
        options = Options(config=TABLES_ONLY, labels=(study.labels, mirrored))
        compared = compare_studies([study.folder, followup.folder], tmp_path / "out", options)
        assert compared.comparison.timepoints[1].verdict == "not_assessable"
        assert "NO_SPINE_SEEN" in {flag.code for flag in compared.results[1].measurements.quality.flags}
        assert compared.results[1].measurements.levels.vertebrae == ()


def test_masks_mirrored_front_to_back_are_refused_until_a_person_vouches(study: WrittenStudy, tmp_path: Path) -> None:
    array = np.ascontiguousarray(exact_labels(SPINE, GRID)[:, ::-1])
    masks = save(tmp_path / "mirrored.nii.gz", array, GRID)
    out = tmp_path / "out"
    first = run_study(study.folder, out, Options(config=TABLES_ONLY, labels=(masks,))).measurements
    assert "NO_SPINE_SEEN" in {flag.code for flag in first.quality.flags}
    assert (first.mass.status, first.mass.volume_ml, first.levels.vertebrae) == ("not_assessable", None, ())
    again = remeasure(out)
    assert again.measurements.mass.status == "not_assessable"
    assert again.profile == ()
    path = out / "nifti" / "anatomy_dseg.nii.gz"
    image = nib.load(path)
    edited = np.asarray(image.dataobj).copy()
    edited[0, 0, 0] = int(Tissue.BODY)
    nib.save(nib.Nifti1Image(edited, image.affine), path)
    assert len(remeasure(out).profile) > 0
