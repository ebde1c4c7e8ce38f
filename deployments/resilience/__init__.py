"""How to live with providers that fail: breaker, recent latency, budgets and gossip; pure, the time is fed in."""
