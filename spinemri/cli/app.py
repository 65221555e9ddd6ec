"""The commands. Heavy libraries are imported inside them, so that ``--help`` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinemri import __version__
from spinemri.cli.archives import (
    Accession,
    Aet,
    ArchiveOptions,
    Day,
    From,
    KeepImages,
    Listen,
    Patient,
    StudyUid,
    StudyUids,
    Timeout,
    inputs,
)
from spinemri.cli.batch import EPILOG, batch
from spinemri.cli.failures import guarded, stop_on_termination
from spinemri.cli.options import (
    Contrast,
    Debug,
    Deidentify,
    DeidentifyKey,
    Dicom,
    JsonLog,
    LabelsOfStudies,
    Level,
    Out,
    Overwrite,
    Profile,
    Quiet,
    Segmenter,
    Studies,
    Study,
    StudyOrNone,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="spinemri",
    help="Measure epidural masses in spine MRI: level, canal and cord compromise, volume and its change. "
    "For research use only.",
    epilog="Exit status: 0 done, 1 done with findings that need a person, 2 bad usage, 3 unusable input, "
    "4 internal fault.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; the entry point of the installed program."""
    stop_on_termination()
    app()


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"spinemri {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda wanted: _version(wanted=wanted), is_eager=True)
    ] = False,
) -> None:
    del version


@app.command(epilog="Example: spinemri inspect study/")
def inspect(
    path: Study,
    contrast: Contrast = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")] = False,
    debug: Debug = False,
) -> None:
    """Show what is in a folder, what each stack is used for, and why."""
    with guarded(debug=debug):
        from spinemri.cli.inspection import check_measurable, inspection_json, print_inspection
        from spinemri.intake import list_studies

        studies = list_studies(path, contrast=contrast)
        if as_json:
            typer.echo(inspection_json(studies))
        else:
            print_inspection(studies)
        check_measurable(studies)


@app.command(
    epilog="Example: spinemri run study/ -o out/ --config emh   or, from an archive: "
    "spinemri run --from ARCHIVE@pacs.example:104 --patient 4711 --date 2024-03-01 -o out/"
)
def run(
    out: Out,
    path: StudyOrNone = None,
    config: Profile = "default",
    contrast: Contrast = None,
    level: Level = None,
    mass_seed: Annotated[
        str | None, typer.Option("--mass-seed", help="x,y,z in LPS mm: measure the mass nearest to this point.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Masks in place of the network: NIfTI, or folder of another tool.")
    ] = None,
    segmenter: Segmenter = None,
    from_: From = None,
    study: StudyUid = None,
    patient: Patient = None,
    day: Day = None,
    accession: Accession = None,
    listen: Listen = None,
    keep_images: KeepImages = None,
    aet: Aet = "SPINEMRI",
    timeout: Timeout = 30.0,
    *,
    no_mass: Annotated[bool, typer.Option("--no-mass", help="Measure the canal only.")] = False,
    dicom: Dicom = True,
    deidentify: Deidentify = False,
    deidentify_key: DeidentifyKey = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
    debug: Debug = False,
) -> None:
    """Measure one study."""
    with guarded(debug=debug, json_log=json_log):
        from spinemri.cli.progress import progress
        from spinemri.cli.results import deidentification, finish_study, study_options
        from spinemri.pipeline import run_study
        from spinemri.pipeline.output import check_free

        options = study_options(
            config=config,
            contrast=contrast,
            levels=level,
            mass_seed=mass_seed,
            labels=[labels] if labels else None,
            segmenter=segmenter,
            with_mass=not no_mass,
            dicom=dicom,
            deidentification=deidentification(deidentify_key, wanted=deidentify),
            overwrite=overwrite,
        )
        archive = ArchiveOptions(
            from_, (study,) if study else (), patient, day, accession, listen, aet, keep_images, timeout
        )
        if from_:
            check_free(out, overwrite=overwrite)
        with (
            inputs([path] if path else [], archive, several=False, quiet=quiet, json_log=json_log) as (folder,),
            progress(visits=1, quiet=quiet, json_log=json_log) as recorder,
        ):
            result = run_study(folder, out, options, recorder)
        finish_study(result.measurements, out, recorder.events, quiet=quiet)


