"""A real RTSP server for tests: GStreamer's, run by Debian's Python as `python3 rtsp_server.py MODE`.

Prints its port. Paths: /h264, /bframes, /h265, /aac, /alaw, /opus, /silent, and two as cameras name them. MODE holds
words: digest (user camera, password p4ss-w0rd-XY), basic, udp (refuses TCP).
"""

import sys

import gi  # type: ignore[import-not-found]  # Debian's Python has it, ours has not

gi.require_version("Gst", "1.0")
gi.require_version("GstController", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstController, GstRtsp, GstRtspServer  # type: ignore[import-not-found] # noqa: E402 - the versions come first

PICTURES = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
SOUND = "audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample"
ENCODED = "speed-preset=ultrafast key-int-max=25 bitrate=300"
PAID = "name=pay0 pt=96 config-interval=-1"
AVC = f"{PICTURES} ! x264enc tune=zerolatency {ENCODED} ! rtph264pay {PAID}"
REORDERED = "speed-preset=superfast bframes=2 b-adapt=false rc-lookahead=5 key-int-max=25 bitrate=300"
BEAT = AVC.replace("pattern=ball", "pattern=solid-color foreground-color=0xff808080").replace(
    " ! x264enc", " ! videobalance name=flash ! x264enc"
)
TONE = ("wave=ticks", "wave=sine ! volume name=beat")
B_FRAMES = f"{PICTURES} ! x264enc {REORDERED} ! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96"
HEVC = f"{PICTURES} ! x265enc tune=zerolatency {ENCODED} ! rtph265pay {PAID}"
AAC = f"{SOUND} ! audio/x-raw,rate=48000,channels=1 ! voaacenc bitrate=64000 ! rtpmp4gpay name=pay1 pt=97"
ALAW = f"{SOUND} ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8"
OPUS = f"{SOUND} ! audio/x-raw,rate=48000,channels=1 ! opusenc ! rtpopuspay name=pay1 pt=97"
PATHS = {
    "/h264": AVC,
    "/beat": f"{BEAT} {ALAW.replace(*TONE)}",
    "/beat/opus": f"{BEAT} {OPUS.replace(*TONE)}",
    "/bframes": f"{B_FRAMES} {AAC}",
    "/h265": f"{HEVC} {AAC}",
    "/aac": f"{AVC} {AAC}",
    "/alaw": f"{AVC} {ALAW}",
    "/opus": f"{AVC} {OPUS}",
    "/Streaming/Channels/101": f"{AVC} {ALAW}",
    "/cam/realmonitor": f"{HEVC} {AAC}",
}


def beat(_: object, media: GstRtspServer.RTSPMedia) -> None:
    """Bright and loud for a second, dark and silent for the next; both by the stamps, not by when a source began."""
    for name, key, top in (("flash", "brightness", 1.0), ("beat", "volume", 0.1)):
        half = top / 2
        wave = GstController.LFOControlSource(
            waveform=GstController.LFOWaveform.SQUARE, frequency=0.5, amplitude=half, offset=half
        )
        element = media.get_element().get_by_name(name)
        element.add_control_binding(GstController.DirectControlBinding.new(element, key, wave))


def main() -> None:
    words = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(next((word[5:] for word in words if word.startswith("port=")), "0"))
    mounts = server.get_mount_points()
    for path, launch in PATHS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(True)
        if path.startswith("/beat"):
            factory.connect("media-constructed", beat)
        if "udp" in words:
            factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
        if "digest" in words or "basic" in words:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        mounts.add_factory(path, factory)
    if "digest" in words or "basic" in words:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if "digest" in words:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest("camera", "p4ss-w0rd-XY", token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic("camera", "p4ss-w0rd-XY"), token)
        server.set_auth(auth)
    server.attach(None)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
