"""Who may call, what they did, and which processes are alive: API keys, audit entries, heartbeats, health."""
