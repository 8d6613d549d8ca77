"""A small, faithful Google Pub/Sub for tests: real gRPC, on this machine, with faults at will.

`EmulatorProcess` runs it as a process of its own, `Emulator` in the running event loop. Clients find either by
PUBSUB_EMULATOR_HOST, or through an insecure channel to `address`.
"""

from pubsub_emulator.control import RemoteControl as RemoteControl
from pubsub_emulator.faults import Faults as Faults
from pubsub_emulator.process import EmulatorProcess as EmulatorProcess
from pubsub_emulator.push import PushKey as PushKey
from pubsub_emulator.server import Emulator as Emulator
