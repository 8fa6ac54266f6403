"""`onrecord health`: asks the server of these settings, on this machine, whether it is ready. For service managers."""

import http.client
import ssl

from pipeline.settings import Settings

_ASK_S = 3.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def ask(settings: Settings) -> tuple[bool, str]:
    """(whether it is ready, its answer or what is in the way)."""
    api = settings.api
    host = _EVERYWHERE.get(api.host, api.host)
    if api.tls_certificate is None:
        door = http.client.HTTPConnection(host, api.port, timeout=_ASK_S)
    else:
        trust = ssl.create_default_context()
        trust.check_hostname = False  # the certificate is for the name people type; nothing secret is sent
        trust.verify_mode = ssl.CERT_NONE
        door = http.client.HTTPSConnection(host, api.port, timeout=_ASK_S, context=trust)
    try:
        door.request("GET", "/readyz")
        answer = door.getresponse()
        return answer.status == 200, answer.read(1000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return False, f"no server answers on {host}:{api.port} ({error}); start it, or look at api.port"
    finally:
        door.close()
