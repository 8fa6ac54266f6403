"""Every JSON body and answer of the API shows an example in both languages, and each example fits its schema."""

import re

import jsonschema_rs
import pytest
from fastapi import FastAPI

from api import examples, problems
from api.app import ROUTERS
from cases.casework import kinds
from cases.rights import table


def described() -> examples.Tree:
    app = FastAPI(responses=problems.RESPONSES)
    for router in ROUTERS:
        app.include_router(router)
    return examples.put_in(app.openapi())


SCHEMA = described()
SHOWN = [media for media in examples.bodies(SCHEMA) if "examples" in media]


def test_every_body_and_answer_with_a_shape_has_an_example_in_both_languages() -> None:
    missing = [
        media["schema"] for media in examples.bodies(SCHEMA)
        if "examples" not in media and media["schema"] != {}
    ]  # fmt: skip
    assert [each.get("title") for each in missing] == ["Response Livez Livez Get"]
    assert len(SHOWN) > 60
    for media in SHOWN:
        assert media["examples"].keys() == {"zh", "en"}


@pytest.mark.parametrize("place", range(len(SHOWN)))
def test_an_example_fits_the_schema_of_its_body(place: int) -> None:
    media = SHOWN[place]
    shape = {**media["schema"], "components": SCHEMA["components"]}
    for language, example in media["examples"].items():
        value = example["value"]
        jsonschema_rs.validator_for(shape).validate(value)
        names = [_known(each, value) for each in _shapes(media["schema"])]
        assert all(names), (language, names)


def _shapes(shape: examples.Tree) -> list[examples.Tree]:
    found = [shape, *shape.get("anyOf", ())]
    return [SCHEMA["components"]["schemas"][each["$ref"].rpartition("/")[2]] for each in found if "$ref" in each]


def _known(shape: examples.Tree, value: examples.Tree) -> bool:
    """Whether it has no field that the shape does not know: JSON Schema lets those pass."""
    return set(value) <= set(shape["properties"])


def test_the_languages_are_what_they_say_and_no_example_is_left_over() -> None:
    for name, shown in examples.table().items():
        assert name in SCHEMA["components"]["schemas"], name
        assert not re.search(r"[\u4e00-\u9fff]", str(shown["en"])), name
        assert shown["zh"] == {} == shown["en"] or re.search(r"[\u4e00-\u9fff]", str(shown["zh"])), name
        assert shown["zh"].keys() == shown["en"].keys(), name


def test_examples_name_permissions_and_steps_that_exist() -> None:
    both = {name: shown.get("both", {}) for name, shown in examples.table().items()}
    assert set(both["OwnTokenIn"]["scopes"]) <= table().keys()
    assert both["SessionOut"]["permissions"].keys() <= table().keys()
    assert both["StepIn"]["kind"] in kinds.load().by_kind
