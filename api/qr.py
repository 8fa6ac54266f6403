"""QR codes as SVG, for authenticators and encoders."""

import io

import segno


def svg_of(text: str) -> str:
    """Black on white whatever the page's colours are: cameras read nothing else surely."""
    picture = io.BytesIO()
    segno.make(text, error="m").save(picture, kind="svg", scale=4, border=4, xmldecl=False, dark="#000", light="#fff")
    return picture.getvalue().decode()
