"""Keeping ad networks' audiences equal to ours: connections, desired and sent state, batches, guardrails, receipts."""
