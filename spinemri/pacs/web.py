"""A DICOMweb service: who we are to it, and what its refusals mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from dicomweb_client import DICOMwebClient
from requests.auth import AuthBase, HTTPBasicAuth

from spinemri.errors import PeerError, UsageError
from spinemri.pacs.peer import WebPeer
from spinemri.pacs.policy import Interrupted, Policy

__all__ = ["explained", "http_status", "web_client"]

_TOKEN = "SPINEMRI_DICOMWEB_TOKEN"  # noqa: S105 - the name of a variable
_USER = "SPINEMRI_DICOMWEB_USER"
_PASSWORD = "SPINEMRI_DICOMWEB_PASSWORD"  # noqa: S105 - the name of a variable
_CA = "SPINEMRI_DICOMWEB_CA"
_CERT = "SPINEMRI_DICOMWEB_CERT"
_LATER = {408, 425, 429, 500, 502, 503, 504}
"""Answers of HTTP that may be others the next time."""

_DENIED = {401, 403}


class _Bearer(AuthBase):
    """A token in the header. As an object, because requests lets a .netrc override a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@contextmanager
def web_client(peer: WebPeer, policy: Policy) -> Iterator[DICOMwebClient]:
    """Give a client with the credentials and certificates that the environment names.

    ``SPINEMRI_DICOMWEB_TOKEN``, or ``_USER`` and ``_PASSWORD``; ``_CA`` for a bundle of certificate authorities,
    ``_CERT`` for a certificate of ours with its key. Certificates are always verified.

    Parameters
    ----------
    peer : WebPeer
    policy : Policy
        Attempts are counted by the caller, not by the client.

    Yields
    ------
    DICOMwebClient

    Raises
    ------
    UsageError
        BAD_CREDENTIALS.
    """
    with requests.Session() as session:
        session.auth = _credentials(peer)
        session.verify = _file(_CA) or True
        session.cert = _file(_CERT)
        # What does not leave the machine goes through no proxy.
        session.trust_env = not peer.is_local
        client = DICOMwebClient(peer.url, session=session, timeout=policy.timeout_s, callback=_plain_type)
        session.headers["Accept"] = "application/dicom+json"
        client.set_http_retry_params(retry=False)
        yield client


def _plain_type(response: requests.Response, *_args: object, **_options: object) -> requests.Response:
    """Take parameters off the type of JSON: with a charset, the client would not read it."""
    kind = response.headers.get("Content-Type", "")
    if "json" in kind:
        response.headers["Content-Type"] = kind.partition(";")[0].strip()
    return response


@contextmanager
def explained(peer: WebPeer, policy: Policy) -> Iterator[None]:
    """Turn failures of HTTP into errors that say what to do.

    Raises
    ------
    PeerError
        PACS_TLS, PACS_DENIED, PACS_NO_SERVICE or PACS_REFUSED.
    Interrupted
        PACS_UNREACHABLE, PACS_TIMEOUT, PACS_STOPPED or PACS_BUSY.
    """
    try:
        yield
    except requests.exceptions.SSLError:
        remedy = f"Name the authority that signed its certificate in {_CA}."
        raise PeerError("PACS_TLS", f"{peer} has no certificate that can be trusted.", remedy) from None
    except requests.Timeout:
        message = f"{peer} was silent for {policy.timeout_s:g} seconds."
        raise Interrupted(PeerError("PACS_TIMEOUT", message, "Try later, or give more time with --timeout.")) from None
    except requests.HTTPError as error:
        raise _refusal(peer, http_status(error)) from None
    except requests.RequestException as error:
        raise Interrupted(_broken(peer, error)) from None


def http_status(error: requests.HTTPError) -> int:
    """Return the status behind an error; 500 where it has none."""
    return 500 if error.response is None else error.response.status_code


def _refusal(peer: WebPeer, status: int) -> PeerError | Interrupted:
    if status in _LATER:
        message = f"{peer} answers with status {status} of HTTP."
        return Interrupted(PeerError("PACS_BUSY", message, "Try later, or ask whoever runs the archive."))
    if status in _DENIED:
        remedy = f"Put the credentials into {_TOKEN}, or {_USER} and {_PASSWORD}."
        return PeerError("PACS_DENIED", f"{peer} lets nobody in without other credentials ({status}).", remedy)
    if status == 404:
        return PeerError("PACS_NO_SERVICE", f"{peer} is no DICOMweb service (404).", "Check the path of the URL.")
    message = f"{peer} refuses with status {status} of HTTP."
    return PeerError("PACS_REFUSED", message, "Ask whoever runs the archive for its log.")


def _broken(peer: WebPeer, error: requests.RequestException) -> PeerError:
    """Tell a service that is not there from one that broke off."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}:
        return PeerError("PACS_UNREACHABLE", f"Nobody answers at {peer}.", "Check host, port, proxy and firewall.")
    message = f"{peer} broke off the connection in the middle."
    return PeerError("PACS_STOPPED", message, "Ask whoever runs the archive for its log.")


def _credentials(peer: WebPeer) -> AuthBase | None:
    token, user, password = (os.environ.get(name, "") for name in (_TOKEN, _USER, _PASSWORD))
    if not token and not user:
        return None
    if peer.url.startswith("http:") and not peer.is_local:
        message = f"Credentials for {peer} would cross the network in clear."
        raise UsageError("BAD_CREDENTIALS", message, "Give an https URL.")
    return _Bearer(token) if token else HTTPBasicAuth(user, password)


def _file(name: str) -> str | None:
    path = os.environ.get(name) or None
    if path is not None and not Path(path).exists():
        message = f"{name} names {path}, which does not exist."
        raise UsageError("BAD_CREDENTIALS", message, "Correct the path.")
    return path
