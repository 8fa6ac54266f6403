"""Another model while a stream is live: what the old one made is not searched until a person has it made anew."""

import json
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from models.registry import FILE
from tests.flow.test_faces import Site, head_of, holds, photo, site
from tests.serving import until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]
OLD, NEW = "mobilefacenet@128", "mobilefacenet@129"


def registry(path: Path, version: str) -> Path:
    """As the program's own, with another version of the embedder."""
    tree = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for each in tree["models"]:
        if each["name"] == "mobilefacenet":
            each["version"] = version
    draft = path.with_suffix(".draft")
    draft.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return draft.replace(path)


def renewed(at: Site, gallery_id: str) -> dict[str, object]:
    """It may take longer than a question does: a process that loads models for each template."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{at.server.port}/api/v1/faces/galleries/{gallery_id}/renew", data=b"{}", method="POST",
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {at.server.token}"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=120) as answer:
        return dict(json.loads(answer.read()))


def test_a_model_that_is_changed_under_a_live_stream_searches_what_was_made_anew_and_nothing_before(
    tmp_path: Path,
) -> None:
    file = registry(tmp_path / "models.yaml", "128")
    with site(tmp_path, ONRECORD_MODELS__REGISTRY=str(file)) as at:
        at.switch_on()
        gallery_id = at.gallery()
        person_id = at.enrol(gallery_id, photo("obama-1"), photo("obama-2"))
        until(lambda: at.stage()["is_on"] is True, "the stage is on", 30)
        stream_id = at.film(head_of(tmp_path, "obama-3"))
        until(lambda: bool(at.told("FaceSuggested")), "a suggestion", 60)
        assert {each["model"] for each in at.told("FaceSuggested")} == {OLD}

        registry(file, "129")
        until(lambda: at.server.ask("/api/v1/faces").tree()["stale"] == 2, "the page says so", 30)
        (person,) = at.server.ask(f"/api/v1/faces/galleries/{gallery_id}/persons").items()
        assert (person["is_stale"], person["models"]) == (True, [OLD])
        with at.server.access() as access:
            worker = at.server.keep(access.create_token("service", "a worker"))

        def watching(model: str) -> tuple[object, object]:
            tree = at.server.ask(f"/api/v1/faces/watching?stream_id={stream_id}&model={model}", token=worker).tree()
            return tree["watching"], tree["why"]

        assert watching(OLD) == (True, "")
        assert watching(NEW) == (False, "other_model")
        until(lambda: at.stage().get("model", NEW) == NEW, "the stage has it", 30)
        time.sleep(6)
        assert NEW not in {each["model"] for each in at.told("FaceSearched")}, "there is nothing to search with it"

        seen: list[Path] = []
        is_over = threading.Event()

        def look() -> None:
            while not is_over.is_set():
                seen.extend(holds(at.server.data, lambda raw: b"JFIF" in raw))
                time.sleep(0.05)

        looking = threading.Thread(target=look)
        looking.start()
        where = f"/galleries/{gallery_id}/renew"
        try:
            assert at.post(where, {}, at.security).status == 403
            done = renewed(at, gallery_id)
        finally:
            is_over.set()
            looking.join()
        assert (done["renewed"], done["refused"], done["left"], done["next_after"]) == (2, [], 0, "")
        assert seen == [], "no picture lay open"
        assert at.server.ask("/api/v1/faces").tree()["stale"] == 0
        (gallery,) = at.server.ask("/api/v1/faces/galleries").items()
        assert gallery["stale"] == 0
        assert [(each["of"] != each["template_id"], each["model"]) for each in at.told("TemplateRenewed")] == [
            (True, NEW), (True, NEW),
        ]  # fmt: skip
        until(
            lambda: NEW in {each["model"] for each in at.told("FaceSuggested")}, "the same stream, by the new one", 60
        )
        assert {each["person_id"] for each in at.told("FaceSuggested")} == {person_id}
        assert at.server.live_id("camera") == stream_id, "it was live all the while"
