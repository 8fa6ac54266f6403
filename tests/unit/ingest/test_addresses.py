"""What may be pulled: forms of URLs, private addresses however they are written, names that change their mind."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsInvalid, SourceError, SourceRefused
from pipeline.ingest.addresses import Addresses, system_resolver
from pipeline.sources import parse_source

FORBIDDEN = [
    "file:///etc/passwd", "concat:rtsp://a|rtsp://b", "subfile,,start,0,end,9,,:/etc/passwd", "gopher://a/", "data:,x",
    "rtmp://a/", "crypto:rtsp://a", "tee:a", "async:rtsp://a", "ftp://a/", "//a/b",
    "rtsp:///x", "rtsp://", "rtsp://a b/", "rtsp://a/\r\nX: y", "rtsp://a\\@b/", "rtsp://u@v@b/", "rtsp://a:0/",
    "rtsp://a:99999/", "rtsp://a/#f", "rtsp://a%2eb/", "rtsp://u%0d:p@a/", "rtsp://例/", "rtsp://a/" + "x" * 3000,
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1%eth0",
    "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "2001:db8::1",
]  # fmt: skip


class Names:
    """Answers one list after the other."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


@pytest.mark.parametrize("url", FORBIDDEN)
def test_a_url_of_another_form_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SourceRefused) as caught:
        parse_source(url)
    assert "passwd" not in str(caught.value)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_unless_it_is_allowed(address: str) -> None:
    url = parse_source("rtsp://camera.example/a")
    with pytest.raises(SourceRefused, match="allowed_hosts"):
        asyncio.run(Addresses((), Names([address])).checked(url))
    with pytest.raises(SourceRefused):
        asyncio.run(Addresses((), Names(["8.8.8.8", address])).checked(url))
    assert asyncio.run(Addresses(["camera.example"], Names([address])).checked(url)) == address
    assert asyncio.run(Addresses(["0.0.0.0/0", "::/0"], Names([address])).checked(url)) == address


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "localhost"])
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(SourceError):
        asyncio.run(Addresses((), system_resolver).checked(parse_source(f"rtsp://{host}/a")))


def test_a_name_that_changes_its_mind_is_asked_once_and_the_checked_address_is_dialled() -> None:
    """DNS rebinding: the second answer is a canary on this machine, which must see nothing."""

    async def test() -> None:
        with socket.create_server(("127.0.0.2", 0)) as good, socket.create_server(("127.0.0.3", 0)) as canary:
            canary.settimeout(0.2)
            names = Names(["127.0.0.2"], ["127.0.0.3"])
            url = parse_source(f"rtsp://camera.example:{good.getsockname()[1]}/a")
            stream, address = await Addresses(["127.0.0.2"], names).dial(url)
            await stream.aclose()
            assert (address, names.asked) == ("127.0.0.2", ["camera.example"])
            with pytest.raises(SourceRefused):
                await Addresses(["127.0.0.2"], names).dial(url)
            with pytest.raises(TimeoutError):
                canary.accept()

    asyncio.run(test())


def test_a_setting_that_is_no_network_is_told() -> None:
    with pytest.raises(SettingsInvalid, match="allowed_hosts"):
        Addresses(["10.0.0.0/99"])


def test_what_is_shown_of_a_url_holds_no_secret() -> None:
    url = parse_source("rtsp://admin:p%40ss@cam.example:8554/cam/realmonitor?channel=1&token=abc")
    assert (url.user, url.password, url.port) == ("admin", "p@ss", 8554)
    assert url.wire == "rtsp://cam.example:8554/cam/realmonitor?channel=1&token=abc"
    for shown in (str(url), repr(url)):
        assert not any(secret in shown for secret in ("admin", "p@ss", "p%40ss", "token", "realmonitor"))
    assert str(url) == "rtsp://cam.example:8554/…"


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    for each in (text, f"rtsp://{text}", f"rtsp://u:{text}@a/"):
        with contextlib.suppress(SourceRefused):
            parse_source(each)
