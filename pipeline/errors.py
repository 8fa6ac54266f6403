"""The error tree. Foreign errors are mapped into it once, at the border, `from error`.

OnRecordError
├── SettingsInvalid        a setting is missing, unknown or out of range
├── RulesInvalid           the rules of procedure and conduct, or the laws they cite, do not hold
├── ProtocolError          a peer broke the rules of its protocol
│   └── LimitExceeded      a peer stayed within the grammar but asked for too much
├── MediaError             the media itself cannot be used
│   ├── CodecUnsupported   a codec or profile that nobody here can carry
│   ├── BoxMalformed       an MP4 box that breaks ISO/IEC 14496-12
│   └── ContainerUnknown   a body in no container we read
├── PublishRefused         a publisher may not publish
│   ├── KeyUnknown         no device has this stream key, or it was revoked
│   ├── RateLimited        too many wrong keys from one place
│   └── AlreadyPublishing  the same device publishes already
├── SourceError            a camera that is pulled does not give its media
│   ├── SourceRefused      its URL or address is one that may not be pulled
│   └── SourceDenied       it does not let us in with this user and password
├── StreamUnknown          no such stream
├── StorageError           the disk refused
│   ├── StorageFull        no room
│   └── StorageSyncFailed  the disk did not confirm what was written
├── StoreError             the database of the record
│   ├── StoreUnavailable   it does not answer, or did not take what it was given
│   └── SchemaOutdated     its tables are of another release
├── CaseworkError          what somebody asks of the record cannot be done
│   ├── ThingUnknown       no such case, step, officer, recording …
│   ├── StateConflict      what stands already does not allow it
│   ├── VersionStale       somebody else changed it meanwhile
│   ├── UploadTooLarge     a file, or what a unit keeps with it, is larger than allowed
│   ├── ChecksumDiffers    bytes are not what their checksum says
│   └── ValueRefused       a field's value cannot be taken
│       └── FaceRefused    a picture gives no face that can be enrolled
├── EvidenceError          a recording is not what it claims
├── AccessDenied           a token, ticket or link does not open this door
│   ├── CodeNeeded         the password is right, and a code of the second factor is asked for
│   └── TooManyTries       too many wrong passwords or codes; wait
├── AddressInUse           another program listens on our port
├── CertificateUnusable    a certificate and its key cannot serve TLS
├── WorkerFailed           a child process died, hung or answered nonsense
├── AnalysisError          analysis cannot go on
│   ├── LeaseLost          somebody else has the work now; what is not told yet must not be told
│   ├── StageFailed        a stage raised, again and again
│   └── BoardUnavailable   the place where work is handed out does not answer
└── ModelError             an AI model cannot be used
    ├── ModelMissing       its files are not here
    ├── ModelUnverified    its files are not those of the registry
    └── ModelFailed        it cannot be loaded, or refused what it was given
"""

from collections.abc import Sequence


class OnRecordError(Exception):
    """Root of every error this program raises on purpose.

    retryable: whether the same call may succeed later without anybody changing anything.
    """

    retryable = False


class SettingsInvalid(OnRecordError):
    """Raised when the configuration does not hold; the message lists every mistake with its file and key."""


