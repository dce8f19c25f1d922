"""Uplink room: the TLS context: who the broker must be, and who we are.

In: paths of PEM files     Out: an SSL context, or every fault of the files.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from edgetwin.errors import Fault, RefusedError


def client_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks certificate and host name, TLS 1.2 or newer.

    Args:
        ca_file: Authorities to trust; None: the system's.
        cert_file: Our certificate, for mutual TLS.
        key_file: Its private key.

    Raises:
        RefusedError: A file cannot be read, or is not what it should be.
    """
    faults: list[Fault] = []
    context = ssl.create_default_context()
    if ca_file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            faults.append(_fault("ca_file", ca_file, error, "a PEM file with the authority's certificate"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file)
        except (OSError, ssl.SSLError) as error:
            faults.append(_fault("cert_file", cert_file, error, "a PEM certificate and, in key_file, its key"))
    if faults:
        raise RefusedError(faults)
    return context


def _fault(key: str, path: Path, error: Exception, wanted: str) -> Fault:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return Fault(f"mqtt.tls.{key}", f"{path} cannot be used ({reason})", f"give {wanted}, readable for this user")
