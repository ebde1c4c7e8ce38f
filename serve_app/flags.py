"""The environment that every node needs before Ray starts: `python -m serve_app.flags` prints it for a shell."""

from __future__ import annotations

import shlex
import sys
from typing import Final

NODE_FLAGS: Final = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "600",  # a reload cuts every socket of the old worker after it
    "RAY_SERVE_HAPROXY_NBTHREAD": "2",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",  # or the last 1,000 lines are not there when they are needed
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",  # at its 0.1 the idle controller takes 7 % of a core
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",  # at its 100 ms it takes 3 % of a busy replica
    "RAY_SERVE_ROUTER_QUEUE_LEN_GAUGE_THROTTLE_S": "5",  # at its 0.1 s it sets a gauge twice a call
    "RAY_worker_niceness": "0",  # Ray's 15 gives way to everything else on the machine, customers included
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_prestart_worker_first_driver": "0",
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Read by Ray and by the libraries when they start, on one machine as on many."""

DRAINING: Final = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
"""How long an ingress replica that is stopped keeps its sockets: Serve then cuts them all at once, with 1012."""
DRAINING_S: Final = "10"
"""Longer than ingress.drain_s: counters leave before."""

CLUSTER_FLAGS: Final = {
    **NODE_FLAGS,
    "RAY_AUTH_TOKEN_PATH": "/etc/balto/ray_token",
    DRAINING: DRAINING_S,
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "/run/balto/haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "/run/balto/admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "/run/balto",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "/run/balto/server-state",
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",  # a replica on a VPS that was cut off gets nobody after two of them
    "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "2",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",  # a VPS that is cut off is given up after some 10 s; Ray's own: a minute
    "RAY_gcs_rpc_server_reconnect_timeout_s": "900",  # so long the other VPSes go on without the head; Ray's own: 60 s
    "RAY_agent_register_timeout_ms": "120000",  # a VPS whose cores are busy starts Ray all the same
    "BALTO_STATE_DIR": "/var/lib/balto",
}
"""What a VPS of a cluster needs besides; the paths are those of ops/cluster/README.md."""


def main() -> None:
    """Print CLUSTER_FLAGS as lines of `NAME=value`, quoted for a shell."""
    for name, value in CLUSTER_FLAGS.items():
        sys.stdout.write(f"{name}={shlex.quote(value)}\n")


if __name__ == "__main__":
    main()
