"""What it costs the counters when a replica dies, a redeploy comes, too many want in, or one of them runs amok."""
