"""Archives of a hospital: results go to them, studies come from them, over DIMSE or DICOMweb.

Its libraries are the extra ``pacs``; import this package only when there is an archive to talk to.
"""

from spinemri.pacs.fetch import fetch_studies
from spinemri.pacs.peer import DimsePeer, Listener, WebPeer, parse_listener, parse_peer, parse_url
from spinemri.pacs.policy import Policy
from spinemri.pacs.query import StudyQuery, study_query
from spinemri.pacs.send import send_results
from spinemri.pacs.statuses import Outcome, Verdict

__all__ = [
    "DimsePeer",
    "Listener",
    "Outcome",
    "Policy",
    "StudyQuery",
    "Verdict",
    "WebPeer",
    "fetch_studies",
    "parse_listener",
    "parse_peer",
    "parse_url",
    "send_results",
    "study_query",
]
