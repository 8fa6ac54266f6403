"""Made pictures with and without an enforcement certificate, as a camera sees them: what readers are tried on."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from models.text.base import Picture
from models.text.card_words import GOODS, SIGNS, name_of, number_of, price_of
from models.text.sheets import Sheet, badge, certificate, colour, licence, paper, pick, poster

CONDITIONS: Final = (
    "plain", "perspective", "blurred", "glare", "small", "upside_down", "dark", "held", "beside_a_licence"
)  # fmt: skip
OTHERS: Final = ("licence", "badge", "paper", "poster", "shop", "nothing")
SIZES: Final = {1080: (1920, 1080), 720: (1280, 720)}


@dataclass(frozen=True, slots=True)
class Made:
    """A picture and what is in it. number, name: of the certificate; "" where there is none. kind: how it was made."""

    picture: Picture
    kind: str
    has_certificate: bool
    number: str = ""
    name: str = ""
    width_share: float = 0.0


def positive(condition: str, seed: int, lines: int = 1080) -> Made:
    """A shop in which somebody holds up a certificate. Raises: SettingsInvalid: no font is here; so does `negative`."""
    random = np.random.default_rng([seed, CONDITIONS.index(condition)])
    width, height = SIZES[lines]
    number, name = number_of(random), name_of(random)
    card = certificate(random, number, name)
    scene = _shop(random, width, height)
    if condition == "beside_a_licence":
        scene = _laid(scene, licence(random), random, float(random.uniform(0.25, 0.4)), 0.02, is_held=False)
    share = float(random.uniform(0.06, 0.16) if condition == "small" else random.uniform(0.2, 0.45))
    tilt = 0.25 if condition == "perspective" else 0.05
    if condition == "upside_down":
        card = np.ascontiguousarray(card[::-1, ::-1])
    if condition == "glare":
        card = _glare(card, random)
    scene = _laid(scene, card, random, share, tilt, is_held=condition == "held")
    scene = _filmed(
        scene,
        random,
        blur=(float(random.uniform(1.5, 5)) if condition == "blurred" else 0.7) * width / 1920,
        shake=int(random.integers(3, 13)) if condition == "blurred" else 0,
        light=float(random.uniform(0.08, 0.35)) if condition == "dark" else float(random.uniform(0.8, 1.05)),
    )
    return Made(scene, condition, True, number, name, share)


def negative(kind: str, seed: int, lines: int = 1080) -> Made:
    """A shop, with other papers, cards and posters in it, and no certificate."""
    random = np.random.default_rng([seed, 100 + OTHERS.index(kind)])
    width, height = SIZES[lines]
    if kind == "nothing":
        return Made(_filmed(_texture(random, width, height), random), kind, False)
    scene = _shop(random, width, height)
    if kind != "shop":
        make = {"licence": licence, "badge": badge, "paper": paper, "poster": poster}[kind]
        share = float(random.uniform(0.25, 0.5))
        scene = _laid(scene, make(random), random, share, 0.08, is_held=kind == "badge")
    return Made(_filmed(scene, random), kind, False)


def span(seed: int, lines: int = 1080, pictures: int = 21) -> list[Made]:
    """Key frames of a worn camera in one shop, a second apart: a certificate is held up in some of them, not for long.

    The camera looks about, from full shelves to a bare wall; in every second shop a licence hangs between them. One
    picture in ten, or four, is shaken beyond reading.
    """
    random = np.random.default_rng([seed, 1_000])
    shaken, most_share = float(random.choice((0.1, 0.4))), float(random.choice((0.25, 0.4)))
    width, height = SIZES[lines]
    number, name = number_of(random), name_of(random)
    card = certificate(random, number, name)
    wide, tall = width * 2, int(height * 1.2)
    shop = _shop(random, wide, tall)
    wall = np.linspace(float(random.uniform(120, 210)), float(random.uniform(90, 180)), wide - width)
    shop[:, width:] = wall.astype(np.uint8)[None, :, None]
    if seed % 2:
        middle = np.ascontiguousarray(shop[:, width // 2 : width // 2 + width])
        shop[:, width // 2 : width // 2 + width] = _laid(
            middle, licence(random), random, float(random.uniform(0.15, 0.3)), 0.02, is_held=False
        )
    look = float(random.uniform(0, wide - width))
    held = int(random.integers(2, 6))
    first = int(random.integers(3, pictures - held - 3))
    made = []
    for at in range(pictures):
        look = float(np.clip(look + random.normal(0, width / 5), 0, wide - width))
        left, top = int(look), int(random.uniform(0, tall - height))
        scene = np.ascontiguousarray(shop[top : top + height, left : left + width])
        share = float(random.uniform(0.4 * most_share, most_share)) if first <= at < first + held else 0.0
        if share:
            scene = _laid(scene, card, random, share, 0.1, is_held=True)
        shake = int(random.uniform(14, 40) * width / 1920) if random.random() < shaken else 0
        scene = _filmed(scene, random, 0.7 * width / 1920, shake)
        made.append(Made(scene, "shaken" if shake else "steady", share > 0, number, name, share))
    return made


def _shop(random: np.random.Generator, width: int, height: int) -> Picture:
    """Shelves with goods that have names, price tags and signs."""
    sheet = Sheet(width, height, colour(random, 150, 225))
    unit = height / 1080
    sheet.rect((0, 0, width, 130 * unit), colour(random, 20, 110))
    for place in range(2):
        sheet.write((120 + place * 950) * unit, 30 * unit, pick(random, SIGNS), 64 * unit, (250, 250, 240))
    for shelf in range(4):
        top = (170 + shelf * 230) * unit
        sheet.rect((0, top + 190 * unit, width, top + 210 * unit), colour(random, 110, 180))
        x = float(random.uniform(0, 60))
        while x < width:
            wide, tall = float(random.uniform(60, 170)) * unit, float(random.uniform(90, 180)) * unit
            sheet.rect((x, top + 190 * unit - tall, x + wide, top + 190 * unit), colour(random, 30, 235))
            if random.random() < 0.5:
                size = wide / 4.2
                sheet.write(x + 4 * unit, top + 190 * unit - tall * 0.7, pick(random, GOODS), size, (250, 250, 250))
            if random.random() < 0.4:
                sheet.write(x, top + 190 * unit, price_of(random), 22 * unit, (20, 20, 20))
            x += wide + float(random.uniform(4, 40)) * unit
    return sheet.picture()


def _texture(random: np.random.Generator, width: int, height: int) -> Picture:
    """Blinds, tiles or clouds: sharp edges, and no sign among them."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    period = float(random.uniform(12, 90))
    match int(random.integers(3)):
        case 0:
            grey = 127 + 100 * np.sign(np.sin(x / period))
        case 1:
            grey = 127 + 90 * np.sign(np.sin(x / period) * np.sin(y / period))
        case _:
            small = random.uniform(0, 255, (int(height / period) + 2, int(width / period) + 2)).astype(np.float32)
            grey = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _glare(card: Picture, random: np.random.Generator) -> Picture:
    height, width = card.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cx, cy = random.uniform(0.2, 0.8) * width, random.uniform(0.2, 0.8) * height
    far = ((x - cx) / (0.22 * width)) ** 2 + ((y - cy) / (0.3 * height)) ** 2
    light = np.exp(-far)[:, :, None] * float(random.uniform(180, 420))
    lit: Picture = np.clip(card + light, 0, 255).astype(np.uint8)
    return lit


