"""insightface's loaders, and only those: a file of ours to its SCRFD or ArcFaceONNX, and to nothing else of it.

Licence: the package's code MIT; the weights it knows of are for non-commercial research (see the registry).
The package fetches models and has others that guess at people's traits. It is given one checked file by its path and no
leave to download, so it opens no connection; what it makes of another kind of file is refused. Its import takes half a
second and stands here, inside the opening.
Source: https://github.com/deepinsight/insightface/tree/master/python-package, model_zoo/model_zoo.py.
"""

from importlib import import_module
from typing import Final, Literal

from models.face import sessions
from models.face.entry import FaceEntry
from pipeline.errors import ModelFailed, ModelMissing

Kind = Literal["detection", "recognition"]
_SAYS: Final = {"detection": "finds faces", "recognition": "compares faces"}


def opened(entry: FaceEntry, threads: int, kind: Kind) -> object:
    """insightface's model of this kind, one session for all sizes of pictures.

    Raises: ModelMissing: the file or the package is not here. ModelFailed: the file is none, or of another kind.
    """
    sessions.check_here(entry)
    known = sessions.errors(entry)
    try:
        package = import_module("insightface.model_zoo")
        damaged: type[Exception] = import_module("google.protobuf.message").DecodeError
    except ImportError as error:
        raise ModelMissing(
            f"{entry.name} needs insightface, which is not installed: pip install insightface"
        ) from error
    try:
        model: object = package.get_model(
            str(entry.path),
            providers=list(sessions.PROVIDERS),
            sess_options=sessions.options(threads),
            download=False,
            static_shape_sessions=False,  # else a session of its own, never let go, for every size of pictures
        )
    except (*known, damaged) as error:
        raise sessions.unusable(entry) from error
    if getattr(model, "taskname", None) != kind:
        raise ModelFailed(f"{entry.name}: {entry.file} is no model that {_SAYS[kind]}; it is not used")
    return model
