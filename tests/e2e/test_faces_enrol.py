"""Who is taken into a gallery, in a real browser: the roster, a film, a moment of a recording, bad pictures.

With a real server and real weights. Templates of an earlier model are made anew on a server that is played.
"""

import io
import time
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.e2e.test_faces import HANDLER, Matching, gallery, matching, switched_on
from tests.flow.test_enrolment import film
from tests.flow.test_faces import Site, head_of, photo, site
from tests.flow.test_faces_kept import kept
from tests.tools import needs

pytestmark = [pytest.mark.browser, pytest.mark.slow]
__all__ = ["matching"]  # a fixture
READS_MS = 120_000
"""A process is started for each picture, and loads models."""


def signed_in(at: Site, matching: Matching, role: str) -> tuple[Page, str]:
    """A page of a person with this role, and a token of the same account."""
    page = matching.plain()
    with at.server.access() as access:
        account = access.accounts.add(role, role, role, unit="", by="test")
        code = access.accounts.link(account.account_id, 600, must_enrol=False)
        token = at.server.keep(access.create_token(role, account_id=account.account_id))
    page.goto(f"http://127.0.0.1:{at.server.port}/#code={code}")
    expect(page.locator("[data-action=faces]")).to_be_visible()
    return page, token


def jpeg(data: bytes, name: str = "a.jpg") -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def grey() -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (500, 500), "gray").save(sink, "JPEG")
    return sink.getvalue()


def send(page: Page) -> None:
    page.locator("[data-action=send-person]").click()


