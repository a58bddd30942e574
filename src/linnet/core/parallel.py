"""One process or many: the only module that uses ``torch.distributed`` and chooses a device."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from linnet import errors
from linnet.core import files, memory
from linnet.core.registry import suggest
from linnet.errors import InputError, LinnetError, LostRank, RecipeError, WorkError

SHARES = 8
"""The shares of the rows that ``--ranks`` sets: the most ranks that a line can have by default."""

ALIGNED = 16
"""Shares begin at multiples of this many rows, so at whole lines of the processor's cache: the bits
of its products depend on where numbers lie."""

CHUNK = 1 << 23
"""The most numbers that a rank gathers at once for a sum."""

TIMEOUT = 300.0
"""The seconds after which a rank that does not answer counts as lost; ``LINNET_TIMEOUT`` has other
ones."""

BEAT = 5.0
"""How often a rank that works tells those that wait for it."""

ROLL_SECONDS = 2.0
"""When a rank is lost, the others have this long to say that they are there."""

KILLED = "was lost: killed, perhaps for want of memory, or its machine is gone"
"""What ranks say of one that has ended; a launcher on its machine knows the signal."""

ORPHAN_SECONDS = 1.0
"""How often a rank looks whether its launcher lives."""


@dataclass(frozen=True)
class World:
    """The processes that fit one model together; alone, every method is the identity.

    Each rank holds a part of the rows: some of the ``count`` shares into which all rows are
    divided. Sums run over all shares in the same order on any number of ranks, so they have the
    same bits. All ranks call the same methods in the same order.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    store: Any = field(default=None, repr=False, compare=False)
    """Where ranks leave words for each other when one of them is lost."""
    names: tuple[str, ...] = ()
    """The host and the process of each rank."""

    @property
    def lead(self) -> bool:
        """Whether this rank decides and writes: rank 0."""
        return self.rank == 0

    @property
    def first_here(self) -> bool:
        """Whether it is the first of the ranks on its machine, as far as its launcher tells."""
        return os.environ.get(*LOCAL[0]) == "0"

    def on(self, device: str) -> World:
        """The same ranks with a device: of several CUDA devices each rank of a machine has one."""
        found = choose_device(device)
        if self.size == 1 or found.type == "cpu":
            return replace(self, device=found)
        if found.type != "cuda":
            raise RecipeError(f"device {device} has no ranks: use device=cpu, or train without")
        local, beside = (int(os.environ.get(n, d)) for n, d in LOCAL)
        if beside > torch.cuda.device_count():
            raise RecipeError(
                f"{beside} ranks on this machine want a CUDA device each, and PyTorch sees "
                f"{torch.cuda.device_count()}; start as many ranks, or use device=cpu"
            )
        found = torch.device("cuda", local)
        torch.cuda.set_device(found)
        return replace(self, device=found)

    # shares of the rows

    def held(self, count: int, rank: int | None = None) -> range:
        """The numbers of the shares of a rank; the first ranks have one more if need be."""
        rank = self.rank if rank is None else rank
        each, more = divmod(count, self.size)
        first = rank * each + min(rank, more)
        return range(first, first + each + (rank < more))

    def shares(self, rows: int, count: int) -> list[slice]:
        """The rows of each share of this rank, ``count`` being the shares of all ``rows``."""
        if count < self.size:
            raise RecipeError(
                f"{self.size} ranks are more than the {count} shares of the rows; start at most "
                f"{count} ranks, or set shares={self.size}"
            )
        edges = [rows * number // count // ALIGNED * ALIGNED for number in range(count)] + [rows]
        return [slice(edges[number], edges[number + 1]) for number in self.held(count)]

    def tree_sum(self, values: Iterable[torch.Tensor], count: int) -> torch.Tensor:
        """The sum over all ``count`` shares of all ranks; ``values`` has one tensor for each share
        of this rank.

        It is a binary tree over the shares, the same on any number of ranks; the ranks gather the
        sums of its branches, and each adds these up. So the bits are equal everywhere.
        """
        leaves = iter(values)
        if count == 1:
            return next(leaves)

        def node(low: int, high: int) -> torch.Tensor:
            if high - low == 1:
                return next(leaves)
            middle = (low + high) // 2
            return node(low, middle) + node(middle, high)

        spans = [list(_cover(0, count, self.held(count, rank))) for rank in range(self.size)]
        own = [node(*span) for span in spans[self.rank]]
        if self.size == 1:
            return own[0]
        most = max(map(len, spans))
        flat = torch.stack([part.reshape(-1) for part in own])
        flat = torch.cat([flat, flat.new_zeros((most - len(own), flat.shape[1]))])
        result = torch.empty_like(flat[0])
        for piece, out in zip(flat.split(CHUNK, 1), result.split(CHUNK), strict=True):
            every = self._all(piece)
            known = {
                span: every[rank][number]
                for rank, held in enumerate(spans)
                for number, span in enumerate(held)
            }
            out.copy_(_joined(known, 0, count))
        return result.reshape(own[0].shape)

    # what ranks tell each other

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of ``value`` over all ranks, equal to the bit on each."""
        if self.size == 1:
            return value
        value = value.clone()
        self.add(value)
        return value

    def add(self, value: torch.Tensor) -> None:
        """Replace ``value`` by its sum over all ranks."""
        if self.size > 1:
            with self._together():
                dist.all_reduce(value)

    def most(self, value: torch.Tensor) -> torch.Tensor:
        """The largest of each number over all ranks."""
        if self.size == 1:
            return value
        value = value.clone()
        with self._together():
            dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return value

    def same(self, *values: torch.Tensor) -> Any:
        """The tensors of rank 0, on every rank: what ranks compute from the same numbers may differ
        in its last bits where their processors or numbers of threads differ."""
        if self.size > 1:
            flat = torch.cat([value.reshape(-1).double() for value in values])
            with self._together():
                dist.broadcast(flat, 0)
            parts = flat.split([value.numel() for value in values])
            values = tuple(  # laid out as before, on which the bits of products depend
                torch.empty_like(value).copy_(part.reshape(value.shape))
                for part, value in zip(parts, values, strict=True)
            )
        return values if len(values) > 1 else values[0]

    def number(self, value: float) -> float:
        """The number of rank 0, on every rank."""
        if self.size == 1:
            return value
        return float(self.same(torch.tensor(value, dtype=torch.float64, device=self.device)))

    def gather(self, value: torch.Tensor, lengths: Sequence[int] | None = None) -> torch.Tensor:
        """The rows (rows, ...) of all ranks, one rank after the other; ``lengths`` are their
        numbers, if all ranks know them."""
        if self.size == 1:
            return value
        if lengths is None:
            own = torch.tensor([len(value)], device=value.device)
            lengths = [int(length) for length in self._all(own)]
        room = value.new_zeros((max(lengths), *value.shape[1:]))
        room[: len(value)] = value
        parts = self._all(room)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    def tell(self, value: Any) -> Any:
        """A plain value of rank 0 (numbers, text, lists, mappings), on every rank."""
        return value if self.size == 1 else self._told(value)[0]

    def agree(self, error: BaseException | None = None) -> None:
        """Raise on every rank the error of the first rank that has one, as that rank would.

        All ranks call it at the same point, each with its own error, or with None.
        """
        if self.size == 1:
            if error is not None:
                raise error
            return
        for rank, found in enumerate(self._told(None if error is None else _packed(error))):
            if found is not None:
                raised = error if error is not None and rank == self.rank else _unpacked(found)
                assert raised is not None
                if isinstance(raised, LinnetError):
                    raised.silent = not self.lead
                raise raised

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """A block in which ranks tell each other nothing: if one of them fails in it, all raise its
        error at the end."""
        if self.size == 1:
            yield
            return
        try:
            yield
        except Exception as error:
            self.agree(error)
        else:
            self.agree()

    def wait(self, work: Callable[[], Any] | None) -> Any:
        """Do the ``work`` of this rank, if it has any, and go on when all ranks have done theirs:
        returns what it gave. However long it takes, no rank that works or waits counts as lost. If
        one fails, all raise its error.

        The ``work`` tells the other ranks nothing.
        """
        if self.size == 1:
            return None if work is None else work()
        done, failed = threading.Event(), list[BaseException]()
        beat = min(BEAT, timeout() / 4)

        def go_along() -> None:
            try:
                while any(self._told(not done.wait(beat))):
                    pass
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=go_along, name="waiting", daemon=True)
        thread.start()
        result, wrong = None, None
        try:
            result = None if work is None else work()
        except Exception as error:
            wrong = error
        finally:
            done.set()
        thread.join()
        if failed:
            raise failed[0]
        self.agree(wrong)
        return result

    def _told(self, value: Any) -> list[Any]:
        """The plain values of all ranks. They travel as JSON, so no code comes with them."""
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        device = self.device if dist.get_backend() == "nccl" else torch.device("cpu")
        text = text.to(device)  # nccl knows no tensors of the CPU
        lengths = [int(n) for n in self._all(torch.tensor([len(text)], device=device))]
        room = text.new_zeros(max(lengths))
        room[: len(text)] = text
        parts = self._all(room)
        return [
            json.loads(bytes(part[:length].cpu().numpy()))
            for part, length in zip(parts, lengths, strict=True)
        ]

    def _all(self, value: torch.Tensor) -> list[torch.Tensor]:
        """A tensor of one shape from every rank."""
        value = value.contiguous()
        parts = [torch.empty_like(value) for _ in range(self.size)]
        with self._together():
            dist.all_gather(parts, value)
        return parts

    # ranks that are lost

    @contextmanager
    def _together(self) -> Iterator[None]:
        """What needs all ranks; raises ``LostRank`` if one of them is lost, or the error by which
        it ended."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, LinnetError):
                raise
            raise self._lost(error) from error

    def post(self, error: BaseException) -> None:
        """Leave word of the error by which this rank ends, for the others."""
        if self.size > 1 and self.store is not None:
            with suppress(RuntimeError):
                self.store.set(f"error/{self.rank}", json.dumps(_packed(error)))

    def _lost(self, error: BaseException) -> LinnetError:
        """The error that says which rank is lost; all who find it call the roll."""
        here, missing, word = self._roll()
        if word is not None:
            found = _unpacked(word)
            found.silent = not self.lead or bool(word.get("told"))
            return found
        names = [self._name(rank) for rank in missing] or [f"one of {self.size} ranks"]
        silent = any(word in str(error).lower() for word in ("timed out", "timeout"))
        why = f"has not answered for {timeout():g} s" if silent else KILLED
        lost = LostRank(f"{' and '.join(names)} {why}")
        lost.killed = () if silent else missing
        lost.silent = self.rank != min(here)
        return lost

    def _roll(self) -> tuple[set[int], list[int], dict[str, Any] | None]:
        """The ranks that are there, those that are lost, and the error by which a rank ended."""
        here, gone, every = {self.rank}, set[int](), set(range(self.size))
        end = time.monotonic() + ROLL_SECONDS
        while time.monotonic() < end and here | gone != every:
            with suppress(RuntimeError):  # a signal may disturb the store, or it is gone
                word = self._ask(here)
                if word is not None:
                    return here, [], word
            gone = {rank for rank, name in enumerate(self.names) if _gone(name)} - here
            time.sleep(0.02)
        return here, sorted(gone or every - here), None

    def _ask(self, here: set[int]) -> dict[str, Any] | None:
        """Say that this rank is there, and add the others that are; returns the error by which a
        rank ended."""
        if self.store is None:
            return None
        self.store.set(f"here/{self.rank}", "1")
        for rank in range(self.size):
            if self.store.check([f"error/{rank}"]):
                word: dict[str, Any] = json.loads(self.store.get(f"error/{rank}"))
                return {**word, "told": rank == 0}
            if self.store.check([f"here/{rank}"]):
                here.add(rank)
        return None

    def _name(self, rank: int) -> str:
        """A rank with its host and process, as far as they are known."""
        return _named(rank, self.size, self.names[rank] if self.names else "")

    def _named(self) -> World:
        """The same ranks, which know each other's names."""
        return replace(self, names=tuple(self._told(_who())))


def _named(rank: int, size: int, where: str) -> str:
    """A rank in words."""
    return f"rank {rank} of {size}{f' ({where})' if where else ''}"


def _who(process: int | None = None) -> str:
    """A process of this machine, by default this one, as the others name it."""
    return f"host {platform.node()}, process {process or os.getpid()}"


def _gone(name: str) -> bool:
    """Whether a process of this machine, named by ``_who``, has ended."""
    found = re.search(rf"host {re.escape(platform.node())}, process (\d+)", name)
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


LOCAL = (("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))
"""Variables of torchrun: which of the ranks on this machine this one is, and how many there are."""


def _cover(low: int, high: int, held: range) -> Iterator[tuple[int, int]]:
    """The largest branches of the tree over the shares from ``low`` to ``high`` that consist of
    shares in ``held``."""
    if held.stop <= low or high <= held.start:
        return
    if held.start <= low and high <= held.stop:
        yield low, high
        return
    middle = (low + high) // 2
    yield from _cover(low, middle, held)
    yield from _cover(middle, high, held)


def _joined(known: dict[tuple[int, int], torch.Tensor], low: int, high: int) -> torch.Tensor:
    """The sum of the shares from ``low`` to ``high``, from the sums of branches."""
    if (low, high) in known:
        return known[low, high]
    middle = (low + high) // 2
    return _joined(known, low, middle) + _joined(known, middle, high)


def _packed(error: BaseException) -> dict[str, Any]:
    """An error as a plain value."""
    return {"kind": type(error).__name__, "text": str(error), **_numbers(error)}


def _numbers(error: BaseException) -> dict[str, Any]:
    return {"signal": error.signal} if isinstance(error, errors.Interrupted) else {}


def _unpacked(found: dict[str, Any]) -> LinnetError:
    """The error again; one that is none of linnet's own is a ``WorkError`` that names its kind."""
    kind = getattr(errors, str(found["kind"]), None)
    text = str(found["text"])
    if kind is errors.Interrupted:
        return errors.Interrupted(int(found["signal"]), text)
    if kind is errors.ColumnError:  # its text is whole already
        return errors.DataError(text)
    if isinstance(kind, type) and issubclass(kind, LinnetError):
        return kind(text)
    return WorkError(f"{found['kind']}: {text}")


def timeout() -> float:
    """The seconds after which a rank that does not answer counts as lost."""
    text = os.environ.get("LINNET_TIMEOUT", str(TIMEOUT))
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise InputError(f"LINNET_TIMEOUT={text}: expected seconds, as {TIMEOUT:g}")
    return found


def _under(name: str, store: Any) -> Any:
    """A part of a store with a name of its own."""
    made: Any = dist  # torch does not tell types of it
    return made.PrefixStore(name, store)


def launched() -> bool:
    """Whether torchrun, or another launcher that names ranks as it does, started this process."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return all(name in os.environ for name in names) and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def ranks() -> Iterator[World]:
    """The processes that train together, as a ``World`` for ``train``.

    It joins the group that Ray, Spark or Accelerate has made, and leaves it as it is; or makes that
    of the environment that torchrun sets, and ends it with the block. Elsewhere this process is
    alone.
    """
    if dist.is_available() and dist.is_initialized():
        yield _joined_group()
        return
    if not launched():
        yield World()
        return
    refuse_ranks()
    limit = timedelta(seconds=timeout())
    found, rank, size = _met(limit)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    again = found.add(f"linnet/{rank}", 1)  # torchrun's restarts share a store
    store = _under(f"linnet/{again}", found)
    try:
        dist.init_process_group(
            backend, store=_under("group", store), rank=rank, world_size=size,
            timeout=limit,
        )  # fmt: skip
    except RuntimeError as error:
        raise LostRank(f"rank {rank} of {size} did not meet the others: {error}") from error
    world = World(rank, size, store=_under("words", store))
    try:
        world = world._named()
        yield world
    except BaseException as error:
        if not isinstance(error, LostRank):
            world.post(error)
        raise
    finally:
        with suppress(RuntimeError):
            dist.destroy_process_group()


def _met(limit: timedelta) -> tuple[Any, int, int]:
    """The store in which the ranks meet, the number of this one, and how many there are."""
    from torch.distributed.rendezvous import rendezvous

    if MEET not in os.environ:
        store, rank, size = next(rendezvous("env://", timeout=limit))
        return store, rank, size
    made: Any = dist  # torch does not tell types of it
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = made.FileStore(os.environ[MEET], size)
    store.set_timeout(limit)
    return store, rank, size


def _joined_group() -> World:
    """The ranks of a group that another library has made."""
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        return World()
    refuse_ranks()
    store, device = None, torch.device("cpu")
    if torch.cuda.is_available() and dist.get_backend() == "nccl":
        device = torch.device("cuda", torch.cuda.current_device())
    with suppress(Exception):  # it has no public name
        store = _under("linnet", dist.distributed_c10d._get_default_store())
    return World(rank, size, device, store)._named()


def refuse_ranks() -> None:
    """Raise ``WorkError`` where several processes cannot train together."""
    if os.name == "nt":
        raise WorkError(
            "ranks do not work on Windows, where PyTorch's launcher does not; use Linux (WSL), or "
            "train in one process"
        )
    if not dist.is_available():
        raise WorkError(
            f"PyTorch {torch.__version__} was built without torch.distributed, which ranks need"
        )


def cores() -> int:
    """The processor cores that this process may use."""
    bound = getattr(os, "sched_getaffinity", None)
    count = len(bound(0)) if bound else os.cpu_count() or 1
    return min(count, math.ceil(memory.cores() or count))


def launch(count: int, argv: Sequence[str]) -> int:
    """Run ``python -m linnet`` with ``argv`` in ``count`` processes on this machine, and return the
    exit code.

    It is torchrun's own launcher. The ranks share the cores. They meet in files and talk at
    127.0.0.1, so no other machine reaches them. What they print goes to the terminal; this process
    prints only what no rank could say.
    """
    refuse_ranks()
    import logging
    import sys

    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.CRITICAL)  # what failed is told in words
    for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, str(max(1, cores() // count)))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # it would listen on all interfaces
    with tempfile.TemporaryDirectory(prefix="linnet") as folder:
        told = Path(folder) / "told"
        os.environ |= {TOLD: str(told), MEET: str(Path(folder) / "ranks")}
        config = LaunchConfig(
            run_id=str(os.getpid()), min_nodes=1, max_nodes=1,
            nproc_per_node=count, max_restarts=0, rdzv_backend="c10d",
            rdzv_endpoint=str(Path(folder) / "launcher"), rdzv_configs={"store_type": "file"},
            local_addr="127.0.0.1", monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-P", "-m", "linnet", *argv)
        except ChildFailedError as error:
            return _ended(error.failures, count, told)
        except SignalException as error:
            return 128 + int(error.sigval)
    return 0


MEET = "LINNET_MEET"
"""The variable with the file in which ranks of linnet's own launcher meet."""

TOLD = "LINNET_TOLD"
"""The variable with the file in which a rank notes that it has told why the ranks end, or what the
launcher shall tell."""


def told(error: LinnetError) -> None:
    """Note, for the launcher, that this rank tells the ``error`` by which the ranks end; that a
    rank was killed is left to the launcher, which knows by which signal."""
    if TOLD not in os.environ or error.silent:
        return
    killed = error.killed if isinstance(error, LostRank) else ()
    words = {"text": str(error), "ranks": list(killed)} if killed else {}
    with suppress(WorkError):
        files.write(Path(os.environ[TOLD]), files.canonical(words))
        error.silent = bool(killed)


def _ended(failures: dict[int, Any], count: int, told: Path) -> int:
    """The exit code of ranks that failed; prints which were lost if no rank has told."""
    from linnet.core.text import say

    codes = {rank: failure.exitcode for rank, failure in sorted(failures.items())}
    killed = {rank: -code for rank, code in codes.items() if code < 0}
    asked = [rank for rank, number in killed.items() if number != signal.SIGTERM] or list(killed)
    words: dict[str, Any] = {"ranks": asked}  # the launcher ends the others by SIGTERM
    if told.exists():
        words = files.read_json(told)
    if words.get("ranks"):
        lost = [rank for rank in words["ranks"] if rank in failures]
        where = [_named(rank, count, _who(failures[rank].pid)) for rank in lost]
        text = words.get("text", f"{' and '.join(where)} {KILLED}")
        say(
            f"error: {_by_signals(text, {killed[rank] for rank in lost if rank in killed})}",
            error=True,
        )
    return max([code for code in codes.values() if code > 0], default=LostRank.exit_code)


def _by_signals(text: str, numbers: set[int]) -> str:
    """Words about ranks that were killed, with the signals that did it where they are known."""
    if not numbers:
        return text
    names = " and ".join(f"signal {number}" for number in sorted(numbers))
    perhaps = ", perhaps for want of memory" if signal.SIGKILL in numbers else ""
    return text.replace(KILLED, f"was lost: killed by {names}{perhaps}")


def watch_launcher(stop: Callable[[], None]) -> None:
    """End this rank if its launcher is gone: first ``stop`` is called, then the process ends."""
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHAN_SECONDS)
        stop()
        time.sleep(5 * ORPHAN_SECONDS)
        os._exit(LostRank.exit_code)

    threading.Thread(target=look, name="launcher", daemon=True).start()


ENOUGH = 10_000_000
"""The multiplications of a step from which several threads share them. Threads wait for each other
at the end of every operation, and beside other processes for a whole slice of time: where there is
less to do, one thread takes as long on a quiet machine and a hundredth of it on a busy one
(``benchmarks/busy``)."""


@contextmanager
def threads_for(multiplications: float) -> Iterator[int]:
    """A block in which one thread of PyTorch and of NumPy's BLAS computes if a step has less than
    ``ENOUGH`` multiplications, else as many as before; gives the number of PyTorch's.

    So the number, on which the last bits depend, is a function of the size of the work and of the
    number that was set. It is never raised, and in a thread that is not the main one it is left
    alone, as other threads may be computing. It is as before when the block ends.
    """
    before = torch.get_num_threads()
    main = threading.current_thread() is threading.main_thread()
    if multiplications >= ENOUGH or not main:
        yield before
        return
    lowered = [(blas, count) for blas in _blas() if (count := blas.get_num_threads()) > 1]
    if before > 1:
        torch.set_num_threads(1)
    for blas, _ in lowered:
        blas.set_num_threads(1)
    try:
        yield 1
    finally:
        for blas, count in lowered:
            blas.set_num_threads(count)
        if before > 1:
            torch.set_num_threads(before)


@cache
def _blas() -> tuple[Any, ...]:
    """The linear algebra libraries of NumPy and SciPy."""
    import scipy.linalg.blas  # noqa: F401  so that its library is among them
    from threadpoolctl import ThreadpoolController

    return tuple(lib for lib in ThreadpoolController().lib_controllers if lib.user_api == "blas")


def choose_device(name: str) -> torch.device:
    """The device called ``name``: "auto" is CUDA if there is one, else the CPU.

    A device that does not exist is an error: linnet never falls back to the CPU in silence.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kinds = ("auto", "cpu", "cuda", "mps")
    kind, _, index = name.partition(":")
    if kind == "gpu":
        raise RecipeError(f'unknown device "{name}"; did you mean "cuda"?')
    if kind not in kinds or (index and not index.isdecimal()) or (index and kind != "cuda"):
        raise RecipeError(f'unknown device "{name}"; {suggest(kind, kinds)} (cuda:1 picks one)')
    if kind == "cuda":
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or int(index or 0) >= count:
            raise WorkError(
                f"device {name} was asked for, but PyTorch {torch.__version__} sees {count} CUDA "
                "devices here; use --device cpu, or install a CUDA build and a matching driver"
            )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise WorkError(f"device mps was asked for, but PyTorch {torch.__version__} sees none here")
    return torch.device(name)
