"""`onrecord doctor`: what on this machine would keep the program from its work, each with its remedy.

Looks, writes one file that is gone afterwards, starts three children; changes nothing, asks nobody outside the machine.
"""

from collections.abc import Iterator
from pathlib import Path

from api.doctor.children import cage, codecs
from api.doctor.finding import Finding, Verdict, error, ok
from api.doctor.machine import clock, cores, descriptors, memory, monotonic, swap
from api.doctor.models import chosen_models, speech_device
from api.doctor.ports import ports
from api.doctor.program import certificates, packages, python, web_pages
from api.doctor.storage import disk_speed, folder, signing_key, space
from pipeline.errors import SettingsInvalid
from pipeline.settings import Settings, load

_WORST = (Verdict.ERROR, Verdict.WARNING, Verdict.CANNOT_TELL, Verdict.OK)


def examine(config: Path | None, streams: int) -> Iterator[Finding]:
    """Everything, one finding after the other; what needs the settings only where they hold.

    streams: how many the machine shall carry at once; room and memory are judged by it.
    """
    yield python()
    yield packages()
    try:
        settings = load(config)
    except SettingsInvalid as mistake:
        yield error("settings", str(mistake), "the server does not start", "mend each line; 'onrecord config show'")
        settings = None
    else:
        yield ok("settings", f"hold ({config or 'defaults'} and environment)")
    yield web_pages()
    yield cores()
    yield swap()
    yield clock()
    yield monotonic()
    yield codecs()
    if settings is not None:
        yield from _for(settings, streams)


def worst(findings: list[Finding]) -> Verdict:
    """The verdict of the whole."""
    verdicts = {finding.verdict for finding in findings}
    return next(verdict for verdict in _WORST if verdict in verdicts)


def _for(settings: Settings, streams: int) -> Iterator[Finding]:
    yield cage(settings.push)
    yield memory(settings, streams)
    yield descriptors(settings)
    yield from ports(settings)
    yield from certificates(settings)
    yield folder(settings.data)
    yield signing_key(settings.data)
    yield space(settings, streams)
    yield from disk_speed(settings, streams)
    yield from chosen_models(settings)
    yield speech_device(settings.speech)
