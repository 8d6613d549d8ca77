"""The chaos soak: everything as processes of its own, under load, killed and frozen in turn, then counted.

`python -m soak --seconds 600 --rate 1000 --seed S` (`make soak`); a short one is an acceptance test.
"""

import os

# The soak starts servers while gRPC works in its own process; gRPC's care for forks breaks them off now and then.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
