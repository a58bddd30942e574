"""Ends a rank at one of its collectives: ``DIE=rank:number:signal``, in its first life only.
``COUNT`` names a file for how many there were."""

import os

if os.environ.get("DIE") and os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0":
    import atexit
    from collections.abc import Iterator
    from contextlib import contextmanager
    from pathlib import Path

    from linnet.core import parallel

    rank, at, number = map(int, os.environ["DIE"].split(":"))
    plain, count = parallel.World._together, [0]

    @contextmanager
    def together(self: parallel.World) -> Iterator[None]:
        count[0] += 1
        if self.rank == rank and count[0] == at:
            os.kill(os.getpid(), number)
        with plain(self):
            yield

    if os.environ.get("COUNT") and os.environ["RANK"] == str(rank):
        atexit.register(lambda: Path(os.environ["COUNT"]).write_text(str(count[0])))
    parallel.World._together = together  # type: ignore[method-assign]
