"""How OBS and phone apps open a connection: the shapes of `connect` and `publish` that must all find the key."""

import pytest

from pipeline.rtmp.amf0 import Value
from tests.unit.rtmp.tape import HANDSHAKE, KEY, TapeDoor, command, session

NOW_S = 1_700_000_000.0


def opened(application: str, name: str, *, extras: bool) -> TapeDoor:
    """A door after what an encoder sends; extras: what OBS and librtmp say around it."""
    properties: dict[str, Value] = {
        "app": application,
        "type": "nonprivate",
        "flashVer": "FMLE/3.0 (compatible; FMSc/1.0)",
        "swfUrl": f"rtmp://HOST:1935/{application}",
        "tcUrl": f"rtmp://HOST:1935/{application}",
    }
    said = HANDSHAKE + command("connect", properties)
    if extras:
        said += command("releaseStream", None, name) + command("FCPublish", None, name)
    said += command("createStream", None)
    if extras:
        said += command("_checkbw", None)
    door = TapeDoor()
    session(door).feed(said + command("publish", None, name, "live"), NOW_S)
    return door


@pytest.mark.parametrize("extras", [True, False])
@pytest.mark.parametrize(
    ("application", "name"),
    [
        ("live", KEY),
        ("live/", KEY),
        ("/live", KEY),
        ("live?from=app", KEY),
        ("live", f"{KEY}?lat=31.2&lon=121.5"),
        (f"live/{KEY}", ""),
        (f"live/{KEY}/", ""),
    ],
)
def test_every_shape_of_address_finds_the_key(application: str, name: str, extras: bool) -> None:
    assert len(opened(application, name, extras=extras).publications) == 1
