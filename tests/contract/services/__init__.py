"""One module a service: `run(checks, aws)` calls each operation that is emulated, well and badly.

`aws.client("sns")` is a boto3 client. A module makes what it needs and shares nothing with another.
"""

import contextlib

import botocore.exceptions


@contextlib.contextmanager
def refused(code, saying=""):
    """The block must end with AWS's error of this code, and a message that holds `saying`."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        found = error.response["Error"]
        assert found["Code"] == code, f"expected {code}, saw {found['Code']}: {found['Message']}"
        message = found["Message"] or ""  # of an empty XML element
        assert saying in message, f"expected a message with {saying!r}, saw {message!r}"
    else:
        raise AssertionError(f"it was answered, and not refused with {code}")