@needs("ffmpeg")
def test_an_officer_is_enrolled_from_a_film_into_the_roster_and_bad_pictures_are_refused_with_the_reason(
    matching: Matching, tmp_path: Path
) -> None:
    with site(tmp_path) as at:
        at.switch_on()
        page, _ = signed_in(at, matching, "system_admin")
        page.locator("[data-action=faces]").click()
        page.locator("[data-tab=galleries]").click()
        page.locator("[data-action=open-gallery]").click()
        expect(page.locator("[name=kind] option")).to_have_count(1)
        page.fill("[name=legal-basis]", "《行政处罚法》第四十二条")
        page.fill("[name=notice]", "执法人员已书面同意")
        page.fill("[name=until]", time.strftime("%Y-%m-%dT%H:%M", time.localtime(time.time() + 1800)))
        page.locator("[data-action=send-gallery]").click()
        page.locator("[data-gallery=roster] a").click()
        page.locator("[data-action=enrol]").focus()
        page.keyboard.press("Enter")
        expect(page.locator("select[name=officer] option")).to_have_count(2)
        page.keyboard.press("Escape")
        expect(page.locator("[data-action=enrol]")).to_be_focused()
        page.keyboard.press("Enter")
        page.select_option("select[name=officer]", label="周启明 A1")
        page.fill("[name=basis]", "本人书面同意 2026-11")
        expect(page.locator("[data-show=no-moment]")).to_be_visible()
        refusal = page.locator("[data-show=refusal]")
        for files, zh in (
            ([jpeg(photo("obama-and-biden"))], "有多张人脸"),
            ([jpeg(photo("obama-1")), jpeg(grey())], "第 2 张：没有找到人脸"),
            ([jpeg(b"nonsense")], "文件无法读取"), ([jpeg(photo("obama-partial"))], "人脸不完整"),
        ):  # fmt: skip
            page.set_input_files("[name=photos]", files)
            send(page)
            expect(refusal).to_contain_text(zh, timeout=READS_MS)
            expect(refusal).to_contain_text("什么也没有保存")
            expect(refusal).to_be_in_viewport()
        page.locator("[data-action=language]").click()
        expect(refusal).to_contain_text("The face is cut off by the edge of the picture.")
        page.locator("[name=source][value=video]").check()
        expect(page.locator("[data-form=enrol] [role=alert]")).to_have_count(0)
        data = film(tmp_path, "obama-3")
        page.set_input_files("[name=video]", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": data})
        send(page)
        row = page.locator("[data-person=enrolled]")
        expect(row).to_contain_text("周启明", timeout=READS_MS)
        expect(row).to_contain_text("A1")
        expect(page.locator("[data-show=said]")).to_have_text("Enrolled.")
        page.locator("[data-action=language]").click()
        expect(page.locator("[data-show=said]")).to_have_text("已入库。")
        expect(page.locator("main")).not_to_contain_text("off_")


@needs("ffmpeg")
def test_a_party_is_proposed_from_a_moment_of_a_recording_once_an_approval_lets_one_play_it(
    matching: Matching, tmp_path: Path
) -> None:
    with site(tmp_path) as at:
        recording_id = kept(at, head_of(tmp_path, "obama-3"), 6)
        at.switch_on()
        gallery_id = at.gallery()
        page, token = signed_in(at, matching, "commander")
        page.goto(f"http://127.0.0.1:{at.server.port}/#/faces/galleries/{gallery_id}")
        page.locator("[data-action=enrol]").click()
        page.fill("[name=name]", "王五")
        page.fill("[name=basis]", "《行政处罚法》第五十五条")
        page.locator("[name=source][value=moment]").check()
        page.select_option("[name=recording]", index=1)
        page.fill("[name=start]", "1")
        page.fill("[name=end]", "40")
        expect(page.locator("[data-action=send-person]")).to_be_disabled()
        page.fill("[name=end]", "4")
        send(page)
        refusal = page.locator("[data-show=refusal]")
        expect(refusal).to_contain_text("没有有效的回放审批", timeout=READS_MS)
        expect(refusal.locator("a")).to_have_attribute("href", f"#/recordings/{recording_id}")
        page.locator("[data-action=language]").click()
        expect(refusal).to_contain_text("No approval in force lets you play this part of the recording.")
        page.locator("[data-action=language]").click()
        wanted: dict[str, object] = {
            "what": "play", "purpose": "登记当事人", "recording_id": recording_id, "start_s": 0, "end_s": 6,
        }  # fmt: skip
        asked = at.server.ask("/api/v1/approvals", "POST", wanted, token=token)
        assert asked.status == 201, asked.body
        decided = at.server.ask(
            f"/api/v1/approvals/{asked.tree()['approval_id']}/decision", "POST", {"verdict": "approved"}
        )
        assert decided.status == 200, decided.body
        send(page)
        expect(page.locator("[data-person=proposed]")).to_contain_text("王五", timeout=READS_MS)
        expect(page.locator("[data-show=said]")).to_contain_text("等待另一人确认")
        second, _ = signed_in(at, matching, "reviewer")
        second.goto(f"http://127.0.0.1:{at.server.port}/#/faces/galleries/{gallery_id}")
        second.locator("[data-action=look-person]").focus()
        second.keyboard.press("Enter")
        expect(second.locator("[data-picture=person] img")).to_have_js_property("naturalWidth", 112)
        second.locator("[data-action=confirm-person]").focus()
        second.keyboard.press("Enter")
        expect(second.locator("[data-person=enrolled]")).to_contain_text("王五")


def test_templates_of_an_earlier_model_are_made_anew_and_those_that_cannot_be_are_named(matching: Matching) -> None:
    switched_on(matching)
    matching.galleries = [gallery(stale=3)]
    matching.renewals = [
        {"renewed": 2, "refused": [], "next_after": "ftpl_2", "left": 1},
        {
            "renewed": 0, "next_after": "", "left": 0,
            "refused": [
                {"template_id": "ftpl_3", "person_id": "fper_1", "name": "赵六", "reason": "no_key", "detail": "gone"}
            ],
        },
    ]  # fmt: skip
    page = matching.seat(HANDLER)
    page.goto(f"{matching.url}/#/faces/galleries/fgal_1")
    box = page.locator("[data-show=renew]")
    expect(box).to_contain_text("有 3 份人脸特征由以前的模型生成")
    page.locator("[data-action=renew]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-show=renewed]")).to_have_text("已重新提取 2 份。")
    row = page.locator("[data-not-renewed]")
    for part in ("赵六", "ftpl_3", "图片的密钥已销毁。"):
        expect(row).to_contain_text(part)
    expect(box).to_contain_text("有 1 份人脸特征由以前的模型生成")
    page.locator("[data-action=language]").click()
    expect(row).to_contain_text("The key of the picture was destroyed.")
    expect(page.locator("[data-show=renewed]")).to_have_text("2 made anew.")
    reader = matching.seat(("法制审核员", "faces.state", "faces.read"))
    reader.goto(f"{matching.url}/#/faces/galleries/fgal_1")
    expect(reader.locator("[data-show=renew]")).to_be_visible()
    expect(reader.locator("[data-action=renew]")).to_have_count(0)
