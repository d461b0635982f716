"""URIs are put together and taken apart; secrets in them are neither shown nor kept."""

import pytest

from ray_subsel.core.uris import all_without_secrets, inside, split, without_secrets

SECRETS = {
    "s3://AKIA:hush@bucket/run": "s3://***@bucket/run",
    "subsel select s3://AKIA:hush@b/x.csv 's3://AKIA:hush@b/y'": "subsel select s3://***@b/x.csv 's3://***@b/y'",
    "s3://b/x?secret_key=hush&region=eu": "s3://b/x?secret_key=***&region=eu",
    "abfs://c/x?sas_token=hush": "abfs://c/x?sas_token=***",
    "s3://AKIA:hu/s+h@bucket/run": "s3://***@bucket/run",
    "https://u@h/?Signature=hush&X-Amz-Credential=hush": "https://***@h/?Signature=***&X-Amz-Credential=***",
}


@pytest.mark.parametrize(("text", "shown"), SECRETS.items())
def test_secrets_are_taken_out(text, shown):
    assert without_secrets(text) == shown
    assert all_without_secrets({"a": [text, 1, None], "b": (text,)}) == {"a": [shown, 1, None], "b": [shown]}


@pytest.mark.parametrize(
    "text",
    [
        "a@b.com",
        "/data/x@y/z",
        "s3://bucket/key/x.csv",
        "gs://b/x?region=eu",
        "http://h/a?page=2 c@d",
        "http://h:1/a@b",
    ],
)
def test_everything_else_stays(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    ("folder", "name", "uri"),
    [
        ("runs", "a", "runs/a"),
        ("/runs", "a", "/runs/a"),
        ("s3://b/runs", "a", "s3://b/runs/a"),
        ("s3://b/runs?endpoint_override=http://h:1/", "a", "s3://b/runs/a?endpoint_override=http://h:1/"),
    ],
)
def test_a_file_in_a_folder_and_back(folder, name, uri):
    assert inside(folder, name) == uri
    assert split(uri) == (folder, name)


def test_a_file_alone_is_in_this_folder():
    assert split("a.txt") == (".", "a.txt")
    assert split("/a.txt") == ("/", "a.txt")
