"""A worker over its standard input and output, in a process of its own: claims once, prints, and holds on."""

import anyio

from pipeline.analyse.pipe_board import PipeBoard
from pipeline.analyse.stdio import taken_stdio


async def main() -> None:
    board = PipeBoard(*taken_stdio())
    async with anyio.create_task_group() as group:
        group.start_soon(board.run)
        lease = await board.claim("child")
        print("a library that prints spoils no line")  # noqa: T201 - what it shows
        while not await board.renew([lease]):
            await anyio.sleep(0.05)


if __name__ == "__main__":
    anyio.run(main)
