"""Out of a real archive and back into it."""

import json
import shutil
from pathlib import Path

import pytest
from archives import OUR_TITLE, Orthanc
from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmread
from synthetic_spine import Spine
from typer.testing import CliRunner
from written_study import write_spine

from spinemri.cli import app
from spinemri.errors import PeerError
from spinemri.pacs import Policy, fetch_studies, parse_listener, parse_peer, parse_url, send_results, study_query
from spinemri.pacs.objects import outgoing_objects

pytestmark = pytest.mark.slow

PATIENT = Policy(timeout_s=60.0)
SAMPLE_TRUTH = Path(__file__).parents[2] / "sample_data" / "truth.json"


def found_by_qido(server: Orthanc, study_uid: str) -> dict[str, str]:
    """SOP class of every instance of a study that is not one of its MR images."""
    client = DICOMwebClient(server.web_url)
    client._session.trust_env = False
    answers = client.search_for_instances(study_uid, get_remaining=True)
    found = [Dataset.from_json(answer) for answer in answers]
    client._session.close()
    return {str(one.SOPInstanceUID): str(one.SOPClassUID) for one in found if one.Modality != "MR"}


def sent(out: Path) -> dict[str, str]:
    return {item.sop_instance_uid: item.sop_class_uid for item in outgoing_objects(out)}


@pytest.mark.parametrize("way", ["C-GET", "C-MOVE", "WADO-RS"])
def test_a_study_comes_as_it_went(archive, tmp_path: Path, way: str) -> None:
    server = archive.orthanc
    receiver = parse_listener(f"{OUR_TITLE}:{server.our_port}") if way == "C-MOVE" else None
    peer = parse_url(server.web_url) if way == "WADO-RS" else parse_peer(server.peer, own=OUR_TITLE, receiver=receiver)
    (folder,) = fetch_studies(peer, study_query([archive.study_uid]), tmp_path, PATIENT)
    got = {str(dataset.SOPInstanceUID): dataset for dataset in map(dcmread, folder.iterdir())}
    assert got.keys() == archive.images.keys()
    assert len(got) == 104
    for uid, dataset in got.items():
        assert Dataset(dataset) == Dataset(dcmread(archive.images[uid])), uid


def test_the_measured_study_is_the_sample(returned) -> None:
    measured = json.loads((returned.out / "measurements.json").read_text())
    truth = json.loads(SAMPLE_TRUTH.read_text())["visits"][0]
    low, high = measured["mass"]["volume_ci95_ml"]
    assert low <= truth["mass"]["volume_ml"] <= high
    assert measured["study"]["study_instance_uid"] == returned.archive.study_uid
    assert len(measured["series"]) == 6
    assert "T5 to T8" in returned.run


def test_every_object_that_went_by_stow_is_found_by_qido(returned) -> None:
    objects = sent(returned.out)
    assert len(objects) >= 7
    assert f"{len(objects)} of {len(objects)} objects stored" in returned.stow
    assert found_by_qido(returned.archive.orthanc, returned.archive.study_uid) == objects


def test_every_object_that_went_by_c_store_is_found_by_qido(returned) -> None:
    server, objects = returned.archive.orthanc, sent(returned.out)
    for instance in server.rest("/instances?expand"):
        if instance["MainDicomTags"]["SOPInstanceUID"] in objects:
            server.rest(f"/instances/{instance['ID']}", method="DELETE")
    assert found_by_qido(server, returned.archive.study_uid) == {}
    done = CliRunner().invoke(app, ["send", str(returned.out), "--to", server.peer])
    assert done.exit_code == 0, done.output
    assert f"{len(objects)} of {len(objects)} objects stored" in done.stdout
    assert found_by_qido(server, returned.archive.study_uid) == objects


def test_the_receipt_knows_both_ways(returned) -> None:
    CliRunner().invoke(app, ["send", str(returned.out), "--to", returned.archive.orthanc.peer])
    destinations = json.loads((returned.out / "sent.json").read_text())["destinations"]
    server, objects = returned.archive.orthanc, sent(returned.out)
    assert [one["to"] for one in destinations] == [server.peer, server.web_url]
    for one in destinations:
        assert {entry["sop_instance_uid"]: entry["status"] for entry in one["instances"]} == dict.fromkeys(
            objects, "0x0000"
        )


def test_a_wrong_title_is_said(returned) -> None:
    port = returned.archive.orthanc.dicom_port
    with pytest.raises(PeerError) as caught:
        send_results(returned.out, parse_peer(f"WRONG@127.0.0.1:{port}", own=OUR_TITLE), PATIENT)
    assert caught.value.code == "PACS_CALLED_AE"


def test_a_destination_that_orthanc_does_not_know(archive, tmp_path: Path) -> None:
    receiver = parse_listener(f"STRANGER:{archive.orthanc.our_port}")
    peer = parse_peer(archive.orthanc.peer, own=OUR_TITLE, receiver=receiver)
    with pytest.raises(PeerError) as caught:
        fetch_studies(peer, study_query([archive.study_uid]), tmp_path, PATIENT)
    # Orthanc 1.10 answers 0xC000 here, not the 0xA801 of the standard.
    assert caught.value.code == "PACS_QUERY_FAILED"
    assert "does not send to STRANGER: 0xC000" in caught.value.message


def test_two_studies_of_a_patient_are_compared(archive, tmp_path: Path) -> None:
    first = write_spine(tmp_path / "first", contrast=False, axial=False)
    thinner = Spine(6.6, tilt_deg=3.0, shift_mm=(-1.0, -14.0, 28.0))
    second = write_spine(tmp_path / "second", thinner, study="study-2", date="20240320", contrast=False, axial=False)
    offered = tmp_path / "offered" / "dicom"
    offered.mkdir(parents=True)
    for number, path in enumerate([*second.folder.rglob("*.dcm"), *first.folder.rglob("*.dcm")]):
        shutil.copy(path, offered / f"{number}.dcm")
    server = archive.orthanc
    send_results(offered.parent, parse_peer(server.peer, own=OUR_TITLE), PATIENT)
    patient = str(dcmread(offered / "0.dcm", stop_before_pixels=True).PatientID)
    source = ["--from", server.web_url, "--patient", patient, "--keep-images", str(tmp_path / "kept")]
    masks = ["--labels", str(first.labels), "--labels", str(second.labels), "--level", first.level]
    ambiguous = CliRunner().invoke(app, ["run", *source, "-o", str(tmp_path / "out")])
    assert (ambiguous.exit_code, "[PACS_SEVERAL_STUDIES] 2 studies match." in ambiguous.stderr) == (2, True)
    assert patient not in ambiguous.stderr
    done = CliRunner().invoke(app, ["compare", *source, *masks, "-o", str(tmp_path / "out")])
    assert done.exit_code in {0, 1}, done.output
    timepoints = json.loads((tmp_path / "out" / "comparison.json").read_text())["timepoints"]
    assert [point["study_date"] for point in timepoints] == ["2024-03-01", "2024-03-20"]
    assert timepoints[1]["change_percent"] < 0
    assert [len(list((tmp_path / "kept" / name).iterdir())) for name in ("study_1", "study_2")] == [24, 24]


def test_no_images_of_a_patient_that_is_not_there(archive, tmp_path: Path) -> None:
    with pytest.raises(PeerError) as caught:
        fetch_studies(parse_url(archive.orthanc.web_url), study_query([], patient="nobody"), tmp_path, PATIENT)
    assert caught.value.code == "PACS_NO_MATCH"
