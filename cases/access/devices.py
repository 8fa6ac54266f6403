"""Devices: who may publish, by a stream key that is kept only as a hash; and the cameras that are pulled."""

from dataclasses import dataclass

from cases.access.file import AccessFile
from cases.access.secret import hashed, new_secret
from pipeline.errors import StateConflict, StorageError
from pipeline.ids import DeviceId, new_device_id
from pipeline.media import Device
from pipeline.sources import Source, Transport, parse_source

_NEVER = (-1, -1)


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device as the list shows it; its key is not kept.

    source: where it is pulled from, without user, password, path and query; empty where it publishes by itself.
    """

    device: Device
    created_at: float
    revoked_at: float | None
    source: str = ""


class Devices:
    """The devices of the access file."""

    def __init__(self, file: AccessFile) -> None:
        self._file = file
        self._valid: frozenset[str] = frozenset()
        self._seen_version = _NEVER
        self._sources: tuple[Source, ...] = ()
        self._sources_version = _NEVER

    def add_device(
        self, name: str, officer: str = "", unit: str = "", *, by: str = "console", device_id: str = ""
    ) -> tuple[Device, str]:
        """A new device and its stream key, which is shown this once. device_id: follows from an Idempotency-Key.

        Raises: StateConflict: this device_id was made already; its key is not kept, and cannot be shown again.
        """
        device = Device(DeviceId(device_id) if device_id else new_device_id(), name, officer, unit)
        key = "k" + new_secret()
        with self._file.writing():
            if device_id and self._file.rows("SELECT 1 FROM device WHERE device_id = ?", device_id):
                raise StateConflict(
                    f"this Idempotency-Key added the device {device_id} already; its stream key was shown then and is"
                    " not kept: give it a new key, or add another device under another Idempotency-Key"
                )
            self._insert(device, key, by)
        return device, key

    def add_source(
        self, name: str, url: str, transport: Transport, officer: str = "", unit: str = "", *, by: str = "console"
    ) -> Source:
        """A new device that is pulled from `url`; nobody gets a key for it. A running server begins within 2 s.

        Raises: SourceRefused: the URL has a form that is not pulled.
        """
        parsed = parse_source(url)
        device = Device(new_device_id(), name, officer, unit)
        with self._file.writing():
            self._insert(device, "k" + new_secret(), by)  # which is told to nobody
            self._file.write("INSERT INTO source VALUES (?, ?, ?)", device.device_id, url, transport.value)
        return Source(device, parsed, transport)

    def sources(self) -> tuple[Source, ...]:
        """The devices to pull now. Cheap, and while the file cannot be read the answer before, as `is_valid`."""
        try:
            version = self._file.version
            if version != self._sources_version:
                rows = self._file.rows(
                    "SELECT device_id, name, officer, unit, url, transport FROM device JOIN source USING (device_id)"
                    " WHERE revoked_at IS NULL ORDER BY created_at"
                )
                self._sources = tuple(Source(Device(*row[:4]), parse_source(row[4]), Transport(row[5])) for row in rows)
                self._sources_version = version
        except StorageError:
            pass
        return self._sources

    def _insert(self, device: Device, key: str, by: str) -> None:
        self._file.write(
            "INSERT INTO device VALUES (?, ?, ?, ?, ?, ?, NULL)",
            device.device_id, device.name, device.officer, device.unit, hashed(key), self._file.clock.utc_s(),
        )  # fmt: skip
        body = {"device_id": device.device_id, "name": device.name, "officer": device.officer, "unit": device.unit}
        self._file.tell("DeviceAdded", by, (device.device_id,), body)

    def devices(self) -> list[DeviceRecord]:
        rows = self._file.rows(
            "SELECT device_id, name, officer, unit, created_at, revoked_at, url FROM device"
            " LEFT JOIN source USING (device_id) ORDER BY created_at"
        )
        return [
            DeviceRecord(Device(*row[:4]), row[4], row[5], str(parse_source(row[6])) if row[6] else "") for row in rows
        ]

    def revoke_device(self, name_or_id: str, by: str = "console") -> int:
        """How many devices of this id or name lost their key; a running server ends their streams within 2 s."""
        with self._file.writing():
            found = self._file.rows(
                "SELECT device_id, name FROM device WHERE (device_id = ? OR name = ?) AND revoked_at IS NULL",
                name_or_id, name_or_id,
            )  # fmt: skip
            for device_id, name in found:
                self._file.write(
                    "UPDATE device SET revoked_at = ? WHERE device_id = ?", self._file.clock.utc_s(), device_id
                )
                self._file.tell("DeviceRevoked", by, (device_id,), {"device_id": device_id, "name": name})
        return len(found)

    def replace_key(self, device_id: str, by: str) -> str | None:
        """A new stream key, shown this once; the old one opens nothing. None: no such active device."""
        key = "k" + new_secret()
        with self._file.writing():
            changed = self._file.write(
                "UPDATE device SET key_hash = ? WHERE device_id = ? AND revoked_at IS NULL", hashed(key), device_id
            )
            if changed:
                self._file.tell(
                    "DeviceKeyReplaced", by, (device_id, self._file.clock.utc_s()), {"device_id": device_id}
                )
        return key if changed else None

    def find(self, stream_key: str) -> Device | None:
        """The device that holds this key now."""
        rows = self._file.rows(
            "SELECT device_id, name, officer, unit FROM device WHERE key_hash = ? AND revoked_at IS NULL",
            hashed(stream_key),
        )
        return Device(*rows[0]) if rows else None

    def is_valid(self, device_id: str) -> bool:
        """Whether the device may publish. Cheap: the table is read again only after somebody wrote the file.

        While the file cannot be read, what was known last holds: a broken disk must not end a running record.
        """
        try:
            version = self._file.version
            if version != self._seen_version:
                rows = self._file.rows("SELECT device_id FROM device WHERE revoked_at IS NULL")
                self._valid = frozenset(row[0] for row in rows)
                self._seen_version = version
        except StorageError:
            pass
        return device_id in self._valid
