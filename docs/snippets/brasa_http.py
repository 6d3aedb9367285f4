"""Knows requests that Brasa made. Copy this file into your application; it needs no packages.

    job = verify([os.environ["BRASA_SECRET"]], request.headers, request.get_data())

The body is what came over the wire, before anybody parsed it. What comes back is the id of the job. It is the same in
every attempt: what was done under it is not to be done again. More: docs/jobs.md.
"""

import hashlib, hmac, re, time


class Refused(Exception):
    """Brasa did not make it, or made it too long ago."""


def verify(secrets, headers, body, tolerance=300, now=None):
    """The id of the job that a request is about; raises `Refused`. While secrets change, name both."""
    headers = {name.lower(): value for name, value in headers.items()}
    job, signature = headers.get("idempotency-key", ""), headers.get("brasa-signature", "")
    first, *others = signature.split(",")
    signed_at = re.fullmatch("t=([0-9]{1,12})", first)
    if not job or not signed_at:
        raise Refused("it is not signed")
    seconds = signed_at[1]
    if abs((time.time() if now is None else now) - int(seconds)) > tolerance:
        raise Refused("it was signed too long ago, or clocks differ")
    text = f"{seconds}.{job}.".encode() + body
    wanted = [hmac.new(secret.encode(), text, hashlib.sha256).hexdigest().encode() for secret in secrets]
    given = [part[3:].encode() for part in others if part.startswith("v1=")]
    # Every pair is compared, and each in the same time, so that nobody learns from how long it takes.
    if not any([hmac.compare_digest(one, other) for one in wanted for other in given]):
        raise Refused("the signature does not fit")
    return job
