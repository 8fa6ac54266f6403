#!/bin/sh
# Installs what the tests use from the system, where apt can; names what is missing and goes on.
set -u
missing=""
for pair in ffmpeg:ffmpeg chromium:chromium gst-launch-1.0:gstreamer1.0-tools redis-server:redis-server; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
case "$missing" in
*gstreamer*) missing="$missing gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly" ;;
esac
case "$missing" in
*chromium*) missing="$missing fonts-noto-cjk" ;;
esac
if ! /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null; then
    missing="$missing python3-gi gir1.2-gst-rtsp-server-1.0"
fi
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null 2>&1
    for package in $missing; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || echo "SKIPPED: $package could not be installed; the tests that need it will skip"
    done
else
    echo "SKIPPED: not root or no apt; install by hand for all tests:$missing"
fi
exit 0
