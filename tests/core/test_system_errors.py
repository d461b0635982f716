"""What the system refused, in one line and of one kind."""

import errno
import os
import socket
import ssl

import pytest

from ray_subsel.core.errors import InputError, ResourceError, as_value, of_value
from ray_subsel.core.system_errors import is_of_system, number_of, unusable, words_of


@pytest.mark.parametrize(
    ("number", "kind", "way"),
    [
        (errno.ENOSPC, ResourceError, "Make room"),
        (errno.EMFILE, ResourceError, "ulimit -n"),
        (errno.ETIMEDOUT, ResourceError, "Check the network"),
        (errno.ENOMEM, ResourceError, "more memory"),
        (errno.EACCES, InputError, "Make it readable"),
        (errno.ENAMETOOLONG, InputError, "Make it readable"),
    ],
)
def test_a_resource_that_is_missing_is_told_from_what_cannot_be_used(number, kind, way):
    error = unusable("/x could not be read", OSError(number, os.strerror(number)), "Make it readable", more=", 1 MB")
    assert type(error) is kind
    assert str(error).startswith("/x could not be read (")
    assert ", 1 MB)" in str(error)
    assert way in str(error)
    assert str(error).endswith("then run the same command again.")
    assert type(of_value(as_value(error))) is kind
    assert str(of_value(as_value(error))) == str(error)


def test_words_are_one_line():
    assert words_of(OSError("one\ntwo")) == "one"
    assert words_of(ValueError()) == "ValueError"
    assert words_of(PermissionError(errno.EACCES, "Permission denied", "/x")) == "Permission denied"
    assert words_of(ssl.SSLError(1, "certificate verify failed")).endswith("certificate verify failed")


def test_not_every_oserror_is_the_systems():
    class LibraryError(OSError):
        """What libraries make of it."""

    for error in (OSError(errno.ENOENT, "No such file"), LibraryError(errno.ENOSPC, "full"), OSError("AWS Error")):
        assert is_of_system(error)
    for error in (LibraryError("no template"), LibraryError(12345, "an own number"), ValueError("no OSError")):
        assert not is_of_system(error)
    assert number_of(socket.gaierror(2, "an address, not ENOENT")) is None
    assert is_of_system(socket.gaierror(2, "an address, not ENOENT"))