def _laid(
    scene: Picture, card: Picture, random: np.random.Generator, share: float, tilt: float, *, is_held: bool
) -> Picture:
    """The card in the scene: `share` of the picture's width wide, or three quarters of its height high."""
    height, width = scene.shape[:2]
    tall, wide = card.shape[:2]
    scale = min(share * width / wide, 0.75 * height / tall)
    w, h = wide * scale, tall * scale
    left, top = random.uniform(0.03 * width, 0.97 * width - w), random.uniform(0.03 * height, 0.97 * height - h)
    angle = np.deg2rad(random.uniform(-9, 9))
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)]) - (w / 2, h / 2)
    corners += random.uniform(-tilt, tilt, (4, 2)) * (w, h)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    to = (corners @ turn + (left + w / 2, top + h / 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(np.array([(0, 0), (wide, 0), (wide, tall), (0, tall)], np.float32), to)
    small = cv2.GaussianBlur(card, (0, 0), 0.35 / scale) if scale < 0.7 else card
    warped = cv2.warpPerspective(small, matrix, (width, height), flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full((tall, wide), 255, np.uint8), matrix, (width, height), flags=cv2.INTER_LINEAR)
    share_of = mask[:, :, None].astype(np.float32) / 255
    made = (scene * (1 - share_of) + warped * share_of).astype(np.uint8)
    if is_held:
        for finger in range(int(random.integers(1, 4))):
            x, y = to[3] * (0.8 - 0.2 * finger) + to[2] * (0.2 + 0.2 * finger)
            axes = (int(0.04 * w + 4), int(0.09 * h + 6))
            cv2.ellipse(made, (int(x), int(y)), axes, float(random.uniform(-15, 15)), 0, 360, (140, 170, 215), -1)
    return made


def _filmed(
    scene: Picture, random: np.random.Generator, blur: float = 0.6, shake: int = 0, light: float = 1.0
) -> Picture:
    """As a camera and its encoder leave it. blur: pixels (sigma); shake: pixels the hand moved; light: 1 is day."""
    seen = cv2.GaussianBlur(scene, (0, 0), max(blur, 0.1))
    if shake > 1:
        seen = cv2.blur(seen, (shake, max(1, shake // 3)))
    noisy = seen.astype(np.float32) * light + random.normal(0, 3.0 if light > 0.6 else 5.0, seen.shape)
    _, coded = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 55])
    return np.array(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
