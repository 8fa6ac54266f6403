"""One simulated device, a process of its own: draws, encodes and publishes at real-time pace. Knows no other device.

Its orders come in on stdin, one JSON object a line: first `Order` (with the publish URL, which holds the key and is
never logged), then `FaultOrder`s. The end of stdin ends the process. What happens goes out on stdout, one word a line:
`pictures` when the first picture of a connection is sent, `lost` when a connection broke or could not be made.

The reading thread owns stdin and puts orders into a queue; the main thread owns everything else.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WorkerFailed
from pipeline.simulate import burnin, picture
from pipeline.simulate.orders import FaultOrder, Order
from pipeline.simulate.publisher import FRAMES_PER_S, SOUND_FRAME, Publisher
from pipeline.simulate.scenes import Scene, cover, make_scene
from pipeline.simulate.sound import spoken_loop

_FIRST_BACK_OFF_S: Final = 0.5
_LAST_BACK_OFF_S: Final = 5.0
_GIVE_UP_S: Final = 1.0
"""After the end of stdin a connection that hangs has this long before the process ends without it."""


class Camera:
    """Lens and microphone: the next picture and the next sound, with the faults in force. No clock inside."""

    def __init__(self, scene: Scene, loop: NDArray[np.float32]) -> None:
        self.picture = picture.blank()
        self._scene = scene
        self._loop = loop
        self._position = 0
        self._silence = np.zeros(SOUND_FRAME, np.float32)
        self._until_s: dict[str, float] = {}

    def suffer(self, order: FaultOrder, now_s: float) -> None:
        """The fault lasts from `now_s` on the clock that is passed to `look` and `listen`."""
        self._until_s[order.fault] = now_s + order.for_s

    def look(self, now_s: float, utc_ms: int, number: int) -> None:
        """Draws the picture of this moment into `self.picture`; a frozen camera leaves it as it is."""
        if self._has("frozen", now_s):
            return
        if self._has("covered", now_s):
            cover(self.picture, number)
        else:
            self._scene.draw(self.picture, now_s)
        burnin.draw(self.picture, utc_ms, number)

    def listen(self, now_s: float) -> NDArray[np.float32]:
        """The next SOUND_FRAME samples."""
        start = self._position
        self._position = (start + SOUND_FRAME) % len(self._loop)
        return self._silence if self._has("silent", now_s) else self._loop[start : start + SOUND_FRAME]

    def _has(self, fault: str, now_s: float) -> bool:
        return now_s < self._until_s.get(fault, 0.0)


class Device:
    """Keeps the camera on the air: connects, publishes, and connects again when the server goes away."""

    def __init__(self, order: Order, orders: "queue.SimpleQueue[FaultOrder]") -> None:
        self.is_stopping = threading.Event()
        self._url = order.url
        self._orders = orders
        self._camera = Camera(make_scene(order.scene), spoken_loop(order.says))
        self._began_s = time.monotonic()

    def run(self) -> None:
        """Returns when stopped."""
        back_off_s = _FIRST_BACK_OFF_S
        while not self.is_stopping.is_set():
            connected_s = time.monotonic()
            try:
                self._publish()
            except WorkerFailed:
                _say("lost")
                if time.monotonic() - connected_s > _LAST_BACK_OFF_S:
                    back_off_s = _FIRST_BACK_OFF_S
                self.is_stopping.wait(back_off_s)
                back_off_s = min(back_off_s * 2, _LAST_BACK_OFF_S)

    def _publish(self) -> None:
        publisher = Publisher(self._url)
        try:
            first = self._due_number()
            number = first
            while not self.is_stopping.is_set():
                self._send(publisher, number, number - first)
                if number == first:
                    _say("pictures")
                number = max(number + 1, self._due_number())
                self._wait_for(number)
        finally:
            publisher.close()

    def _send(self, publisher: Publisher, number: int, index: int) -> None:
        now_s = time.monotonic() - self._began_s
        while not self._orders.empty():
            self._camera.suffer(self._orders.get_nowait(), now_s)
        while publisher.needs_sound(index / FRAMES_PER_S):
            publisher.send_sound(self._camera.listen(now_s))
        self._camera.look(now_s, time.time_ns() // 1_000_000, number)
        publisher.send_picture(self._camera.picture, index)

    def _due_number(self) -> int:
        """The picture whose turn it is; counted from the start of the process, so the pace never drifts."""
        return int((time.monotonic() - self._began_s) * FRAMES_PER_S)

    def _wait_for(self, number: int) -> None:
        self.is_stopping.wait(max(0.0, self._began_s + number / FRAMES_PER_S - time.monotonic()))


def main() -> None:
    """The process: `python -m pipeline.simulate.device`."""
    order = Order(**json.loads(sys.stdin.readline()))
    orders: queue.SimpleQueue[FaultOrder] = queue.SimpleQueue()
    device = Device(order, orders)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_await_end, args=(device.is_stopping,), daemon=True).start()
    threading.Thread(target=_read_orders, args=(orders, device.is_stopping), daemon=True).start()
    device.run()
    os._exit(0)  # the reading thread holds stdin's lock; a tidy exit would wait for it


def _await_end(is_stopping: threading.Event) -> None:
    """In a thread: a handler runs in the one that waits for the event, and may hold the lock that `set` asks for."""
    signal.sigwait({signal.SIGTERM})
    is_stopping.set()


def _read_orders(orders: "queue.SimpleQueue[FaultOrder]", is_stopping: threading.Event) -> None:
    for line in sys.stdin:
        orders.put(FaultOrder(**json.loads(line)))
    is_stopping.set()
    time.sleep(_GIVE_UP_S)
    os._exit(0)


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
