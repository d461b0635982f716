"""Secrets in URIs are neither shown nor kept."""

import pytest

from ray_subsel.core.uris import all_without_secrets, without_secrets

SECRETS = {
    "s3://AKIA:hush@bucket/run": "s3://***@bucket/run",
    "subsel select s3://AKIA:hush@b/x.csv 's3://AKIA:hush@b/y'": "subsel select s3://***@b/x.csv 's3://***@b/y'",
    "s3://b/x?secret_key=hush&region=eu": "s3://b/x?secret_key=***&region=eu",
    "abfs://c/x?sas_token=hush": "abfs://c/x?sas_token=***",
    "https://u@h/?Signature=hush&X-Amz-Credential=hush": "https://***@h/?Signature=***&X-Amz-Credential=***",
}


@pytest.mark.parametrize(("text", "shown"), SECRETS.items())
def test_secrets_are_taken_out(text, shown):
    assert without_secrets(text) == shown
    assert all_without_secrets({"a": [text, 1, None], "b": (text,)}) == {"a": [shown, 1, None], "b": [shown]}


@pytest.mark.parametrize(
    "text", ["a@b.com", "/data/x@y/z", "s3://bucket/key/x.csv", "gs://b/x?region=eu", "http://h/a?page=2 c@d"]
)
def test_everything_else_stays(text):
    assert without_secrets(text) == text