@app.command(
    epilog="Example: spinemri compare before/ after/ -o out/ --rt-end 2024-03-15 --rt-levels T3-T9 --rt-dose-gy 20"
)
def compare(
    out: Out,
    paths: Studies = None,
    config: Profile = "default",
    contrast: Contrast = None,
    level: Level = None,
    labels: LabelsOfStudies = None,
    segmenter: Segmenter = None,
    rt_start: Annotated[str | None, typer.Option(help="First day of radiotherapy, YYYY-MM-DD.")] = None,
    rt_end: Annotated[str | None, typer.Option(help="Last day of radiotherapy, YYYY-MM-DD.")] = None,
    rt_levels: Annotated[str | None, typer.Option(help="Treated vertebrae, e.g. T3-T9.")] = None,
    rt_dose_gy: Annotated[float | None, typer.Option(help="Total dose in Gy.")] = None,
    rt_fractions: Annotated[int | None, typer.Option(help="Number of fractions.")] = None,
    radiotherapy: Annotated[
        Path | None, typer.Option("--radiotherapy", metavar="DIR", help="RTPLAN, RTDOSE and RTSTRUCT of the treatment.")
    ] = None,
    from_: From = None,
    study: StudyUids = None,
    patient: Patient = None,
    day: Day = None,
    accession: Accession = None,
    listen: Listen = None,
    keep_images: KeepImages = None,
    aet: Aet = "SPINEMRI",
    timeout: Timeout = 30.0,
    *,
    dicom: Dicom = True,
    deidentify: Deidentify = False,
    deidentify_key: DeidentifyKey = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
    debug: Debug = False,
) -> None:
    """Measure two or more studies of one patient, and the change between them."""
    with guarded(debug=debug, json_log=json_log):
        from spinemri.cli.progress import progress
        from spinemri.cli.results import deidentification, finish_comparison, study_options
        from spinemri.followup import parse_radiotherapy
        from spinemri.intake.treatment import read_course
        from spinemri.pipeline import compare_studies
        from spinemri.pipeline.output import check_free

        options = study_options(
            config=config,
            contrast=contrast,
            levels=level,
            labels=labels,
            segmenter=segmenter,
            dicom=dicom,
            deidentification=deidentification(deidentify_key, wanted=deidentify),
            overwrite=overwrite,
        )
        course = parse_radiotherapy(
            start=rt_start,
            end=rt_end,
            dose_gy=rt_dose_gy,
            fractions=rt_fractions,
            levels=rt_levels,
            course=read_course(radiotherapy) if radiotherapy else None,
        )
        archive = ArchiveOptions(from_, tuple(study or ()), patient, day, accession, listen, aet, keep_images, timeout)
        if from_:
            check_free(out, overwrite=overwrite)
        with (
            inputs(paths or [], archive, several=True, quiet=quiet, json_log=json_log) as folders,
            progress(visits=max(2, len(folders)), quiet=quiet, json_log=json_log) as recorder,
        ):
            compared = compare_studies(folders, out, options, course, recorder)
        finish_comparison(compared, out, recorder.events, quiet=quiet)


@app.command(epilog="Example: spinemri measure out/   (after correcting out/nifti/mass_dseg.nii.gz in 3D Slicer)")
def measure(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Results of an earlier run.")],
    level: Level = None,
    *,
    quiet: Quiet = False,
    json_log: JsonLog = False,
    debug: Debug = False,
) -> None:
    """Measure again after masks or levels were corrected; one level that you name renumbers all."""
    with guarded(debug=debug, json_log=json_log):
        from spinemri.cli.progress import progress
        from spinemri.cli.results import finish_comparison, finish_study
        from spinemri.cli.values import parse_levels
        from spinemri.pipeline import ComparedStudies, remeasure

        levels = parse_levels(level or ())
        with progress(visits=1, quiet=quiet, json_log=json_log) as recorder:
            result = remeasure(out, recorder, levels=levels)
        if isinstance(result, ComparedStudies):
            finish_comparison(result, out, recorder.events, quiet=quiet)
        else:
            finish_study(result.measurements, out, recorder.events, quiet=quiet)


@app.command(epilog="Example: spinemri phantom sample_data/recipe.yaml -o phantom/")
def phantom(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML or JSON recipe.")],
    out: Out,
    *,
    debug: Debug = False,
) -> None:
    """Generate DICOM studies with a known truth."""
    with guarded(debug=debug):
        from spinemri.phantom import load_recipe, write_phantom
        from spinemri.pipeline.output import output_folder

        content = load_recipe(recipe)
        with output_folder(out, overwrite=False) as folder:
            write_phantom(content, folder)
        typer.echo(f"{len(content.visits)} generated studies in {out}")


@app.command(
    epilog="Example: spinemri send out/ --to ARCHIVE@pacs.example:104 --aet SPINEMRI   or: "
    "spinemri send out/ --stow https://pacs.example/dicom-web   Credentials are read from the environment: "
    "SPINEMRI_DICOMWEB_TOKEN, or SPINEMRI_DICOMWEB_USER and SPINEMRI_DICOMWEB_PASSWORD."
)
def send(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Results of a run or a comparison.")],
    to: Annotated[str | None, typer.Option("--to", metavar="AET@host:port", help="Archive that takes C-STORE.")] = None,
    stow: Annotated[str | None, typer.Option("--stow", metavar="URL", help="DICOMweb service.")] = None,
    aet: Aet = "SPINEMRI",
    timeout: Timeout = 30.0,
    retries: Annotated[int, typer.Option("--retries", min=0, max=20, help="Attempts after the first.")] = 3,
    receipt: Annotated[Path | None, typer.Option("--receipt", help="What was sent; OUT/sent.json by default.")] = None,
    *,
    again: Annotated[bool, typer.Option("--again", help="Send also what was stored there before.")] = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
    debug: Debug = False,
) -> None:
    """Send the DICOM objects of a run or a comparison to an archive."""
    with guarded(debug=debug, json_log=json_log, stopped="what was stored is in the receipt"):
        from spinemri.cli.sending import destination, finish_send, send_with_progress

        peer = destination(to, stow, aet)
        receipt = receipt or out / "sent.json"
        outcomes = send_with_progress(
            out, peer, timeout_s=timeout, retries=retries, receipt=receipt, again=again, quiet=quiet, json_log=json_log
        )
        finish_send(outcomes, peer, receipt, quiet=quiet)


app.command(epilog=EPILOG)(batch)