class RulesInvalid(OnRecordError):
    """Raised when a set of rules, or the law texts it cites, does not hold; the set before it stays in force.

    mistakes: cases.rules.mistakes.Mistake, each told as `file:line: what; remedy`.
    """

    def __init__(self, mistakes: Sequence[object]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class ProtocolError(OnRecordError):
    """Raised when a peer's bytes break its protocol; the connection is closed, nobody else is touched."""


class LimitExceeded(ProtocolError):
    """Raised when a peer's bytes ask for more memory, depth or time than the limits allow."""


class MediaError(OnRecordError):
    """Raised when media cannot be used."""


class CodecUnsupported(MediaError):
    """Raised when a publisher sends a codec, profile or picture size nobody here can carry."""


class BoxMalformed(MediaError):
    """Raised when a file breaks ISO/IEC 14496-12 or the narrower form of docs/recording-format.md."""


class ContainerUnknown(MediaError):
    """Raised when a body is in no container we read; the remedy stands with the door that took it."""


class PublishRefused(OnRecordError):
    """Raised when a publisher may not publish."""


class KeyUnknown(PublishRefused):
    """Raised when no device holds the stream key, or its key was revoked."""


class RateLimited(PublishRefused):
    """Raised when an address tried too many wrong keys; retryable after a minute."""

    retryable = True


class AlreadyPublishing(PublishRefused):
    """Raised when the device's stream is alive on another connection and the setting says refuse."""

    retryable = True


class SourceError(OnRecordError):
    """Raised when a camera that is pulled cannot be reached, answers with an error, redirects or falls silent."""

    retryable = True


class SourceRefused(SourceError):
    """Raised when a source's URL has a form, or its host an address, that may not be pulled."""

    retryable = False


class SourceDenied(SourceError):
    """Raised when a source answers 401 or 403 to its user and password, or asks for them in a way we do not use."""

    retryable = False


class StreamUnknown(OnRecordError):
    """Raised when no stream has this id."""


class StorageError(OnRecordError):
    """Raised when the disk refused a write, a sync or a new file."""

    retryable = True


class StorageFull(StorageError):
    """Raised when the disk has no room (ENOSPC, EDQUOT)."""


class StorageSyncFailed(StorageError):
    """Raised when fdatasync or fsync failed: what was written since the last success is not on record.

    Never retried on the same file (a second fsync may falsely succeed).
    Source: https://wiki.postgresql.org/wiki/Fsync_Errors
    """

    retryable = False


class StoreError(OnRecordError):
    """Raised when the database of the record cannot do what it must."""


class StoreUnavailable(StoreError):
    """Raised when the database does not answer or refuses; whether a write is in it is then not known."""

    retryable = True


class SchemaOutdated(StoreError):
    """Raised when the tables are of another release; `onrecord migrate` brings older ones forward."""


class CaseworkError(OnRecordError):
    """Raised when what somebody asks of the record cannot be done; nothing of it was."""


class ThingUnknown(CaseworkError):
    """Raised when the record holds nothing of this id."""


class StateConflict(CaseworkError):
    """Raised when what stands already does not allow it: a closed case, a number in use."""


class VersionStale(CaseworkError):
    """Raised when a thing was changed after the reader saw it."""


class UploadTooLarge(CaseworkError):
    """Raised when a file is larger than upload.max_bytes, or its unit would keep more than upload.unit_quota_bytes."""


class ChecksumDiffers(CaseworkError):
    """Raised when bytes that came are not those that their checksum was made of; none of them was kept."""


class ValueRefused(CaseworkError):
    """Raised when a field's value cannot be taken; the message says why and what would do."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class FaceRefused(ValueRefused):
    """Raised when what was sent cannot be enrolled: no face, several, blurred, somebody else of the gallery, ...

    reason: a code that pages have words for. index: which of the pictures, from 0. Holds nothing of the picture.
    """

    def __init__(self, field: str, reason: str, detail: str, index: int = 0) -> None:
        super().__init__(field, f"{reason}: {detail}")
        self.code = reason
        self.index = index


class EvidenceError(OnRecordError):
    """Raised when a recording folder cannot be read as one."""


class AccessDenied(OnRecordError):
    """Raised when a token, ticket or link is unknown, expired, used up, revoked or meant for another door."""


class CodeNeeded(AccessDenied):
    """Raised when the password is right and the account has a second factor, of which no code was given."""


class TooManyTries(AccessDenied):
    """Raised when too many wrong passwords or codes came from clients that this account does not know."""

    retryable = True


class AddressInUse(OnRecordError):
    """Raised when a port we are told to listen on is taken."""


class CertificateUnusable(OnRecordError):
    """Raised when a certificate or its key is missing, cannot be read, or the two are no pair."""


class WorkerFailed(OnRecordError):
    """Raised when a child process died, hung or answered nonsense."""

    retryable = True


class AnalysisError(OnRecordError):
    """Raised when analysis of a stream or recording cannot go on; the recording itself is never touched by it."""


class LeaseLost(AnalysisError):
    """Raised when a worker's lease ended and its work may be somebody else's: what it has not told, it never tells."""


class StageFailed(AnalysisError):
    """Raised when a stage broke so often that it is benched; its span is told as an AnalysisGap."""


class BoardUnavailable(AnalysisError):
    """Raised when the board of work does not answer; leases go on until they end, what is to be told is kept."""

    retryable = True


class ModelError(OnRecordError):
    """Raised when an AI model cannot be used; its stage is off, everything else goes on."""


class ModelMissing(ModelError):
    """Raised when a model's files are not in the models folder; `onrecord models pull` or `import` brings them."""


class ModelUnverified(ModelError):
    """Raised when a model's file differs from the registry in size or SHA-256; it is never loaded."""


class ModelFailed(ModelError):
    """Raised when a model's files cannot be loaded, are of another architecture, or the engine refused its input."""
