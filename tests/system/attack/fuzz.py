"""Random and mutated messages to every RPC: `python tests/system/attack/fuzz.py --minutes 10 --seed 1`.

Messages are built from the descriptors of all services: every field with values that are ordinary, at their limits or
nonsense. A third of them is damaged after that: bits flipped, cut, doubled, spliced. Any answer is right except one
that says that the service failed (INTERNAL, UNKNOWN), and except silence. What was sent is a function of the seed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from examples import heavy as heavy_examples
from examples import light as light_examples
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from noyau.oip import open_inference_pb2
from noyau.v1 import jobs_pb2, models_pb2, preview_pb2

FILES = (jobs_pb2, models_pb2, preview_pb2, open_inference_pb2)
BUGS = ("INTERNAL", "UNKNOWN")
DEADLINE = 3.0
MOST_ANSWERS = 20
DEEPEST = 6
DAMAGED = 0.33
# A good request to one of these starts a process that imports torch.
HEAVY = ("Register", "Upload", "Check", "Preview", "ModelInfer", "Export")

INTEGERS = (0, 1, 2, 3, 7, 16, 255, 4096, -1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1)
FLOATS = (0.0, 1.0, 0.5, -1.0, 1e-30, 1e30, 3.4e38, float("nan"), float("inf"), float("-inf"), -0.0)
TEXTS = (
    "", "a", "nuclei-3d", "nuclei-2d@1", "nuclei-3d@latest", "nuclei-3d@", "@", "production", "../../etc/passwd",
    "/etc/passwd", "file:///etc/passwd", "s3://bucket/key", "http://127.0.0.1:1/x", "omero://lab/image/1",
    "omero:lab:a", "cpu", "cuda:99", "auto", "torch", "uint16", "<u2", "UINT8", "FP32", "image", "labels", "z,y,x",
    "1,1,1", "\x00", "\n\r\t", "é\u202e☢", "A" * 5000, "%s%n", "'; DROP TABLE jobs; --", "0123456789abcdef", "segment",
    "vote", "-inf",
)  # fmt: skip


class Maker:
    """Messages from a source of chance.

    Args:
        chance: decides everything.
        texts: more texts to choose from: paths, jobs and models that exist.
        examples: good messages; half of those of their kind begin as one of them.
    """

    def __init__(self, chance: random.Random, texts: Sequence[str] = (), examples: Sequence[Any] = ()) -> None:
        self._chance = chance
        self._texts = (*TEXTS, *texts, *texts)
        self._examples: dict[str, list[Any]] = {}
        for example in examples:
            self._examples.setdefault(example.DESCRIPTOR.full_name, []).append(example)

    def message(self, kind: Descriptor, depth: int = 0) -> Any:
        """A message with some of its fields filled in, or a good one with a few changes."""
        known = self._examples.get(kind.full_name)
        if known and depth == 0 and self._chance.random() < 0.5:
            return self._changed(self._chance.choice(known))
        made = GetMessageClass(kind)()
        share = self._chance.random()
        for part in kind.fields:
            if self._chance.random() < share and depth < DEEPEST:
                self._fill(made, part, depth)
        return made

    def data(self, kind: Descriptor) -> bytes:
        """Such a message as bytes, damaged now and then."""
        found: bytes = self.message(kind).SerializeToString()
        return self._damaged(found) if self._chance.random() < DAMAGED else found

    def _changed(self, example: Any) -> Any:
        """A copy with none to three fields filled in anew, at any depth."""
        made = type(example)()
        made.CopyFrom(example)
        for _ in range(self._chance.randrange(4)):
            place, depth = made, 0
            while True:
                part = self._chance.choice(place.DESCRIPTOR.fields or (None,))
                if part is None:
                    break
                inside = part.message_type is not None and not part.is_repeated and place.HasField(part.name)
                if inside and self._chance.random() < 0.8:
                    place, depth = getattr(place, part.name), depth + 1
                    continue
                if part.is_repeated:
                    place.ClearField(part.name)
                self._fill(place, part, depth)
                break
        return made

    def _fill(self, made: Any, part: FieldDescriptor, depth: int) -> None:
        if part.message_type is not None and part.message_type.GetOptions().map_entry:
            getattr(made, part.name).MergeFrom(self._entries(made, part, depth))
        elif part.is_repeated:
            values = [self._value(part, depth) for _ in range(self._chance.choice((0, 1, 2, 3, 20)))]
            getattr(made, part.name).extend(values)
        elif part.message_type is not None:
            getattr(made, part.name).CopyFrom(self.message(part.message_type, depth + 1))
        else:
            setattr(made, part.name, self._value(part, depth))

    def _entries(self, made: Any, part: FieldDescriptor, depth: int) -> Any:
        holder = type(made)()
        target = getattr(holder, part.name)
        value = part.message_type.fields_by_name["value"]
        for _ in range(self._chance.choice((0, 1, 3))):
            name = self._chance.choice(self._texts)
            if value.message_type is not None:
                target[name].CopyFrom(self.message(value.message_type, depth + 1))
            else:
                target[name] = self._value(value, depth)
        return target

    def _value(self, part: FieldDescriptor, depth: int) -> Any:
        kind = part.cpp_type
        if kind == FieldDescriptor.CPPTYPE_MESSAGE:
            return self.message(part.message_type, depth + 1)
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self._bytes() if part.type == FieldDescriptor.TYPE_BYTES else self._chance.choice(self._texts)
        if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
            return self._chance.choice((*FLOATS, self._chance.uniform(-100, 100)))
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self._chance.random() < 0.5
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return self._chance.choice((*(value.number for value in part.enum_type.values), 99, -1))
        return self._chance.choice([number for number in INTEGERS if _fits(number, kind)])

    def _bytes(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 2, 64, 1000, 8192)))

    def _damaged(self, data: bytes) -> bytes:
        damaged = bytearray(data or self._bytes())
        for _ in range(self._chance.choice((1, 1, 2, 8))):
            where = self._chance.randrange(len(damaged) + 1)
            how = self._chance.randrange(5)
            if how == 0 and where < len(damaged):
                damaged[where] ^= 1 << self._chance.randrange(8)
            elif how == 1:
                del damaged[where:]
            elif how == 2:
                damaged[where:where] = self._chance.randbytes(self._chance.choice((1, 3, 50)))
            elif how == 3:
                damaged += damaged[:where]
            else:
                # A varint that does not end, or a length far beyond the message.
                damaged[where:where] = b"\xff" * self._chance.choice((1, 5, 11))
        return bytes(damaged[: 2**20])


def _fits(number: int, kind: int) -> bool:
    lowest, highest = {
        FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
        FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
        FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
        FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    }[kind]
    return lowest <= number <= highest


@dataclass
class Seen:
    """What came back: how often which status per method, and what must not have come."""

    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, method: str, status: str, about: str) -> None:
        with self.lock:
            self.statuses[method, status] += 1
            if status in BUGS:
                self.bugs.append(f"{method}: {status}: {about}")

    @property
    def calls(self) -> int:
        return sum(self.statuses.values())

    def table(self) -> dict[str, dict[str, int]]:
        """Counts by method, then by status."""
        found: dict[str, dict[str, int]] = {}
        for (method, status), count in sorted(self.statuses.items()):
            found.setdefault(method, {})[status] = count
        return found


def methods() -> tuple[MethodDescriptor, ...]:
    """Every RPC of ours."""
    services = (service for file in FILES for service in file.DESCRIPTOR.services_by_name.values())
    return tuple(method for service in services for method in service.methods)


class Fuzzer:
    """Calls one service with rubbish.

    Args:
        address: of the service.
        tokens: good ones and bad ones; None sends no token.
        seed: decides everything that is sent.
        image: path of one that the service may use.
        heavy: share of the calls that may start a process.
        jobs: names of jobs that exist.
    """

    def __init__(
        self,
        address: str,
        tokens: Sequence[str | None],
        seed: int,
        image: str,
        heavy: float = 0.0,
        jobs: Sequence[str] = (),
    ) -> None:
        self._address = address
        self._tokens = tokens
        self._seed = seed
        self._texts = (image, f"{image}-out.ome.zarr", *jobs)
        self._examples = (*light_examples(image), *(heavy_examples() if heavy else ()))
        self._heavy = heavy
        self.seen = Seen()

    def run(self, seconds: float, threads: int = 2, pause: float = 0.0) -> Seen:
        """Calls every method at least once, then any until the time is over.

        Args:
            seconds: how long.
            threads: callers at once.
            pause: seconds between the calls of each, where the machine is needed for something else.
        """
        end = time.monotonic() + seconds
        callers = [
            threading.Thread(target=self._call_until, args=(end, number, threads, pause)) for number in range(threads)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        return self.seen

    def _call_until(self, end: float, number: int, threads: int, pause: float) -> None:
        chance = random.Random(f"{self._seed} {number}")
        maker = Maker(chance, self._texts, self._examples)
        known = methods()
        light = [method for method in known if method.name not in HEAVY]
        heavy = [method for method in known if method.name in HEAVY]
        with grpc.insecure_channel(self._address) as channel:
            for method in known[number::threads]:
                self._call(channel, method, maker, chance)
            while time.monotonic() < end:
                method = chance.choice(heavy if chance.random() < self._heavy else light)
                self._call(channel, method, maker, chance)
                time.sleep(pause)

    def _call(self, channel: grpc.Channel, method: MethodDescriptor, maker: Maker, chance: random.Random) -> None:
        path = f"/{method.containing_service.full_name}/{method.name}"
        token = chance.choice(self._tokens)
        metadata = None if token is None else (("authorization", f"Bearer {token}"),)
        count = chance.choice((0, 1, 2, 5)) if method.client_streaming else chance.choice((1, 1, 1, 1, 1, 1, 0, 2))
        requests = [maker.data(method.input_type) for _ in range(count)]
        call: Any = channel.stream_stream(path)(iter(requests), metadata=metadata, timeout=DEADLINE)
        try:
            for _ in range(MOST_ANSWERS):
                next(call)
            status, about = "OK", ""
        except StopIteration:
            status, about = "OK", ""
        except grpc.RpcError:
            status, about = call.code().name, f"{call.details()} for {[data[:200].hex() for data in requests]}"
        finally:
            call.cancel()
        self.seen.add(path, status, about)


def slices(minutes: float) -> Iterator[float]:
    """Seconds of fuzzing between two looks at the service."""
    left = minutes * 60
    while left > 0:
        yield min(30.0, left)
        left -= 30.0


def main() -> int:
    """Fuzzes a service of its own and tells what it saw, as JSON; 1 where something must not have happened."""
    here = Path(__file__).parent
    sys.path.insert(0, str(here.parents[1] / "forging"))
    from target import Target

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between the calls of a thread")
    parser.add_argument("--heavy", type=float, default=0.005, help="share of calls that may start a process")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Target(Path(folder)) as target:
        expires = int(time.time()) + 40_000
        good = target.issuer.token(roles=["operator"], exp=expires)
        tokens = (*[good] * 8, target.issuer.token(exp=expires), target.issuer.unsigned(), None)
        memory = [round(target.memory_mib())]
        seen: Seen | None = None
        for number, seconds in enumerate(slices(given.minutes)):
            seed = given.seed * 100_000 + number
            fuzzer = Fuzzer(target.address, tokens, seed, str(target.image), given.heavy, [target.new_job()])
            fuzzer.seen = seen or fuzzer.seen
            seen = fuzzer.run(seconds, given.threads, given.pause)
            target.check()
            memory.append(round(target.memory_mib()))
        assert seen is not None
        report = {
            "minutes": given.minutes,
            "seed": given.seed,
            "calls": seen.calls,
            "bugs": seen.bugs[:20],
            "incidents": target.incidents()[:20],
            "memory_mib": memory,
            "statuses": seen.table(),
        }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 1 if report["bugs"] or report["incidents"] else 0


if __name__ == "__main__":
    sys.exit(main())
