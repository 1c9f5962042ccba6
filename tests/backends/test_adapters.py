"""What the project says of its adapters, and what holds for each of them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import override_settings
from django.utils.module_loading import import_string

from localmirror.checks import check_mirrored_storages
from localmirror.mirror import LocalMirrorMixin
from localmirror.roles import StaticMirrorMixin

from ..corpus import REPOSITORY
from ..rigs import Rig
from ..wire import Rule

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
ADAPTERS: dict[str, str] = PROJECT["project"]["entry-points"]["localmirror.adapters"]


def adapter_of(remote: str) -> Any:
    return import_string(ADAPTERS[remote].replace(":", "."))


@pytest.mark.parametrize(
    ("remote", "prebuilt"),
    [
        ("storages.backends.azure_storage.AzureStorage", "localmirror.backends.azure.MirroredAzureStorage"),
        ("storages.backends.gcloud.GoogleCloudStorage", "localmirror.backends.gcloud.MirroredGoogleCloudStorage"),
        ("storages.backends.s3.S3Storage", "localmirror.backends.s3.MirroredS3Storage"),
    ],
)
def test_a_remote_is_announced_with_the_adapter_of_its_prebuilt_classes(remote: str, prebuilt: str) -> None:
    assert issubclass(import_string(prebuilt), adapter_of(remote))
    assert issubclass(adapter_of(remote), LocalMirrorMixin)
    assert import_string(prebuilt).remote_class() is import_string(remote)


@pytest.mark.parametrize("rig", ["azure-azurite", "gcs-emulator", "s3-moto"], indirect=True)
def test_static_roles_overwrite_whatever_a_project_sets_for_its_uploads(rig: Rig) -> None:
    rig.raw_put("a.txt", b"old")
    with override_settings(AWS_S3_FILE_OVERWRITE=False, GS_FILE_OVERWRITE=False, AZURE_OVERWRITE_FILES=False):
        for role in ("static", "manifest", "compressor"):
            assert rig.storage(role).save("a.txt", ContentFile(role.encode())) == "a.txt"
            assert rig.raw_get("a.txt") == role.encode()
        assert rig.storage().save("a.txt", ContentFile(b"upload")) != "a.txt"
    assert rig.raw_get("a.txt") == b"compressor"


@pytest.mark.parametrize("rig", ["azure-azurite", "gcs-emulator", "s3-moto"], indirect=True)
def test_a_manifest_whose_answer_got_lost_is_no_conflict(rig: Rig) -> None:
    storage = rig.storage("manifest")
    rule = rig.wire.add(Rule("lose", operation="upload", name="^m.json$", times=1))

    uploaded = storage.upload_manifest("m.json", ContentFile(b"1"), seen=None)

    assert (rule.hits, rig.raw_get("m.json")) == (1, b"1")
    assert uploaded.etag == storage.remote_file("m.json").etag


@pytest.mark.parametrize("rig", ["azure-azurite", "gcs-emulator", "s3-moto"], indirect=True)
class TestARemoteThatSavesInItsOwnWay:
    def test_is_left_to_do_so(self, rig: Rig) -> None:
        remote = import_string(rig.plain_backend)

        class Shouting(remote):  # type: ignore[misc,valid-type]
            def _save(self, name: str, content: Any) -> str:
                saved: str = super()._save(name, ContentFile(content.read().upper()))
                return saved

        class Mirrored(adapter_of(rig.plain_backend), Shouting):  # type: ignore[misc]
            pass

        storage = Mirrored(mirror_location=str(rig.mirror), **rig.options())
        assert storage.save("a.txt", ContentFile(b"aloud")) == "a.txt"
        assert rig.raw_get("a.txt") == b"ALOUD"


@pytest.mark.parametrize("rig", ["azure-azurite"], indirect=True)
class TestStackedByHandOnAzure:
    @pytest.fixture
    def stacked(self, rig: Rig) -> Any:
        class Stacked(StaticMirrorMixin, adapter_of(rig.plain_backend), import_string(rig.plain_backend)):  # type: ignore[misc]
            pass

        return Stacked

    def test_signed_urls_for_static_files_are_an_error(self, rig: Rig, stacked: Any) -> None:
        import sys

        sys.modules[__name__].Stacked = stacked  # type: ignore[attr-defined]
        options = {**rig.options("static"), "mirror_location": str(rig.mirror)}
        entry = {"BACKEND": f"{__name__}.Stacked", "OPTIONS": options}
        with override_settings(STORAGES={"static": entry}):
            assert "localmirror.E004" not in [found.id for found in check_mirrored_storages(None)]
            with override_settings(AZURE_URL_EXPIRATION_SECS=60):
                (found,) = [found for found in check_mirrored_storages(None) if found.id == "localmirror.E004"]
        assert found.hint == "Add to STORAGES['static']['OPTIONS']: 'expiration_secs': None"
