"""Three VPSes on one machine, a real `ray up`, and the fault plan: `make cluster-test`."""
