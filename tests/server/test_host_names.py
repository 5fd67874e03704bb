"""File names, rules and places in requests cannot misdirect the server."""

import io
import re
import zipfile
from urllib.parse import quote, urlsplit

import numpy as np
import pytest

from asking import (
    ask,
    elsewhere,
    post,
    post_form,
    refused,
)
from conftest import encoded
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.server.limits import Limits
from nephoscope.testing.worldview_server import WorldviewServer

JPEG = encoded(np.full((64, 64, 3), 120, np.uint8), ".jpg")
NAMES = {
    "../../etc/passwd": "passwd",
    "C:\\x\\y.jpg": "y.jpg",
    "/absolute/z.jpg": "z.jpg",
    "a\0b.jpg": "a_b.jpg",
    "a\nb.jpg": "a_b.jpg",
    "a\x1b[31mb.jpg": "a_[31mb.jpg",
    "gpj.\u202etxe.jpg": "gpj._txe.jpg",
    "x" * 10_000 + ".jpg": "x" * 196 + ".jpg",
    "..": "picture",
    ".": "picture",
    "": "picture",
    " . ": "picture",
    ".hidden": "hidden",
    "café ☁.jpg": "café ☁.jpg",
    'quote".jpg': 'quote".jpg',
    "percent%2f..%2f.jpg": "percent%2f..%2f.jpg",
}


@pytest.fixture(scope="module")
def server(tiny_server):
    return tiny_server


class TestNames:
    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "harmless"), NAMES.items())
    def test_names_are_sanitized(self, server, name, harmless):
        query = f"?name={quote(name)}"
        assert post(server, JPEG, query).json["scenes"][0]["scene"] == harmless
        failed = post_form(server, ("good.jpg", JPEG), ("bad.jpg", b"x")).json["scenes"][1]
        assert failed["scene"] == "bad.jpg"
        for accept, ending in (("image/png", "_overlay.png"), ("application/zip", "_masks.zip")):
            answer = post(server, JPEG, query, Accept=accept)
            disposition = answer.headers["Content-Disposition"]
            match = re.fullmatch(
                r"attachment; filename=\"([ -~]*)\"; filename\*=UTF-8''([\w.%~-]*)", disposition
            )
            assert match
            for file_name in match.groups():
                assert file_name.endswith(ending)
                assert not set(file_name) & set('/\\"\r\n\0')
        for member in zipfile.ZipFile(io.BytesIO(answer.body)).namelist():
            assert not set(member) & set("/\\\r\n\0")
            assert not member.startswith(".")

    @pytest.mark.parametrize(
        "name", ["../../etc/passwd", "C:\\x\\y.jpg", "gpj.\u202etxe.jpg", "x" * 2000 + ".jpg"]
    )
    def test_names_in_forms_are_sanitized(self, server, name):
        assert post_form(server, (name, JPEG)).json["scenes"][0]["scene"] == NAMES.get(
            name, "x" * 196 + ".jpg"
        )

    @pytest.mark.parametrize(
        "rules",
        [
            "[]",
            "null",
            "{",
            "[" * 3000,
            '{"Fish": 1}',
            '{"Shark": {}}',
            '{"Fish": {"colour": 1}}',
            '{"Fish": {"\\ud800": 1}}',
            '{"Fish": {"threshold": NaN}}',
            '{"Fish": {"threshold": "0.4"}}',
            '{"Fish": {"threshold": null}}',
            '{"Fish": {"top_k": 1.5}}',
            '{"Fish": {"top_k": Infinity}}',
            '{"Fish": {"top_k": 0}}',
            '{"Fish": {"top_k": %s}}' % ("9" * 400),
            '{"Fish": {"join": 1.5}}',
            '{"Fish": {"join": 101}}',
            '{"Fish": {"minimum_area": -1}}',
            '{"Fish": {"evidence": "nothing"}}',
            '{"Fish": {"evidence": []}}',
            '{"__class__": {}}',
        ],
    )
    def test_invalid_rules_are_refused(self, server, rules):
        assert "rules" in refused(post(server, JPEG, f"?rules={quote(rules)}"), "value")

    def test_rules_cannot_use_a_missing_presence_head(self, start):
        with start() as address:
            rules = quote('{"Fish": {"evidence": "head"}}')
            assert "presence head" in refused(post(address, JPEG, f"?rules={rules}"), "value")


def sending_to(location):
    """Sends whoever asks to another address."""
    return elsewhere(302, {"Location": location, "Content-Length": "0"})


PICTURE = "/api/v1/worldview/picture?satellite={}&day={}&place={}"


class TestArchive:
    def asked(self, server, **changes):
        return WorldviewClient(server.address, fallback=None, tries=1, pause=0, degrees=0.25, **changes)

    @pytest.mark.slow
    def test_redirects_to_other_hosts_are_not_followed(self, start):
        target = PICTURE.format("Aqua", "2020-02-01", "barbados")
        with sending_to("http://nothing.invalid/") as secret:
            for location in (secret.address, "http://localhost:9/", "file:///etc/passwd", "ftp://127.0.0.1/"):
                with sending_to(location) as archive, start(archive=self.asked(archive)) as address:
                    answer = ask(address, target)
                    refused(answer, "archive")
                    assert b"root:" not in answer.body
                    assert ask(address, "/api/v1/worldview").status == 200
                    assert archive.asked
            assert secret.asked == []

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("satellite", "day", "place"),
        [
            ("evil.example/", "2020-02-01", "barbados"),
            ("Aqua@evil.example", "2020-02-01", "barbados"),
            ("../../secret", "2020-02-01", "barbados"),
            ("Aqua", "2020-02-01&LAYERS=x", "barbados"),
            ("Aqua", "2020-02-01", "http://evil.example/"),
            ("Aqua", "2020-02-01", "0,0,1,1&HOST=evil"),
            ("Aqua", "2020-02-01", "file:///etc/passwd"),
            ("Aqua", "1999-01-01", "barbados"),
            ("Aqua", "2999-01-01", "barbados"),
            ("Aqua", "0001-01-01", "barbados"),
            ("", "", ""),
        ],
    )
    def test_parameters_cannot_change_the_archives_address(self, start, satellite, day, place):
        with sending_to("/") as archive, start(archive=self.asked(archive)) as address:
            refused(ask(address, PICTURE.format(*map(quote, (satellite, day, place)))), "value")
            assert archive.asked == []

    def test_requests_go_to_the_archives_address(self, start):
        with sending_to("/other") as archive, start(archive=self.asked(archive)) as address:
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados")), "archive")
            assert {host for host, _ in archive.asked} == {urlsplit(archive.address).netloc}
            first = urlsplit(archive.asked[0][1])
            assert first.path == "/"
            assert "MODIS_Aqua_CorrectedReflectance_TrueColor" in first.query

    def test_too_large_a_picture_is_not_requested(self, start):
        limits = Limits(pixels=1000)
        with sending_to("/") as archive, start(limits, archive=self.asked(archive)) as address:
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados")), "too-large")
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "-180,-90,180,90")), "too-large")
            assert archive.asked == []

    def test_too_long_a_file_is_not_forwarded(self, start):
        with WorldviewServer() as archive:
            where = WorldviewClient(archive.address, fallback=None, tries=1, degrees=0.25)
            with start(Limits(picture_bytes=100), archive=where) as address:
                answer = ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados"))
        assert "bytes" in refused(answer, "too-large")

    def test_archive_needs_the_token(self, start):
        with sending_to("/") as archive, start(archive=self.asked(archive), token="s3cret") as address:
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados")), "token")
            refused(ask(address, "/api/v1/worldview"), "token")
            assert archive.asked == []
